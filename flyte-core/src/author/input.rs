use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::{LiteralValue, Output, Ref};
use crate::literal::Literal;

/// Where one input gets its value, without its type.
#[derive(Clone, Debug)]
pub(super) enum Wire {
    Value(Ref),
    Constant(Literal),
    List(Vec<Wire>),
    Map(BTreeMap<String, Wire>),
}

impl Wire {
    pub(super) fn for_each(&self, f: &mut impl FnMut(Ref)) {
        match self {
            Self::Value(r) => f(*r),
            Self::Constant(_) => {}
            Self::List(items) => items.iter().for_each(|w| w.for_each(f)),
            Self::Map(entries) => entries.values().for_each(|w| w.for_each(f)),
        }
    }
}

/// What an input of type `T` is bound to: a handle, a constant, or a list or map of handles.
#[derive(Clone, Debug)]
pub struct Input<T> {
    pub(super) wire: Wire,
    of: PhantomData<fn() -> T>,
}

impl<T> Input<T> {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            of: PhantomData,
        }
    }

    /// Without its type, for generated code.
    #[doc(hidden)]
    #[must_use]
    pub fn erase(self) -> Argument {
        Argument(self.wire)
    }
}

/// An input without its type, for generated code.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Argument(pub(super) Wire);

/// What may be wired into an input of type `T`: an [`Output<T>`], a constant `T`, a `&str` for a
/// text, a `T` or its handle for an `Option<T>`, and a `Vec`, an array or a map of handles for a
/// list or map of their values. There is no conversion between numbers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be wired into an input of type `{T}`",
    label = "expected an `Output<{T}>` of another node, or a constant `{T}`",
    note = "values are not converted between types: a task can do it"
)]
pub trait IntoInput<T> {
    /// The binding.
    fn into_input(self) -> Input<T>;
}

impl<T: LiteralValue> IntoInput<T> for Output<T> {
    fn into_input(self) -> Input<T> {
        Input::new(Wire::Value(self.origin()))
    }
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> IntoInput<T> for &Output<T> {
    fn into_input(self) -> Input<T> {
        (*self).into_input()
    }
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> IntoInput<T> for T {
    fn into_input(self) -> Input<T> {
        Input::new(Wire::Constant(self.into_literal()))
    }
}

#[diagnostic::do_not_recommend]
impl IntoInput<String> for &str {
    fn into_input(self) -> Input<String> {
        Input::new(Wire::Constant(Literal::string(self)))
    }
}

#[diagnostic::do_not_recommend]
impl IntoInput<Option<String>> for &str {
    fn into_input(self) -> Input<Option<String>> {
        Some(self.to_owned()).into_input()
    }
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> IntoInput<Option<T>> for T {
    fn into_input(self) -> Input<Option<T>> {
        Some(self).into_input()
    }
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> IntoInput<Option<T>> for Output<T> {
    fn into_input(self) -> Input<Option<T>> {
        Input::new(Wire::Value(self.origin()))
    }
}

fn list<T: LiteralValue>(items: impl IntoIterator<Item = Output<T>>) -> Input<Vec<T>> {
    let items = items.into_iter().map(|o| Wire::Value(o.origin()));
    Input::new(Wire::List(items.collect()))
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> IntoInput<Vec<T>> for Vec<Output<T>> {
    fn into_input(self) -> Input<Vec<T>> {
        list(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue, const N: usize> IntoInput<Vec<T>> for [Output<T>; N] {
    fn into_input(self) -> Input<Vec<T>> {
        list(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: LiteralValue> IntoInput<BTreeMap<String, T>> for BTreeMap<String, Output<T>> {
    fn into_input(self) -> Input<BTreeMap<String, T>> {
        let entries = self.into_iter().map(|(k, o)| (k, Wire::Value(o.origin())));
        Input::new(Wire::Map(entries.collect()))
    }
}
