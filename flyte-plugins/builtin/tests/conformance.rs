//! The plugin conformance kit on the echo plugin.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyte_core::Result;
use flyte_core::contract::{
    JobHandle, JobStatus, LaunchContext, LaunchRequest, Launched, LookupRequest, Plugin,
    PluginInfo, Prepared, StatusSink,
};
use flyte_core::id::{AttemptKey, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
use flyte_core::testkit::plugin::{PluginHarness, Work, check, launch_alone};
use flyte_plugin_builtin::EchoPlugin;
use futures::executor::block_on;

/// Attempts that were launched, by their keys: an echo leaves nothing else to count.
type Jobs = Arc<Mutex<BTreeSet<String>>>;

#[derive(Debug, Default)]
struct Echoes(AtomicU32, Jobs);

/// Notes what is launched.
#[derive(Debug)]
struct Noting(EchoPlugin, Jobs);

#[async_trait::async_trait]
impl Plugin for Noting {
    fn info(&self) -> &PluginInfo {
        self.0.info()
    }

    fn prepare(&self, template: &TaskTemplate, inputs: &Row) -> Result<Prepared> {
        self.0.prepare(template, inputs)
    }

    async fn launch(&self, cx: &LaunchContext, all: Vec<LaunchRequest>) -> Vec<Result<Launched>> {
        let keys = all.iter().map(|r| r.key.to_string());
        self.1.lock().unwrap().extend(keys);
        self.0.launch(cx, all).await
    }

    async fn lookup(&self, attempts: &[LookupRequest]) -> Vec<Result<Option<JobHandle>>> {
        self.0.lookup(attempts).await
    }

    async fn observe(&self, handles: &[JobHandle]) -> Vec<Result<JobStatus>> {
        self.0.observe(handles).await
    }

    async fn abort(&self, handle: &JobHandle, reason: &str) -> Result<()> {
        self.0.abort(handle, reason).await
    }

    async fn finalize(&self, handle: &JobHandle) -> Result<()> {
        self.0.finalize(handle).await
    }

    async fn watch(&self, sink: Arc<dyn StatusSink>) -> Result<()> {
        self.0.watch(sink).await
    }
}

fn template(outputs: &[&str]) -> TaskTemplate {
    let text = || Variable::new(LiteralType::simple(SimpleType::String));
    let interface = TypedInterface {
        inputs: [("x".into(), text())].into(),
        outputs: outputs.iter().map(|o| ((*o).into(), text())).collect(),
    };
    let id = Identifier::new(ResourceType::Task, "echo", "1");
    TaskTemplate::new(id, "echo", interface)
}

impl Echoes {
    fn of(&self, value: &str) -> LaunchRequest {
        let key = AttemptKey {
            execution: ExecutionId::new(Tenant::default(), "e1"),
            addr: NodeAddr::default(),
            attempt: self.0.fetch_add(1, Ordering::Relaxed),
        };
        let inputs = Row::from_pairs([("x", Literal::string(value))]);
        LaunchRequest::new(key, template(&["o0"]).into(), inputs)
    }
}

#[async_trait::async_trait]
impl PluginHarness for Echoes {
    fn plugin(&self) -> Arc<dyn Plugin> {
        Arc::new(Noting(EchoPlugin::default(), self.1.clone()))
    }

    fn request(&self, work: Work) -> Option<LaunchRequest> {
        match work {
            Work::Succeed | Work::AtOnce => Some(self.of("hello")),
            // An echo neither fails nor runs, and nothing is between it and the scheduler.
            _ => None,
        }
    }

    fn impossible(&self) -> TaskTemplate {
        template(&[])
    }

    fn unknown(&self) -> JobHandle {
        JobHandle::new(2, b"nobody".to_vec()).unwrap()
    }

    async fn starts(&self, request: &LaunchRequest) -> usize {
        let jobs = self.1.lock().unwrap();
        usize::from(jobs.contains(&request.key.to_string()))
    }

    async fn pass(&self, _: Duration) {}

    fn grace(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn unreachable(&self) -> Option<Arc<dyn Plugin>> {
        None
    }

    async fn holds(&self, _: &LaunchRequest) -> bool {
        false
    }
}

#[test]
fn the_plugin_conforms() {
    let report = block_on(check(&Echoes::default()));
    println!("{report}");
    report.assert_conforms();
}

#[test]
fn long_outputs_are_in_the_answer_and_another_attempt_gives_them_again() {
    use flyte_core::contract::{JobOutputs, JobPhase};
    let echoes = Echoes::default();
    let plugin = echoes.plugin();
    let value = "x".repeat(100_000);
    for _ in 0..2 {
        let launched = block_on(launch_alone(&*plugin, &echoes.of(&value))).unwrap();
        let row = Row::from_pairs([("o0", Literal::string(value.as_str()))]);
        let phase = launched.status.unwrap().phase;
        assert_eq!(phase, JobPhase::Succeeded(JobOutputs::Inline(row)));
        let seen = block_on(plugin.observe(&[launched.handle]))
            .remove(0)
            .unwrap();
        assert_eq!(seen.phase, JobPhase::Missing);
    }
}
