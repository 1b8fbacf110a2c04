//! More ready nodes than one step begins: crashes and aborts while some of them wait.

mod common;

use std::sync::Arc;

use common::Busy;
use flyte_core::contract::{
    Clock, Command, CommandBody, CommandId, Durability, ExecutionOptions, FairShare,
    JournalPosition, LoadItem, ManualClock, RawTask, ShardId, Store, Submission,
};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::{Change, JournalFrame, WorkflowPhase};
use flyte_core::literal::{Literal, Row};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::{Bound, GraphBuilder, GraphKind, NodeSettings, Plan, Source, Target};
use flyte_core::template::VariableMap;
use flyte_scheduler::engine::{Effect, EngineConfig, Input, LoadedPlan, Outcome, TaskKind};
use flyte_scheduler::shard::{Action, Shard};
use futures::StreamExt;
use futures::executor::block_on;

const NODES: usize = 20_000;

/// Nodes that all depend on the execution's input only.
fn plan() -> Arc<LoadedPlan> {
    let task = RawTask::template_of(&Busy).unwrap();
    let interface = task.interface.clone().unwrap();
    let id = Identifier::new(ResourceType::Workflow, "wide", "1");
    let mut b = GraphBuilder::new(id.clone(), GraphKind::Workflow);
    b.interface(&interface.inputs, &VariableMap::new());
    for i in 0..NODES {
        b.node(
            &format!("n{i}"),
            Target::Task(0),
            vec![("ms".into(), Bound::Source(Source::input(0)))],
            ["o0".into()].into_iter(),
            NodeSettings::default(),
        );
    }
    let plan = Plan {
        id,
        graphs: vec![b.build()],
        tasks: vec![Arc::new(task)],
        launch_plans: Vec::new(),
        children: Vec::new(),
        branches: Vec::new(),
        gates: Vec::new(),
        arrays: Vec::new(),
    };
    plan.validate().unwrap();
    let digest = Plan::digest_of(&plan.to_bytes());
    let kind = TaskKind::InProcess(Arc::new(Busy));
    Arc::new(LoadedPlan::new(Arc::new(plan), digest, vec![kind]))
}

struct World {
    store: MemoryStore,
    clock: ManualClock,
    plan: Arc<LoadedPlan>,
}

fn id() -> ExecutionId {
    ExecutionId::new(Tenant::default(), "wide")
}

impl World {
    fn new() -> Self {
        let (store, plan) = (MemoryStore::default(), plan());
        block_on(store.put_plan(plan.digest, plan.plan.to_bytes().into())).unwrap();
        let submission = Submission {
            id: id(),
            plan: plan.digest,
            entity: plan.plan.id.clone(),
            inputs: Row::from_pairs([("ms", Literal::Integer(0))]),
            options: ExecutionOptions::default(),
            submitted_at: ManualClock::default().now(),
            parent: None,
        };
        let world = Self {
            store,
            clock: ManualClock::default(),
            plan,
        };
        world.tell(1, CommandBody::Submit(Box::new(submission)));
        world
    }

    fn tell(&self, id: u128, body: CommandBody) {
        let id = CommandId(id);
        block_on(self.store.enqueue(ShardId(0), vec![Command { id, body }])).unwrap();
    }

    /// One life of an owner: until nothing is left to do, or until so many commits.
    fn live(&self, commits_max: usize) -> Option<Outcome> {
        let lease = block_on(self.store.claim(ShardId(0), "test")).unwrap();
        let config = EngineConfig {
            epoch: lease.epoch,
            ..EngineConfig::default()
        };
        let policy = Box::<FairShare>::default();
        let mut shard = Shard::new(ShardId(0), config, policy, Durability::Power);
        shard.know(self.plan.clone());
        let now = self.clock.now();
        let mut inbox = Vec::new();
        for item in block_on(
            block_on(self.store.load(&lease))
                .unwrap()
                .collect::<Vec<_>>(),
        ) {
            match item.unwrap() {
                LoadItem::Frame(f) => shard
                    .fold(&JournalFrame::decode(&f.bytes).unwrap())
                    .unwrap(),
                LoadItem::Inbox(e) => inbox.push(e),
                LoadItem::Snapshot(_) => panic!("nobody makes snapshots here"),
            }
        }
        let (mut queue, mut commits, mut ended) = (Vec::new(), 0, None);
        shard.recover(now, &mut queue);
        for entry in inbox {
            shard.inbox(now, entry, Some(self.plan.clone()), &mut queue);
        }
        loop {
            if queue.is_empty() && shard.may_step() {
                shard.step(now, &mut queue);
            }
            if queue.is_empty() {
                break;
            }
            let mut next = Vec::new();
            for action in std::mem::take(&mut queue) {
                match action {
                    Action::Commit(batch, _) => {
                        if commits == commits_max {
                            block_on(self.store.release(&lease)).unwrap();
                            return None;
                        }
                        commits += 1;
                        let number = batch.number;
                        block_on(self.store.commit(&lease, batch)).unwrap();
                        shard.committed(number, &mut next);
                    }
                    Action::Do(Effect::Run { at, .. }) => {
                        let row = Row::from_pairs([("o0", Literal::Integer(1))]);
                        let result = Ok(row);
                        shard.handle(now, Input::Ended { at, result }, &mut next);
                    }
                    Action::Do(Effect::Cancel { .. }) => {}
                    Action::Do(Effect::Ended(outcome)) => ended = Some(*outcome),
                    other => panic!("nothing asked for {other:?}"),
                }
            }
            queue = next;
        }
        shard.state().validate().unwrap();
        assert_eq!(shard.state().open(), 0, "it waits for nothing");
        block_on(self.store.release(&lease)).unwrap();
        ended
    }

    /// How often each node began, and how often it succeeded.
    fn counts(&self) -> (Vec<u32>, Vec<u32>) {
        let from = JournalPosition {
            shard: ShardId(0),
            sequence: 1,
        };
        let (mut began, mut succeeded) = (vec![0; NODES], vec![0; NODES]);
        for stored in block_on(self.store.frames(from, usize::MAX)).unwrap() {
            for record in JournalFrame::decode(&stored.bytes).unwrap().records {
                match record.change {
                    Change::Started { addr, .. } => began[addr.node.0 as usize] += 1,
                    Change::Succeeded { addr, .. } => succeeded[addr.node.0 as usize] += 1,
                    _ => {}
                }
            }
        }
        (began, succeeded)
    }
}

#[test]
fn nothing_in_the_backlog_is_lost_in_a_crash() {
    // After the submit, in the middle of the first steps, and later.
    for commits in [1, 2, 3, 4, 5] {
        let world = World::new();
        assert_eq!(world.live(commits), None, "{commits}");
        let (began, _) = world.counts();
        let some = began.iter().filter(|n| **n > 0).count();
        assert!(
            some < NODES,
            "{commits}: all {some} had begun; nothing waited"
        );
        let outcome = world.live(usize::MAX).expect("the next owner ends it");
        assert_eq!(outcome.phase, WorkflowPhase::Succeeded);
        let (_, succeeded) = world.counts();
        assert!(succeeded.iter().all(|n| *n == 1), "{commits}: each once");
    }
}

#[test]
fn an_abort_ends_what_waits_without_beginning_it() {
    let world = World::new();
    assert_eq!(world.live(2), None);
    let (before, _) = world.counts();
    let body = CommandBody::Abort {
        execution: id(),
        reason: "enough".into(),
        by: "the test".into(),
    };
    world.tell(2, body);
    let outcome = world.live(usize::MAX).expect("it ends");
    assert_eq!(outcome.phase, WorkflowPhase::Aborted);
    let (after, _) = world.counts();
    let more = |n: &[u32]| n.iter().filter(|n| **n > 0).count();
    // Recovery may have begun one step before it saw the abort.
    assert!(more(&after) < NODES, "{} of {NODES} began", more(&after));
    assert!(more(&after) <= more(&before) + 2 * 8192);
}
