use std::fmt::Write;
use std::sync::Arc;

use flyte_core::id::{FrameIx, NodeAddr};
use flyte_core::journal::{ErrorOrigin, ExecutionError, OutputValues};
use flyte_core::literal::{Literal, Offloaded, Row};
use flyte_core::plan::{ArrayPlan, Target};
use flyte_core::template::SuccessCriteria;

use super::state::Items;
use super::values::may_be_list;
use super::{Agenda, Engine, Execution, NodeState};

/// Items of an array that were told to begin. Not durable: it is made anew after a crash.
#[derive(Debug, Default)]
pub(super) struct Issued {
    /// The first item that was not told yet.
    next: u32,
    /// Items that were told and wait for a slot or for the cache.
    waiting: Vec<u32>,
}

/// How many items an array node has: the length of every list that is split.
///
/// # Errors
/// `InvalidArrayLength` if the lists differ, or if there is none.
pub fn array_size(array: &ArrayPlan, inputs: &Row) -> Result<u32, ExecutionError> {
    let mut size: Option<(usize, &str)> = None;
    for &i in &array.split {
        let (name, value) = inputs
            .iter()
            .nth(i as usize)
            .expect("invariant: a binding is split");
        let Literal::Collection(items) = value.value() else {
            continue;
        };
        match size {
            Some((n, other)) if n != items.len() => {
                return Err(invalid_length(format!(
                    "`{other}` has {n} items and `{name}` has {}",
                    items.len()
                )));
            }
            _ => size = Some((items.len(), name)),
        }
    }
    match size {
        Some((n, name)) => u32::try_from(n)
            .map_err(|_| invalid_length(format!("`{name}` has {n} items, which is too many"))),
        None if array.split.is_empty() && !inputs.is_empty() => Ok(1),
        None => Err(invalid_length("no input array provided".into())),
    }
}

fn invalid_length(text: String) -> ExecutionError {
    ExecutionError::new(ErrorOrigin::User, "InvalidArrayLength", text)
}

/// How many of `size` items must succeed.
#[must_use]
pub fn successes_wanted(success: Option<SuccessCriteria>, size: u32) -> u32 {
    match success {
        None => size,
        Some(SuccessCriteria::MinSuccesses(n)) => n,
        Some(SuccessCriteria::MinSuccessRatio(r)) => {
            // The decimal that was written: 0.1 of 10 is 1, though the float is a little more.
            let ratio: f64 = r.to_string().parse().unwrap_or(1.0);
            (ratio * f64::from(size)).ceil().clamp(0.0, f64::from(size)) as u32
        }
    }
}

/// What failed items said, neighbours with the same words together: `[0-2]: words`.
fn summary(items: &Items) -> String {
    let mut messages: Vec<&(u32, _)> = items.messages.iter().collect();
    messages.sort();
    let mut groups: Vec<(u32, u32, &str)> = Vec::new();
    for (item, message) in messages {
        match groups.last_mut() {
            Some((_, end, text)) if *end + 1 == *item && *text == &**message => *end = *item,
            _ => groups.push((*item, *item, message)),
        }
    }
    let mut out = String::new();
    for (begin, end, text) in groups {
        let _infallible = match begin == end {
            true => writeln!(out, "[{begin}]: {text}"),
            false => writeln!(out, "[{begin}-{end}]: {text}"),
        };
    }
    let rest = items.failed as usize - items.messages.len();
    if rest > 0 {
        let _infallible = writeln!(out, "and {rest} more");
    }
    out.truncate(out.trim_end().len());
    out
}

impl Execution {
    fn array(&self, addr: NodeAddr) -> Option<&ArrayPlan> {
        let frame = self.frame(addr.frame);
        match frame.target(addr.node.0) {
            Target::Array(a) => Some(&frame.loaded.plan.arrays[a as usize]),
            _ => None,
        }
    }

    pub(super) fn failures_allowed(&self, addr: NodeAddr, size: u32) -> u32 {
        let success = self.array(addr).and_then(|a| a.template.success);
        size.saturating_sub(successes_wanted(success, size))
    }
}

impl Engine {
    /// Opens the frame of an array node's items.
    pub(super) fn open_items(&mut self, number: u64, addr: NodeAddr) {
        let ex = self.open_execution(number);
        let array = ex.array(addr).expect("invariant: an array node");
        let (split, success, item) = (&array.split, array.template.success, array.item);
        let split = split.clone();
        let Some(inputs) = self.inputs(number, addr) else {
            return;
        };
        let list = |i, o: &Offloaded| split.contains(&(i as u32)) && may_be_list(o);
        let Some(seen) = self.seen_inputs(number, addr, &inputs, list) else {
            return;
        };
        let array = self.open_execution(number).array(addr);
        let array = array.expect("invariant: an array node");
        let size = match array_size(array, &seen) {
            Ok(n) => n,
            Err(error) => return self.node_ends(number, addr, error),
        };
        let wanted = successes_wanted(success, size);
        if wanted > size {
            let text = format!("{wanted} items must succeed, and there are {size}");
            let error = ExecutionError::new(ErrorOrigin::User, "ArrayNodeFailing", text);
            return self.node_ends(number, addr, error);
        }
        let inputs = inputs.into_values().into_iter().map(Some).collect();
        self.open_frame_of(number, addr, item, Some(size), inputs);
    }

    /// Begins items of an array, in order, while its parallelism leaves room.
    pub(super) fn start_items(&mut self, number: u64, ix: FrameIx) {
        let mut issued = self.issued.remove(&(number, ix)).unwrap_or_default();
        let ex = self.open_execution(number);
        let frame = ex.frame(ix);
        if frame.is_over() {
            return self.frame_done(number, ix);
        }
        if !ex.may_start(ix) {
            return;
        }
        let parent = frame.parent.expect("invariant: items have a node");
        let array = ex.array(parent).expect("invariant: items are an array's");
        let bound = array.template.parallelism.unwrap_or(0);
        let ready = |n: u32| frame.nodes[n as usize] == NodeState::Ready;
        let mut room = u32::MAX;
        let mut begin = Vec::new();
        if bound > 0 {
            issued.waiting.retain(|n| ready(*n));
            room = bound.saturating_sub(frame.active + issued.waiting.len() as u32);
        }
        while room > 0 && (issued.next as usize) < frame.nodes.len() {
            let item = issued.next;
            issued.next += 1;
            if ready(item) {
                begin.push(NodeAddr::new(ix.0, item));
                room -= 1;
                if bound > 0 {
                    issued.waiting.push(item);
                }
            }
        }
        self.issued.insert((number, ix), issued);
        let begin = begin.into_iter().map(|addr| (number, Agenda::Ready(addr)));
        self.agenda.extend(begin);
    }

    /// The outputs of an array node: a list for each output, with nothing in the places of items
    /// that did not succeed.
    ///
    /// # Errors
    /// The summary of what failed, if too many did.
    pub(super) fn items_outputs(
        &self,
        number: u64,
        ix: FrameIx,
    ) -> Result<OutputValues, ExecutionError> {
        let ex = self.open_execution(number);
        let frame = ex.frame(ix);
        let items = frame.items.as_ref().expect("invariant: a frame of items");
        if items.failed > items.failed_max {
            // Flyte leaves the code empty; its own name for a failing array helps more.
            let (origin, code) = (ErrorOrigin::Unknown, "ArrayNodeFailing");
            return Err(ExecutionError::new(origin, code, summary(items)));
        }
        let parent = frame.parent.expect("invariant: items have a node");
        let wanted = ex.frame(parent.frame).output_names(parent.node.0);
        let given = frame.output_names(0);
        let list = |name| {
            let place = given.iter().position(|g| *g == name)?;
            let width = given.len();
            let values = (0..frame.nodes.len()).map(|i| match frame.nodes[i] {
                NodeState::Succeeded => frame.outputs[i * width + place].clone(),
                _ => Some(Literal::None),
            });
            let values: Option<Vec<Literal>> = values.collect();
            Some(Literal::Collection(Arc::new(values?)))
        };
        Ok(wanted.iter().map(|n| list(n.clone())).collect())
    }
}
