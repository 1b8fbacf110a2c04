use std::fmt;

use flyte_core::{Error, ErrorKind};

/// Why there is no scheduler.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Settings are wrong: all of them.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
    /// The shard cannot be claimed or loaded.
    #[error("{0}")]
    Start(#[from] Error),
}

/// A setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of mistake.
    pub code: ProblemCode,
    /// Which setting, and what helps.
    pub message: String,
}

/// The kinds of [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemCode {
    /// A bound of 0 lets nothing through.
    ZeroLimit,
    /// Nobody could see who holds the shard.
    EmptyOwner,
    /// There is no runtime to run tasks.
    NoRuntime,
    /// Two plugins have one id.
    DuplicatePlugin,
    /// Two of the builder's parts would run the same tasks.
    AmbiguousTaskType,
    /// Two limits are over the same.
    DuplicateLimit,
    /// The store offers no `credits`.
    NoSharedLimits,
    /// The store offers no `prune`, which a retention needs.
    CannotPrune,
    /// Values cannot be stored out of band above so many bytes.
    OffloadBound,
    /// A back-off that is none.
    Backoff,
    /// Two resources have one type.
    DuplicateResource,
    /// A declared task needs a resource that was not given.
    MissingResource,
    /// No plugin takes a declared task.
    NoPlugin,
    /// A declared task is not known to this program.
    UnknownTask,
}

impl Problem {
    pub(crate) fn new(code: ProblemCode, message: String) -> Self {
        Self { code, message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

impl BuildError {
    /// What kind of thing went wrong: `Invalid`, or what the store says.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Start(e) => e.kind(),
        }
    }
}

impl From<BuildError> for Error {
    fn from(e: BuildError) -> Self {
        match e {
            BuildError::Start(e) => e,
            BuildError::Invalid(_) => {
                Self::new(ErrorKind::Invalid, "SchedulerBuilder::build", e.to_string())
            }
        }
    }
}

fn list(problems: &[Problem]) -> String {
    let all: Vec<String> = problems.iter().map(Problem::to_string).collect();
    all.join("; ")
}
