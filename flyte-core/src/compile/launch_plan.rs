use std::collections::BTreeMap;

use super::error::Report;
use super::{CompileErrorCode as Code, CompileErrors};
use crate::id::Str;
use crate::literal::{Literal, castable, infer};
use crate::template::{
    LaunchPlanClosure, LaunchPlanSpec, LaunchPlanTemplate, Parameter, ParameterBehavior,
    ParameterMap, START_NODE_ID, WorkflowTemplate,
};

/// Computes what callers of a launch plan must and may give: its defaults and the workflow's
/// unbound inputs, without the fixed ones.
///
/// # Errors
/// A default or fixed value for an input that is not there, or of another type.
pub fn launch_plan_closure(
    spec: &LaunchPlanSpec,
    workflow: &WorkflowTemplate,
) -> Result<LaunchPlanClosure, CompileErrors> {
    let interface = workflow.interface.clone().unwrap_or_default();
    let mut errors = Vec::new();
    let defaults = spec
        .default_inputs
        .iter()
        .filter_map(|(n, p)| match &p.behavior {
            Some(ParameterBehavior::Default(l)) => Some((n, l)),
            _ => None,
        });
    for (name, value) in defaults.chain(&spec.fixed_inputs) {
        match interface
            .inputs
            .get(name)
            .and_then(|v| v.literal_type.as_ref())
        {
            None => {
                let text = format!("`{}` has no input `{name}`", workflow.id.name);
                errors.report(Code::VariableNameNotFound, START_NODE_ID, text);
            }
            Some(want) => {
                if !infer(value).is_ok_and(|t| castable(&t, want)) {
                    let text = format!("the value of `{name}` is no `{want}`");
                    errors.report(Code::MismatchingTypes, START_NODE_ID, text);
                }
            }
        }
    }
    CompileErrors::none_of(errors)?;
    let mut expected = ParameterMap::new();
    for (name, v) in &interface.inputs {
        if spec.fixed_inputs.contains_key(name) {
            continue;
        }
        let behavior = match spec
            .default_inputs
            .get(name)
            .and_then(|p| p.behavior.clone())
        {
            Some(b) => b,
            None => ParameterBehavior::Required(true),
        };
        expected.insert(
            name.clone(),
            Parameter {
                var: Some(v.clone()),
                behavior: Some(behavior),
            },
        );
    }
    Ok(LaunchPlanClosure {
        expected_inputs: Some(expected),
        expected_outputs: Some(interface.outputs),
        ..LaunchPlanClosure::default()
    })
}

/// The inputs of an execution that a launch plan starts: its defaults, then what the caller gives,
/// then its fixed values.
///
/// # Errors
/// `ParameterBoundMoreThanOnce` for a fixed input that the caller gives too.
pub fn launch_plan_inputs(
    lp: &LaunchPlanTemplate,
    given: BTreeMap<Str, Literal>,
) -> Result<BTreeMap<Str, Literal>, CompileErrors> {
    let mut errors = Vec::new();
    for name in given
        .keys()
        .filter(|n| lp.spec.fixed_inputs.contains_key(*n))
    {
        let text = format!(
            "launch plan `{}` fixes input `{name}`; leave it out",
            lp.id.name
        );
        errors.report(Code::ParameterBoundMoreThanOnce, START_NODE_ID, text);
    }
    CompileErrors::none_of(errors)?;
    let mut out: BTreeMap<Str, Literal> = BTreeMap::new();
    for (name, p) in &lp.spec.default_inputs {
        if let Some(ParameterBehavior::Default(l)) = &p.behavior {
            out.insert(name.clone(), l.clone());
        }
    }
    out.extend(given);
    out.extend(lp.spec.fixed_inputs.clone());
    Ok(out)
}
