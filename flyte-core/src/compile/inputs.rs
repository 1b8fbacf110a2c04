use std::collections::BTreeMap;

use super::error::Report;
use super::{CompileErrorCode as Code, CompileErrors};
use crate::id::Str;
use crate::limits::LITERAL_DEPTH_MAX;
use crate::literal::{Literal, Row, castable, infer};
use crate::plan::Graph;
use crate::template::START_NODE_ID;

/// Checks the inputs of an execution against a graph's interface and puts them into its order.
///
/// Every input must be given, also an optional one: defaults are filled in before.
///
/// # Errors
/// All that is missing, unknown or of another type.
pub fn check_inputs(graph: &Graph, given: &BTreeMap<Str, Literal>) -> Result<Row, CompileErrors> {
    let mut errors = Vec::new();
    if given.is_empty() && !graph.input_names.is_empty() {
        let names: Vec<_> = graph.input_names.iter().map(|n| &**n).collect();
        let text = format!("a value is required for [inputs]: {}", names.join(", "));
        errors.report(Code::ValueRequired, START_NODE_ID, text);
    }
    for name in given
        .keys()
        .filter(|k| graph.input_names.position(k).is_none())
    {
        let known: Vec<_> = graph.input_names.iter().map(|n| &**n).collect();
        let text = format!(
            "there is no input `{name}`; there are [{}]",
            known.join(", ")
        );
        errors.report(Code::VariableNameNotFound, START_NODE_ID, text);
    }
    let mut values = Vec::new();
    for (name, want) in graph.input_names.iter().zip(&graph.input_types) {
        let Some(value) = given.get(name) else {
            if !given.is_empty() {
                let text = format!("input `{name}` of type `{want}` has no value");
                errors.report(Code::ParameterNotBound, START_NODE_ID, text);
            }
            continue;
        };
        if value.depth() > LITERAL_DEPTH_MAX {
            let text = format!("input `{name}` is nested more than {LITERAL_DEPTH_MAX} deep");
            errors.report(Code::InvalidLiteralType, START_NODE_ID, text);
            continue;
        }
        match infer(value) {
            Err(e) => {
                let text = format!("input `{name}`: {e}");
                errors.report(Code::InvalidLiteralType, START_NODE_ID, text);
            }
            Ok(t) if !castable(&t, want) => {
                let text = format!("input `{name}` expects `{want}`, given `{t}`");
                errors.report(Code::MismatchingTypes, START_NODE_ID, text);
            }
            Ok(_) => values.push(value.clone()),
        }
    }
    CompileErrors::none_of(errors)?;
    Ok(Row::new(graph.input_names.clone(), values).expect("invariant: each input was given"))
}
