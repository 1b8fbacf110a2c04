//! A plugin whose backend is a table in memory, and faults that it may have.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_core::contract::{
    AttemptLocations, JobHandle, JobOutputs, JobPhase, JobStatus, LaunchContext, LaunchRequest,
    Launched, LookupRequest, Plugin, PluginCapabilities, PluginInfo, Prepared, StatusSink,
    TaskIdentity,
};
use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::literal::Row;
use flyte_core::template::{Secret, SecurityContext, TaskTemplate, TypedInterface};
use flyte_core::testkit::plugin::{PluginHarness, Work};
use flyte_core::{Error, ErrorKind, Result};

/// What is wrong with a desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Every launch starts a job.
    LaunchesTwice,
    /// Answers come sorted by key, not as asked.
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
}

#[derive(Debug)]
struct Job {
    work: Work,
    observed: u64,
    aborted: bool,
    starts: usize,
    secret: String,
    finalized: bool,
}

type Table = Arc<Mutex<HashMap<String, Job>>>;

#[derive(Debug)]
pub(crate) struct Desk {
    table: Table,
    fault: Fault,
    attempts: AtomicU32,
}

struct Clerk {
    info: PluginInfo,
    table: Table,
    fault: Fault,
}

/// Without the table: jobs know secrets.
impl std::fmt::Debug for Clerk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clerk").finish_non_exhaustive()
    }
}

impl Desk {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            table: Table::default(),
            fault,
            attempts: AtomicU32::new(0),
        }
    }
}

fn work_of(template: &TaskTemplate) -> Option<Work> {
    Some(match template.task_type.as_str() {
        "desk-succeed" => Work::Succeed,
        "desk-fail" => Work::Fail,
        "desk-run" => Work::Run,
        "desk-secret" => Work::Secret,
        "desk-refused" => Work::Refused,
        _ => return None,
    })
}

#[async_trait::async_trait]
impl PluginHarness for Desk {
    fn plugin(&self) -> Arc<dyn Plugin> {
        let capabilities = PluginCapabilities {
            lookup: true,
            push: true,
            ..PluginCapabilities::default()
        };
        Arc::new(Clerk {
            info: PluginInfo::new("desk", ["desk-succeed"]).with_capabilities(capabilities),
            table: self.table.clone(),
            fault: self.fault,
        })
    }

    fn request(&self, work: Work) -> Option<LaunchRequest> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let kind = format!("desk-{}", format!("{work:?}").to_lowercase());
        let id = Identifier::new(ResourceType::Task, "desk", "1");
        let mut template = TaskTemplate::new(id, kind, TypedInterface::default());
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
        Some(LaunchRequest {
            key: AttemptKey {
                execution: ExecutionId::new(Tenant::default(), "desk"),
                addr: NodeAddr::default(),
                attempt,
            },
            epoch: 1,
            template: Arc::new(template),
            inputs: Row::default(),
            prepared: Prepared::default(),
            locations: AttemptLocations {
                inputs: String::new(),
                output_prefix: String::new(),
                raw_output_prefix: String::new(),
                checkpoint_prefix: String::new(),
                previous_checkpoint: None,
            },
            identity: TaskIdentity {
                workflow: String::new(),
                unique_node_id: String::new(),
                node_path: String::new(),
                generated_name: String::new(),
            },
            envs: BTreeMap::new(),
            parameters: BTreeMap::new(),
            interruptible: false,
            deadline: None,
        })
    }

    fn impossible(&self) -> TaskTemplate {
        let id = Identifier::new(ResourceType::Task, "desk", "1");
        TaskTemplate::new(id, "desk-nobody", TypedInterface::default())
    }

    fn unknown(&self) -> JobHandle {
        JobHandle::new(1, b"nobody".to_vec()).unwrap()
    }

    async fn starts(&self, request: &LaunchRequest) -> usize {
        let table = self.table.lock().unwrap();
        table.get(&request.key.to_string()).map_or(0, |j| j.starts)
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d.min(Duration::from_millis(5))).await;
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(200)
    }
}

fn handle(key: &str) -> JobHandle {
    JobHandle::new(1, key.as_bytes().to_vec()).unwrap()
}

fn key(handle: &JobHandle) -> String {
    String::from_utf8_lossy(handle.bytes()).into_owned()
}

impl Clerk {
    fn start(&self, cx: &LaunchContext, r: &LaunchRequest) -> Result<Launched> {
        let refused = |m: &str| Error::new(ErrorKind::Invalid, "launch", m);
        let work = work_of(&r.template).ok_or_else(|| refused("no such work"))?;
        if work == Work::Refused {
            return Err(refused("the desk is closed for this"));
        }
        let mut secret = String::new();
        for s in r.template.security_context.iter().flat_map(|s| &s.secrets) {
            secret = String::from_utf8_lossy(cx.secrets.resolve(s)?.reveal()).into_owned();
        }
        let mut table = self.table.lock().unwrap();
        let key = r.key.to_string();
        let job = table.entry(key.clone()).or_insert(Job {
            work,
            observed: 0,
            aborted: false,
            starts: 0,
            secret,
            finalized: false,
        });
        if job.starts == 0 || self.fault == Fault::LaunchesTwice {
            job.starts += 1;
        }
        Ok(Launched {
            handle: handle(&key),
            status: None,
        })
    }

    fn status(&self, handle: &JobHandle) -> JobStatus {
        let mut table = self.table.lock().unwrap();
        let Some(job) = table.get_mut(&key(handle)) else {
            let phase = match self.fault {
                Fault::UnknownRuns => JobPhase::Running,
                _ => JobPhase::Missing,
            };
            return JobStatus::new(9, phase);
        };
        job.observed += 1;
        if job.aborted {
            return JobStatus::new(8, JobPhase::Aborted);
        }
        if job.observed < 3 || job.work == Work::Run {
            let version = match self.fault {
                Fault::VersionFalls if job.observed == 2 => 0,
                _ => 1,
            };
            return JobStatus::new(version, JobPhase::Running);
        }
        let phase = match job.work {
            Work::Fail => JobPhase::Failed {
                error: ExecutionError::new(ErrorOrigin::User, "No", "as told"),
                recoverable: false,
                outputs: None,
            },
            _ => JobPhase::Succeeded(JobOutputs::Inline(Row::default())),
        };
        let told = match self.fault {
            Fault::TellsSecret => job.secret.clone(),
            _ => String::new(),
        };
        JobStatus::new(7, phase).with_reason(told)
    }
}

#[async_trait::async_trait]
impl Plugin for Clerk {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn prepare(&self, template: &TaskTemplate, _: &Row) -> Result<Prepared> {
        if work_of(template).is_none() && self.fault != Fault::TakesAll {
            let text = format!("`{}` is nothing that a desk does", template.task_type);
            return Err(Error::new(ErrorKind::Invalid, "prepare", text));
        }
        Ok(Prepared::default())
    }

    async fn launch(
        &self,
        cx: &LaunchContext,
        requests: Vec<LaunchRequest>,
    ) -> Vec<Result<Launched>> {
        let mut out: Vec<_> = requests.iter().map(|r| self.start(cx, r)).collect();
        if self.fault == Fault::OutOfOrder {
            out.reverse();
        }
        out
    }

    async fn lookup(&self, requests: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        let table = self.table.lock().unwrap();
        let one = |r: &LookupRequest| {
            let key = r.key.to_string();
            Ok(table.contains_key(&key).then(|| handle(&key)))
        };
        requests.iter().map(one).collect()
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        let mut out: Vec<_> = handles.iter().map(|h| Ok(self.status(h))).collect();
        if self.fault == Fault::OutOfOrder {
            out.rotate_left(1);
        }
        out
    }

    async fn abort(&self, handle: &JobHandle, _: &str) -> Result<()> {
        if self.fault == Fault::ForgetsAborts {
            return Ok(());
        }
        if let Some(job) = self.table.lock().unwrap().get_mut(&key(handle)) {
            let over = job.observed >= 3 && job.work != Work::Run;
            job.aborted |= !over;
        }
        Ok(())
    }

    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        if let Some(job) = self.table.lock().unwrap().get_mut(&key(handle)) {
            if job.finalized && self.fault == Fault::FinalizesOnce {
                return Err(Error::new(ErrorKind::Invalid, "finalize", "once only"));
            }
            job.finalized = true;
        }
        Ok(())
    }

    async fn watch(&self, sink: Arc<dyn StatusSink>) -> Result<()> {
        while !sink.is_closed() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
