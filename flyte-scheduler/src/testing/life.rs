mod effects;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::contract::{
    Clock, Command, CommandBody, CommandId, Durability, Expansion, FairShare, InboxEntry, Lease,
    LoadItem, ManualClock, PluginInfo, ShardId, Store, Submission, Task, TaskContext,
    TaskContextParts, TaskError,
};
use flyte_core::id::{Digest, Identifier, ResourceType, Str};
use flyte_core::journal::{
    Change, ErrorOrigin, ExecutionError, JournalFrame, Projector, SnapshotFrames,
};
use flyte_core::literal::Row;
use flyte_core::memory::{MemoryCache, MemoryStore};
use flyte_core::object_store::memory::InMemory;
use flyte_core::template::{TaskTemplate, TypedInterface};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::attempts::{Answer, Attempts};
use super::backend::Backend;
use super::crash::{CrashKind, Deaths};
use super::harness::{Harness, Step, TestError, execution};
use super::run::Run;
use super::seed::Draw;
use crate::calls::snapshots;
use crate::engine::{AttemptRef, Effect, EngineConfig, Input, LoadedPlan, Outcome};
use crate::shard::{Action, Shard};

/// How long tasks that wait for something outside are given before virtual time passes.
const GRACE: Duration = Duration::from_millis(20);
/// The same where nothing else can happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of frames after which a snapshot is taken: so few that each run has several.
const SNAPSHOT_AFTER: u64 = 2_000;

/// Commits of a run after which the whole state is checked; that takes longer the larger it is.
const VALIDATED: u32 = 1000;

/// How a life of the process ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    /// Everything was over.
    Over,
    /// It died.
    Died,
    /// Its operator gave it another plugin, for which it was started anew.
    Restarted,
}

/// Stands for a task that only a closure runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Replaced;

#[typetag::serde(name = "flyte_scheduler::testing::Replaced")]
#[async_trait::async_trait]
impl Task for Replaced {
    fn template(&self) -> TaskTemplate {
        let id = Identifier::new(ResourceType::Task, "replaced", "1");
        TaskTemplate::new(id, "", TypedInterface::default())
    }

    async fn run(&self, _: &TaskContext, _: Row) -> Result<Row, TaskError> {
        Err("a replaced task is not run itself".into())
    }
}

/// The store and the clock, which outlive a process, and what the process has in memory.
pub(super) struct World<'h> {
    harness: &'h Harness,
    store: MemoryStore,
    clock: Arc<ManualClock>,
    cache: MemoryCache,
    backend: Backend,
    deaths: Deaths,
    /// Whether the operator has given the plugin that was missing.
    given: bool,
    /// Tasks that have another interface in the program that runs.
    changed: HashSet<Str>,
    plans: HashMap<Digest, Arc<LoadedPlan>>,
    root: Digest,
    later: VecDeque<Step>,
    draw: Draw,
    attempts: Attempts,
    parts: HashMap<u64, Arc<TaskContextParts>>,
    blobs: Arc<InMemory>,
    epoch: u64,
    commits: u32,
    commands: u64,
    parked: Option<String>,
    /// Everything that was committed; the store drops what a snapshot covers.
    frames: Vec<Arc<JournalFrame>>,
}

impl<'h> World<'h> {
    pub(super) fn new(
        harness: &'h Harness,
        plans: &[Arc<LoadedPlan>],
        inputs: Row,
        deaths: Deaths,
    ) -> Self {
        let clock = Arc::<ManualClock>::default();
        let mut world = Self {
            harness,
            store: MemoryStore::default(),
            cache: MemoryCache::new(clock.clone()),
            clock,
            backend: Backend::default(),
            deaths,
            given: false,
            changed: harness.changed.clone(),
            plans: plans.iter().map(|p| (p.digest, p.clone())).collect(),
            root: plans[0].digest,
            later: harness.later.clone(),
            draw: Draw(harness.seed),
            attempts: Attempts::default(),
            parts: HashMap::new(),
            blobs: Arc::default(),
            epoch: 0,
            commits: 0,
            commands: 0,
            parked: None,
            frames: Vec::new(),
        };
        world
            .later
            .push_front(Step::Command(CommandBody::Submit(Box::new(Submission {
                id: execution(),
                plan: world.root,
                entity: plans[0].plan.id.clone(),
                inputs,
                options: harness.options.clone(),
                submitted_at: world.clock.now(),
                parent: None,
            }))));
        world
    }

    pub(super) async fn run(mut self) -> Result<Run, TestError> {
        for plan in self.plans.values() {
            self.keep(plan).await?;
        }
        let first = self.later.pop_front();
        if let Some(Step::Command(submission)) = first {
            self.tell(submission).await?;
        }
        loop {
            match self.live().await? {
                Life::Over => break,
                Life::Died => self.deaths.reborn(),
                Life::Restarted => {}
            }
            // A dead process takes what it had in memory along.
            self.attempts = Attempts::default();
            self.parts.clear();
            self.parked = None;
        }
        self.result()
    }

    fn result(&self) -> Result<Run, TestError> {
        let mut projector = Projector::events_only(ShardId(0));
        let (mut frames, mut events, mut outcome) = (Vec::new(), Vec::new(), None);
        for frame in &self.frames {
            let mut find = |d: Digest| Ok(self.plans[&d].plan.clone());
            let projected = projector.project(frame, &mut find).map_err(broken)?;
            events.extend(projected.events);
            for record in &frame.records {
                // The execution of the test is the first that was opened.
                if let (
                    1,
                    Change::Ended {
                        phase,
                        outputs,
                        error,
                    },
                ) = (record.execution, &record.change)
                {
                    outcome = Some(Outcome {
                        id: execution(),
                        phase: *phase,
                        outputs: outputs.clone(),
                        error: error.as_deref().cloned(),
                        node: None,
                        by: None,
                    });
                }
            }
            frames.push((**frame).clone());
        }
        let outcome = outcome.ok_or_else(|| TestError::Stuck("it did not end".into()))?;
        let running = self.backend.running();
        if !running.is_empty() {
            return Err(TestError::Stuck(format!("jobs run on: {running:?}")));
        }
        Ok(Run {
            outcome,
            events,
            frames,
            seed: self.harness.seed,
            commits: self.commits,
            moments: self.deaths.last_life().to_vec(),
            crash_points: BTreeMap::new(),
            crashed_again: BTreeMap::new(),
        })
    }

    async fn tell(&mut self, body: CommandBody) -> Result<(), TestError> {
        self.commands += 1;
        // What concerns children is said again after a crash, and must be the same then.
        let seed = match &body {
            CommandBody::Submit(s) => format!("start {}", s.id),
            CommandBody::ChildEnded { child, .. } => format!("ended {child}"),
            _ => format!("{} {}", self.epoch, self.commands),
        };
        let digest = Digest::of("flyte test command v1", seed.as_bytes());
        let id = digest.0.first_chunk().expect("invariant: 32 bytes");
        let id = CommandId(u128::from_le_bytes(*id));
        let command = vec![Command { id, body }];
        self.store
            .enqueue(ShardId(0), command)
            .await
            .map_err(broken)?;
        Ok(())
    }

    /// One life of a process.
    async fn live(&mut self) -> Result<Life, TestError> {
        let lease = self.store.claim(ShardId(0), "test").await.map_err(broken)?;
        self.epoch = lease.epoch;
        let config = EngineConfig {
            epoch: lease.epoch,
            cache: self.harness.caches,
            offload_above: self.harness.offload_above,
            plugins: vec![PluginInfo::new("harness", ["harness"])],
            snapshot_after_bytes: Some(SNAPSHOT_AFTER),
            ..EngineConfig::default()
        };
        if self.given {
            for plan in self.plans.values_mut() {
                *plan = self.harness.given(plan);
            }
        }
        for plan in self.plans.values_mut() {
            if plan.has_changed() || !self.changed.is_empty() {
                *plan = self.harness.deployed(plan, &self.changed)?;
            }
        }
        let mut shard = self.shard(config);
        let mut past = self.store.load(&lease).await.map_err(broken)?;
        let mut inbox = Vec::new();
        while let Some(item) = past.next().await {
            match item.map_err(broken)? {
                LoadItem::Frame(f) => {
                    let frame = JournalFrame::decode(&f.bytes).map_err(broken)?;
                    shard.fold(&frame).map_err(broken)?;
                }
                LoadItem::Inbox(e) => inbox.push(e),
                LoadItem::Snapshot(s) => {
                    let mut frames = SnapshotFrames::open(&s.bytes).map_err(broken)?;
                    for frame in frames.by_ref() {
                        shard.restore(&frame.map_err(broken)?);
                    }
                    shard.restored(frames.head(), s.bytes.len());
                }
            }
        }
        self.same_state(&shard)?;
        let mut actions = Vec::new();
        shard.recover(self.clock.now(), &mut actions);
        let over = self.work(&mut shard, &lease, inbox, actions).await;
        self.store.release(&lease).await.map_err(broken)?;
        over
    }

    fn shard(&self, config: EngineConfig) -> Shard {
        let policy = Box::<FairShare>::default();
        let mut shard = Shard::new(ShardId(0), config, policy, Durability::Memory);
        self.plans.values().for_each(|p| shard.know(p.clone()));
        shard
    }

    /// What was loaded, perhaps from a snapshot, is what the whole journal gives.
    fn same_state(&self, loaded: &Shard) -> Result<(), TestError> {
        if self.frames.is_empty() || self.commits > VALIDATED {
            return Ok(());
        }
        let mut whole = self.shard(EngineConfig::default());
        for frame in &self.frames {
            whole.fold(frame).map_err(broken)?;
        }
        match loaded.state().differs(whole.state()) {
            Some(what) => Err(TestError::Engine(format!("read from a snapshot: {what}"))),
            None => Ok(()),
        }
    }

    async fn work(
        &mut self,
        shard: &mut Shard,
        lease: &Lease,
        mut entries: Vec<InboxEntry>,
        mut queue: Vec<Action>,
    ) -> Result<Life, TestError> {
        let mut taken = 0;
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
                    if !self.act(shard, lease, action, &mut queue).await? {
                        return Ok(Life::Died);
                    }
                }
            }
            if self.commits < VALIDATED {
                shard.state().validate().map_err(TestError::Engine)?;
            }
            if self.later.is_empty()
                && let Some(cause) = self.parked.take()
            {
                return Err(TestError::Parked(cause));
            }
            entries = self.store.inbox(lease, taken, 1024).await.map_err(broken)?;
            if !entries.is_empty() {
                continue;
            }
            if shard.may_step() {
                shard.step(self.clock.now(), &mut queue);
                continue;
            }
            if self.attempts.has_fresh() {
                let (attempts, draw) = (&mut self.attempts, &mut self.draw);
                let first = |cx: &mut std::task::Context<'_>| {
                    std::task::Poll::Ready(attempts.first_poll(draw, cx))
                };
                let polled = futures::future::poll_fn(first).await;
                if !self.answered(shard, polled, &mut queue).await? {
                    return Ok(Life::Died);
                }
                continue;
            }
            let due = shard.next_timer();
            let more = due.is_some() || !self.later.is_empty();
            if self.attempts.has_pending() {
                let grace = if more { GRACE } else { PATIENCE };
                let attempts = &mut self.attempts;
                let outside = futures::future::poll_fn(|cx| attempts.poll(cx));
                if let Ok(answer) = tokio::time::timeout(grace, outside).await {
                    if !self.answered(shard, Some(answer), &mut queue).await? {
                        return Ok(Life::Died);
                    }
                    continue;
                }
            }
            if let Some(step) = self.later.pop_front() {
                // It may be what the execution waits for.
                self.parked = None;
                let body = match step {
                    Step::Command(body) => body,
                    Step::Deploy(changed) => {
                        self.changed = changed;
                        return Ok(Life::Restarted);
                    }
                };
                let release = matches!(body, CommandBody::Release { .. });
                self.tell(body).await?;
                if release && self.harness.has_missing() {
                    self.given = true;
                    return Ok(Life::Restarted);
                }
            } else if let Some(due) = due {
                self.clock.advance(due.since(self.clock.now()).into());
                shard.handle(self.clock.now(), Input::Tick, &mut queue);
            } else if shard.state().open() == 0 && shard.state().untold.is_empty() {
                return Ok(Life::Over);
            } else {
                return Err(TestError::Stuck(stuck(shard)));
            }
        }
    }

    /// Makes a plan durable: rows are made of it before frames are dropped.
    async fn keep(&self, plan: &LoadedPlan) -> Result<(), TestError> {
        let bytes = plan.plan.to_bytes().into();
        let kept = self.store.put_plan(plan.digest, bytes).await;
        kept.map_err(broken)
    }

    /// Takes what an attempt answered; `false` if the process dies before.
    async fn answered(
        &mut self,
        shard: &mut Shard,
        answer: Option<(AttemptRef, Answer)>,
        queue: &mut Vec<Action>,
    ) -> Result<bool, TestError> {
        let Some((at, answer)) = answer else {
            return Ok(true);
        };
        if self.deaths.now(CrashKind::AfterEffect) {
            return Ok(false);
        }
        let input = match answer {
            Ok(Expansion::Values(row)) => Input::Ended {
                at,
                result: Ok(row),
            },
            Ok(Expansion::Plan(plan)) => {
                let result = self.harness.load(&plan).map_err(|e| {
                    let code = Expansion::BUILD_FAILED;
                    ExecutionError::new(ErrorOrigin::User, code, e.to_string())
                });
                if let Ok(loaded) = &result {
                    self.keep(loaded).await?;
                    self.plans.insert(loaded.digest, loaded.clone());
                }
                Input::Expanded { at, result }
            }
            Err(failure) => Input::Ended {
                at,
                result: Err(failure),
            },
        };
        shard.handle(self.clock.now(), input, queue);
        Ok(true)
    }

    /// Does what the shard asks for; `false` if the process dies here.
    async fn act(
        &mut self,
        shard: &mut Shard,
        lease: &Lease,
        action: Action,
        next: &mut Vec<Action>,
    ) -> Result<bool, TestError> {
        let now = self.clock.now();
        let effect = match action {
            Action::Commit(batch, frames) => {
                self.commits += 1;
                if self.deaths.now(CrashKind::BeforeCommit) {
                    return Ok(false);
                }
                let number = batch.number;
                self.store.commit(lease, batch).await.map_err(broken)?;
                self.frames.extend(frames);
                if self.deaths.now(CrashKind::AfterCommit) {
                    return Ok(false);
                }
                shard.committed(number, next);
                return Ok(true);
            }
            // What the harness is told is not done by anybody.
            Action::Do(Effect::Parked { cause, .. }) => {
                self.parked = Some(cause);
                return Ok(true);
            }
            Action::Do(Effect::Ended(_)) => return Ok(true),
            other => other,
        };
        if self.deaths.now(CrashKind::BeforeEffect) {
            return Ok(false);
        }
        let input = match effect {
            Action::Observe(question) => {
                let handles = question.handles.iter();
                let answers = handles.map(|h| Ok(self.backend.status(h))).collect();
                if self.deaths.now(CrashKind::AfterEffect) {
                    return Ok(false);
                }
                shard.observed(now, &question, answers, next);
                return Ok(true);
            }
            Action::Abort { at, handle, .. } => {
                self.backend.abort(&handle);
                if self.deaths.now(CrashKind::AfterEffect) {
                    return Ok(false);
                }
                shard.told_to_end(now, at, true, next);
                return Ok(true);
            }
            Action::Snapshot(plan) => {
                let store = Arc::new(self.store.clone());
                let taken = snapshots::take(store, lease.clone(), plan).await;
                if self.deaths.now(CrashKind::AfterEffect) {
                    return Ok(false);
                }
                shard.snapshotted(Some(taken.map_err(broken)?));
                return Ok(true);
            }
            Action::Do(effect) => self.effect(shard, effect).await?,
            Action::Commit(..) => unreachable!("invariant: it was taken before"),
        };
        if let Some(input) = input {
            if self.deaths.now(CrashKind::AfterEffect) {
                return Ok(false);
            }
            shard.handle(now, input, next);
        }
        Ok(true)
    }
}

/// What is open, for people.
fn stuck(shard: &Shard) -> String {
    let mut out = Vec::new();
    for ex in shard.state().iter() {
        for (f, frame) in ex.frames.iter().enumerate().filter(|(_, f)| !f.closed) {
            for (n, state) in frame.nodes.iter().enumerate() {
                if !state.is_over() && out.len() < 20 {
                    let addr = flyte_core::id::NodeAddr::new(f as u32, n as u32);
                    out.push(format!("{} is {state:?}", ex.path(addr)));
                }
            }
        }
    }
    out.join(", ")
}

fn broken(e: impl fmt::Display) -> TestError {
    TestError::Stuck(format!("the store in memory failed: {e}"))
}
