//! Values that are stored out of band: what is written where a task gave more than a record should
//! hold, and what is read where the engine, a task or a job must see it.
//!
//! What the engine decides by is recorded ([`Change::ValueRead`]). What a task or a job is given is
//! read for each attempt: it has the digest that was recorded, or the attempt fails.

use std::sync::Arc;

use flyte_core::id::{Digest, FrameIx, NodeAddr, Str};
use flyte_core::journal::{Change, ErrorOrigin, ExecutionError, OutputValues, WorkflowPhase};
use flyte_core::limits::{OFFLOAD_BYTES_MAX, VALUES_BYTES_MAX};
use flyte_core::literal::{Literal, LiteralType, Offloaded, Row, TypeKind};
use flyte_core::template::PathStep;

use super::finish::{too_large, weight};
use super::resolve::{ResolveError, inputs_of};
use super::{
    Agenda, AttemptRef, Effect, Engine, Execution, Frame, NodeState, TaskFailure, TaskKind,
};

/// The code of values out of band that an attempt or the engine cannot read (Flyte's, which has it
/// for the inputs of an execution).
pub const READ_FAILURE: &str = "OffloadedInputsReadFailure";
/// The code of outputs that cannot be stored out of band; Flyte has none.
pub const STORE_FAILURE: &str = "OutputsOffloadFailure";

/// A part of a value that is out of band.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wanted {
    /// Where the value is.
    pub uri: Str,
    /// The way into it; `None` for all of it as it is.
    pub path: Option<Vec<PathStep>>,
}

/// For which frame a part of a value is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadRef {
    /// The execution's number.
    pub execution: u64,
    /// The frame.
    pub frame: FrameIx,
    /// What.
    pub wanted: Wanted,
}

/// What was not read yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Unseen {
    /// Which part.
    pub wanted: Wanted,
    /// Of what.
    pub offloaded: Arc<Offloaded>,
}

impl Eq for Unseen {}

impl std::ops::Deref for Unseen {
    type Target = Wanted;

    fn deref(&self) -> &Wanted {
        &self.wanted
    }
}

/// An attempt whose inputs are being read.
#[derive(Debug)]
pub(super) struct Loading {
    attempt: u32,
    /// Whether a job of it may run already.
    lookup: bool,
    /// Why its inputs cannot be read, if it is looked for all the same.
    failed: Option<ExecutionError>,
}

impl Frame {
    /// What was read of a value for this frame.
    pub(super) fn read(
        &self,
        offloaded: &Arc<Offloaded>,
        path: Option<Vec<PathStep>>,
    ) -> Result<Literal, Box<Unseen>> {
        let uri = offloaded.uri.clone();
        let wanted = Wanted { uri, path };
        self.reads.get(&wanted).cloned().ok_or_else(|| {
            let offloaded = offloaded.clone();
            Box::new(Unseen { wanted, offloaded })
        })
    }

    /// The whole of a value that is out of band, if it was read for this frame.
    pub(super) fn seen(&self, value: &Literal) -> Option<&Literal> {
        let Literal::Offloaded(o) = value.value() else {
            return None;
        };
        let uri = o.uri.clone();
        self.reads.get(&Wanted { uri, path: None })
    }

    /// Inputs with the whole of those that are out of band and that `which` is true of.
    pub(super) fn seen_row(
        &self,
        row: &Row,
        which: impl Fn(usize, &Offloaded) -> bool,
    ) -> Result<Row, Box<Unseen>> {
        let values = row
            .values()
            .iter()
            .enumerate()
            .map(|(i, v)| match v.value() {
                Literal::Offloaded(o) if which(i, o) => self.read(o, None),
                _ => Ok(v.clone()),
            });
        let values: Vec<Literal> = values.collect::<Result<_, _>>()?;
        Ok(Row::new(row.names().clone(), values).expect("invariant: as many as before"))
    }
}

/// Whether a value out of band may be a list that an array splits.
pub(super) fn may_be_list(o: &Offloaded) -> bool {
    let list = |t: &LiteralType| matches!(t.kind, TypeKind::Collection(_));
    o.inferred_type.as_ref().is_none_or(list)
}

/// What the name of the folder begins with that the file of a value is in; the digest in
/// hexadecimal follows.
pub const VALUE_FOLDER: &str = "blake3-";

/// The digest that the file of a value has by its name.
#[must_use]
pub fn value_digest(uri: &str) -> Option<Digest> {
    let folder = uri.rsplit('/').nth(1)?;
    Digest::from_hex(folder.strip_prefix(VALUE_FOLDER)?)
}

/// Whether a value is out of band in a file that does not name its digest: the task's SDK stored it
/// (flytekit does, with `_F_L_MIN_SIZE_MB`).
#[must_use]
pub fn is_foreign(value: &Literal) -> bool {
    matches!(value.value(), Literal::Offloaded(o) if value_digest(&o.uri).is_none())
}

/// Whether a value is inline and larger than a bound.
#[must_use]
pub fn is_heavy(value: &Literal, above: u64) -> bool {
    !matches!(value.value(), Literal::Offloaded(_)) && value.weight() > above
}

impl Engine {
    /// Asks for a part of a value; `then` is looked at again once it is there.
    pub(super) fn want(&mut self, number: u64, frame: FrameIx, unread: Unseen, then: Agenda) {
        let read = ReadRef {
            execution: number,
            frame,
            wanted: unread.wanted,
        };
        if let Some(waiting) = self.reading.get_mut(&read) {
            if !waiting.contains(&then) {
                waiting.push(then);
            }
            return;
        }
        let ex = self.open_execution(number);
        let prefix = format!("{}/{}/read", self.config.metadata_prefix, ex.folder());
        self.reading.insert(read.clone(), vec![then]);
        self.effects.push(Effect::ReadValue {
            read,
            offloaded: unread.offloaded,
            prefix,
            above: self.config.offload_above,
        });
    }

    pub(super) fn value_read(&mut self, read: ReadRef, result: Result<Literal, ExecutionError>) {
        let Some(waiting) = self.reading.remove(&read) else {
            return;
        };
        let (number, ix) = (read.execution, read.frame);
        let Some(ex) = self.state.get(number) else {
            return;
        };
        let frame = ex.frame(ix);
        if frame.closed || frame.ending {
            return;
        }
        let result = result.and_then(|value| match value.weight() {
            bytes if bytes > VALUES_BYTES_MAX => Err(too_large_to_see(bytes)),
            _ => Ok(value),
        });
        match result {
            Ok(value) => {
                let Wanted { uri, path } = read.wanted;
                let frame = ix;
                let read = Change::ValueRead {
                    frame,
                    uri,
                    path,
                    value,
                };
                self.emit(number, read);
                let waiting = waiting.into_iter().map(|a| (number, a));
                self.agenda.extend(waiting);
            }
            Err(error) => waiting
                .into_iter()
                .for_each(|a| self.not_read(number, a, &error)),
        }
    }

    /// What waits for a value that cannot be read fails.
    fn not_read(&mut self, number: u64, waits: Agenda, error: &ExecutionError) {
        let Some(ex) = self.state.get(number) else {
            return;
        };
        match waits {
            Agenda::Ready(addr) => {
                let waits = matches!(ex.node(addr), NodeState::Ready | NodeState::Backoff);
                // One that may not begin now asks again when it may.
                if waits && ex.may_begin(addr) {
                    self.node_ends(number, addr, error.clone());
                }
            }
            Agenda::FrameDone(ix) => match ex.frame(ix).parent {
                Some(parent) if ex.node(parent) == NodeState::Open => {
                    self.node_ends(number, parent, error.clone());
                }
                None if ex.phase == WorkflowPhase::Running => {
                    let (error, node) = (Box::new(error.clone()), None);
                    self.emit(number, Change::Failing { error, node });
                }
                _ => {}
            },
            other => unreachable!("invariant: {other:?} does not wait for a value"),
        }
    }

    /// The inputs of a node, if they are there; otherwise they are read first, or the node fails.
    pub(super) fn inputs(&mut self, number: u64, addr: NodeAddr) -> Option<Row> {
        match inputs_of(self.open_execution(number), addr) {
            Ok(row) => Some(row),
            Err((_, ResolveError::Unseen(unread))) => {
                self.want(number, addr.frame, *unread, Agenda::Ready(addr));
                None
            }
            Err((input, e)) => {
                self.unbound(number, addr, &input, &e.to_string());
                None
            }
        }
    }

    /// The same inputs with the whole of those that are out of band and that `which` is true of.
    pub(super) fn seen_inputs(
        &mut self,
        number: u64,
        addr: NodeAddr,
        row: &Row,
        which: impl Fn(usize, &Offloaded) -> bool,
    ) -> Option<Row> {
        let frame = self.open_execution(number).frame(addr.frame);
        match frame.seen_row(row, which) {
            Ok(seen) => Some(seen),
            Err(unread) => {
                self.want(number, addr.frame, *unread, Agenda::Ready(addr));
                None
            }
        }
    }

    /// An attempt that is recorded as begun begins, with inputs that are all inline.
    pub(super) fn begin(&mut self, at: AttemptRef, inputs: Row, lookup: bool) {
        let (number, addr) = (at.execution, at.addr);
        if inputs.has_offloaded() {
            let loading = Loading {
                attempt: at.attempt,
                lookup,
                failed: None,
            };
            self.loading.insert((number, addr), loading);
            return self.effects.push(Effect::ReadInputs { at, inputs });
        }
        let deadline = self.set_deadlines(at);
        let ex = self.open_execution(number);
        let effect = match ex.kind(addr).expect("invariant: a task node") {
            TaskKind::InProcess(task) => Effect::Run {
                at,
                task: Arc::clone(task),
                inputs,
                deadline,
            },
            TaskKind::Plugin(plugin) => Effect::Launch {
                at,
                plugin: *plugin,
                lookup,
                request: Box::new(self.request(ex, at, inputs, deadline)),
            },
            TaskKind::Unknown(_) | TaskKind::NoPlugin(_) | TaskKind::Changed(_) => {
                unreachable!("invariant: parked before it starts")
            }
        };
        self.effects.push(effect);
    }

    pub(super) fn inputs_read(&mut self, at: AttemptRef, result: Result<Row, ExecutionError>) {
        let slot = (at.execution, at.addr);
        let Some(loading) = self.loading.get(&slot) else {
            return;
        };
        if loading.attempt != at.attempt {
            return;
        }
        let loading = self
            .loading
            .remove(&slot)
            .expect("invariant: it was just seen");
        let Some(ex) = self.state.get(at.execution) else {
            return;
        };
        if !ex.is_live(at.addr, at.attempt) {
            return;
        }
        let ending = ex.frame(at.addr.frame).ending;
        let lookup = loading.lookup;
        match result {
            // A job that was launched before a crash has its inputs.
            Err(error) if lookup => {
                let failed = Some(error);
                self.loading.insert(slot, Loading { failed, ..loading });
                self.look_for_job(at);
            }
            _ if ending && lookup => self.look_for_job(at),
            _ if ending => self.aborted_before_launch(at),
            Ok(inputs) => self.begin(at, inputs, lookup),
            Err(error) => self.attempt_failed(at, TaskFailure::permanent(error)),
        }
    }

    /// Why the inputs of an attempt that has no job could not be read.
    pub(super) fn inputs_unread(&mut self, at: AttemptRef) -> Option<ExecutionError> {
        let slot = (at.execution, at.addr);
        self.loading
            .get(&slot)
            .filter(|l| l.attempt == at.attempt && l.failed.is_some())?;
        self.loading.remove(&slot)?.failed
    }

    /// A node's outputs are known. Those that are too large are stored first, and those that an SDK
    /// stored get files that name their digests.
    pub(super) fn conclude(&mut self, at: AttemptRef, outputs: OutputValues) {
        let slot = (at.execution, at.addr);
        if self.storing.get(&slot) == Some(&at.attempt) {
            return;
        }
        let above = self.config.offload_above;
        let moves = |v: &Literal| is_foreign(v) || above.is_some_and(|above| is_heavy(v, above));
        if outputs.iter().flatten().any(moves) {
            let most = outputs.iter().flatten().map(Literal::weight).max();
            if let Some(most) = most.filter(|bytes| *bytes > OFFLOAD_BYTES_MAX) {
                let text = format!(
                    "an output has about {most} bytes, the limit is {OFFLOAD_BYTES_MAX}; hand \
                     larger values over as files"
                );
                let error = ExecutionError::new(ErrorOrigin::Unknown, "OutputSizeExceeded", text);
                return self.not_concluded(at, error);
            }
            let ex = self.open_execution(at.execution);
            let names = ex.frame(at.addr.frame).output_names(at.addr.node.0).clone();
            let prefix = self.output_prefix(ex, at);
            self.storing.insert(slot, at.attempt);
            return self.effects.push(Effect::Offload {
                at,
                prefix,
                above,
                names,
                outputs,
            });
        }
        match weight(&outputs) {
            bytes if bytes > VALUES_BYTES_MAX => {
                self.not_concluded(at, too_large("the outputs together", bytes));
            }
            _ => self.succeed(at, outputs),
        }
    }

    pub(super) fn offloaded(
        &mut self,
        at: AttemptRef,
        result: Result<OutputValues, ExecutionError>,
    ) {
        let slot = (at.execution, at.addr);
        if self.storing.get(&slot) != Some(&at.attempt) {
            return;
        }
        self.storing.remove(&slot);
        if !self
            .state
            .get(at.execution)
            .is_some_and(|ex| ex.concludes(at))
        {
            return;
        }
        match result {
            Ok(outputs) => match weight(&outputs) {
                bytes if bytes > VALUES_BYTES_MAX => {
                    self.not_concluded(at, too_large("the outputs together", bytes));
                }
                _ => self.succeed(at, outputs),
            },
            Err(error) => self.not_concluded(at, error),
        }
    }

    fn not_concluded(&mut self, at: AttemptRef, error: ExecutionError) {
        match self.open_execution(at.execution).node(at.addr) {
            NodeState::Open => self.node_ends(at.execution, at.addr, error),
            _ => self.attempt_failed(at, TaskFailure::permanent(error)),
        }
    }

    /// What of a node's values is being read or stored.
    pub(super) fn moves(&self, ex: &Execution, addr: NodeAddr) -> Option<Moving> {
        let slot = (ex.number, addr);
        if self.storing.contains_key(&slot) {
            return Some(Moving::Stores);
        }
        if self.loading.contains_key(&slot) {
            let inputs = inputs_of(ex, addr).ok();
            let away = inputs.and_then(|row| row.values().iter().find_map(first_away));
            return away.map(Moving::Reads);
        }
        let inner = ex.children.get(&addr);
        let its = |a: &Agenda| match a {
            Agenda::Ready(a) => *a == addr,
            Agenda::FrameDone(f) => Some(f) == inner,
            _ => false,
        };
        let mut all = self
            .reading
            .iter()
            .filter(|(r, _)| r.execution == ex.number);
        let found = all.find(|(_, waiting)| waiting.iter().any(its));
        found.map(|(read, _)| Moving::Reads(read.wanted.uri.clone()))
    }
}

/// What happens to a node's values.
#[derive(Debug)]
pub(super) enum Moving {
    /// The value at this uri is read.
    Reads(Str),
    /// They are stored.
    Stores,
}

impl Execution {
    /// Whether an attempt may still end well.
    fn concludes(&self, at: AttemptRef) -> bool {
        if self.is_live(at.addr, at.attempt) {
            return !self.frame(at.addr.frame).ending || !self.is_plugin(at.addr);
        }
        let Some(inner) = self.children.get(&at.addr) else {
            return false;
        };
        // Its frame is over and is not being ended.
        let inner = self.frame(*inner);
        self.attempt(at.addr) == at.attempt && inner.is_over() && !inner.ending
    }
}

/// A value that no record holds, though the engine must see it.
fn too_large_to_see(bytes: u64) -> ExecutionError {
    let text = format!(
        "a list to be split, or a value to be compared, has about {bytes} bytes, the limit is \
         {VALUES_BYTES_MAX}; make the list shorter, or its items files"
    );
    ExecutionError::new(ErrorOrigin::Unknown, "InputSizeExceeded", text)
}

fn first_away(value: &Literal) -> Option<Str> {
    match value.value() {
        Literal::Offloaded(o) => Some(o.uri.clone()),
        Literal::Collection(items) => items.iter().find_map(first_away),
        Literal::Map(entries) => entries.values().find_map(first_away),
        Literal::Union(u) => first_away(&u.value),
        _ => None,
    }
}
