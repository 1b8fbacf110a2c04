use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_core::contract::{
    Cache, CreditRequest, LaunchContext, Lease, Plugin, Progress, PutOptions, Store,
};
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::limits::{OFFLOAD_BYTES_MAX, OUTPUT_FILE_BYTES_MAX};
use flyte_core::object_store::{ObjectStore, path::Path};
use flyte_core::{Error, ErrorKind};

use super::files::path_of;
use super::outputs;
use super::values::ValueFiles;
use crate::engine::{Effect, Input, TaskFailure};
use crate::mail::{Mailbox, Message};
use crate::outcome::judge;
use crate::ownership::Shared;
use crate::telemetry::{Meters, Spans};

/// What effects need of the world.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lease: Lease,
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) cache: Option<Arc<dyn Cache>>,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    /// What the uris of `blobs` begin with.
    pub(crate) root: String,
    pub(crate) launch: LaunchContext,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) call_timeout: Duration,
    /// Bytes of an `outputs.pb`.
    pub(crate) outputs_max: u64,
    pub(crate) send: Mailbox,
    pub(crate) meters: Meters,
}

/// How often an answer that is safe to ask for again is asked for.
pub(super) const TRIES: u32 = 5;

impl World {
    pub(crate) fn new(shared: &Shared, lease: Lease, send: Mailbox) -> Self {
        let b = &shared.builder;
        Self {
            store: b.store.clone(),
            lease,
            plugins: b.plugins.clone(),
            cache: b.cache.clone(),
            blobs: b.blobs.clone(),
            root: b.root.clone(),
            launch: b.launch_context(),
            progress: b.progress.clone(),
            call_timeout: b.call_timeout,
            // What is too large for a record need not stay in one.
            outputs_max: match b.offload_above {
                Some(_) => OFFLOAD_BYTES_MAX,
                None => OUTPUT_FILE_BYTES_MAX,
            },
            send,
            meters: shared.meters.clone(),
        }
    }

    fn tell(&self, input: Input) {
        // Effects are inside of their attempt's span.
        let failed = |why: &dyn std::fmt::Display| Spans::failed(&tracing::Span::current(), why);
        match &input {
            Input::Launched { result: Err(e), .. } => failed(e),
            Input::Fetched { result: Err(f), .. } => failed(&f.error),
            Input::Offloaded { result: Err(e), .. } => failed(e),
            Input::InputsRead { result: Err(e), .. } => failed(e),
            _ => {}
        }
        // A driver that is gone needs no answer.
        let _gone = self.send.send(Message::Input(input));
    }

    fn values(&self) -> ValueFiles {
        ValueFiles::new(&self.blobs, &self.root)
    }

    pub(super) fn path(&self, uri: &str) -> Result<Path, Error> {
        path_of(&self.root, uri)
    }

    /// Does everything that is not run in this process.
    pub(crate) async fn act(self, effect: Effect) {
        match effect {
            Effect::Launch {
                at,
                plugin,
                lookup,
                request,
            } => {
                let result = self.launch(plugin, lookup, *request).await.map(Box::new);
                self.tell(Input::Launched { at, result });
            }
            Effect::Lookup {
                at,
                plugin,
                request,
            } => {
                let result = self.lookup(plugin, &request).await;
                self.tell(Input::Found { at, result });
            }
            Effect::Finalize {
                at, plugin, handle, ..
            } => {
                self.finalize(plugin, &handle).await;
                self.tell(Input::Finalized { at });
            }
            Effect::Fetch {
                at,
                prefix,
                declared,
                failure,
            } => {
                let result = match self.files(&prefix, self.outputs_max).await {
                    Ok(files) => {
                        let judged = judge(&files, &declared, failure);
                        outputs::settle(&self.root, &declared, judged).await
                    }
                    Err(e) => Err(TaskFailure::recoverable(ExecutionError::new(
                        ErrorOrigin::System,
                        "OutputsNotFound",
                        format!("the files under {prefix} cannot be read: {e}"),
                    ))),
                };
                self.tell(Input::Fetched { at, result });
            }
            on_values @ (Effect::Offload { .. }
            | Effect::ReadValue { .. }
            | Effect::ReadInputs { .. }) => self.tell(self.values().answer(on_values).await),
            Effect::CacheGet { at, key, reserve } => {
                let answer = self.cache_get(&key, reserve).await;
                self.tell(Input::CacheLooked { at, answer });
            }
            Effect::CachePut {
                at,
                key,
                artifact,
                overwrite,
                token,
                owner,
            } => {
                let options = PutOptions::default().with_overwrite(overwrite);
                let status = self.cache_put(&key, *artifact, options, token, owner).await;
                self.tell(Input::Published { at, status });
            }
            Effect::CacheExtend { key, token, ttl } => {
                if let Some(cache) = &self.cache
                    && let Err(e) = cache.extend(&key, token, ttl).await
                {
                    tracing::warn!(error = %e, "a reservation was not prolonged");
                }
            }
            Effect::Credits {
                pool,
                capacity,
                want,
            } => {
                let request = CreditRequest {
                    pool: pool.clone(),
                    capacity,
                    want,
                };
                let asked = self.store.credits(&self.lease, &request);
                let answered = tokio::time::timeout(self.call_timeout, asked).await;
                let result = answered.unwrap_or_else(|_| {
                    let text = "the store did not answer in time";
                    Err(Error::new(ErrorKind::Timeout, "credits", text))
                });
                if let Err(e) = &result {
                    tracing::warn!(error = %e, pool = %pool, "a limit cannot be asked for");
                }
                self.tell(Input::Credited { pool, result });
            }
            Effect::StartChild { .. }
            | Effect::EndChild { .. }
            | Effect::TellParent { .. }
            | Effect::Run { .. }
            | Effect::Cancel { .. }
            | Effect::Observe { .. }
            | Effect::ReadPlan { .. }
            | Effect::Ended(_)
            | Effect::Parked { .. } => {
                unreachable!("invariant: the shard or the driver does these itself")
            }
        }
    }

    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let answered = tokio::time::timeout(self.call_timeout, call).await;
        let answer = answered.unwrap_or_else(|_| {
            let text = "the plugin did not answer in time";
            Err(Error::new(ErrorKind::Timeout, operation, text))
        });
        self.meters
            .called(operation, answer.is_ok(), begun.elapsed());
        answer
    }
}
