//! Nodes that wait: for a time, a value, or a yes.

use super::builder::{Kind, NodeDraft, WorkflowBuilder};
use super::call::CallOptions;
use super::input::Wire;
use super::{IntoTimeout, LiteralValue, Output, Place};
use crate::compile::CompileErrorCode as Code;
use crate::id::Str;
use crate::literal::{LiteralType, SignedDuration};
use crate::template::GateCondition;

impl WorkflowBuilder {
    /// Adds a node that lasts this long. Give it to [`WorkflowBuilder::after`].
    #[track_caller]
    pub fn sleep(&mut self, duration: impl IntoTimeout) -> Output<()> {
        let place = Place::here();
        let duration = match duration.into_timeout() {
            Ok(d) => Some(d),
            Err(e) => {
                self.wrong(Code::InvalidValue, place, e);
                None
            }
        };
        let gate = GateCondition::Sleep { duration };
        let node = self.add_gate(gate, Vec::new(), None, Vec::new(), place);
        self.handles::<()>(node)
    }

    /// Adds a node that waits for a value of this name to be sent to the execution, for at most
    /// `timeout`.
    #[track_caller]
    pub fn signal<T: LiteralValue>(
        &mut self,
        id: impl Into<Str>,
        timeout: impl IntoTimeout,
    ) -> Output<T> {
        let gate = GateCondition::Signal {
            signal_id: id.into(),
            literal_type: Some(T::literal_type()),
            output_variable_name: "o0".into(),
        };
        let outputs = vec![("o0".into(), T::literal_type())];
        let timeout = Some(timeout.into_timeout());
        let node = self.add_gate(gate, Vec::new(), timeout, outputs, Place::here());
        self.handles::<T>(node)
    }

    /// Adds a node that gives `value` when it is approved by a signal of this name, and fails when
    /// it is rejected, or after `timeout`.
    #[track_caller]
    pub fn approve<T: LiteralValue>(
        &mut self,
        value: Output<T>,
        id: impl Into<Str>,
        timeout: impl IntoTimeout,
    ) -> Output<T> {
        let gate = GateCondition::Approve {
            signal_id: id.into(),
        };
        let outputs = vec![("o0".into(), T::literal_type())];
        let inputs = vec![("o0".into(), Wire::Value(value.origin()))];
        let timeout = Some(timeout.into_timeout());
        let node = self.add_gate(gate, inputs, timeout, outputs, Place::here());
        self.handles::<T>(node)
    }

    fn add_gate(
        &mut self,
        gate: GateCondition,
        inputs: Vec<(Str, Wire)>,
        timeout: Option<Result<SignedDuration, String>>,
        outputs: Vec<(Str, LiteralType)>,
        place: Place,
    ) -> u32 {
        let mut options = CallOptions::default();
        match timeout.transpose() {
            Ok(t) => options.metadata.timeout = t,
            Err(e) => options.wrong.push(e),
        }
        let draft = NodeDraft {
            scope: self.scope(),
            id: "".into(),
            place,
            options,
            inputs,
            kind: Kind::Gate(gate),
            after: Vec::new(),
            outputs,
        };
        self.add(draft)
    }
}
