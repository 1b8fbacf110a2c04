use std::ops::{BitAnd, BitOr};

use super::input::Wire;
use super::{IntoInput, LiteralValue, Output};
use crate::literal::{SignedDuration, Timestamp};
use crate::template::{ComparisonOperator, ConjunctionOperator};

/// A condition on values of an execution, for [`WorkflowBuilder::when`](super::WorkflowBuilder::when).
///
/// Made by comparing handles (`acc.gt(0.5)`), joined by `&` and `|`; a handle of a `bool` is one,
/// too.
#[derive(Clone, Debug)]
#[must_use = "a condition does nothing by itself: give it to `wf.when(..)`"]
pub struct Cond(pub(super) Test);

#[derive(Clone, Debug)]
pub(super) enum Test {
    Compare(ComparisonOperator, Box<(Wire, Wire)>),
    Join(ConjunctionOperator, Box<Test>, Box<Test>),
}

/// Types that conditions compare.
#[diagnostic::on_unimplemented(
    message = "values of type `{Self}` cannot be compared in a condition",
    label = "only `i64`, `f64`, `bool`, `String`, `Timestamp` and `SignedDuration` can",
    note = "let a task compute a `bool`, and use its output as the condition"
)]
pub trait Comparable: LiteralValue {}

impl Comparable for i64 {}
impl Comparable for f64 {}
impl Comparable for bool {}
impl Comparable for String {}
impl Comparable for Timestamp {}
impl Comparable for SignedDuration {}

impl<T: Comparable> Output<T> {
    fn compare(self, operator: ComparisonOperator, other: impl IntoInput<T>) -> Cond {
        let left = Wire::Value(self.origin());
        Cond(Test::Compare(
            operator,
            Box::new((left, other.into_input().wire)),
        ))
    }

    /// Whether the values are equal. (Not `PartialEq`: it is known when the workflow runs.)
    #[allow(clippy::should_implement_trait)]
    pub fn eq(self, other: impl IntoInput<T>) -> Cond {
        self.compare(ComparisonOperator::Eq, other)
    }

    /// Whether the values differ.
    #[allow(clippy::should_implement_trait)]
    pub fn ne(self, other: impl IntoInput<T>) -> Cond {
        self.compare(ComparisonOperator::Neq, other)
    }

    /// Whether this value is greater. A `bool` has no order: the branch fails.
    pub fn gt(self, other: impl IntoInput<T>) -> Cond {
        self.compare(ComparisonOperator::Gt, other)
    }

    /// Whether this value is greater or equal.
    pub fn ge(self, other: impl IntoInput<T>) -> Cond {
        self.compare(ComparisonOperator::Gte, other)
    }

    /// Whether this value is smaller.
    pub fn lt(self, other: impl IntoInput<T>) -> Cond {
        self.compare(ComparisonOperator::Lt, other)
    }

    /// Whether this value is smaller or equal.
    pub fn le(self, other: impl IntoInput<T>) -> Cond {
        self.compare(ComparisonOperator::Lte, other)
    }
}

/// What may be a condition: a [`Cond`], or the handle of a `bool`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no condition of a workflow",
    label = "expected a comparison of handles, like `x.gt(0.5)`, or an `Output<bool>`",
    note = "a condition is known when the workflow runs: what is known now is an `if` of Rust"
)]
pub trait IntoCond {
    /// The condition.
    fn into_cond(self) -> Cond;
}

impl IntoCond for Cond {
    fn into_cond(self) -> Cond {
        self
    }
}

impl IntoCond for Output<bool> {
    fn into_cond(self) -> Cond {
        self.eq(true)
    }
}

impl BitAnd for Cond {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        let sides = (Box::new(self.0), Box::new(other.0));
        Self(Test::Join(ConjunctionOperator::And, sides.0, sides.1))
    }
}

impl BitOr for Cond {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let sides = (Box::new(self.0), Box::new(other.0));
        Self(Test::Join(ConjunctionOperator::Or, sides.0, sides.1))
    }
}
