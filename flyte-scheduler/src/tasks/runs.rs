use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use flyte_core::contract::{
    Expansion, HostResources, Task, TaskContext, TaskContextParts, TaskError, TaskScope,
};
use flyte_core::id::FrameIx;
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::literal::{Row, Timestamp};
use futures::FutureExt;
use tracing::{Instrument, Span};

use super::blocking::{Blocking, Thread};
use super::pace::{Pace, Paces};
use super::parts::parts;
use crate::calls::{PlanCache, World};
use crate::engine::{Advice, AttemptRef, Execution, Input, State, TaskFailure};
use crate::mail::{Mailbox, Message};
use crate::ownership::{Shared, said};
use crate::telemetry::Spans;

/// An attempt of a Rust task that may begin.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) at: AttemptRef,
    pub(crate) task: Arc<dyn Task>,
    pub(crate) inputs: Row,
    pub(crate) deadline: Option<Timestamp>,
}

/// The Rust tasks of a shard: those that wait for their first poll, and those that run.
#[derive(Debug)]
pub(crate) struct Runs {
    waiting: VecDeque<Run>,
    /// Blocking ones that wait for a thread.
    blocked: VecDeque<Run>,
    running: HashMap<AttemptRef, Running>,
    /// Tasks that the host's runtime was given and has not polled yet.
    unpolled: Arc<AtomicUsize>,
    parts: HashMap<u64, Arc<TaskContextParts>>,
    last: Option<(u64, Arc<TaskContextParts>)>,
    last_scope: Option<(u64, FrameIx, Arc<TaskScope>)>,
    paces: Paces,
    host: tokio::runtime::Handle,
    send: Mailbox,
    resources: HostResources,
    plans: Arc<PlanCache>,
    blocking: Blocking,
}

/// What ends an attempt that runs.
#[derive(Debug)]
enum Running {
    Future(tokio::task::AbortHandle),
    Function(Thread),
}

type Work = Pin<Box<dyn Future<Output = Result<Row, TaskFailure>> + Send>>;
type Asked = Pin<Box<dyn Future<Output = Result<Expansion, TaskFailure>> + Send>>;

impl Runs {
    /// Polls of one turn: between turns the driver looks at its mail.
    const TURN: usize = 4096;
    /// Tasks that wait in the host's queue: what is not there costs less memory.
    const UNPOLLED_MAX: usize = 4096;
    /// How long a turn may take.
    const TURN_TIME: Duration = Duration::from_millis(2);

    pub(crate) fn new(shared: &Shared, send: Mailbox) -> Self {
        let status = &shared.status;
        Self {
            waiting: VecDeque::new(),
            blocked: VecDeque::new(),
            running: HashMap::new(),
            unpolled: Arc::default(),
            parts: HashMap::new(),
            last: None,
            last_scope: None,
            paces: Paces::new(status.overruns.clone()),
            host: shared.host.clone(),
            blocking: Blocking::new(shared),
            resources: shared.builder.resources.clone(),
            send,
            plans: shared.plans.clone(),
        }
    }

    pub(crate) fn push(&mut self, run: Run) {
        self.waiting.push_back(run);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether more attempts should be brought.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < Self::TURN
    }

    /// Whether there is something to begin and the host's runtime keeps up.
    pub(crate) fn may_turn(&self) -> bool {
        !self.waiting.is_empty() && self.unpolled.load(Ordering::Relaxed) < Self::UNPOLLED_MAX
    }

    /// An attempt that ran on the host's runtime has ended; whether it ran.
    pub(crate) fn ended(&mut self, at: AttemptRef) -> bool {
        self.running.remove(&at).is_some()
    }

    pub(crate) fn cancel(&mut self, at: AttemptRef) {
        if let Some(running) = self.running.remove(&at) {
            running.cancel();
        }
    }

    /// Attempts that run on the host's runtime.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Ends every attempt; returns how many ran.
    pub(crate) fn cancel_all(&mut self) -> usize {
        self.waiting.clear();
        self.blocked.clear();
        self.running.drain().map(|(_, r)| r.cancel()).count()
    }

    /// A blocking function has returned: others may begin.
    pub(crate) fn returned(&mut self) {
        while let Some(run) = self.blocked.pop_back() {
            self.waiting.push_front(run);
        }
    }

    /// Forgets what executions that are over had in common.
    pub(crate) fn forget(&mut self, state: &State) {
        if self.parts.len() > 2 * state.open() + 64 {
            self.parts.retain(|number, _| state.get(*number).is_some());
            self.last = None;
            self.last_scope = None;
        }
    }

    /// Begins some of the waiting attempts; those that end at once are in `done`.
    pub(crate) fn turn(
        &mut self,
        world: &World,
        state: &State,
        epoch: u64,
        slept: bool,
        spans: &mut Spans,
        done: &mut Vec<Input>,
    ) {
        let host = self.host.clone();
        let _context = host.enter();
        let begun = Instant::now();
        self.paces.begin(begun, slept);
        let mut before = begun;
        for _ in 0..Self::TURN {
            let Some(run) = self.waiting.pop_front() else {
                return;
            };
            let Some(ex) = state.get(run.at.execution) else {
                continue;
            };
            // It may have been aborted while it waited.
            if !ex.is_live(run.at.addr, run.at.attempt) {
                continue;
            }
            let at = run.at;
            let thread = match run.task.blocking() {
                false => None,
                true => match self.blocking.thread() {
                    Some(thread) => Some(thread),
                    None => {
                        self.blocked.push_back(run);
                        continue;
                    }
                },
            };
            let resources = self.resources.clone();
            let shared = self.parts_of(at.execution, || parts(world, ex, epoch, &resources));
            let over = thread.as_ref().map(Thread::over);
            let scope = self.scope_of(ex, at.addr.frame);
            let cx = TaskContext::new(shared, scope, at.addr, at.attempt, run.deadline, over);
            if run.task.is_dynamic() {
                let span = spans.attempt(ex, at);
                let asked = expand(run.task, cx, run.inputs).instrument(span.clone());
                self.expand(at, thread, Box::pin(asked), span);
                continue;
            }
            let tag = run.task.typetag_name();
            let mut work = work(run.task, cx, run.inputs);
            let span = spans.attempt(ex, at);
            if !span.is_none() {
                work = Box::pin(noted(work, span.clone()).instrument(span));
            }
            if let Some(thread) = thread {
                self.block(at, thread, work);
                continue;
            }
            let pace = self.paces.of(tag);
            if !pace.is_inline() {
                self.spawn(at, work, Some(pace));
                if !self.may_turn() {
                    return;
                }
                continue;
            }
            if let Some(result) = self.poll(at, work) {
                done.push(Input::Ended { at, result });
            }
            let now = Instant::now();
            self.paces.inline(tag, &pace, before, now);
            before = now;
            if now - begun > Self::TURN_TIME {
                return;
            }
        }
    }

    /// The first poll; what is not ready goes on on the host's runtime.
    fn poll(&mut self, at: AttemptRef, mut work: Work) -> Option<Result<Row, TaskFailure>> {
        // The waker need not wake: the runtime polls once more, with its own.
        let mut cx = Context::from_waker(Waker::noop());
        match work.as_mut().poll(&mut cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => {
                self.spawn(at, work, None);
                None
            }
        }
    }

    fn spawn(&mut self, at: AttemptRef, work: Work, pace: Option<Arc<Pace>>) {
        let send = self.send.clone();
        let unpolled = Unpolled::new(&self.unpolled);
        let work = async move {
            drop(unpolled);
            let result = match pace {
                Some(pace) => measured(work, &pace).await,
                None => work.await,
            };
            // A driver that is gone needs no answer.
            let _gone = send.send(Message::Input(Input::Ended { at, result }));
        };
        let task = self.host.spawn(work);
        let running = Running::Future(task.abort_handle());
        self.running.insert(at, running);
    }

    /// Gives a blocking function a thread of the host's runtime.
    fn block(&mut self, at: AttemptRef, mut thread: Thread, work: Work) {
        let (send, host) = (self.send.clone(), self.host.clone());
        let held = thread.hold();
        self.running.insert(at, Running::Function(thread));
        self.host.spawn_blocking(move || {
            let result = host.block_on(work);
            drop(held);
            // A driver that is gone, or has another lease, wants no answer.
            let _gone = send.send(Message::Input(Input::Ended { at, result }));
        });
    }

    /// Asks a dynamic task, never on the driver's thread: it makes a plan.
    fn expand(&mut self, at: AttemptRef, thread: Option<Thread>, asked: Asked, span: Span) {
        let (send, plans) = (self.send.clone(), self.plans.clone());
        let answer = move |asked| async move {
            let input = match asked {
                Ok(Expansion::Values(row)) => {
                    let result = Ok(row);
                    Input::Ended { at, result }
                }
                Ok(Expansion::Plan(plan)) => {
                    let result = plans.expansion(&plan).await;
                    Input::Expanded { at, result }
                }
                Err(e) => {
                    let result = Err(e);
                    Input::Ended { at, result }
                }
            };
            match &input {
                Input::Ended { result: Err(f), .. } => Spans::failed(&span, &f.error),
                Input::Expanded { result: Err(e), .. } => Spans::failed(&span, e),
                _ => {}
            }
            // A driver that is gone needs no answer.
            let _gone = send.send(Message::Input(input));
        };
        let running = match thread {
            None => {
                let task = self.host.spawn(async move { answer(asked.await).await });
                Running::Future(task.abort_handle())
            }
            Some(mut thread) => {
                let (held, host) = (thread.hold(), self.host.clone());
                self.host.spawn_blocking(move || {
                    let asked = host.block_on(asked);
                    drop(held);
                    // The store is not asked from here: its client may live on the runtime.
                    host.spawn(answer(asked));
                });
                Running::Function(thread)
            }
        };
        self.running.insert(at, running);
    }

    /// Neighbours are mostly in one frame.
    fn scope_of(&mut self, ex: &Execution, frame: FrameIx) -> Arc<TaskScope> {
        if let Some((number, last, scope)) = &self.last_scope
            && (*number, *last) == (ex.number, frame)
        {
            return scope.clone();
        }
        let scope = Arc::new(ex.scope(frame));
        self.last_scope = Some((ex.number, frame, scope.clone()));
        scope
    }

    fn parts_of(
        &mut self,
        execution: u64,
        make: impl FnOnce() -> Arc<TaskContextParts>,
    ) -> Arc<TaskContextParts> {
        if let Some((last, parts)) = &self.last
            && *last == execution
        {
            return parts.clone();
        }
        let parts = self.parts.entry(execution).or_insert_with(make).clone();
        self.last = Some((execution, parts.clone()));
        parts
    }
}

impl Running {
    fn cancel(self) {
        match self {
            Self::Future(task) => task.abort(),
            Self::Function(thread) => thread.give_up(),
        }
    }
}

/// A task in the host's queue: counted until its first poll, or until it is aborted before.
struct Unpolled(Arc<AtomicUsize>);

impl Unpolled {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Unpolled {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The task with its panics caught.
fn work(task: Arc<dyn Task>, cx: TaskContext, inputs: Row) -> Work {
    Box::pin(async move {
        let run = AssertUnwindSafe(tokio::task::unconstrained(task.run(&cx, inputs)));
        match run.catch_unwind().await {
            Ok(result) => result.map_err(|e| failure(&e)),
            Err(panic) => Err(panicked(panic.as_ref())),
        }
    })
}

/// Tells the span if the attempt fails.
async fn noted(work: Work, span: Span) -> Result<Row, TaskFailure> {
    let result = work.await;
    if let Err(failure) = &result {
        Spans::failed(&span, &failure.error);
    }
    result
}

/// What a dynamic task answers, with its panics caught.
async fn expand(
    task: Arc<dyn Task>,
    cx: TaskContext,
    inputs: Row,
) -> Result<Expansion, TaskFailure> {
    let asked = AssertUnwindSafe(async { task.expand(&cx, inputs).await });
    match asked.catch_unwind().await {
        Ok(answer) => answer.map_err(|e| failure(&e)),
        Err(panic) => Err(panicked(panic.as_ref())),
    }
}

/// Measures the first poll.
async fn measured<T>(mut work: Pin<Box<dyn Future<Output = T> + Send>>, pace: &Pace) -> T {
    let mut first = true;
    std::future::poll_fn(move |cx| {
        if !std::mem::take(&mut first) {
            return work.as_mut().poll(cx);
        }
        let begun = Instant::now();
        let polled = work.as_mut().poll(cx);
        pace.saw(begun.elapsed());
        polled
    })
    .await
}

pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> TaskFailure {
    let text = said(panic).unwrap_or_else(|| "the task panicked".into());
    let error = ExecutionError::new(ErrorOrigin::User, "USER:Panic", text);
    TaskFailure::recoverable(error)
}

pub(crate) fn failure(e: &TaskError) -> TaskFailure {
    TaskFailure {
        error: Box::new(ExecutionError::new(e.origin(), e.code(), e.message())),
        advice: match (e.is_recoverable(), e.is_fatal()) {
            (true, _) => Advice::Recoverable,
            (_, true) => Advice::Fatal,
            _ => Advice::Plain,
        },
        retry_after: e.delay(),
    }
}
