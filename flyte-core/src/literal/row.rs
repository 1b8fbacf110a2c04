use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Literal;
use crate::id::Str;

/// The names of a [`Row`]'s values, shared by all rows of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names(Arc<Vec<Str>>);

impl Names {
    /// Names in interface order.
    pub fn new<S: Into<Str>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(Arc::new(names.into_iter().map(Into::into).collect()))
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place of `name`.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|n| &**n == name)
    }

    /// The names in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Str> {
        self.0.iter()
    }
}

/// Named values in interface order (`flyteidl.core.LiteralMap` as inputs or outputs).
///
/// One or two values need no allocation, and the names are shared.
///
/// ```
/// use flyte_core::literal::{Literal, Row};
/// let row = Row::from_pairs([("x", Literal::Integer(1)), ("y", Literal::Boolean(true))]);
/// assert_eq!(row.get("x"), Some(&Literal::Integer(1)));
/// assert_eq!(row.get("z"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    names: Names,
    values: SmallVec<[Literal; 2]>,
}

impl Row {
    /// Values under shared names; `None` unless there is one value for each name.
    pub fn new(names: Names, values: impl IntoIterator<Item = Literal>) -> Option<Self> {
        Self::with_values(names, values.into_iter().collect())
    }

    /// The same from values that are together already, as [`Row::into_values`] gives them.
    #[must_use]
    pub fn with_values(names: Names, values: SmallVec<[Literal; 2]>) -> Option<Self> {
        (values.len() == names.len()).then_some(Self { names, values })
    }

    /// A row from pairs, in their order.
    pub fn from_pairs<S: Into<Str>>(pairs: impl IntoIterator<Item = (S, Literal)>) -> Self {
        let (names, values): (Vec<Str>, SmallVec<[Literal; 2]>) =
            pairs.into_iter().map(|(k, v)| (k.into(), v)).unzip();
        Self {
            names: Names(Arc::new(names)),
            values,
        }
    }

    /// The value called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Literal> {
        self.names.position(name).map(|i| &self.values[i])
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The values, in the order of the names.
    #[must_use]
    pub fn values(&self) -> &[Literal] {
        &self.values
    }

    /// Names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Str, &Literal)> {
        self.names.0.iter().zip(&self.values)
    }

    /// How many values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values alone.
    #[must_use]
    pub fn into_values(self) -> SmallVec<[Literal; 2]> {
        self.values
    }
}
