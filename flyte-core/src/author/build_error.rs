use std::fmt;

use super::Place;
use crate::compile::CompileErrorCode;

/// One thing that is wrong with a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// What kind of thing; Flyte's codes.
    pub code: CompileErrorCode,
    /// The node, or empty for the workflow itself.
    pub node: String,
    /// Where it was written.
    pub place: Option<Place>,
    /// What exactly, for people.
    pub message: String,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.node.is_empty() {
            write!(f, "node `{}`", self.node)?;
        }
        if let Some(place) = &self.place {
            let space = if self.node.is_empty() { "" } else { " " };
            write!(f, "{space}at {place}")?;
        }
        if !self.node.is_empty() || self.place.is_some() {
            f.write_str(": ")?;
        }
        write!(f, "{} ({})", self.message, self.code.as_str())
    }
}

/// Everything that is wrong with a workflow; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildErrors {
    /// The workflow.
    pub workflow: String,
    /// What is wrong, in the order in which it was written.
    pub errors: Vec<BuildError>,
}

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.errors[..] {
            [one] => write!(f, "workflow `{}`: {one}", self.workflow),
            all => {
                write!(f, "workflow `{}` has {} errors:", self.workflow, all.len())?;
                all.iter().try_for_each(|e| write!(f, "\n  {e}"))
            }
        }
    }
}

impl std::error::Error for BuildErrors {}
