//! Spans of what runs: execution, node, attempt, each inside the one before.
//!
//! Where no subscriber is interested, a span costs a look at one number.

use std::collections::HashMap;

use flyte_core::id::ExecutionId;
use tracing::field::Empty;
use tracing::{Level, Span, info_span};

use crate::engine::{AttemptRef, Effect, Execution, State};

/// The open spans of a shard's executions.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    executions: HashMap<ExecutionId, Span>,
    /// Executions with lower numbers were there before this lease.
    recovered_below: u64,
}

/// The target of all spans.
const TARGET: &str = "flyte";

impl Spans {
    /// The past is loaded.
    pub(crate) fn recovered(&mut self, state: &State) {
        self.recovered_below = state.next_number();
    }

    /// The span of an attempt; of none if nobody is interested.
    pub(crate) fn attempt(&mut self, ex: &Execution, at: AttemptRef) -> Span {
        if !tracing::enabled!(target: TARGET, Level::INFO) {
            return Span::none();
        }
        let recovered = at.execution < self.recovered_below;
        let execution = self.executions.entry(ex.id.clone()).or_insert_with(
            || info_span!(target: TARGET, parent: None, "execution", id = %ex.id, recovered),
        );
        let path = ex.path(at.addr);
        let node = info_span!(target: TARGET, parent: &*execution, "node", path);
        info_span!(
            target: TARGET, parent: &node, "attempt", attempt = at.attempt,
            otel.status_code = Empty, otel.status_description = Empty,
        )
    }

    /// Notes in the span of an attempt that it failed. The names are those that exporters of
    /// spans know.
    pub(crate) fn failed(span: &Span, why: &dyn std::fmt::Display) {
        if !span.is_none() {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", tracing::field::display(why));
        }
    }

    /// The span in which a plugin or the cache is called.
    pub(crate) fn effect(&mut self, state: &State, effect: &Effect) -> Span {
        let at = match effect {
            Effect::Launch { at, .. }
            | Effect::Lookup { at, .. }
            | Effect::Finalize { at, .. }
            | Effect::Fetch { at, .. }
            | Effect::Offload { at, .. }
            | Effect::ReadInputs { at, .. }
            | Effect::CacheGet { at, .. }
            | Effect::CachePut { at, .. } => *at,
            _ => return Span::none(),
        };
        self.attempt_of(state, at)
    }

    /// The span of an attempt, if its execution is open.
    pub(crate) fn attempt_of(&mut self, state: &State, at: AttemptRef) -> Span {
        match state.get(at.execution) {
            Some(ex) => self.attempt(ex, at),
            None => Span::none(),
        }
    }

    /// An execution is over: its span ends with the last attempt inside it.
    pub(crate) fn ended(&mut self, id: &ExecutionId) {
        if !self.executions.is_empty() {
            self.executions.remove(id);
        }
    }
}
