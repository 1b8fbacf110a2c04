//! Calls of plugins about jobs.

use std::time::Duration;

use flyte_core::contract::{JobHandle, LaunchRequest, Launched, LookupRequest};
use flyte_core::object_store::ObjectStoreExt;
use flyte_core::{Error, ErrorKind, Retry};
use flyte_idl::convert::encode_literal_map;

use super::files::blob_error;
use super::world::{TRIES, World};
use crate::engine::AttemptRef;
use crate::mail::Message;
use crate::shard::Observe;

/// The longest time between two tries to finalize a job.
const FINALIZE_RETRY_MAX: Duration = Duration::from_secs(10);

impl World {
    pub(super) async fn launch(
        &self,
        plugin: u16,
        mut lookup: bool,
        mut request: LaunchRequest,
    ) -> Result<Launched, Error> {
        let plugin = &self.plugins[plugin as usize];
        request.prepared = plugin.prepare(&request.template, &request.inputs)?;
        let inputs = self.path(&request.locations.inputs)?;
        let bytes = encode_literal_map(&request.inputs);
        self.blobs
            .put(&inputs, bytes.into())
            .await
            .map_err(|e| blob_error("launch", e))?;
        let looks = plugin.info().capabilities.lookup;
        let mut tries = 0;
        let mut last = None;
        loop {
            if lookup && looks {
                let wanted = [request.lookup()];
                let found = async { one(plugin.lookup(&wanted).await) };
                if let Ok(Some(handle)) = self.call("lookup", found).await {
                    return Ok(Launched {
                        handle,
                        status: None,
                    });
                }
            }
            if let Some(e) = last.take().filter(|_| tries >= TRIES) {
                return Err(e);
            }
            let launch = async { one(plugin.launch(&self.launch, vec![request.clone()]).await) };
            let error = match self.call("launch", launch).await {
                Ok(launched) => return Ok(launched),
                Err(e) => e,
            };
            tries += 1;
            // A lost reply is no failure: look before launching again, and before giving up, lest
            // the job run on beside that of the next attempt.
            lookup = error.retry() == Retry::Ambiguous;
            let again = tries < TRIES || lookup && looks;
            if error.retry() == Retry::Never || !again {
                return Err(error);
            }
            last = Some(error);
            tokio::time::sleep(Duration::from_millis(50 << tries)).await;
        }
    }

    pub(super) async fn lookup(
        &self,
        plugin: u16,
        request: &LookupRequest,
    ) -> Result<Option<JobHandle>, Error> {
        let plugin = &self.plugins[plugin as usize];
        let found = async { one(plugin.lookup(std::slice::from_ref(request)).await) };
        self.call("lookup", found).await
    }

    /// Asks after jobs; one answer for each.
    pub(crate) async fn observe(self, question: Observe) {
        let plugin = &self.plugins[usize::from(question.plugin)];
        let n = question.handles.len();
        let asked = async {
            let answers = plugin.observe(&question.handles).await;
            each(n, answers)
        };
        let answers = self.call("observe", asked).await.unwrap_or_else(|e| {
            let again = || Error::new(e.kind(), e.operation(), e.message().to_owned());
            (0..n).map(|_| Err(again())).collect()
        });
        for e in answers.iter().filter_map(|a| a.as_ref().err()) {
            tracing::debug!(error = %e, "a job could not be asked after");
        }
        let _gone = self.send.send(Message::Observed(question, answers));
    }

    /// Asks a job to end.
    pub(crate) async fn abort(self, at: AttemptRef, plugin: u16, handle: JobHandle, why: String) {
        let plugin = &self.plugins[usize::from(plugin)];
        let asked = self.call("abort", plugin.abort(&handle, &why)).await;
        if let Err(e) = &asked {
            tracing::warn!(error = %e, "a job was not aborted yet");
        }
        let accepted = asked.is_ok();
        let _gone = self.send.send(Message::ToldToEnd { at, accepted });
    }

    /// Repeated until the job holds nothing, or the plugin says that asking again is useless. The
    /// execution does not end before.
    pub(super) async fn finalize(&self, plugin: u16, handle: &JobHandle) {
        let plugin = &self.plugins[plugin as usize];
        let mut pause = Duration::from_millis(50);
        loop {
            match self.call("finalize", plugin.finalize(handle)).await {
                Ok(()) => return,
                Err(e) if e.retry() == Retry::Never => {
                    tracing::error!(error = %e, "a job is not finalized; it may still hold something");
                    return;
                }
                Err(e) => tracing::warn!(error = %e, "a job is not finalized yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(FINALIZE_RETRY_MAX);
        }
    }
}

/// The answer to a call that asked for one thing.
fn one<T>(answers: Vec<Result<T, Error>>) -> Result<T, Error> {
    let answer = each(1, answers)?.pop();
    answer.expect("invariant: they were counted")
}

/// The answers to a call that asked for `n` things.
fn each<T>(n: usize, answers: Vec<Result<T, Error>>) -> Result<Vec<Result<T, Error>>, Error> {
    match answers.len() == n {
        true => Ok(answers),
        false => Err(Error::new(
            ErrorKind::Other,
            "plugin",
            format!("the plugin answered {} of {n} requests", answers.len()),
        )),
    }
}
