use flyte_core::literal::FlyteError;
use flyte_core::template::{
    BooleanExpression, BranchNode, ComparisonExpression, IfBlock, IfElse, Operand, Otherwise,
};

use super::super::WireError;
use super::binding::{primitive, scalar};
use super::node::node;
use crate::core as pb;

pub(super) fn branch(b: &BranchNode) -> Result<pb::BranchNode, WireError> {
    let if_else = b.if_else.as_ref().map(|i| if_else(i).map(Box::new));
    Ok(pb::BranchNode {
        if_else: if_else.transpose().map_err(|e| e.at("if_else"))?,
    })
}

fn if_else(i: &IfElse) -> Result<pb::IfElseBlock, WireError> {
    use pb::if_else_block::Default as D;
    let otherwise = i.otherwise.as_ref().map(|o| {
        Ok::<_, WireError>(match o {
            Otherwise::ElseNode(n) => {
                D::ElseNode(Box::new(node(n).map_err(|e| e.at("else_node"))?))
            }
            Otherwise::Error(FlyteError {
                failed_node_id,
                message,
            }) => D::Error(pb::Error {
                failed_node_id: failed_node_id.to_string(),
                message: message.to_string(),
            }),
        })
    });
    let other = |(i, b): (usize, &IfBlock)| block(b).map_err(|e| e.at(format!("other[{i}]")));
    Ok(pb::IfElseBlock {
        case: i
            .case
            .as_ref()
            .map(|c| block(c).map(Box::new))
            .transpose()
            .map_err(|e| e.at("case"))?,
        other: i
            .other
            .iter()
            .enumerate()
            .map(other)
            .collect::<Result<_, _>>()?,
        default: otherwise.transpose()?,
    })
}

fn block(b: &IfBlock) -> Result<pb::IfBlock, WireError> {
    let then_node = b.then_node.as_ref().map(|n| node(n).map(Box::new));
    let condition = b.condition.as_ref().map(expression).transpose();
    Ok(pb::IfBlock {
        condition: condition.map_err(|e| e.at("condition"))?,
        then_node: then_node.transpose().map_err(|e| e.at("then_node"))?,
    })
}

fn expression(e: &BooleanExpression) -> Result<pb::BooleanExpression, WireError> {
    use pb::boolean_expression::Expr;
    let expr = match e {
        BooleanExpression::Unset => None,
        BooleanExpression::Conjunction {
            operator,
            left,
            right,
        } => {
            let side = |s: &Option<Box<BooleanExpression>>| {
                s.as_ref().map(|e| expression(e).map(Box::new)).transpose()
            };
            Some(Expr::Conjunction(Box::new(pb::ConjunctionExpression {
                operator: *operator as i32,
                left_expression: side(left)?,
                right_expression: side(right)?,
            })))
        }
        BooleanExpression::Comparison(ComparisonExpression {
            operator,
            left,
            right,
        }) => Some(Expr::Comparison(pb::ComparisonExpression {
            operator: *operator as i32,
            left_value: left.as_ref().map(operand).transpose()?,
            right_value: right.as_ref().map(operand).transpose()?,
        })),
    };
    Ok(pb::BooleanExpression { expr })
}

fn operand(o: &Operand) -> Result<pb::Operand, WireError> {
    use pb::operand::Val;
    Ok(pb::Operand {
        val: match o {
            Operand::Unset => None,
            Operand::Primitive(p) => Some(Val::Primitive(primitive(p)?)),
            Operand::Var(v) => Some(Val::Var(v.to_string())),
            Operand::Scalar(s) => Some(Val::Scalar(scalar(s)?)),
        },
    })
}
