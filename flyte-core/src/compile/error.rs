use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Flyte's compile error codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CompileErrorCode { $($(#[$doc])* $name,)* }

        impl CompileErrorCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Flyte's spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

codes! {
    /// The nodes wait for each other.
    CycleDetected,
    /// A case of a branch has no node.
    BranchNodeIdNotFound,
    /// A case of a branch has no condition.
    BranchNodeHasNoCondition,
    /// A branch does not say what happens when no case holds.
    BranchNodeHasNoDefault,
    /// Something needed is not there.
    ValueRequired,
    /// Something has a form that is not allowed.
    InvalidValue,
    /// A binding names a node that is not there.
    NodeReferenceNotFound,
    /// A node names a task that is not there.
    TaskReferenceNotFound,
    /// A node names a workflow or launch plan that is not there.
    WorkflowReferenceNotFound,
    /// An input or output has another name.
    VariableNameNotFound,
    /// An output has two aliases.
    DuplicateAlias,
    /// Two things have one id.
    DuplicateId,
    /// A value does not fit its place.
    MismatchingTypes,
    /// A binding has another shape than its input.
    MismatchingBindings,
    /// Reserved; never raised.
    MismatchingInterfaces,
    /// Reserved; never raised.
    InconsistentTypes,
    /// An input is bound twice.
    ParameterBoundMoreThanOnce,
    /// An input is not bound.
    ParameterNotBound,
    /// Reserved: nothing follows the start node; the compiler always adds an edge.
    NoEntryNodeFound,
    /// Nothing leads to a node.
    UnreachableNodes,
    /// A value cannot be understood.
    UnrecognizedValue,
    /// The plan cannot be built.
    WorkflowBuildError,
    /// Two different nodes have one id after rewriting.
    ValueCollision,
    /// A name cannot be parsed.
    SyntaxError,
    /// The workflow is empty.
    NoNodesFound,
    /// A text is not one of an enum's values.
    IllegalEnumValue,
    /// Several variants of a union fit.
    AmbiguousBindingUnionValue,
    /// No variant of a union fits.
    IncompatibleBindingUnionValue,
    /// A gate does not say what it waits for.
    NoConditionFound,
    /// A dataclass has no such attribute.
    FieldNotFound,
    /// An input's type cannot be told.
    InvalidLiteralType,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompileError {
    /// What kind of thing.
    pub code: CompileErrorCode,
    /// Where.
    pub node_id: String,
    /// What exactly, for people.
    pub description: String,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Code: {}, Node Id: {}, Description: {}",
            self.code.as_str(),
            self.node_id,
            self.description
        )
    }
}

/// Everything that is wrong, sorted by code and text, without repeats; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileErrors(Vec<CompileError>);

impl CompileErrors {
    pub(crate) fn one(code: CompileErrorCode, node: &str, text: impl Into<String>) -> Self {
        Self(vec![CompileError {
            code,
            node_id: node.into(),
            description: text.into(),
        }])
    }

    pub(crate) fn none_of(mut errors: Vec<CompileError>) -> Result<(), Self> {
        errors.sort_by_cached_key(|e| (e.code.as_str(), e.to_string()));
        errors.dedup();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self(errors))
        }
    }

    /// All in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CompileError> {
        self.0.iter()
    }
}

impl fmt::Display for CompileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Collected Errors: {}", self.0.len())?;
        for (i, e) in self.0.iter().enumerate() {
            writeln!(f, "\tError {i}: {e}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileErrors {}

/// Collects errors of one node.
pub(super) trait Report {
    fn report(&mut self, code: CompileErrorCode, node: &str, text: impl Into<String>);
}

impl Report for Vec<CompileError> {
    fn report(&mut self, code: CompileErrorCode, node: &str, text: impl Into<String>) {
        self.push(CompileError {
            code,
            node_id: node.into(),
            description: text.into(),
        });
    }
}
