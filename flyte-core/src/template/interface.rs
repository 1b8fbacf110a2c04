use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Str;
use crate::literal::{Literal, LiteralType, Struct};

/// Variables by name (`flyteidl.core.VariableMap`).
pub type VariableMap = BTreeMap<Str, Variable>;

/// `flyteidl.core.TypedInterface`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TypedInterface {
    /// What goes in.
    pub inputs: VariableMap,
    /// What comes out.
    pub outputs: VariableMap,
}

/// `flyteidl.core.Variable`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// Its type; `None` is a compile error.
    pub literal_type: Option<LiteralType>,
    /// For people.
    pub description: String,
    /// `artifact_partial_id` and `artifact_tag` in Flyte's own bytes; carried, never read.
    pub artifact: ArtifactReference,
}

impl Variable {
    /// A variable of a type.
    #[must_use]
    pub fn new(t: LiteralType) -> Self {
        Self {
            literal_type: Some(t),
            description: String::new(),
            artifact: ArtifactReference::default(),
        }
    }
}

/// The artifact fields of a variable, as encoded messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactReference {
    /// An encoded `flyteidl.core.ArtifactID`.
    pub partial_id: Option<Vec<u8>>,
    /// An encoded `flyteidl.core.ArtifactTag`.
    pub tag: Option<Vec<u8>>,
}

/// Parameters by name (`flyteidl.core.ParameterMap`).
pub type ParameterMap = BTreeMap<Str, Parameter>;

/// `flyteidl.core.Parameter`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// The variable.
    pub var: Option<Variable>,
    /// Where its value comes from when the caller gives none.
    pub behavior: Option<ParameterBehavior>,
}

/// The oneof of [`Parameter`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ParameterBehavior {
    /// This value.
    Default(Literal),
    /// The caller must give one (when true).
    Required(bool),
    /// From an artifact: an encoded `ArtifactQuery`; carried, not resolved.
    ArtifactQuery(Vec<u8>),
    /// From an artifact: an encoded `ArtifactID`; carried, not resolved.
    ArtifactId(Vec<u8>),
}

/// A document that a plugin understands (`TaskTemplate.custom`).
pub(super) type Custom = Struct;
