use std::fmt;
use std::ops::Deref;

use crate::template::PathStep;

/// Where a value will come from: a node's output, a workflow's input or a constant, and the way
/// into it. Opaque; typed by [`Output`].
#[derive(Clone, Copy)]
pub struct Ref {
    /// The builder that made it.
    pub(super) builder: u32,
    pub(super) origin: Origin,
    /// Which of the origin's values; [`Ref::NOTHING`] if the origin has none.
    pub(super) var: u16,
    steps: u8,
    path: [Step; Ref::STEPS_MAX],
}

/// What a value comes from, by its number in the builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// The workflow's inputs.
    Inputs,
    /// A node.
    Node(u32),
    /// A constant.
    Constant(u32),
    /// The item of a map.
    Item,
}

#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Index(i32),
}

impl Ref {
    /// Steps that a way into a value may have.
    pub(super) const STEPS_MAX: usize = 6;
    pub(super) const NOTHING: u16 = u16::MAX;

    pub(super) const fn new(builder: u32, origin: Origin, var: u16) -> Self {
        Self {
            builder,
            origin,
            var,
            steps: 0,
            path: [Step::Index(0); Self::STEPS_MAX],
        }
    }

    /// One step further; a way that is too long is reported where it is used.
    fn step(mut self, step: Step) -> Self {
        if let Some(place) = self.path.get_mut(self.steps as usize) {
            *place = step;
        }
        self.steps = self.steps.saturating_add(1);
        self
    }

    pub(super) fn is_whole(&self) -> bool {
        self.steps == 0
    }

    /// The way, if it is not too long.
    pub(super) fn path(&self) -> Option<Vec<PathStep>> {
        let steps = self.path.get(..self.steps as usize)?;
        let step = |s: &Step| match *s {
            Step::Key(k) => PathStep::Key(k.into()),
            Step::Index(i) => PathStep::Index(i),
        };
        Some(steps.iter().map(step).collect())
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.origin, self.var)?;
        for step in self.path.iter().take(self.steps as usize) {
            match step {
                Step::Key(k) => write!(f, ".{k}")?,
                Step::Index(i) => write!(f, "[{i}]")?,
            }
        }
        Ok(())
    }
}

/// What a handle of a type offers by name. Derived with
/// `#[derive(LiteralStruct)]`, whose fields become methods of its handles.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no literal type, so it has no handle",
    label = "this type has no Flyte type"
)]
pub trait Shape {
    /// The handle's own methods; [`Ref`] for none.
    type Fields: Copy + From<Ref> + AsRef<Ref> + Send + Sync + 'static;
}

impl AsRef<Ref> for Ref {
    fn as_ref(&self) -> &Ref {
        self
    }
}

/// A value that an execution will have: an input of the workflow, or what a call gives.
///
/// It is `Copy`: wire it into as many calls as you like. A struct's handle has a method for each
/// field; a list's has [`Output::at`], a map's [`Output::key`].
pub struct Output<T: Shape> {
    fields: T::Fields,
}

impl<T: Shape> Output<T> {
    pub(super) fn of(r: Ref) -> Self {
        Self { fields: r.into() }
    }

    pub(super) fn origin(&self) -> Ref {
        *self.fields.as_ref()
    }

    /// The handle of a field, for generated code.
    #[doc(hidden)]
    #[must_use]
    pub fn field<F: Shape>(self, name: &'static str) -> Output<F> {
        field(*self.fields.as_ref(), name)
    }
}

/// The handle of a field, for generated code.
#[doc(hidden)]
#[must_use]
pub fn field<F: Shape>(of: Ref, name: &'static str) -> Output<F> {
    Output::of(of.step(Step::Key(name)))
}

impl<T: Shape> Output<Vec<T>>
where
    Vec<T>: Shape,
{
    /// The item at this place; the node that takes it fails if the list is shorter.
    #[must_use]
    pub fn at(self, index: u32) -> Output<T> {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        Output::of(self.origin().step(Step::Index(index)))
    }
}

impl<T: Shape> Output<std::collections::BTreeMap<String, T>>
where
    std::collections::BTreeMap<String, T>: Shape,
{
    /// The value of this key; the node that takes it fails if there is none.
    #[must_use]
    pub fn key(self, key: &'static str) -> Output<T> {
        self.field(key)
    }
}

impl<T: Shape> Clone for Output<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Shape> Copy for Output<T> {}

impl<T: Shape> Deref for Output<T> {
    type Target = T::Fields;

    fn deref(&self) -> &T::Fields {
        &self.fields
    }
}

impl<T: Shape> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({:?})", self.origin())
    }
}
