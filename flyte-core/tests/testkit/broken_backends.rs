//! Plugins, events, clocks, policies, secrets and tasks with one fault each; the kit names it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flyte_core::contract::{
    Clock, EnvironmentSecrets, ManualClock, Policy, QueueHead, SecretValue, Secrets, Task,
    TaskContext, TaskError,
};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType, Timestamp};
use flyte_core::template::{Secret, TaskTemplate, TypedInterface, Variable};
use flyte_core::testkit::{clock, event, host, plugin, policy, secrets, task};
use flyte_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::harnesses::{Clocks, Policies, Vault};
use super::hosts::{Host, HostFault};
use super::scripted::{Fault, Scripted};
use super::source;

#[tokio::test]
async fn broken_plugins_are_caught() {
    for (fault, id) in [
        (Fault::LaunchesTwice, "plugin.launch.idempotent"),
        (Fault::OutOfOrder, "plugin.observe.order"),
        (Fault::VersionFalls, "plugin.observe.version"),
        (Fault::TellsSecret, "plugin.secrets"),
        (Fault::UnknownRuns, "plugin.observe.missing"),
        (Fault::ForgetsAborts, "plugin.abort.ends"),
        (Fault::FinalizesOnce, "plugin.finalize.idempotent"),
        (Fault::TakesAll, "plugin.prepare.rejects"),
        (Fault::ReplyIsFailure, "plugin.launch.ambiguous"),
        (Fault::LaunchContradicts, "plugin.launch.status"),
        (Fault::OthersOutputs, "plugin.observe.outputs"),
        (Fault::GuessesMissing, "plugin.observe.unknown"),
        (Fault::KeepsAll, "plugin.finalize.releases"),
        (Fault::PushesNothing, "plugin.watch.pushes"),
        (Fault::WatchesForEver, "plugin.watch.end"),
        (Fault::ClaimsLess, "plugin.capabilities"),
    ] {
        let report = plugin::check(&Scripted::new(fault)).await;
        assert!(report.caught(id), "{id}: {report}");
        let whole = report.held.len() > plugin::cases().len() / 2;
        assert!(whole, "one fault does not break everything: {report}");
    }
}

#[tokio::test]
async fn broken_hosts_are_caught() {
    for (fault, id) in [
        (HostFault::RetriesAll, "task.host.fatal"),
        (HostFault::ErrorsAreFinal, "task.host.error"),
        (HostFault::NeverRetries, "task.host.recoverable"),
        (HostFault::DoesNotWait, "task.host.recoverable"),
        (HostFault::PanicsAreFinal, "task.host.panic"),
        (HostFault::TakesAnyOutputs, "task.host.outputs"),
        (HostFault::NumbersFromOne, "task.host.context"),
        (HostFault::SubmitsAgain, "task.host.idempotency"),
        (HostFault::SharesPlaces, "task.host.places"),
        (HostFault::Mute, "task.host.told"),
        (HostFault::LetsItRun, "task.host.abort"),
    ] {
        let report = host::check(&Host::new(fault)).await;
        assert!(report.caught(id), "{id}: {report}");
    }
}

#[tokio::test]
async fn broken_sources_of_events_are_caught() {
    for (fault, id) in [
        (source::Fault::Swaps, "event.order"),
        (source::Fault::Skips, "event.replay"),
        (source::Fault::TooEarly, "event.committed"),
        (source::Fault::TellsOld, "event.replay"),
        (source::Fault::LosesQuietly, "event.lag"),
        (source::Fault::ForgetsPlan, "event.fields"),
        (source::Fault::FollowsTheWall, "event.time"),
        (source::Fault::CursorsStand, "event.cursor"),
    ] {
        let report = event::check(&source::Sources::new(fault)).await;
        assert!(report.caught(id), "{id}: {report}");
    }
}

#[derive(Debug)]
struct Follows(Arc<ManualClock>);

/// Its `monotonic` is the wall clock.
impl Clock for Follows {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        Duration::from(self.0.now().since(Timestamp::UNIX_EPOCH))
    }
}

#[derive(Debug)]
struct Stands(Arc<ManualClock>);

/// Its wall stands still.
impl Clock for Stands {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[tokio::test]
async fn broken_clocks_are_caught() {
    type Face = fn(Arc<ManualClock>) -> Arc<dyn Clock>;
    let cases: [(Face, &str); 2] = [
        (|c| Arc::new(Follows(c)), "clock.monotonic"),
        (|c| Arc::new(Stands(c)), "clock.wall"),
    ];
    for (face, id) in cases {
        let manual = Arc::new(ManualClock::at(Timestamp::from_unix_millis(1 << 40)));
        let report = clock::check(&Clocks { manual, face }).await;
        assert!(report.caught(id), "{id}: {report}");
    }
}

#[derive(Debug)]
struct Lottery;

static DRAWS: AtomicUsize = AtomicUsize::new(0);

impl Policy for Lottery {
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
        let draw = DRAWS.fetch_add(7, Ordering::Relaxed);
        draw.checked_rem(heads.len())
    }
}

#[derive(Debug)]
struct FirstOnly;

impl Policy for FirstOnly {
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
        (!heads.is_empty()).then_some(0)
    }
}

#[derive(Debug, Default)]
struct Beyond(usize);

impl Policy for Beyond {
    fn pick(&mut self, heads: &[QueueHead<'_>]) -> Option<usize> {
        self.0 += 1;
        Some(self.0 % (heads.len() + 1))
    }
}

#[tokio::test]
async fn broken_policies_are_caught() {
    type Make = fn() -> Box<dyn Policy>;
    let cases: [(Make, &str); 3] = [
        (|| Box::new(Lottery), "policy.deterministic"),
        (|| Box::new(FirstOnly), "policy.progress"),
        (|| Box::<Beyond>::default(), "policy.in_range"),
    ];
    for (make, id) in cases {
        let report = policy::check(&Policies(make)).await;
        assert!(report.caught(id), "{id}: {report}");
    }
}

/// Its errors quote what is stored near by.
#[derive(Debug)]
struct Chatty(std::path::PathBuf);

impl Secrets for Chatty {
    fn resolve(&self, s: &Secret) -> Result<SecretValue> {
        let text = std::fs::read_to_string(self.0.join("db/password")).unwrap();
        match (&*s.group, &*s.key) {
            ("db", "password") => Ok(SecretValue::new(text)),
            (g, k) => {
                let text = format!("no {g}/{k}; there is {text}");
                Err(Error::new(ErrorKind::NotFound, "resolve", text))
            }
        }
    }
}

/// It cuts values at a line, and says nothing of what is missing.
#[derive(Debug)]
struct Cuts(EnvironmentSecrets);

impl Secrets for Cuts {
    fn resolve(&self, s: &Secret) -> Result<SecretValue> {
        match self.0.resolve(s) {
            Ok(v) => Ok(SecretValue::new(&v.reveal()[..4])),
            Err(_) => Err(Error::new(ErrorKind::Other, "resolve", "no")),
        }
    }
}

#[tokio::test]
async fn broken_secrets_are_caught() {
    let chatty = |p: &Path| -> Arc<dyn Secrets> { Arc::new(Chatty(p.to_owned())) };
    let report = secrets::check(&Vault::new(chatty)).await;
    assert!(report.caught("secrets.silent"), "{report}");
    let cuts = |p: &Path| -> Arc<dyn Secrets> { Arc::new(Cuts(EnvironmentSecrets::new(p))) };
    let report = secrets::check(&Vault::new(cuts)).await;
    assert!(report.caught("secrets.found"), "{report}");
    assert!(report.caught("secrets.missing"), "{report}");
}

fn template(name: &str) -> TaskTemplate {
    let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
    let interface = TypedInterface {
        inputs: [("x".into(), int())].into(),
        outputs: [("o0".into(), int())].into(),
    };
    let id = Identifier::new(ResourceType::Task, name, "1");
    TaskTemplate::new(id, "rust-task", interface)
}

/// A field does not survive, and the outputs are others than declared.
#[derive(Debug, Serialize, Deserialize)]
struct Forgetful {
    #[serde(skip)]
    factor: i64,
}

#[typetag::serde(name = "tests::testkit::Forgetful")]
#[async_trait::async_trait]
impl Task for Forgetful {
    fn template(&self) -> TaskTemplate {
        template("forgetful")
    }

    async fn run(&self, _: &TaskContext, _: Row) -> Result<Row, TaskError> {
        let text = format!("no int, {} times", self.factor);
        Ok(Row::from_pairs([("o0", Literal::string(text))]))
    }
}

/// Its template is another one each time, and every error is retried.
#[derive(Debug, Serialize, Deserialize)]
struct Moody;

static MOODS: AtomicUsize = AtomicUsize::new(0);

#[typetag::serde(name = "tests::testkit::Moody")]
#[async_trait::async_trait]
impl Task for Moody {
    fn template(&self) -> TaskTemplate {
        template(&format!("mood-{}", MOODS.fetch_add(1, Ordering::Relaxed)))
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        match inputs.get("x").and_then(Literal::as_integer) {
            Some(x) if x > 0 => Ok(Row::from_pairs([("o0", Literal::Integer(x))])),
            _ => Err(TaskError::new("no").recoverable()),
        }
    }
}

#[derive(Debug)]
struct Tasks(fn() -> Box<dyn Task>);

impl task::TaskHarness for Tasks {
    fn task(&self) -> Box<dyn Task> {
        (self.0)()
    }

    fn inputs(&self) -> Row {
        Row::from_pairs([("x", Literal::Integer(1))])
    }

    fn wrong_inputs(&self) -> Option<Row> {
        Some(Row::from_pairs([("x", Literal::Integer(0))]))
    }
}

#[tokio::test]
async fn broken_tasks_are_caught() {
    let report = task::check(&Tasks(|| Box::new(Forgetful { factor: 3 }))).await;
    for id in ["task.persist", "task.run.outputs"] {
        assert!(report.caught(id), "{id}: {report}");
    }
    let report = task::check(&Tasks(|| Box::new(Moody))).await;
    for id in ["task.template.constant", "task.run.error"] {
        assert!(report.caught(id), "{id}: {report}");
    }
}
