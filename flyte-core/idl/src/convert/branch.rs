use flyte_core::literal::FlyteError;
use flyte_core::template::{
    BooleanExpression, BranchNode, ComparisonExpression, ComparisonOperator, ConjunctionOperator,
    IfBlock, IfElse, Operand, Otherwise,
};

use super::WireError;
use super::literal::{primitive, scalar};
use super::template::node;
use super::types::pick;
use crate::core as pb;

pub(super) fn branch(b: &pb::BranchNode, depth: usize) -> Result<BranchNode, WireError> {
    let if_else = b.if_else.as_ref().map(|i| {
        use pb::if_else_block::Default as D;
        let otherwise = i.default.as_ref().map(|d| match d {
            D::ElseNode(n) => {
                let n = node(n, depth + 1).map_err(|e| e.at("else_node"))?;
                Ok(Otherwise::ElseNode(Box::new(n)))
            }
            D::Error(e) => Ok(Otherwise::Error(FlyteError {
                failed_node_id: e.failed_node_id.as_str().into(),
                message: e.message.as_str().into(),
            })),
        });
        Ok::<_, WireError>(IfElse {
            case: i
                .case
                .as_ref()
                .map(|c| block(c, depth))
                .transpose()
                .map_err(|e| e.at("case"))?,
            other: i
                .other
                .iter()
                .enumerate()
                .map(|(i, c)| block(c, depth).map_err(|e| e.at(format!("other[{i}]"))))
                .collect::<Result<_, _>>()?,
            otherwise: otherwise.transpose()?,
        })
    });
    Ok(BranchNode {
        if_else: if_else.transpose().map_err(|e| e.at("if_else"))?,
    })
}

fn block(b: &pb::IfBlock, depth: usize) -> Result<IfBlock, WireError> {
    let then_node = b
        .then_node
        .as_ref()
        .map(|n| node(n, depth + 1).map(Box::new));
    Ok(IfBlock {
        condition: b
            .condition
            .as_ref()
            .map(|c| expression(c, 0))
            .transpose()
            .map_err(|e| e.at("condition"))?,
        then_node: then_node.transpose().map_err(|e| e.at("then_node"))?,
    })
}

fn expression(e: &pb::BooleanExpression, depth: usize) -> Result<BooleanExpression, WireError> {
    use pb::boolean_expression::Expr;
    if depth > flyte_core::limits::DOCUMENT_DEPTH_MAX {
        return Err(WireError::new("a condition is nested too deep"));
    }
    Ok(match &e.expr {
        None => BooleanExpression::Unset,
        Some(Expr::Conjunction(c)) => {
            let side = |s: &Option<Box<pb::BooleanExpression>>| {
                s.as_ref()
                    .map(|e| expression(e, depth + 1).map(Box::new))
                    .transpose()
            };
            let operators = [ConjunctionOperator::And, ConjunctionOperator::Or];
            BooleanExpression::Conjunction {
                operator: pick(&operators, "operator", c.operator)?,
                left: side(&c.left_expression)?,
                right: side(&c.right_expression)?,
            }
        }
        Some(Expr::Comparison(c)) => {
            use ComparisonOperator as O;
            let operators = [O::Eq, O::Neq, O::Gt, O::Gte, O::Lt, O::Lte];
            BooleanExpression::Comparison(ComparisonExpression {
                operator: pick(&operators, "operator", c.operator)?,
                left: c.left_value.as_ref().map(operand).transpose()?,
                right: c.right_value.as_ref().map(operand).transpose()?,
            })
        }
    })
}

fn operand(o: &pb::Operand) -> Result<Operand, WireError> {
    use pb::operand::Val;
    Ok(match &o.val {
        None => Operand::Unset,
        Some(Val::Primitive(p)) => Operand::Primitive(primitive(p)?),
        Some(Val::Var(v)) => Operand::Var(v.as_str().into()),
        Some(Val::Scalar(s)) => Operand::Scalar(scalar(s, 0)?),
    })
}
