use std::marker::PhantomData;
use std::sync::Arc;

use super::call::Callee;
use super::task::versioned_task;
use super::{Call, IntoInputs, Place, Values};
use crate::id::Str;
use crate::literal::{LiteralType, castable};
use crate::template::{TaskTemplate, VariableMap};
use crate::{Error, ErrorKind, Result};

/// A task that is known by its template, such as one of flytekit or a container, with the Rust
/// types that its inputs and outputs are held to.
///
/// ```
/// use flyte_core::author::{ForeignTask, LiteralValue, Workflow};
/// use flyte_core::id::{Identifier, ResourceType};
/// use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
///
/// let interface = TypedInterface {
///     inputs: [("seconds".into(), Variable::new(i64::literal_type()))].into(),
///     outputs: [("o0".into(), Variable::new(f64::literal_type()))].into(),
/// };
/// let id = Identifier::new(ResourceType::Task, "lab.measure", "1");
/// let template = TaskTemplate::new(id, "sensor", interface);
/// let measure = ForeignTask::<i64, f64>::new(template, ["seconds"]).unwrap();
///
/// let wf = Workflow::<i64, _>::build("lab", |wf, s| wf.call(measure.call(s))).unwrap();
/// assert_eq!(wf.plan().tasks[0].task_type, "sensor");
/// ```
#[derive(Debug)]
pub struct ForeignTask<In, Out> {
    template: Arc<TaskTemplate>,
    inputs: Vec<Str>,
    types: PhantomData<fn(In) -> Out>,
}

impl<In: Values, Out: Values> ForeignTask<In, Out> {
    /// A task whose inputs are these, in the order of `In`; its outputs are called as those of
    /// `Out` (`o0`, `o1`, …, or the fields of a struct).
    ///
    /// # Errors
    /// `Invalid` if the template has not these inputs and outputs, or others of them must be
    /// given, or a type does not fit.
    pub fn new<const N: usize>(template: TaskTemplate, inputs: [&str; N]) -> Result<Self> {
        let interface = template.interface.clone().unwrap_or_default();
        let name = template.id.as_ref().map_or("", |id| &id.name);
        let invalid = |text: String| {
            let text = format!("task `{name}`: {text}");
            Error::new(ErrorKind::Invalid, "ForeignTask::new", text)
        };
        if inputs.len() != In::NAMES.len() {
            let text = format!("{N} names for {} inputs", In::NAMES.len());
            return Err(invalid(text));
        }
        let given = inputs.iter().copied().zip(In::types());
        fits("input", &interface.inputs, given, castable).map_err(invalid)?;
        for name in interface.inputs.keys() {
            if !inputs.contains(&&**name) {
                return Err(invalid(format!("input `{name}` is not given")));
            }
        }
        let taken = Out::NAMES.iter().copied().zip(Out::types());
        let takes = |rust: &LiteralType, own: &LiteralType| castable(own, rust);
        fits("output", &interface.outputs, taken, takes).map_err(invalid)?;
        Ok(Self {
            template: Arc::new(versioned_task(template)),
            inputs: inputs.iter().map(|n| Str::from(*n)).collect(),
            types: PhantomData,
        })
    }

    /// A call of the task.
    #[track_caller]
    pub fn call(&self, args: impl IntoInputs<In>) -> Call<Out> {
        let wires = args.into_inputs().into_iter().map(|a| a.0);
        let inputs = self.inputs.iter().cloned().zip(wires).collect();
        Call::new(
            Callee::Foreign(self.template.clone()),
            inputs,
            Place::here(),
        )
    }
}

fn fits<'n>(
    what: &str,
    declared: &VariableMap,
    rust: impl Iterator<Item = (&'n str, LiteralType)>,
    fit: impl Fn(&LiteralType, &LiteralType) -> bool,
) -> Result<(), String> {
    for (name, t) in rust {
        let own = declared.get(name).and_then(|v| v.literal_type.as_ref());
        match own {
            None => return Err(format!("there is no {what} `{name}`")),
            Some(own) if !fit(&t, own) => {
                return Err(format!("{what} `{name}` is `{own}`, and in Rust `{t}`"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
