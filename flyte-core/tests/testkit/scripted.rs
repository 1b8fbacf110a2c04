//! The kit on scripted plugins, and on ones with a fault.

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_core::contract::{
    JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest, Launched,
    LookupRequest, Plugin, PluginInfo, Prepared, StatusSink,
};
use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::template::{Secret, SecurityContext, TaskTemplate, TypedInterface, Variable};
use flyte_core::testkit::plugin::{PluginHarness, Work};
use flyte_core::testkit::scripted::{Script, ScriptEnd, ScriptedBackend, ScriptedPlugin};
use flyte_core::{Error, ErrorKind, Result, Retry};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Every launch starts a job.
    LaunchesTwice,
    /// Answers come in another order.
    OutOfOrder,
    /// The version begins anew after a while.
    VersionFalls,
    /// The reason of a status tells the secret.
    TellsSecret,
    /// What it does not know runs.
    UnknownRuns,
    /// An abort is forgotten.
    ForgetsAborts,
    /// A second finalize is an error.
    FinalizesOnce,
    /// It takes anything.
    TakesAll,
    /// A lost answer is a failure.
    ReplyIsFailure,
    /// A launch says that the job failed, whatever it did.
    LaunchContradicts,
    /// Outputs have another name than the task's.
    OthersOutputs,
    /// Jobs are missing when nobody can be asked.
    GuessesMissing,
    /// A finalize releases nothing.
    KeepsAll,
    /// It watches, and pushes nothing.
    PushesNothing,
    /// It does not mind that nobody listens.
    WatchesForEver,
    /// It can look up, and says that it cannot.
    ClaimsLess,
}

#[derive(Debug)]
pub(crate) struct Scripted {
    backend: ScriptedBackend,
    fault: Fault,
    attempts: AtomicU32,
}

fn kind(work: Work) -> String {
    format!("scripted-{}", format!("{work:?}").to_lowercase())
}

const ALL: [Work; 7] = [
    Work::Succeed,
    Work::Fail,
    Work::Run,
    Work::Secret,
    Work::Refused,
    Work::AtOnce,
    Work::Lost,
];

fn script(r: &LaunchRequest) -> Script {
    let work = ALL.into_iter().find(|w| kind(*w) == r.template.task_type);
    let row = Row::from_pairs([("o0", Literal::Integer(1))]);
    let done = Script::new(ScriptEnd::Inline(row));
    let error = ExecutionError::new(ErrorOrigin::User, "No", "as told");
    match work.unwrap() {
        Work::Succeed | Work::Secret => done.with_ticks(1, 2),
        Work::Fail => Script::new(ScriptEnd::Fails {
            error,
            recoverable: false,
        }),
        Work::Run => Script::new(ScriptEnd::Hangs),
        Work::Refused => done.with_refusal(),
        Work::AtOnce => done.with_end_at_launch(),
        Work::Lost => done.with_lost_replies(1),
    }
}

impl Scripted {
    pub(crate) fn new(fault: Fault) -> Self {
        let backend = ScriptedBackend::new(ALL.map(kind), script);
        let backend = match fault {
            Fault::ClaimsLess => backend.with_capabilities(Default::default()),
            _ => backend,
        };
        Self {
            backend,
            fault,
            attempts: AtomicU32::new(0),
        }
    }

    fn faulty(&self, backend: &ScriptedBackend) -> Arc<dyn Plugin> {
        Arc::new(Faulty {
            inner: backend.plugin(),
            fault: self.fault,
            calls: AtomicU32::new(0),
            secret: Mutex::default(),
            seen: Mutex::default(),
        })
    }
}

#[async_trait::async_trait]
impl PluginHarness for Scripted {
    fn plugin(&self) -> Arc<dyn Plugin> {
        self.faulty(&self.backend)
    }

    fn request(&self, work: Work) -> Option<LaunchRequest> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let key = AttemptKey {
            execution: ExecutionId::new(Tenant::default(), "scripted"),
            addr: NodeAddr::default(),
            attempt,
        };
        let int = Variable::new(LiteralType::simple(SimpleType::Integer));
        let interface = TypedInterface {
            inputs: [].into(),
            outputs: [("o0".into(), int)].into(),
        };
        let id = Identifier::new(ResourceType::Task, "scripted", "1");
        let mut template = TaskTemplate::new(id, kind(work), interface);
        if work == Work::Secret {
            template.security_context = Some(SecurityContext {
                run_as: None,
                secrets: vec![Secret {
                    group: "testkit".into(),
                    key: "password".into(),
                    ..Secret::default()
                }],
                tokens: Vec::new(),
            });
        }
        Some(LaunchRequest::new(key, template.into(), Row::default()))
    }

    fn impossible(&self) -> TaskTemplate {
        let id = Identifier::new(ResourceType::Task, "scripted", "1");
        TaskTemplate::new(id, "somebody-else's", TypedInterface::default())
    }

    fn unknown(&self) -> JobHandle {
        JobHandle::new(1, b"nobody".to_vec()).unwrap()
    }

    async fn starts(&self, request: &LaunchRequest) -> usize {
        self.backend.counts(&request.key).starts as usize
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d.min(Duration::from_millis(5))).await;
        self.backend.tick();
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn unreachable(&self) -> Option<Arc<dyn Plugin>> {
        let away = ScriptedBackend::new(["scripted"], script);
        away.set_unreachable(true);
        Some(self.faulty(&away))
    }

    async fn holds(&self, request: &LaunchRequest) -> bool {
        self.backend.holds(&request.key)
    }
}

#[derive(Debug)]
struct Faulty {
    inner: Arc<ScriptedPlugin>,
    fault: Fault,
    calls: AtomicU32,
    secret: Mutex<String>,
    seen: Mutex<HashMap<JobHandle, u32>>,
}

impl Faulty {
    /// How often this was asked after before.
    fn asked(&self, handle: &JobHandle) -> u32 {
        let mut seen = self.seen.lock().unwrap();
        let n = seen.entry(handle.clone()).or_default();
        *n += 1;
        *n
    }

    fn wrong(&self, handle: &JobHandle, answer: Result<JobStatus>) -> Result<JobStatus> {
        let asked = self.asked(handle);
        let mut status = match answer {
            Err(_) if self.fault == Fault::GuessesMissing => {
                return Ok(JobStatus::new(1, JobPhase::Missing));
            }
            other => other?,
        };
        match (self.fault, &status.phase) {
            (Fault::VersionFalls, _) if asked == 2 => status.version = 0,
            (Fault::UnknownRuns, JobPhase::Missing) => status.phase = JobPhase::Running,
            (Fault::TellsSecret, _) => status.reason = self.secret.lock().unwrap().clone(),
            (Fault::OthersOutputs, JobPhase::Succeeded(_)) => {
                let row = Row::from_pairs([("o7", Literal::Integer(1))]);
                status.phase = JobPhase::Succeeded(JobOutputs::Inline(row));
            }
            _ => {}
        }
        Ok(status)
    }
}

#[async_trait::async_trait]
impl Plugin for Faulty {
    fn info(&self) -> &PluginInfo {
        self.inner.info()
    }

    fn prepare(&self, template: &TaskTemplate, inputs: &Row) -> Result<Prepared> {
        match self.fault {
            Fault::TakesAll => Ok(Prepared::default()),
            _ => self.inner.prepare(template, inputs),
        }
    }

    async fn launch(
        &self,
        cx: &LaunchContext,
        mut requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>> {
        for r in &mut requests {
            for s in r.template.security_context.iter().flat_map(|s| &s.secrets) {
                let value = cx.secrets.resolve(s).unwrap();
                if self.fault == Fault::TellsSecret {
                    *self.secret.lock().unwrap() = String::from_utf8_lossy(value.reveal()).into();
                }
            }
            if self.fault == Fault::LaunchesTwice {
                r.key.attempt += 1000 * (1 + self.calls.fetch_add(1, Ordering::Relaxed));
            }
        }
        let mut answers = self.inner.launch(cx, requests).await;
        if self.fault == Fault::OutOfOrder {
            answers.reverse();
        }
        for answer in &mut answers {
            match answer {
                Ok(Launched {
                    status: Some(s), ..
                }) if self.fault == Fault::LaunchContradicts => {
                    s.phase = JobPhase::Aborted;
                }
                Err(e) if self.fault == Fault::ReplyIsFailure => {
                    let text = e.message().to_owned();
                    let no = Error::new(e.kind(), "launch", text);
                    *answer = Err(no.with_retry(Retry::Never));
                }
                _ => {}
            }
        }
        answers
    }

    async fn lookup(&self, requests: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        match self.fault {
            Fault::ClaimsLess => requests.iter().map(|_| Ok(None)).collect(),
            _ => self.inner.lookup(requests).await,
        }
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        let answers = self.inner.observe(handles).await.into_iter().zip(handles);
        let mut answers: Vec<_> = answers.map(|(a, h)| self.wrong(h, a)).collect();
        if self.fault == Fault::OutOfOrder {
            answers.rotate_left(1);
        }
        answers
    }

    async fn abort(&self, handle: &JobHandle, reason: &str) -> Result<()> {
        match self.fault {
            Fault::ForgetsAborts => Ok(()),
            _ => self.inner.abort(handle, reason).await,
        }
    }

    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        match self.fault {
            Fault::KeepsAll => Ok(()),
            Fault::FinalizesOnce if self.calls.fetch_add(1, Ordering::Relaxed) > 0 => {
                Err(Error::new(ErrorKind::Invalid, "finalize", "once only"))
            }
            _ => self.inner.finalize(handle).await,
        }
    }

    async fn watch(&self, sink: Arc<dyn StatusSink>) -> Result<()> {
        match self.fault {
            Fault::PushesNothing => {
                sink.closed().await;
                Ok(())
            }
            Fault::WatchesForEver => pending().await,
            _ => self.inner.watch(sink).await,
        }
    }
}
