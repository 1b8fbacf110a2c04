use super::binding::check_bindings;
use super::check::{node_interface, resolves_early};
use super::error::Report;
use super::requirements::Library;
use super::scope::Scope;
use super::{CompileError, CompileErrorCode as Code};
use crate::literal::{LiteralType, infer};
use crate::template::{
    BooleanExpression, BranchNode, IfBlock, Node, Operand, Otherwise, OutputReference, VariableMap,
};

/// Checks the cases of a branch and gives the outputs that all of them have.
pub(super) fn check<'a>(
    library: &Library<'a>,
    id: &str,
    branch: &'a BranchNode,
    inputs: &VariableMap,
    scope: &Scope<'_>,
    promises: &mut Vec<&'a OutputReference>,
    errors: &mut Vec<CompileError>,
) -> VariableMap {
    let Some(if_else) = &branch.if_else else {
        errors.report(Code::BranchNodeHasNoCondition, id, "the branch has no case");
        errors.report(Code::ValueRequired, id, "a value is required for [IfElse]");
        return VariableMap::new();
    };
    if if_else.case.is_none() {
        errors.report(
            Code::BranchNodeHasNoCondition,
            id,
            "the branch has no first case",
        );
        errors.report(Code::ValueRequired, id, "a value is required for [Case]");
    }
    let mut outputs: Option<VariableMap> = None;
    let mut arm = |node: &'a Node, errors: &mut Vec<CompileError>| {
        let own = child(library, id, node, scope, promises, errors);
        outputs = Some(match outputs.take() {
            None => own,
            Some(common) => fold(id, common, &own, errors),
        });
    };
    for case in if_else.case.iter().chain(&if_else.other) {
        condition(id, case, inputs, errors);
        match &case.then_node {
            Some(node) => arm(node, errors),
            None => {
                errors.report(Code::BranchNodeIdNotFound, id, "a case has no node");
                errors.report(
                    Code::ValueRequired,
                    id,
                    "a value is required for [ThenNode]",
                );
            }
        }
    }
    match &if_else.otherwise {
        Some(Otherwise::ElseNode(node)) => arm(node, errors),
        Some(Otherwise::Error(_)) => {}
        None => {
            let text = "the branch does not say what happens when no case holds";
            errors.report(Code::BranchNodeHasNoDefault, id, text);
        }
    }
    outputs.unwrap_or_default()
}

fn child<'a>(
    library: &Library<'a>,
    id: &str,
    node: &'a Node,
    scope: &Scope<'_>,
    promises: &mut Vec<&'a OutputReference>,
    errors: &mut Vec<CompileError>,
) -> VariableMap {
    let name = format!("{id}-{}", node.id);
    let interface = node_interface(library, node, scope, promises, errors);
    if !resolves_early(node) {
        check_bindings(
            &name,
            &node.inputs,
            &interface.inputs,
            scope,
            promises,
            errors,
        );
    }
    interface.outputs.into_owned()
}

fn fold(
    id: &str,
    common: VariableMap,
    next: &VariableMap,
    errors: &mut Vec<CompileError>,
) -> VariableMap {
    common
        .into_iter()
        .filter(|(name, v)| {
            let Some(other) = next.get(name) else {
                return false;
            };
            if other.literal_type != v.literal_type {
                let text = format!("the cases give `{name}` different types");
                errors.report(Code::MismatchingTypes, id, text);
            }
            true
        })
        .collect()
}

fn condition(id: &str, case: &IfBlock, inputs: &VariableMap, errors: &mut Vec<CompileError>) {
    match &case.condition {
        None => errors.report(
            Code::BranchNodeHasNoCondition,
            id,
            "a case has no condition",
        ),
        Some(e) => expression(id, e, inputs, 0, errors),
    }
}

fn expression(
    id: &str,
    e: &BooleanExpression,
    inputs: &VariableMap,
    depth: usize,
    errors: &mut Vec<CompileError>,
) {
    if depth > crate::limits::DOCUMENT_DEPTH_MAX {
        let text = format!(
            "a condition is nested more than {} deep",
            crate::limits::DOCUMENT_DEPTH_MAX
        );
        return errors.report(Code::WorkflowBuildError, id, text);
    }
    match e {
        BooleanExpression::Unset => {
            errors.report(Code::ValueRequired, id, "a value is required for [Expr]");
        }
        BooleanExpression::Conjunction { left, right, .. } => {
            for side in [left, right] {
                match side {
                    Some(e) => expression(id, e, inputs, depth + 1, errors),
                    None => {
                        errors.report(Code::ValueRequired, id, "a value is required for [Expr]")
                    }
                }
            }
        }
        BooleanExpression::Comparison(c) => {
            let left = operand(id, c.left.as_ref(), inputs, errors);
            let right = operand(id, c.right.as_ref(), inputs, errors);
            if let (Some(l), Some(r)) = (left, right)
                && l != r
            {
                let text = format!("RightValue is `{r}`, LeftValue is `{l}`");
                errors.report(Code::MismatchingTypes, id, text);
            }
        }
    }
}

fn operand(
    id: &str,
    operand: Option<&Operand>,
    inputs: &VariableMap,
    errors: &mut Vec<CompileError>,
) -> Option<LiteralType> {
    match operand {
        Some(Operand::Primitive(l)) => infer(l).ok(),
        Some(Operand::Var(name)) => match inputs.get(name) {
            Some(v) => v.literal_type.clone(),
            None => {
                let text = format!("the branch has no input `{name}`");
                errors.report(Code::VariableNameNotFound, id, text);
                None
            }
        },
        Some(Operand::Scalar(_) | Operand::Unset) | None => {
            let text = "a value is required for [Operand]: a primitive or an input";
            errors.report(Code::ValueRequired, id, text);
            None
        }
    }
}
