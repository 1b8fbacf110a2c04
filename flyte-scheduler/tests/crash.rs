//! A DAG with crashes in the middle, through `Shard`, a store in memory and a manual clock:
//! no tokio, no threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use flyte_core::compile::{Sources, compile};
use flyte_core::contract::{
    Clock, Command, CommandBody, CommandId, Durability, ExecutionOptions, FairShare,
    JournalPosition, Lease, LoadItem, ManualClock, RawTask, ShardId, Store, Submission, Task,
    TaskContext, TaskError,
};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::{Change, JournalFrame, WorkflowPhase};
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::Plan;
use flyte_core::template::{
    Binding, BindingData, Node, NodeTarget, TaskNode, TaskTemplate, TypedInterface, Variable,
    WorkflowMetadata, WorkflowTemplate,
};
use flyte_scheduler::engine::{Effect, EngineConfig, Input, LoadedPlan, Outcome, TaskKind};
use flyte_scheduler::shard::{Action, Shard};
use futures::StreamExt;
use futures::executor::block_on;
use serde::{Deserialize, Serialize};

static RUNS: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, Serialize, Deserialize)]
struct Add;

#[typetag::serde(name = "tests::Add")]
#[async_trait::async_trait]
impl Task for Add {
    fn template(&self) -> TaskTemplate {
        let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
        let interface = TypedInterface {
            inputs: [("a".into(), int()), ("b".into(), int())].into(),
            outputs: [("o0".into(), int())].into(),
        };
        TaskTemplate::new(
            Identifier::new(ResourceType::Task, "add", "1"),
            "rust-task",
            interface,
        )
    }

    async fn run(&self, _: &TaskContext, inputs: Row) -> Result<Row, TaskError> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        let get = |n| {
            inputs
                .get(n)
                .and_then(Literal::as_integer)
                .ok_or("an input is missing")
        };
        Ok(Row::from_pairs([(
            "o0",
            Literal::Integer(get("a")? + get("b")?),
        )]))
    }
}

/// n0 = x + x; n1 = n0 + x; n2 = n0 + n0; n3 = n1 + n2.
fn diamond() -> Arc<LoadedPlan> {
    let task = RawTask::template_of(&Add).unwrap();
    let id = task.id.clone().unwrap();
    let node = |name: &str, a: (&str, &str), b: (&str, &str)| {
        let mut n = Node::new(name, NodeTarget::Task(TaskNode::new(id.clone())));
        n.inputs = vec![
            Binding::new("a", BindingData::promise(a.0, a.1)),
            Binding::new("b", BindingData::promise(b.0, b.1)),
        ];
        n
    };
    let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
    let workflow = WorkflowTemplate {
        id: Identifier::new(ResourceType::Workflow, "diamond", "1"),
        metadata: WorkflowMetadata::default(),
        interface: Some(TypedInterface {
            inputs: [("x".into(), int())].into(),
            outputs: [("sum".into(), int())].into(),
        }),
        nodes: vec![
            node("n0", ("", "x"), ("", "x")),
            node("n1", ("n0", "o0"), ("", "x")),
            node("n2", ("n0", "o0"), ("n0", "o0")),
            node("n3", ("n1", "o0"), ("n2", "o0")),
        ],
        outputs: vec![Binding::new("sum", BindingData::promise("n3", "o0"))],
        failure_node: None,
        interruptible: false,
    };
    let plan = compile(&Sources::new(&workflow, &[task])).unwrap();
    let kinds = plan
        .tasks
        .iter()
        .map(|t| TaskKind::InProcess(RawTask::read(t).unwrap().into()));
    let (kinds, digest) = (kinds.collect(), Plan::digest_of(&plan.to_bytes()));
    Arc::new(LoadedPlan::new(plan, digest, kinds))
}

/// Where the process dies: before or after its n-th commit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    Never,
    Before(u32),
    After(u32),
}

struct World {
    store: MemoryStore,
    clock: ManualClock,
    plan: Arc<LoadedPlan>,
    commits: u32,
}

impl World {
    fn new() -> Self {
        let store = MemoryStore::default();
        let plan = diamond();
        block_on(store.put_plan(plan.digest, plan.plan.to_bytes().into())).unwrap();
        let submission = Submission {
            id: ExecutionId::new(Tenant::default(), "e"),
            plan: plan.digest,
            entity: plan.plan.id.clone(),
            inputs: Row::from_pairs([("x", Literal::Integer(1))]),
            options: ExecutionOptions::default(),
            submitted_at: ManualClock::default().now(),
            parent: None,
        };
        let body = CommandBody::Submit(Box::new(submission));
        let command = Command {
            id: CommandId(1),
            body,
        };
        block_on(store.enqueue(ShardId(0), vec![command])).unwrap();
        Self {
            store,
            clock: ManualClock::default(),
            plan,
            commits: 0,
        }
    }

    /// One life of an owner: until nothing is left to do, or the crash.
    fn live(&mut self, crash: Crash) -> Option<Outcome> {
        let lease = block_on(self.store.claim(ShardId(0), "test")).unwrap();
        let config = EngineConfig {
            epoch: lease.epoch,
            ..EngineConfig::default()
        };
        let policy = Box::<FairShare>::default();
        let mut shard = Shard::new(ShardId(0), config, policy, Durability::Power);
        shard.know(self.plan.clone());
        let items: Vec<_> = block_on(block_on(self.store.load(&lease)).unwrap().collect());
        let mut inbox = Vec::new();
        for item in items {
            match item.unwrap() {
                LoadItem::Frame(f) => {
                    shard
                        .fold(&JournalFrame::decode(&f.bytes).unwrap())
                        .unwrap();
                }
                LoadItem::Inbox(e) => inbox.push(e),
                LoadItem::Snapshot(_) => panic!("nobody makes snapshots here"),
            }
        }
        let mut actions = Vec::new();
        shard.recover(self.clock.now(), &mut actions);
        for entry in inbox {
            shard.inbox(
                self.clock.now(),
                entry,
                Some(self.plan.clone()),
                &mut actions,
            );
        }
        let ended = self.work(&mut shard, &lease, actions, crash);
        // A dead process holds no lease.
        block_on(self.store.release(&lease)).unwrap();
        ended
    }

    fn work(
        &mut self,
        shard: &mut Shard,
        lease: &Lease,
        mut queue: Vec<Action>,
        crash: Crash,
    ) -> Option<Outcome> {
        let mut ended = None;
        while !queue.is_empty() {
            let mut next = Vec::new();
            for action in queue {
                match action {
                    Action::Commit(batch, _) => {
                        self.commits += 1;
                        if crash == Crash::Before(self.commits) {
                            return None;
                        }
                        let number = batch.number;
                        block_on(self.store.commit(lease, batch)).unwrap();
                        if crash == Crash::After(self.commits) {
                            return None;
                        }
                        shard.committed(number, &mut next);
                    }
                    Action::Do(Effect::Run {
                        at, task, inputs, ..
                    }) => {
                        let row = block_on(task.run(&TaskContext::test(), inputs)).unwrap();
                        let input = Input::Ended {
                            at,
                            result: Ok(row),
                        };
                        shard.handle(self.clock.now(), input, &mut next);
                    }
                    Action::Do(Effect::Ended(outcome)) => ended = Some(*outcome),
                    other => panic!("nothing asked for {other:?}"),
                }
                shard.state().validate().unwrap();
            }
            queue = next;
        }
        ended
    }

    /// How often each node's success was recorded.
    fn successes(&self) -> Vec<usize> {
        let from = JournalPosition {
            shard: ShardId(0),
            sequence: 1,
        };
        let mut out = vec![0; 4];
        for stored in block_on(self.store.frames(from, usize::MAX)).unwrap() {
            for record in JournalFrame::decode(&stored.bytes).unwrap().records {
                if let Change::Succeeded { addr, .. } = record.change {
                    out[addr.node.0 as usize] += 1;
                }
            }
        }
        out
    }
}

#[test]
fn every_crash_at_a_commit_ends_with_the_same_outputs() {
    let mut world = World::new();
    let outcome = world.live(Crash::Never).expect("nothing crashes");
    assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
    assert_eq!(
        outcome.outputs,
        Some(Row::from_pairs([("sum", Literal::Integer(7))]))
    );
    let all = world.commits;
    assert!(all >= 4, "a chain of three commits at least: {all}");
    let mut visited = 0;
    for n in 1..=all {
        for crash in [Crash::Before(n), Crash::After(n)] {
            let before = RUNS.load(Ordering::Relaxed);
            let mut world = World::new();
            assert_eq!(
                world.live(crash),
                None,
                "{crash:?} comes before the end is told"
            );
            let again = world.live(Crash::Never);
            // After the last commit everything is over, and only the telling was lost.
            if crash != Crash::After(all) {
                let again = again.expect("the next owner brings it to its end");
                assert_eq!(again.outputs, outcome.outputs, "{crash:?}");
            }
            assert_eq!(world.successes(), [1, 1, 1, 1], "{crash:?}");
            let ran = RUNS.load(Ordering::Relaxed) - before;
            // Only what was in flight may run twice, and two nodes at most are at once.
            assert!((4..=6).contains(&ran), "{crash:?}: {ran} runs");
            visited += 1;
        }
    }
    println!("crash points visited: {visited}");
}
