//! The inputs of a task function, so that what is generated for each task is small.

use super::task::NamedType;
use super::{LiteralValue, ValueError};
use crate::contract::TaskError;
use crate::literal::{LiteralType, Row};

/// One input of a task, for generated code: the one place that asks for its type to be
/// a literal.
#[doc(hidden)]
pub struct Arg<T> {
    name: &'static str,
    literal_type: fn() -> LiteralType,
    take: fn(&Row, &str) -> Result<T, ValueError>,
}

/// The input `name`.
#[doc(hidden)]
#[must_use]
pub const fn arg<T: LiteralValue>(name: &'static str) -> Arg<T> {
    Arg {
        name,
        literal_type: T::literal_type,
        take: super::values::take::<T>,
    }
}

impl<T> Arg<T> {
    /// Its name and type.
    #[must_use]
    pub const fn variable(&self) -> NamedType {
        (self.name, self.literal_type)
    }

    /// Its value.
    pub fn take(&self, inputs: &Row) -> Result<T, TaskError> {
        (self.take)(inputs, self.name).map_err(|e| {
            TaskError::new(format!("input {e}"))
                .with_code("USER:ValueError")
                .fatal()
        })
    }
}

/// All inputs of a task whose values are the tuple `A`, for generated code.
///
/// One implementation serves all tasks of one signature: a task is then data, and no code that the
/// compiler has to look at again.
#[doc(hidden)]
pub trait Arguments<A>: Sync {
    /// Names and types, in their order.
    fn variables(&self) -> Vec<NamedType>;

    /// The values.
    ///
    /// # Errors
    /// If one is missing or of another type.
    fn take(&self, inputs: &Row) -> Result<A, TaskError>;
}

macro_rules! arguments {
    ($(($($T:ident $i:tt),*))+) => {$(
        impl<$($T: 'static),*> Arguments<($($T,)*)> for ($(Arg<$T>,)*) {
            fn variables(&self) -> Vec<NamedType> {
                vec![$(self.$i.variable()),*]
            }

            fn take(&self, _inputs: &Row) -> Result<($($T,)*), TaskError> {
                Ok(($(self.$i.take(_inputs)?,)*))
            }
        }
    )+};
}

arguments! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

/// The inputs of a task that has more than there are tuples for, for generated code.
#[doc(hidden)]
pub struct ManyArguments<A> {
    pub variables: fn() -> Vec<NamedType>,
    pub take: fn(&Row) -> Result<A, TaskError>,
}

impl<A: 'static> Arguments<A> for ManyArguments<A> {
    fn variables(&self) -> Vec<NamedType> {
        (self.variables)()
    }

    fn take(&self, inputs: &Row) -> Result<A, TaskError> {
        (self.take)(inputs)
    }
}
