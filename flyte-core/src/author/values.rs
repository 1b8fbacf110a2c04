//! One or several named values: what tasks return, what workflows take and give.

use smallvec::SmallVec;

use super::input::Wire;
use super::output::Origin;
use super::{Argument, IntoInput, LiteralValue, Output, Ref, ValueError};
use crate::contract::TaskError;
use crate::literal::{Literal, LiteralType, Names, Row};

/// Named values: one literal (`o0`), a tuple of literals (`o0`, `o1`, …), nothing, or a struct
/// with `#[derive(Outputs)]` or `#[derive(Inputs)]`, whose fields give the names.
pub trait Values: Sized + Send + 'static {
    /// A handle for each value.
    type Handles: Handles;

    /// The names, in the order in which they were written.
    const NAMES: &'static [&'static str];

    /// Whether the names are places only; a workflow's inputs are then called `i0`, `i1`, ….
    #[doc(hidden)]
    const POSITIONAL: bool = false;

    /// The types, in the same order.
    fn types() -> Vec<LiteralType>;

    /// Gives the values, in the same order.
    fn give(self, put: &mut dyn FnMut(Literal));

    /// Reads them by their names.
    ///
    /// # Errors
    /// If one is missing or of another type.
    fn from_row(row: &Row) -> Result<Self, ValueError>;

    /// The handles of one origin's values.
    fn handles(refs: &mut Refs) -> Self::Handles;
}

/// Handles of several values: an [`Output`], a tuple of them, nothing, or what a derive made.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handle, so it cannot be what a workflow or a branch gives",
    label = "expected an `Output<..>`, a tuple of them, or `()`",
    note = "`wf.constant(value)` makes a handle of a constant; `wf.call(task(..))` makes one of a call"
)]
pub trait Handles {
    /// What the handles stand for.
    type Values: Values;

    /// Adds the handles, in the order of the values.
    #[doc(hidden)]
    fn outlets(&self, out: &mut Outlets);
}

/// Gives out handles one by one, for generated code.
#[doc(hidden)]
#[derive(Debug)]
pub struct Refs {
    builder: u32,
    origin: Origin,
    next: u16,
}

impl Refs {
    pub(super) fn new(builder: u32, origin: Origin) -> Self {
        Self {
            builder,
            origin,
            next: 0,
        }
    }

    /// The handle of the next value.
    pub fn give<T: LiteralValue>(&mut self) -> Output<T> {
        self.next += 1;
        Output::of(Ref::new(self.builder, self.origin, self.next - 1))
    }

    fn nothing(&self) -> Output<()> {
        Output::of(Ref::new(self.builder, self.origin, Ref::NOTHING))
    }
}

/// Takes handles one by one, for generated code.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Outlets(pub(super) Vec<Wire>, pub(super) Option<Ref>);

impl Outlets {
    /// The next handle.
    pub fn add<T: LiteralValue>(&mut self, handle: &Output<T>) {
        self.1.get_or_insert(handle.origin());
        self.0.push(Wire::Value(handle.origin()));
    }
}

impl<T: LiteralValue> Values for T {
    type Handles = Output<T>;

    const NAMES: &'static [&'static str] = &["o0"];
    const POSITIONAL: bool = true;

    fn types() -> Vec<LiteralType> {
        vec![T::literal_type()]
    }

    fn give(self, put: &mut dyn FnMut(Literal)) {
        put(self.into_literal());
    }

    fn from_row(row: &Row) -> Result<Self, ValueError> {
        take(row, "o0")
    }

    fn handles(refs: &mut Refs) -> Output<T> {
        refs.give()
    }
}

impl<T: LiteralValue> Handles for Output<T> {
    type Values = T;

    fn outlets(&self, out: &mut Outlets) {
        out.add(self);
    }
}

impl Values for () {
    type Handles = Output<()>;

    const NAMES: &'static [&'static str] = &[];

    fn types() -> Vec<LiteralType> {
        Vec::new()
    }

    fn give(self, _: &mut dyn FnMut(Literal)) {}

    fn from_row(_: &Row) -> Result<Self, ValueError> {
        Ok(())
    }

    fn handles(refs: &mut Refs) -> Output<()> {
        refs.nothing()
    }
}

/// The handle of a call that gives nothing: for [`WorkflowBuilder::after`](super::WorkflowBuilder::after).
impl Handles for Output<()> {
    type Values = ();

    fn outlets(&self, out: &mut Outlets) {
        out.1.get_or_insert(self.origin());
    }
}

impl Handles for () {
    type Values = ();

    fn outlets(&self, _: &mut Outlets) {}
}

/// Reads a value by its name, for generated code.
#[doc(hidden)]
pub fn take<T: LiteralValue>(row: &Row, name: &str) -> Result<T, ValueError> {
    match row.get(name) {
        Some(literal) => T::from_literal(literal),
        None => T::absent(),
    }
    .map_err(|e| e.inside(&format!("`{name}`")))
}

macro_rules! tuples {
    ($(($($T:ident $i:tt $name:literal),+))+) => {$(
        impl<$($T: LiteralValue),+> Values for ($($T,)+) {
            type Handles = ($(Output<$T>,)+);

            const NAMES: &'static [&'static str] = &[$($name),+];
            const POSITIONAL: bool = true;

            fn types() -> Vec<LiteralType> {
                vec![$($T::literal_type()),+]
            }

            fn give(self, put: &mut dyn FnMut(Literal)) {
                $(put(self.$i.into_literal());)+
            }

            fn from_row(row: &Row) -> Result<Self, ValueError> {
                Ok(($(take::<$T>(row, $name)?,)+))
            }

            fn handles(refs: &mut Refs) -> Self::Handles {
                ($(refs.give::<$T>(),)+)
            }
        }

        impl<$($T: LiteralValue),+> Handles for ($(Output<$T>,)+) {
            type Values = ($($T,)+);

            fn outlets(&self, out: &mut Outlets) {
                $(out.add(&self.$i);)+
            }
        }
    )+};
}

tuples! {
    (A 0 "o0")
    (A 0 "o0", B 1 "o1")
    (A 0 "o0", B 1 "o1", C 2 "o2")
    (A 0 "o0", B 1 "o1", C 2 "o2", D 3 "o3")
    (A 0 "o0", B 1 "o1", C 2 "o2", D 3 "o3", E 4 "o4")
    (A 0 "o0", B 1 "o1", C 2 "o2", D 3 "o3", E 4 "o4", F 5 "o5")
    (A 0 "o0", B 1 "o1", C 2 "o2", D 3 "o3", E 4 "o4", F 5 "o5", G 6 "o6")
    (A 0 "o0", B 1 "o1", C 2 "o2", D 3 "o3", E 4 "o4", F 5 "o5", G 6 "o6", H 7 "o7")
}

/// What a task function may return: [`Values`], or a `Result` of them with any error that becomes
/// a [`TaskError`].
#[diagnostic::on_unimplemented(
    message = "a task cannot return `{Self}`",
    label = "expected a literal type, a tuple of them, `()`, a struct with `#[derive(Outputs)]`, or a `Result` of one"
)]
pub trait TaskReturn {
    /// The outputs.
    type Values: Values;

    /// The outputs, or why there are none.
    ///
    /// # Errors
    /// The function's own.
    fn into_values(self) -> Result<Self::Values, TaskError>;
}

impl<V: Values> TaskReturn for V {
    type Values = V;

    fn into_values(self) -> Result<V, TaskError> {
        Ok(self)
    }
}

impl<V: Values, E: Into<TaskError>> TaskReturn for Result<V, E> {
    type Values = V;

    fn into_values(self) -> Result<V, TaskError> {
        self.map_err(Into::into)
    }
}

/// The row of `values`, in the order in which an interface has its names.
pub(super) fn row_of<V: Values>(names: &Names, values: V) -> Row {
    let mut literals = SmallVec::<[Option<Literal>; 2]>::new();
    values.give(&mut |l| literals.push(Some(l)));
    let ordered = names.iter().map(|name| {
        let at = V::NAMES.iter().position(|n| *n == &**name);
        let literal = at.and_then(|i| literals[i].take());
        literal.expect("invariant: the names are those of the values")
    });
    let ordered: SmallVec<[Literal; 2]> = ordered.collect();
    Row::new(names.clone(), ordered).expect("invariant: one value for each name")
}

/// What may be given for the inputs `A` of a workflow: for each a handle or a constant, or the
/// handles or the values of a struct with `#[derive(Inputs)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not give the inputs `{A}` of the workflow",
    label = "expected a handle or a constant for each of `{A}`"
)]
pub trait IntoInputs<A> {
    /// The bindings, in the order of the inputs.
    #[doc(hidden)]
    fn into_inputs(self) -> Vec<Argument>;
}

impl<T: LiteralValue, X: IntoInput<T>> IntoInputs<T> for X {
    fn into_inputs(self) -> Vec<Argument> {
        vec![self.into_input().erase()]
    }
}

impl IntoInputs<()> for () {
    fn into_inputs(self) -> Vec<Argument> {
        Vec::new()
    }
}

macro_rules! inputs {
    ($(($($T:ident $X:ident $i:tt),+))+) => {$(
        impl<$($T: LiteralValue, $X: IntoInput<$T>),+> IntoInputs<($($T,)+)> for ($($X,)+) {
            fn into_inputs(self) -> Vec<Argument> {
                vec![$(self.$i.into_input().erase()),+]
            }
        }
    )+};
}

inputs! {
    (A P 0)
    (A P 0, B Q 1)
    (A P 0, B Q 1, C R 2)
    (A P 0, B Q 1, C R 2, D S 3)
    (A P 0, B Q 1, C R 2, D S 3, E T 4)
    (A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5)
    (A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6)
    (A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7)
}
