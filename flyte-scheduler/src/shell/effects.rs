use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_core::contract::{
    Cache, CacheLookup, JobHandle, JobPhase, LaunchContext, LaunchRequest, Launched, LookupRequest,
    Plugin, Progress, PutOptions, ReserveOutcome, TaskContextParts,
};
use flyte_core::journal::{CacheStatus, ErrorOrigin, ExecutionError};
use flyte_core::literal::{Literal, Row};
use flyte_core::object_store::{self, ObjectStore, ObjectStoreExt, path::Path};
use flyte_core::{Error, ErrorKind, Retry};
use flyte_idl::convert::encode_literal_map;
use futures::StreamExt;

use super::spans::Spans;
use super::{Mailbox, Message, Shared};
use crate::engine::{AttemptRef, CacheAnswer, CacheOwner, Effect, Input, TaskFailure};
use crate::meters::Meters;
use crate::outcome::{Files, judge};

/// What effects need of the world.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) cache: Option<Arc<dyn Cache>>,
    pub(crate) blobs: Arc<dyn ObjectStore>,
    /// What the uris of `blobs` begin with.
    pub(crate) root: String,
    pub(crate) launch: LaunchContext,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) call_timeout: Duration,
    pub(crate) send: Mailbox,
    pub(crate) meters: Meters,
}

/// How often an answer that is safe to ask for again is asked for.
const TRIES: u32 = 5;

impl World {
    pub(crate) fn new(shared: &Shared, send: Mailbox) -> Self {
        let b = &shared.builder;
        Self {
            plugins: b.plugins.clone(),
            cache: b.cache.clone(),
            blobs: b.blobs.clone(),
            root: b.root.clone(),
            launch: b.launch_context(),
            progress: b.progress.clone(),
            call_timeout: b.call_timeout,
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
            Input::Observed { status, .. } => {
                // With outputs, it is judged by them.
                if let JobPhase::Failed {
                    error,
                    outputs: None,
                    ..
                } = &status.phase
                {
                    failed(error);
                }
            }
            _ => {}
        }
        // A driver that is gone needs no answer.
        let _gone = self.send.send(Message::Input(input));
    }

    fn path(&self, uri: &str) -> Result<Path, Error> {
        let inner = uri.strip_prefix(&self.root).unwrap_or(uri);
        Path::parse(inner.trim_start_matches('/'))
            .map_err(|e| Error::new(ErrorKind::Invalid, "blobs", format!("`{uri}`: {e}")))
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
                let result = self.launch(plugin, lookup, *request).await;
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
            Effect::Observe { at, plugin, handle } => self.observe(at, plugin, handle).await,
            Effect::Finalize {
                at,
                plugin,
                handle,
                abort,
            } => {
                self.finalize(plugin, &handle, abort).await;
                self.tell(Input::Finalized { at });
            }
            Effect::Fetch {
                at,
                prefix,
                declared,
                failure,
            } => {
                let result = match self.files(&prefix).await {
                    Ok(files) => judge(&files, &declared, failure),
                    Err(e) => Err(TaskFailure::recoverable(ExecutionError::new(
                        ErrorOrigin::System,
                        "OutputsNotFound",
                        format!("the files under {prefix} cannot be read: {e}"),
                    ))),
                };
                self.tell(Input::Fetched { at, result });
            }
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
                let mut options = PutOptions::default().with_overwrite(overwrite);
                let cache = self.cache.clone().expect("invariant: only with a cache");
                let mut token = token;
                if let (None, Some(o)) = (token, &owner) {
                    // The reservation was lost with its host: only its holder may publish.
                    match cache.reserve(&key, &o.owner, o.ttl).await {
                        Ok(ReserveOutcome::Acquired(r)) => token = Some(r.token),
                        _ => {
                            let status = CacheStatus::PutFailure;
                            return self.tell(Input::Published { at, status });
                        }
                    }
                }
                if let Some(t) = token {
                    options = options.with_token(t);
                }
                let status = match cache.put(&key, &artifact, &options).await {
                    Ok(()) => CacheStatus::Populated,
                    Err(e) => {
                        tracing::warn!(error = %e, "a result was not published");
                        CacheStatus::PutFailure
                    }
                };
                if let Some(t) = token {
                    let _expires_anyway = cache.release(&key, t).await;
                }
                self.tell(Input::Published { at, status });
            }
            Effect::CacheExtend { key, token, ttl } => {
                if let Some(cache) = &self.cache
                    && let Err(e) = cache.extend(&key, token, ttl).await
                {
                    tracing::warn!(error = %e, "a reservation was not prolonged");
                }
            }
            Effect::StartChild { .. }
            | Effect::EndChild { .. }
            | Effect::TellParent { .. }
            | Effect::Run { .. }
            | Effect::Cancel { .. }
            | Effect::Ended(_)
            | Effect::Parked { .. } => {
                unreachable!("invariant: the driver does these itself")
            }
        }
    }

    async fn call<T>(
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

    async fn launch(
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
        let mut tries = 0;
        loop {
            if lookup && plugin.info().capabilities.lookup {
                let wanted = [LookupRequest {
                    key: request.key.clone(),
                    identity: request.identity.clone(),
                    locations: request.locations.clone(),
                }];
                let found = async { one(plugin.lookup(&wanted).await) };
                if let Ok(Some(handle)) = self.call("lookup", found).await {
                    return Ok(Launched {
                        handle,
                        status: None,
                    });
                }
            }
            let launch = async { one(plugin.launch(&self.launch, vec![request.clone()]).await) };
            let error = match self.call("launch", launch).await {
                Ok(launched) => return Ok(launched),
                Err(e) => e,
            };
            tries += 1;
            if error.retry() == Retry::Never || tries >= TRIES {
                return Err(error);
            }
            // A lost reply is no failure: look before launching again.
            lookup = error.retry() == Retry::Ambiguous;
            tokio::time::sleep(Duration::from_millis(50 << tries)).await;
        }
    }

    async fn lookup(
        &self,
        plugin: u16,
        request: &LookupRequest,
    ) -> Result<Option<JobHandle>, Error> {
        let plugin = &self.plugins[plugin as usize];
        let found = async { one(plugin.lookup(std::slice::from_ref(request)).await) };
        self.call("lookup", found).await
    }

    /// Asks after a job until it is over: quickly while it is young, then less often.
    async fn observe(&self, at: AttemptRef, plugin: u16, handle: JobHandle) {
        let plugin = &self.plugins[plugin as usize];
        let mut pause = Duration::from_millis(10);
        let mut version = 0;
        while !self.send.is_closed() {
            let status = async { one(plugin.observe(std::slice::from_ref(&handle)).await) };
            match self.call("observe", status).await {
                Ok(status) => {
                    let over = status.phase.is_terminal();
                    if status.version > version {
                        version = status.version;
                        let status = Box::new(status);
                        self.tell(Input::Observed { at, status });
                    }
                    if over {
                        return;
                    }
                }
                Err(e) => tracing::debug!(error = %e, "a job could not be asked after"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 5 / 4).min(Duration::from_millis(250));
        }
    }

    async fn finalize(&self, plugin: u16, handle: &JobHandle, abort: Option<String>) {
        let plugin = &self.plugins[plugin as usize];
        if let Some(reason) = abort {
            // The end is confirmed before the job is let go of.
            while !self.send.is_closed() {
                let asked = self.call("abort", plugin.abort(handle, &reason)).await;
                if let Err(e) = asked {
                    tracing::warn!(error = %e, "a job was not aborted yet");
                }
                let status = async { one(plugin.observe(std::slice::from_ref(handle)).await) };
                if self
                    .call("observe", status)
                    .await
                    .is_ok_and(|s| s.phase.is_terminal())
                {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
        let mut pause = Duration::from_millis(50);
        for _ in 0..TRIES {
            match self.call("finalize", plugin.finalize(handle)).await {
                Ok(()) => return,
                Err(e) => tracing::warn!(error = %e, "a job was not let go of yet"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn files(&self, prefix: &str) -> Result<Files, Error> {
        let read = |name: &'static str| async move {
            let path = self.path(&format!("{prefix}/{name}"))?;
            match self.blobs.get(&path).await {
                Ok(found) => {
                    let size = found.meta.size;
                    let keep = size <= flyte_core::limits::OUTPUT_FILE_BYTES_MAX;
                    let bytes = match keep {
                        true => Some(found.bytes().await.map_err(|e| blob_error("fetch", e))?),
                        false => None,
                    };
                    Ok(Some((size, bytes.map(|b| b.to_vec()))))
                }
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(blob_error("fetch", e)),
            }
        };
        let outputs = read("outputs.pb").await?;
        Ok(Files {
            error: read("error.pb").await?.and_then(|f| f.1),
            outputs_bytes: outputs.as_ref().map_or(0, |o| o.0),
            outputs: outputs.and_then(|o| o.1),
            futures: read("futures.pb").await?.is_some(),
        })
    }

    /// The first file or folder of ours that outputs point at and that is not there any more.
    async fn gone(&self, outputs: &Row) -> Result<Option<String>, Error> {
        for uri in outputs.values().iter().flat_map(uris) {
            if self.root.is_empty() || !uri.starts_with(&self.root) {
                continue;
            }
            let path = self.path(&uri)?;
            let there = match self.blobs.head(&path).await {
                Ok(_) => true,
                // It may be a folder.
                Err(object_store::Error::NotFound { .. }) => {
                    let first = self.blobs.list(Some(&path)).next().await;
                    first
                        .transpose()
                        .map_err(|e| blob_error("cache", e))?
                        .is_some()
                }
                Err(e) => return Err(blob_error("cache", e)),
            };
            if !there {
                return Ok(Some(uri));
            }
        }
        Ok(None)
    }

    async fn cache_get(
        &self,
        key: &flyte_core::contract::CacheKey,
        reserve: Option<CacheOwner>,
    ) -> CacheAnswer {
        let cache = self.cache.as_ref().expect("invariant: only with a cache");
        for i in 0..TRIES {
            let miss = match cache.get(key).await {
                Ok(CacheLookup::Hit(artifact)) => match self.gone(&artifact.outputs).await {
                    Ok(None) => return CacheAnswer::Hit(artifact),
                    // What its outputs point at is gone: the result is computed and stored anew.
                    Ok(Some(uri)) => {
                        tracing::warn!(uri, task = %key.task, "a cached result lost its data");
                        cache.invalidate(key).await.is_ok()
                    }
                    Err(e) => {
                        tracing::warn!(error = %e, "cached data cannot be looked at");
                        false
                    }
                },
                Ok(CacheLookup::Miss) => true,
                Err(e) => {
                    tracing::warn!(error = %e, "the cache cannot be asked");
                    false
                }
            };
            match (miss, &reserve) {
                (true, None) => return CacheAnswer::Miss,
                (true, Some(o)) => match cache.reserve(key, &o.owner, o.ttl).await {
                    Ok(ReserveOutcome::Acquired(r)) => return CacheAnswer::Reserved(r.token),
                    Ok(ReserveOutcome::Held { owner, expires_at }) => {
                        return CacheAnswer::Held {
                            holder: owner,
                            ask_again: expires_at,
                        };
                    }
                    Err(e) => tracing::warn!(error = %e, "the cache cannot be asked"),
                },
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(20 << i)).await;
        }
        CacheAnswer::Unreachable
    }
}

/// The files and folders that a value points at.
fn uris(value: &Literal) -> Vec<String> {
    match value {
        Literal::Blob(b) => vec![b.uri.to_string()],
        Literal::Schema(s) => vec![s.uri.to_string()],
        Literal::StructuredDataset(d) => vec![d.uri.to_string()],
        Literal::Offloaded(o) => vec![o.uri.to_string()],
        Literal::Union(u) => uris(&u.value),
        Literal::Annotated(_) => uris(value.value()),
        Literal::Collection(items) => items.iter().flat_map(uris).collect(),
        Literal::Map(entries) => entries.values().flat_map(uris).collect(),
        _ => Vec::new(),
    }
}

/// The answer to a call that asked for one thing.
fn one<T>(mut answers: Vec<Result<T, Error>>) -> Result<T, Error> {
    match (answers.pop(), answers.is_empty()) {
        (Some(answer), true) => answer,
        _ => Err(Error::new(
            ErrorKind::Other,
            "plugin",
            "the plugin did not answer each request",
        )),
    }
}

fn blob_error(operation: &'static str, e: object_store::Error) -> Error {
    Error::new(ErrorKind::Unavailable, operation, e.to_string()).with_source(e)
}

/// What the tasks of an execution have in common.
pub(crate) fn parts(
    world: &World,
    id: &flyte_core::id::ExecutionId,
    epoch: u64,
    resources: &flyte_core::contract::HostResources,
) -> Arc<TaskContextParts> {
    let t = &id.tenant;
    Arc::new(TaskContextParts {
        execution: id.clone(),
        epoch,
        blobs: world.blobs.clone(),
        prefix: Path::from(format!("tasks/{}-{}-{}", t.project, t.domain, id.name)),
        resources: resources.clone(),
        progress: Some(world.progress.clone()),
    })
}
