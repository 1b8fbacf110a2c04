use std::collections::VecDeque;

use flyte_core::contract::QueueHead;
use flyte_core::id::{FrameIx, NodeAddr};
use flyte_core::journal::{Change, ErrorOrigin, ExecutionError, OutputValues, ParkCause};
use flyte_core::limits::VALUES_BYTES_MAX;
use flyte_core::literal::Row;
use flyte_core::plan::Target;

use super::finish::{too_large, weight};
use super::timer::Timer;
use super::{Agenda, AttemptRef, Effect, Engine, Execution, NodeState, Queue, TaskKind};

impl Execution {
    /// Who runs the task of a node.
    #[must_use]
    pub fn kind(&self, addr: NodeAddr) -> Option<&TaskKind> {
        let frame = self.frame(addr.frame);
        match frame.target(addr.node.0) {
            Target::Task(t) => Some(&frame.loaded.tasks[t as usize]),
            _ => None,
        }
    }

    /// Whether a node may begin: of a frame that handles its failure only the failure node does.
    pub(super) fn may_begin(&self, addr: NodeAddr) -> bool {
        let handled = self.frame(addr.frame).handling && !self.is_failure_node(addr);
        self.may_start(addr.frame) && !handled
    }

    /// Whether a plugin runs the task of a node. A host that lacks the plugin says so, too: what
    /// the records mean is the same everywhere.
    pub(super) fn is_plugin(&self, addr: NodeAddr) -> bool {
        matches!(
            self.kind(addr),
            Some(TaskKind::Plugin(_) | TaskKind::NoPlugin(_))
        )
    }
}

impl Engine {
    /// A node's predecessors are done, or its next attempt is due.
    pub(super) fn ready(&mut self, number: u64, addr: NodeAddr) {
        let Some(ex) = self.state.get(number) else {
            return;
        };
        let frame = ex.frame(addr.frame);
        let waits = matches!(ex.node(addr), NodeState::Ready | NodeState::Backoff);
        if !waits || !ex.may_begin(addr) || self.paused {
            return;
        }
        if ex.node(addr) == NodeState::Backoff {
            let not_before = ex.troubles.get(&addr).and_then(|t| t.not_before);
            if let Some(t) = not_before.filter(|t| *t > self.now) {
                self.timers.insert((t, number, addr, Timer::Backoff));
                return;
            }
        }
        match frame.target(addr.node.0) {
            Target::Task(_) => self.start_task(number, addr),
            Target::SubWorkflow(graph) => self.open_frame(number, addr, graph),
            Target::Branch(branch) => self.branch(number, addr, branch),
            Target::Gate(_) => self.start_gate(number, addr),
            Target::Array(_) => self.open_items(number, addr),
            Target::LaunchPlan(_) => self.start_child(number, addr),
        }
    }

    fn open_frame(&mut self, number: u64, addr: NodeAddr, graph: u32) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let plan = ex.frame(addr.frame).loaded.plan.clone();
        if let Some(row) = self.inputs(number, addr) {
            let names = &plan.graphs[graph as usize].input_names;
            let inputs = names.iter().map(|n| row.get(n).cloned()).collect();
            self.open_frame_of(number, addr, graph, None, inputs);
        }
    }

    /// Opens a frame of the node's own plan, as the node's next attempt.
    pub(super) fn open_frame_of(
        &mut self,
        number: u64,
        addr: NodeAddr,
        graph: u32,
        items: Option<u32>,
        inputs: OutputValues,
    ) {
        let bytes = weight(&inputs);
        if bytes > VALUES_BYTES_MAX {
            let error = Box::new(too_large("the inputs of the node", bytes));
            let timed_out = false;
            let failed = Change::Failed {
                addr,
                error,
                timed_out,
            };
            return self.emit(number, failed);
        }
        let attempt = self.open_execution(number).attempts(addr);
        let opened = Change::FrameOpened {
            parent: addr,
            attempt,
            graph,
            plan: None,
            items,
            inputs,
        };
        self.emit(number, opened);
        self.set_deadlines(AttemptRef {
            execution: number,
            addr,
            attempt,
        });
    }

    fn start_task(&mut self, number: u64, addr: NodeAddr) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let local = match ex.kind(addr).expect("invariant: a task node") {
            TaskKind::InProcess(_) => false,
            TaskKind::Plugin(p) => self.config.is_local(*p),
            TaskKind::Unknown(message) => {
                let cause = ParkCause::UnknownTask {
                    addr,
                    message: message.clone(),
                };
                return self.park(number, cause);
            }
            TaskKind::NoPlugin(task_type) => {
                let cause = ParkCause::MissingPlugin {
                    addr,
                    task_type: task_type.clone(),
                };
                return self.park(number, cause);
            }
            // A failure node, which is compared when it is to run.
            TaskKind::Changed(_) => return self.park_changed(number),
        };
        let Some(inputs) = self.inputs(number, addr) else {
            return;
        };
        if !self.cache_lets_start(number, addr, &inputs) {
            return;
        }
        let units = match self.admits(number, addr, local) {
            Ok(units) => units,
            Err(queue) => {
                self.unreserve(number, addr);
                self.wait(number, addr, queue);
                return;
            }
        };
        self.start(number, addr, inputs, units);
    }

    fn start(&mut self, number: u64, addr: NodeAddr, inputs: Row, units: Vec<u32>) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let attempt = ex.attempts(addr);
        let at = AttemptRef {
            execution: number,
            addr,
            attempt,
        };
        self.admission.occupy(at, units);
        self.emit(number, Change::Started { addr, attempt });
        self.report_lost(at);
        self.set_deadlines(at);
        self.begin(at, inputs, false);
    }

    pub(super) fn has_slot(&self) -> bool {
        self.config
            .slots
            .is_none_or(|slots| self.state.jobs < slots)
    }

    pub(super) fn wait(&mut self, number: u64, addr: NodeAddr, queue: Queue) {
        if let Queue::Limit(account) = queue {
            self.admission.waits(account, 1);
        }
        self.waiting
            .entry((number, queue))
            .or_default()
            .push_back(addr);
    }

    /// Forgets the nodes of an execution that is over.
    pub(super) fn wait_no_more(&mut self, number: u64) {
        let all = (number, Queue::Room)..=(number, Queue::Limit(u32::MAX));
        let gone: Vec<_> = self
            .waiting
            .range(all)
            .map(|(k, q)| (*k, q.len()))
            .collect();
        for (key, n) in gone {
            self.waiting.remove(&key);
            if let Queue::Limit(account) = key.1 {
                self.admission.waits(account, -(n as i64));
            }
        }
    }

    /// Whether the first node of a queue may begin now.
    fn may_go(&self, ex: &Execution, queue: Queue, slot: bool) -> bool {
        let free = match queue {
            Queue::Room => true,
            Queue::Slot => slot,
            Queue::Limit(account) => self.admission.has_unit(account, self.now),
        };
        free && ex.has_room() && ex.parked.is_none()
    }

    /// Starts waiting nodes while there is room, in the order that the policy gives.
    pub(super) fn start_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        loop {
            let slot = self.has_slot();
            let mut heads = Vec::new();
            let mut keys = Vec::new();
            for &(number, queue) in self.waiting.keys() {
                let Some(ex) = self.state.get(number) else {
                    continue;
                };
                if self.may_go(ex, queue, slot) {
                    let priority = ex.submission.options.priority;
                    heads.push(QueueHead::new(&ex.id, priority, ex.opened_at, ex.live));
                    keys.push((number, queue));
                }
            }
            // A policy that panics over one head names it.
            self.focus = match keys[..] {
                [(only, _)] => only,
                _ => 0,
            };
            let Some(pick) = self.policy.pick(&heads) else {
                break;
            };
            let key = keys[pick];
            self.focus = key.0;
            let queue = self.waiting.get_mut(&key).expect("invariant: it is a head");
            let addr = queue.pop_front().expect("invariant: it has a front");
            if queue.is_empty() {
                self.waiting.remove(&key);
            }
            if let Queue::Limit(account) = key.1 {
                self.admission.waits(account, -1);
            }
            self.ready(key.0, addr);
            let last = self.waiting.get(&key).and_then(VecDeque::back);
            if last == Some(&addr) {
                // It went back to the queue: come again when something changes. One that began,
                // asks the cache or is no longer to begin leaves the others their turn.
                break;
            }
        }
    }

    pub(super) fn park(&mut self, number: u64, cause: ParkCause) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        if ex.parked.is_none() {
            self.park_again(number, cause);
        }
    }

    /// The same for an execution that may be parked for another reason.
    pub(super) fn park_again(&mut self, number: u64, cause: ParkCause) {
        let id = self.open_execution(number).id.clone();
        let text = cause.to_string();
        self.emit(number, Change::Parked { cause });
        self.effects.push(Effect::Parked { id, cause: text });
    }

    /// A parked execution goes on: everything that may begin is looked at again.
    pub(super) fn resume(&mut self, number: u64) {
        let Some(ex) = self.state.get(number) else {
            return;
        };
        self.agenda.extend(to_begin(ex));
        self.park_changed(number);
        // Items that were told to begin while it was parked did not.
        self.issued.retain(|(n, _), _| *n != number);
        self.miss_plugins(number);
    }

    /// Parks an execution with a job whose plugin this host lacks: nobody looks after the job, or
    /// lets go of it, before a host has the plugin.
    pub(super) fn miss_plugins(&mut self, number: u64) {
        let ex = self.open_execution(number);
        let jobs = ex.jobs.keys().chain(ex.finalizing.keys().map(|k| &k.0));
        let missing = jobs.copied().find_map(|addr| match ex.kind(addr) {
            Some(TaskKind::NoPlugin(task_type)) => Some(ParkCause::MissingPlugin {
                addr,
                task_type: task_type.clone(),
            }),
            _ => None,
        });
        if let Some(cause) = missing {
            self.park(number, cause);
        }
    }

    /// An input has no value: the node fails for good without having been queued.
    pub(super) fn unbound(&mut self, number: u64, addr: NodeAddr, input: &str, why: &str) {
        let ex = self
            .state
            .get(number)
            .expect("invariant: the caller looked");
        let workflow = &ex.frame(addr.frame).graph().id.name;
        let error = ExecutionError::new(
            ErrorOrigin::System,
            "BindingResolutionFailure",
            format!("Error binding Var [{workflow}].[{input}]: {why}"),
        );
        self.emit(
            number,
            Change::Failed {
                addr,
                error: Box::new(error),
                timed_out: false,
            },
        );
    }
}

/// What is to be looked at so that everything which waits to begin does, in order.
pub(super) fn to_begin(ex: &Execution) -> Vec<(u64, Agenda)> {
    let mut out = Vec::new();
    for (f, frame) in ex
        .frames
        .iter()
        .enumerate()
        .filter(|(_, f)| !f.closed && !f.ending)
    {
        let items = frame.items.is_some();
        for (n, state) in frame.nodes.iter().enumerate() {
            let addr = NodeAddr::new(f as u32, n as u32);
            match state {
                NodeState::Backoff => out.push((ex.number, Agenda::Ready(addr))),
                NodeState::Ready if !items => out.push((ex.number, Agenda::Ready(addr))),
                _ => {}
            }
        }
        if items {
            out.push((ex.number, Agenda::Items(FrameIx(f as u32))));
        }
    }
    out
}
