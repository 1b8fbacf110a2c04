//! A world without tokio and threads: scripted tasks, virtual time, crashes at chosen commits.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use flyte_core::compile::{Sources, check_inputs, compile, launch_plan_inputs};
use flyte_core::contract::{
    Clock, Command, CommandBody, CommandId, Durability, ExecutionOptions, FairShare, InboxEntry,
    JournalPosition, Lease, LoadItem, ManualClock, RawTask, ShardId, Store, Submission, Task,
    TaskContext, TaskError,
};
use flyte_core::id::{Digest, ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::journal::{Change, IndexRow, JournalFrame, NodePhase, Projector};
use flyte_core::literal::{Literal, LiteralType, Row};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::Plan;
use flyte_core::template::{
    TaskTemplate, TypedInterface, Variable, WorkflowMetadata, WorkflowTemplate,
};
use flyte_scheduler::engine::{
    AttemptRef, Effect, EngineConfig, Input, LoadedPlan, Outcome, TaskFailure, TaskKind,
};
use flyte_scheduler::shard::{Action, Shard};
use futures::StreamExt;
use futures::executor::block_on;
use serde::{Deserialize, Serialize};

/// A task that the world answers for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scripted {
    name: String,
    inputs: Vec<(String, LiteralType)>,
    outputs: Vec<(String, LiteralType)>,
}

#[typetag::serde(name = "tests::nodes::Scripted")]
#[async_trait::async_trait]
impl Task for Scripted {
    fn template(&self) -> TaskTemplate {
        let map = |vars: &[(String, LiteralType)]| {
            vars.iter()
                .map(|(n, t)| (n.as_str().into(), Variable::new(t.clone())))
                .collect()
        };
        let interface = TypedInterface {
            inputs: map(&self.inputs),
            outputs: map(&self.outputs),
        };
        TaskTemplate::new(task_id(&self.name), "rust-task", interface)
    }

    async fn run(&self, _: &TaskContext, _: Row) -> Result<Row, TaskError> {
        Err("the world answers for it".into())
    }
}

pub(crate) fn task_id(name: &str) -> Identifier {
    Identifier::new(ResourceType::Task, name, "1")
}

pub(crate) fn task(
    name: &str,
    inputs: &[(&str, LiteralType)],
    outputs: &[(&str, LiteralType)],
) -> TaskTemplate {
    let own = |vars: &[(&str, LiteralType)]| {
        vars.iter()
            .map(|(n, t)| ((*n).to_owned(), t.clone()))
            .collect()
    };
    let task = Scripted {
        name: name.into(),
        inputs: own(inputs),
        outputs: own(outputs),
    };
    RawTask::template_of(&task).unwrap()
}

pub(crate) fn workflow(name: &str, interface: TypedInterface) -> WorkflowTemplate {
    WorkflowTemplate {
        id: Identifier::new(ResourceType::Workflow, name, "1"),
        metadata: WorkflowMetadata::default(),
        interface: Some(interface),
        nodes: Vec::new(),
        outputs: Vec::new(),
        failure_node: None,
        interruptible: false,
    }
}

pub(crate) fn interface(
    inputs: &[(&str, LiteralType)],
    outputs: &[(&str, LiteralType)],
) -> TypedInterface {
    let map = |vars: &[(&str, LiteralType)]| {
        vars.iter()
            .map(|(n, t)| ((*n).into(), Variable::new(t.clone())))
            .collect()
    };
    TypedInterface {
        inputs: map(inputs),
        outputs: map(outputs),
    }
}

pub(crate) fn load(plan: Plan) -> Arc<LoadedPlan> {
    let digest = Plan::digest_of(&plan.to_bytes());
    // What is stored can be read again.
    let plan = Plan::from_bytes(&plan.to_bytes()).unwrap();
    let kinds = plan
        .tasks
        .iter()
        .map(|t| TaskKind::InProcess(RawTask::read(t).unwrap().into()))
        .collect();
    Arc::new(LoadedPlan::new(Arc::new(plan), digest, kinds))
}

pub(crate) fn plan_of(sources: &Sources<'_>) -> Plan {
    Plan::clone(&compile(sources).unwrap_or_else(|e| panic!("{e}")))
}

/// What a scripted task does.
pub(crate) enum Answer {
    Gives(Row),
    Fails(TaskFailure),
    /// It never ends by itself.
    Hangs,
    /// It answers with a plan.
    Expands(Arc<LoadedPlan>),
}

pub(crate) fn gives(name: &str, value: Literal) -> Answer {
    Answer::Gives(Row::from_pairs([(name, value)]))
}

/// Name of the task, inputs, attempt.
pub(crate) type Script = dyn Fn(&str, &Row, u32) -> Answer;

/// Where the process dies: before or after its n-th commit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Crash {
    Never,
    Before(u32),
    After(u32),
}

pub(crate) struct World<'a> {
    store: MemoryStore,
    clock: ManualClock,
    plans: HashMap<Digest, Arc<LoadedPlan>>,
    script: &'a Script,
    /// Given one by one, whenever nothing else happens.
    later: VecDeque<CommandBody>,
    commands: u128,
    pub(crate) commits: u32,
    /// Attempts at once, at the most.
    pub(crate) at_once: usize,
    running: usize,
    steps: u64,
    /// Tasks that hang.
    hanging: Vec<AttemptRef>,
    pub(crate) outcomes: BTreeMap<String, Outcome>,
}

fn nodes_of(shard: &Shard) -> usize {
    let frames = shard.state().iter().flat_map(|e| &e.frames);
    frames.map(|f| f.nodes.len()).sum()
}

pub(crate) fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

impl<'a> World<'a> {
    /// A world in which `plan` was submitted as `e`.
    pub(crate) fn new(plan: &Arc<LoadedPlan>, inputs: &Row, script: &'a Script) -> Self {
        Self::bounded(plan, inputs, script, 0)
    }

    /// The same with a `max_parallelism`.
    pub(crate) fn bounded(
        plan: &Arc<LoadedPlan>,
        inputs: &Row,
        script: &'a Script,
        max_parallelism: u32,
    ) -> Self {
        let mut world = Self {
            store: MemoryStore::default(),
            clock: ManualClock::default(),
            plans: HashMap::new(),
            script,
            later: VecDeque::new(),
            commands: 0,
            commits: 0,
            at_once: 0,
            running: 0,
            steps: 0,
            hanging: Vec::new(),
            outcomes: BTreeMap::new(),
        };
        world.know(plan);
        let submission = Submission {
            id: id("e"),
            plan: plan.digest,
            entity: plan.plan.id.clone(),
            inputs: inputs.clone(),
            options: ExecutionOptions {
                max_parallelism,
                ..ExecutionOptions::default()
            },
            submitted_at: world.clock.now(),
            parent: None,
        };
        world.tell(CommandBody::Submit(Box::new(submission)));
        world
    }

    pub(crate) fn know(&mut self, plan: &Arc<LoadedPlan>) {
        self.plans.insert(plan.digest, plan.clone());
        let bytes = plan.plan.to_bytes().into();
        block_on(self.store.put_plan(plan.digest, bytes)).unwrap();
    }

    /// Says something once nothing else happens.
    pub(crate) fn later(&mut self, body: CommandBody) {
        self.later.push_back(body);
    }

    fn tell(&mut self, body: CommandBody) {
        self.commands += 1;
        // Children's commands are the same after a crash, and the store drops repeated ones.
        let id = match &body {
            CommandBody::Submit(s) => format!("start {}", s.id),
            CommandBody::ChildEnded { child, .. } => format!("ended {child}"),
            _ => self.commands.to_string(),
        };
        let digest = Digest::of("tests", id.as_bytes());
        let id = CommandId(u128::from_le_bytes(*digest.0.first_chunk().unwrap()));
        block_on(self.store.enqueue(ShardId(0), vec![Command { id, body }])).unwrap();
    }

    /// Lives until everything is over, however often the process dies.
    pub(crate) fn run(&mut self, crash: Crash) -> Outcome {
        if !self.live(crash) {
            assert!(self.live(Crash::Never), "the next owner ends it");
        }
        self.outcome()
    }

    /// How execution `e` ended, from the journal: a crash may have come before it was told.
    pub(crate) fn outcome(&self) -> Outcome {
        for record in self.records() {
            if let (
                1,
                Change::Ended {
                    phase,
                    outputs,
                    error,
                },
            ) = record
            {
                return Outcome {
                    id: id("e"),
                    phase,
                    outputs,
                    error: error.map(|e| *e),
                };
            }
        }
        panic!("it did not end")
    }

    pub(crate) fn frames(&self) -> Vec<JournalFrame> {
        let from = JournalPosition {
            shard: ShardId(0),
            sequence: 1,
        };
        let stored = block_on(self.store.frames(from, usize::MAX)).unwrap();
        stored
            .iter()
            .map(|s| JournalFrame::decode(&s.bytes).unwrap())
            .collect()
    }

    pub(crate) fn records(&self) -> Vec<(u64, Change)> {
        let frames = self.frames().into_iter().flat_map(|f| f.records);
        frames.map(|r| (r.execution, r.change)).collect()
    }

    /// Phase by path, of all nodes that began, as the index shows them.
    pub(crate) fn phases(&self) -> BTreeMap<String, NodePhase> {
        let mut projector = Projector::new(ShardId(0));
        let mut out = BTreeMap::new();
        for frame in self.frames() {
            let mut find = |d: Digest| Ok(self.plans[&d].plan.clone());
            for row in projector.project(&frame, &mut find).unwrap().rows {
                if let IndexRow::Node(n) = row {
                    out.insert(format!("{}/{}", n.execution.name, n.path), n.phase);
                }
            }
        }
        out
    }

    /// One life of an owner; whether everything was over in the end.
    fn live(&mut self, crash: Crash) -> bool {
        let lease = block_on(self.store.claim(ShardId(0), "test")).unwrap();
        let config = EngineConfig {
            epoch: lease.epoch,
            ..EngineConfig::default()
        };
        let policy = Box::<FairShare>::default();
        let mut shard = Shard::new(ShardId(0), config, policy, Durability::Power);
        self.plans.values().for_each(|p| shard.know(p.clone()));
        let items: Vec<_> = block_on(block_on(self.store.load(&lease)).unwrap().collect());
        let mut inbox = Vec::new();
        for item in items {
            match item.unwrap() {
                LoadItem::Frame(f) => shard
                    .fold(&JournalFrame::decode(&f.bytes).unwrap())
                    .unwrap(),
                LoadItem::Inbox(e) => inbox.push(e),
                LoadItem::Snapshot(_) => panic!("nobody makes snapshots here"),
            }
        }
        // What ran in the process died with it.
        self.hanging.clear();
        self.running = 0;
        let mut actions = Vec::new();
        shard.recover(self.clock.now(), &mut actions);
        let over = self.work(&mut shard, &lease, inbox, actions, crash);
        block_on(self.store.release(&lease)).unwrap();
        over
    }

    fn work(
        &mut self,
        shard: &mut Shard,
        lease: &Lease,
        inbox: Vec<InboxEntry>,
        mut queue: Vec<Action>,
        crash: Crash,
    ) -> bool {
        let mut taken = 0;
        let mut entries = inbox;
        loop {
            for entry in entries.drain(..) {
                taken = taken.max(entry.number);
                let plan = match &entry.command.body {
                    CommandBody::Submit(s) => Some(self.plans[&s.plan].clone()),
                    _ => None,
                };
                shard.inbox(self.clock.now(), entry, plan, &mut queue);
            }
            while !queue.is_empty() {
                for action in std::mem::take(&mut queue) {
                    if !self.act(shard, lease, action, crash, &mut queue) {
                        return false;
                    }
                    self.steps += 1;
                    // It reads everything: of a large state now and then.
                    let nodes: usize = nodes_of(shard);
                    if nodes < 1000 || self.steps.is_multiple_of(4096) {
                        shard.state().validate().unwrap();
                    }
                }
            }
            entries = block_on(self.store.inbox(lease, taken, 100)).unwrap();
            if !entries.is_empty() {
                continue;
            }
            if shard.may_step() {
                shard.step(self.clock.now(), &mut queue);
            } else if let Some(body) = self.later.pop_front() {
                self.tell(body);
                entries = block_on(self.store.inbox(lease, taken, 100)).unwrap();
            } else if let Some(due) = shard.next_timer() {
                let wait = due.since(self.clock.now());
                self.clock.advance(wait.into());
                shard.handle(self.clock.now(), Input::Tick, &mut queue);
            } else {
                assert_eq!(shard.state().open(), 0, "it waits for nothing");
                assert!(shard.state().untold.is_empty());
                return true;
            }
        }
    }

    /// Does what the shard asks for; `false` if the process dies here.
    fn act(
        &mut self,
        shard: &mut Shard,
        lease: &Lease,
        action: Action,
        crash: Crash,
        next: &mut Vec<Action>,
    ) -> bool {
        let now = self.clock.now();
        match action {
            Action::Commit(batch, _) => {
                self.commits += 1;
                if crash == Crash::Before(self.commits) {
                    return false;
                }
                let number = batch.number;
                block_on(self.store.commit(lease, batch)).unwrap();
                if crash == Crash::After(self.commits) {
                    return false;
                }
                shard.committed(number, next);
            }
            Action::Do(Effect::Run {
                at, task, inputs, ..
            }) => {
                let name = task.template().id.unwrap().name;
                self.running = shard.state().iter().map(|e| e.live as usize).sum();
                self.at_once = self.at_once.max(self.running);
                let result = match (self.script)(&name, &inputs, at.attempt) {
                    Answer::Gives(row) => Ok(row),
                    Answer::Fails(failure) => Err(failure),
                    Answer::Hangs => {
                        self.hanging.push(at);
                        return true;
                    }
                    Answer::Expands(plan) => {
                        self.know(&plan);
                        let result = Ok(plan);
                        shard.handle(now, Input::Expanded { at, result }, next);
                        return true;
                    }
                };
                shard.handle(now, Input::Ended { at, result }, next);
            }
            Action::Do(Effect::Cancel { at }) => self.hanging.retain(|h| *h != at),
            Action::Do(Effect::StartChild { request, .. }) => {
                let plan = &self.plans[&request.plan];
                let inputs = launch_plan_inputs(&request.launch_plan, request.inputs.clone());
                let inputs = check_inputs(plan.plan.root(), &inputs.unwrap()).unwrap();
                let submission = Submission {
                    id: request.id.clone(),
                    plan: request.plan,
                    entity: plan.plan.id.clone(),
                    inputs,
                    options: request.options.clone(),
                    submitted_at: now,
                    parent: Some(request.parent.clone()),
                };
                self.tell(CommandBody::Submit(Box::new(submission)));
            }
            Action::Do(Effect::EndChild { at, child, reason }) => {
                if block_on(self.store.locate(&child)).is_ok() {
                    self.tell(CommandBody::Abort {
                        execution: child,
                        reason,
                        by: "its parent".into(),
                    });
                }
                shard.handle(now, Input::Finalized { at }, next);
            }
            Action::Do(Effect::TellParent { number, untold }) => {
                self.tell(CommandBody::ChildEnded {
                    execution: untold.parent.clone(),
                    addr: untold.addr,
                    attempt: untold.attempt,
                    child: untold.child.clone(),
                    result: untold.result,
                });
                shard.handle(now, Input::ParentTold { number }, next);
            }
            Action::Do(Effect::Ended(outcome)) => {
                self.outcomes.insert(outcome.id.name.to_string(), *outcome);
            }
            Action::Do(other) => panic!("nothing asked for {other:?}"),
        }
        true
    }
}

/// Runs a plan without a crash, then with one at each commit boundary: outputs, error and the
/// nodes' phases are the same each time. Returns the world without a crash.
pub(crate) fn everywhere<'a>(make: &dyn Fn() -> World<'a>) -> (Outcome, World<'a>) {
    let mut calm = make();
    let outcome = calm.run(Crash::Never);
    let phases = calm.phases();
    assert!(calm.commits >= 2, "{}", calm.commits);
    println!("crash points visited: {}", 2 * calm.commits);
    let strip = |o: &Outcome| {
        (
            o.phase,
            o.outputs.clone(),
            o.error.clone().map(|e| (e.code, e.message)),
        )
    };
    for n in 1..=calm.commits {
        for crash in [Crash::Before(n), Crash::After(n)] {
            let mut world = make();
            let again = world.run(crash);
            assert_eq!(strip(&again), strip(&outcome), "{crash:?}");
            assert_eq!(world.phases(), phases, "{crash:?}");
            assert_eq!(world.doubles(), Vec::<String>::new(), "{crash:?}");
        }
    }
    (outcome, calm)
}

impl World<'_> {
    /// Ends of nodes that were recorded twice.
    fn doubles(&self) -> Vec<String> {
        let mut seen = std::collections::BTreeSet::new();
        let mut out = Vec::new();
        for (execution, change) in self.records() {
            let addr = match change {
                Change::Succeeded { addr, .. }
                | Change::Failed { addr, .. }
                | Change::Skipped { addr }
                | Change::Aborted { addr, .. } => addr,
                _ => continue,
            };
            if !seen.insert((execution, addr)) {
                out.push(format!("{execution} {addr:?}"));
            }
        }
        out
    }
}
