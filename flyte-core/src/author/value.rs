use std::fmt;

use super::{Packed, Shape};
use crate::literal::{Document, Literal, LiteralType};

/// A Rust type whose values are literals of one Flyte type.
///
/// Implemented for `i64`, `f64`, `bool`, `String`, [`Timestamp`](crate::literal::Timestamp),
/// [`SignedDuration`](crate::literal::SignedDuration), [`File`](super::File),
/// [`Folder`](super::Folder), and for `Option`, `Vec` and string-keyed maps of such types; derive
/// it for your own with `#[derive(LiteralStruct)]` and `#[derive(LiteralEnum)]`. One literal type
/// has one Rust type: other widths of integers are left out on purpose.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no literal type, so it cannot be an input or output",
    label = "this type has no Flyte type",
    note = "literal types are `i64`, `f64`, `bool`, `String`, `Timestamp`, `SignedDuration`, `File`, `Folder`, and `Option`, `Vec` and `BTreeMap<String, _>` of them",
    note = "a type of your own becomes one by `#[derive(LiteralStruct)]` or `#[derive(LiteralEnum)]`; what the host owns is a parameter `Res<..>`"
)]
pub trait LiteralValue: Shape + Sized + Send + 'static {
    /// The name of flytekit's transformer of this type: what tells the variants of a union apart.
    const TAG: &'static str;

    /// Its Flyte type.
    fn literal_type() -> LiteralType;

    /// The JSON schema of a field of this type, as flytekit writes it.
    fn schema() -> Document;

    /// The value as a literal.
    fn into_literal(self) -> Literal;

    /// Reads a literal of this type.
    ///
    /// # Errors
    /// If it is another kind of literal.
    fn from_literal(literal: &Literal) -> Result<Self, ValueError>;

    /// The value inside a document.
    fn pack(self) -> Packed;

    /// Reads a value inside a document.
    ///
    /// # Errors
    /// If it has another shape.
    fn unpack(packed: Packed) -> Result<Self, ValueError>;

    /// What stands for a value that was left out.
    ///
    /// # Errors
    /// For every type that is not optional.
    fn absent() -> Result<Self, ValueError> {
        Err(ValueError::new("it is missing"))
    }

    /// Whether it may be left out of a struct.
    #[doc(hidden)]
    const OPTIONAL: bool = false;
}

/// Why a literal is no value of a Rust type.
///
/// ```
/// use flyte_core::author::LiteralValue;
/// use flyte_core::literal::Literal;
/// let items = Literal::collection([Literal::Integer(1), Literal::string("x")]);
/// let e = Vec::<i64>::from_literal(&items).unwrap_err();
/// assert_eq!(e.to_string(), "[1]: expected an integer, found the text \"x\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    at: String,
    message: String,
}

impl ValueError {
    /// With this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            at: String::new(),
            message: message.into(),
        }
    }

    /// Something else than `wanted` was found.
    #[must_use]
    pub fn expected(wanted: &str, found: &str) -> Self {
        Self::new(format!("expected {wanted}, found {found}"))
    }

    /// The same inside a field.
    #[must_use]
    pub fn inside(mut self, field: &str) -> Self {
        let dot = match self.at.is_empty() || self.at.starts_with('[') {
            true => "",
            false => ".",
        };
        self.at = format!("{field}{dot}{}", self.at);
        self
    }

    pub(super) fn at_index(self, i: usize) -> Self {
        self.inside(&format!("[{i}]"))
    }

    pub(super) fn literal(wanted: &str, found: &Literal) -> Self {
        let found = match found {
            Literal::Integer(i) => format!("the integer {i}"),
            Literal::Float(f) => format!("the number {f}"),
            Literal::String(s) => format!("the text {s:?}"),
            Literal::Boolean(b) => format!("`{b}`"),
            Literal::None => "nothing".into(),
            Literal::Collection(_) => "a list".into(),
            Literal::Map(_) => "a map".into(),
            Literal::Offloaded(_) => "a value that is stored out of band".into(),
            other => format!(
                "another kind of literal ({:?})",
                std::mem::discriminant(other)
            ),
        };
        Self::expected(wanted, &found)
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ValueError {}
