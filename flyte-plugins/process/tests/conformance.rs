//! The kit on real processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flyte_core::contract::{
    AttemptLocations, EnvironmentSecrets, JobHandle, LaunchContext, LaunchRequest, Plugin,
    Prepared, TaskIdentity,
};
use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::literal::Row;
use flyte_core::template::{
    Container, Secret, SecurityContext, TaskTarget, TaskTemplate, TypedInterface,
};
use flyte_core::testkit::plugin::{PluginHarness, Work, check};
use flyte_plugin_process::{ProcessOptions, ProcessPlugin};

const GRACE: Duration = Duration::from_millis(1500);

#[derive(Debug)]
struct Processes {
    folder: tempfile::TempDir,
    attempts: AtomicU32,
    /// Whether files are in a cloud, and attempts' own in a folder of this machine.
    remote: bool,
}

impl Processes {
    fn starts_file(&self, attempt: u32) -> PathBuf {
        self.folder.path().join(format!("starts-{attempt}"))
    }
}

fn template(line: Option<&str>) -> TaskTemplate {
    let id = Identifier::new(ResourceType::Task, "process", "1");
    let mut t = TaskTemplate::new(id, "container", TypedInterface::default());
    t.target = Some(TaskTarget::Container(Container {
        image: "none".into(),
        command: match line {
            Some(line) => ["sh", "-c", line].map(str::to_owned).to_vec(),
            None => Vec::new(),
        },
        ..Container::default()
    }));
    t
}

#[async_trait::async_trait]
impl PluginHarness for Processes {
    fn plugin(&self) -> Arc<dyn Plugin> {
        Arc::new(ProcessPlugin::new(ProcessOptions {
            abort_grace: GRACE,
            scratch: self.remote.then(|| self.folder.path().join("scratch")),
            ..ProcessOptions::default()
        }))
    }

    fn request(&self, work: Work) -> Option<LaunchRequest> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let starts = self.starts_file(attempt);
        let note = format!("echo started >> {}; ", starts.display());
        let rest = match work {
            Work::Succeed => "sleep 0.3",
            Work::Fail => "sleep 0.1; exit 3",
            // It does not mind being asked, and has a child.
            Work::Run => "trap '' TERM; sleep 600 & wait; sleep 600",
            Work::Secret => "test -n \"$_FSEC_TESTKIT_PASSWORD\"",
            // Nobody can start a process in a folder that is not there.
            Work::Refused => "true",
            // A process is never over when it is started, and nothing is between us and it.
            Work::AtOnce | Work::Lost => return None,
        };
        let mut template = template(Some(&format!("{note}{rest}")));
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
        let dir = self.folder.path().join(format!("attempt-{attempt}"));
        let place = |name: &str| match self.remote {
            true => format!("s3://bucket/attempt-{attempt}/{name}"),
            false => dir.join(name).to_string_lossy().into_owned(),
        };
        let mut parameters = BTreeMap::new();
        if work == Work::Refused {
            parameters.insert("source_dir".into(), "/no/such/folder".into());
        }
        Some(LaunchRequest {
            key: AttemptKey {
                execution: ExecutionId::new(Tenant::default(), "process"),
                addr: NodeAddr::default(),
                attempt,
            },
            epoch: 1,
            template: Arc::new(template),
            inputs: Row::default(),
            prepared: Prepared::default(),
            locations: AttemptLocations {
                inputs: place("inputs.pb"),
                output_prefix: place("out"),
                raw_output_prefix: place("raw"),
                checkpoint_prefix: place("checkpoint"),
                previous_checkpoint: None,
            },
            identity: TaskIdentity {
                workflow: "w".into(),
                unique_node_id: "n0".into(),
                node_path: "n0".into(),
                generated_name: format!("process-n0-{attempt}"),
            },
            envs: BTreeMap::new(),
            parameters,
            interruptible: false,
            deadline: None,
        })
    }

    fn impossible(&self) -> TaskTemplate {
        template(None)
    }

    fn unknown(&self) -> JobHandle {
        let path = self.folder.path().join("nobody/.attempt");
        JobHandle::new(1, path.to_string_lossy().into_owned().into_bytes()).unwrap()
    }

    async fn starts(&self, request: &LaunchRequest) -> usize {
        // The job may be about to say it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let text = std::fs::read_to_string(self.starts_file(request.key.attempt));
        text.map_or(0, |t| t.lines().count())
    }

    async fn pass(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    fn grace(&self) -> Duration {
        GRACE * 2
    }

    fn unreachable(&self) -> Option<Arc<dyn Plugin>> {
        None
    }

    async fn holds(&self, request: &LaunchRequest) -> bool {
        // The shell's line names the file, and a `;` after it.
        let file = self.starts_file(request.key.attempt);
        left(Path::new(&format!("{};", file.display()))) > 0
    }
}

/// Processes whose arguments name the folder.
fn left(folder: &Path) -> usize {
    let ps = std::process::Command::new("ps")
        .args(["-eo", "args"])
        .output()
        .unwrap();
    let ps = String::from_utf8_lossy(&ps.stdout).into_owned();
    let folder = folder.to_string_lossy().into_owned();
    ps.lines().filter(|l| l.contains(&folder)).count()
}

fn processes(remote: bool) -> Processes {
    Processes {
        folder: tempfile::tempdir().unwrap(),
        attempts: AtomicU32::new(0),
        remote,
    }
}

async fn conforms(harness: &Processes) {
    let report = check(harness).await;
    println!("{report}");
    report.assert_conforms();
    let ids: Vec<_> = report.not_applicable.iter().map(|n| n.0).collect();
    let without = [
        "plugin.launch.status",
        "plugin.launch.ambiguous",
        "plugin.observe.unknown",
        "plugin.watch.pushes",
        "plugin.watch.end",
    ];
    assert_eq!(ids, without);
    assert_eq!(left(harness.folder.path()), 0, "children are left");
}

#[tokio::test]
async fn processes_conform() {
    conforms(&processes(false)).await;
}

#[tokio::test]
async fn processes_whose_files_are_in_a_cloud_conform() {
    let harness = processes(true);
    conforms(&harness).await;
    let folders = std::fs::read_dir(harness.folder.path().join("scratch")).unwrap();
    assert!(folders.count() > 1, "attempts have folders of their own");
    // Without a folder for them they are refused, by name.
    let request = harness.request(Work::Succeed).unwrap();
    let cx = LaunchContext::new(Arc::new(EnvironmentSecrets::default()));
    let plugin = ProcessPlugin::new(ProcessOptions::default());
    let refused = plugin
        .launch(&cx, vec![request])
        .await
        .remove(0)
        .unwrap_err();
    assert!(
        refused.to_string().contains("ProcessOptions::scratch"),
        "{refused}"
    );
}

/// An owner that lost its lease and has not noticed, and the next one, at one attempt.
#[test]
fn two_plugins_that_race_for_an_attempt_start_it_once() {
    const ROUNDS: usize = 12;
    let harness = processes(false);
    let runtime = || {
        let mut b = tokio::runtime::Builder::new_current_thread();
        b.enable_all().build().unwrap()
    };
    for round in 0..ROUNDS {
        let request = harness.request(Work::Succeed).unwrap();
        let barrier = std::sync::Barrier::new(2);
        let race = |looks: bool, epoch: u64| {
            let plugin = harness.plugin();
            let request = LaunchRequest {
                epoch,
                ..request.clone()
            };
            let lookup = request.lookup();
            barrier.wait();
            runtime().block_on(async {
                // The next owner looks first; in every other round both do.
                let found = match looks {
                    true => plugin.lookup(&[lookup]).await.remove(0).unwrap(),
                    false => None,
                };
                let cx = LaunchContext::new(Arc::new(EnvironmentSecrets::default()));
                match found {
                    Some(handle) => handle,
                    None => {
                        let launched = plugin.launch(&cx, vec![request]).await;
                        launched.into_iter().next().unwrap().unwrap().handle
                    }
                }
            })
        };
        let (old, new) = std::thread::scope(|s| {
            let old = s.spawn(|| race(round % 2 == 1, 1));
            let new = s.spawn(|| race(true, 2));
            (old.join().unwrap(), new.join().unwrap())
        });
        assert_eq!(old, new, "round {round}: one job");
        runtime().block_on(async {
            let plugin = harness.plugin();
            while !plugin.observe(std::slice::from_ref(&new)).await[0]
                .as_ref()
                .is_ok_and(|s| s.phase.is_terminal())
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(harness.starts(&request).await, 1, "round {round}");
        });
    }
}
