use serde::{Deserialize, Serialize};

use super::Node;
use crate::id::Str;
use crate::literal::{FlyteError, Literal};

/// `flyteidl.core.BranchNode`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchNode {
    /// The cases; `None` is a compile error.
    pub if_else: Option<IfElse>,
}

/// `flyteidl.core.IfElseBlock`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IfElse {
    /// The first case; `None` is a compile error.
    pub case: Option<IfBlock>,
    /// The further cases, in order.
    pub other: Vec<IfBlock>,
    /// When no case holds; `None` is a compile error.
    pub otherwise: Option<Otherwise>,
}

/// `flyteidl.core.IfBlock`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IfBlock {
    /// The condition; `None` is a compile error.
    pub condition: Option<BooleanExpression>,
    /// What runs when it holds; `None` is a compile error.
    pub then_node: Option<Box<Node>>,
}

/// The default of an [`IfElse`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Otherwise {
    /// Run this node.
    ElseNode(Box<Node>),
    /// Fail with this.
    Error(FlyteError),
}

/// `flyteidl.core.BooleanExpression`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BooleanExpression {
    /// The oneof was not set: a compile error.
    Unset,
    /// Two expressions joined (`ConjunctionExpression`).
    Conjunction {
        /// How.
        operator: ConjunctionOperator,
        /// Left.
        left: Option<Box<BooleanExpression>>,
        /// Right.
        right: Option<Box<BooleanExpression>>,
    },
    /// Two values compared.
    Comparison(ComparisonExpression),
}

/// `ConjunctionExpression.LogicalOperator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConjunctionOperator {
    /// Both.
    And,
    /// Either.
    Or,
}

/// `flyteidl.core.ComparisonExpression`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonExpression {
    /// How.
    pub operator: ComparisonOperator,
    /// Left.
    pub left: Option<Operand>,
    /// Right.
    pub right: Option<Operand>,
}

/// `ComparisonExpression.Operator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub enum ComparisonOperator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
}

/// `flyteidl.core.Operand`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    /// The oneof was not set: a compile error.
    Unset,
    /// A primitive constant.
    Primitive(Literal),
    /// An input of the branch node.
    Var(Str),
    /// A scalar constant; Flyte's compiler rejects it.
    Scalar(Literal),
}
