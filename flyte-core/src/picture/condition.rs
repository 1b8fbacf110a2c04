use crate::literal::{Literal, to_json};
use crate::template::{BooleanExpression, ComparisonOperator, ConjunctionOperator, Operand};

/// A condition as an author writes it: `n0.o0 > 5 and x == "a"`.
pub(super) fn condition(e: &BooleanExpression) -> String {
    match e {
        BooleanExpression::Unset => "?".to_owned(),
        BooleanExpression::Comparison(c) => {
            let operator = match c.operator {
                ComparisonOperator::Eq => "==",
                ComparisonOperator::Neq => "!=",
                ComparisonOperator::Gt => ">",
                ComparisonOperator::Gte => ">=",
                ComparisonOperator::Lt => "<",
                ComparisonOperator::Lte => "<=",
            };
            let side = |o: &Option<Operand>| o.as_ref().map_or_else(|| "?".to_owned(), operand);
            format!("{} {operator} {}", side(&c.left), side(&c.right))
        }
        BooleanExpression::Conjunction {
            operator,
            left,
            right,
        } => {
            let word = match operator {
                ConjunctionOperator::And => "and",
                ConjunctionOperator::Or => "or",
            };
            let side = |s: &Option<Box<BooleanExpression>>| match s.as_deref() {
                None => "?".to_owned(),
                // Another word inside needs brackets.
                Some(BooleanExpression::Conjunction { operator: o, .. }) if o != operator => {
                    format!("({})", s.as_deref().map(condition).unwrap_or_default())
                }
                Some(e) => condition(e),
            };
            format!("{} {word} {}", side(left), side(right))
        }
    }
}

fn operand(o: &Operand) -> String {
    match o {
        Operand::Unset => "?".to_owned(),
        // Inputs of the workflow have no node before the dot.
        Operand::Var(v) => v.trim_start_matches('.').to_owned(),
        Operand::Primitive(l) | Operand::Scalar(l) => match l.value() {
            Literal::None => "None".to_owned(),
            l => to_json(l, None).to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::ComparisonExpression;

    #[test]
    fn words_of_another_kind_stand_in_brackets() {
        let compare = |var: &str, l| {
            BooleanExpression::Comparison(ComparisonExpression {
                operator: ComparisonOperator::Gte,
                left: Some(Operand::Var(var.into())),
                right: Some(Operand::Primitive(l)),
            })
        };
        let join = |operator, left, right| BooleanExpression::Conjunction {
            operator,
            left: Some(Box::new(left)),
            right: Some(Box::new(right)),
        };
        let a = || compare(".x", Literal::Integer(5));
        let b = || compare("n0.o0", Literal::string("a\"b"));
        let or = join(ConjunctionOperator::Or, a(), b());
        let e = join(ConjunctionOperator::And, a(), or);
        assert_eq!(condition(&e), r#"x >= 5 and (x >= 5 or n0.o0 >= "a\"b")"#);
    }
}
