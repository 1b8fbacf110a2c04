//! The files that defaults and constants of a package name.

use flyte_core::literal::{Literal, LiteralType, NewUri, SimpleType, UriAt, map_uris};
use flyte_core::template::{BindingData, Node, NodeTarget, Otherwise, ParameterBehavior};

use super::is_made;
use crate::fail::Result;
use crate::package::Package;

/// Shows `change` each uri of a package, which may replace it.
pub(super) fn map(
    package: &mut Package,
    change: &mut impl FnMut(UriAt<'_>) -> Result<Option<NewUri>>,
) -> Result<()> {
    for plan in &mut package.launch_plans {
        for parameter in plan.spec.default_inputs.values_mut() {
            let var = parameter.var.as_ref();
            let t = var.and_then(|v| v.literal_type.clone());
            if let Some(ParameterBehavior::Default(value)) = &mut parameter.behavior {
                let t = t.unwrap_or_else(no_documents);
                *value = map_uris(value, Some(&t), change)?;
            }
        }
        for value in plan.spec.fixed_inputs.values_mut() {
            constant(value, change)?;
        }
    }
    for workflow in &mut package.workflows {
        let failure = workflow.failure_node.as_deref_mut();
        for n in workflow.nodes.iter_mut().chain(failure) {
            node(n, change)?;
        }
        for output in &mut workflow.outputs {
            output
                .binding
                .iter_mut()
                .try_for_each(|b| binding(b, change))?;
        }
    }
    Ok(())
}

/// A type that has no documents in which files are looked for.
pub(super) fn no_documents() -> LiteralType {
    LiteralType::simple(SimpleType::None)
}

fn node(
    node: &mut Node,
    change: &mut impl FnMut(UriAt<'_>) -> Result<Option<NewUri>>,
) -> Result<()> {
    for input in &mut node.inputs {
        input
            .binding
            .iter_mut()
            .try_for_each(|b| binding(b, change))?;
    }
    match &mut node.target {
        Some(NodeTarget::Branch(branch)) => {
            let Some(block) = &mut branch.if_else else {
                return Ok(());
            };
            let cases = block.case.iter_mut().chain(&mut block.other);
            for inner in cases.filter_map(|c| c.then_node.as_deref_mut()) {
                self::node(inner, change)?;
            }
            match &mut block.otherwise {
                Some(Otherwise::ElseNode(inner)) => self::node(inner, change),
                _ => Ok(()),
            }
        }
        Some(NodeTarget::Array(array)) => match &mut array.node {
            Some(inner) => self::node(inner, change),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn binding(
    data: &mut BindingData,
    change: &mut impl FnMut(UriAt<'_>) -> Result<Option<NewUri>>,
) -> Result<()> {
    match data {
        BindingData::Scalar(value) => constant(value, change),
        BindingData::Collection(items) => items.iter_mut().try_for_each(|b| binding(b, change)),
        BindingData::Map(entries) => entries.values_mut().try_for_each(|b| binding(b, change)),
        BindingData::WithUnion(inner, _) => binding(inner, change),
        BindingData::Unset | BindingData::Promise(_) | BindingData::Offloaded(_) => Ok(()),
    }
}

/// A constant whose type is not at hand: in a document, what flytekit has copied is a file.
fn constant(
    value: &mut Literal,
    change: &mut impl FnMut(UriAt<'_>) -> Result<Option<NewUri>>,
) -> Result<()> {
    let all = map_uris(value, Some(&no_documents()), change)?;
    *value = map_uris(
        &all,
        None,
        &mut |at| match is_made(std::path::Path::new(at.uri)) {
            true => change(at),
            false => Ok(None),
        },
    )?;
    Ok(())
}
