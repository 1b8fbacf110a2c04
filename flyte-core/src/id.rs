//! Names of things: tenants, entities, executions, attempts.

use std::fmt;
use std::sync::Arc;

use crate::limits::{EXECUTION_NAME_BYTES_MAX, TENANT_NAME_BYTES_MAX};
use serde::{Deserialize, Serialize};

/// An immutable, cheaply cloned text.
pub type Str = Arc<str>;

/// The tenant that owns a record: organisation, project and domain
/// (`org`, `project`, `domain` of `flyteidl.core.Identifier`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tenant {
    /// The organisation; usually empty.
    pub org: Str,
    /// The project.
    pub project: Str,
    /// The domain, for instance `development`.
    pub domain: Str,
}

impl Tenant {
    /// A tenant without organisation.
    pub fn new(project: impl Into<Str>, domain: impl Into<Str>) -> Self {
        Self {
            org: "".into(),
            project: project.into(),
            domain: domain.into(),
        }
    }
}

impl Default for Tenant {
    /// Project `flytesnacks`, domain `development`.
    fn default() -> Self {
        Self::new("flytesnacks", "development")
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.org.is_empty() {
            write!(f, "{}:", self.org)?;
        }
        write!(f, "{}:{}", self.project, self.domain)
    }
}

/// `flyteidl.core.ResourceType`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum ResourceType {
    /// Not said.
    #[default]
    Unspecified,
    /// A task.
    Task,
    /// A workflow.
    Workflow,
    /// A launch plan.
    LaunchPlan,
    /// A dataset.
    Dataset,
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "entity",
            Self::Task => "task",
            Self::Workflow => "workflow",
            Self::LaunchPlan => "launch plan",
            Self::Dataset => "dataset",
        })
    }
}

/// An entity of one immutable version (`flyteidl.core.Identifier`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// What it is.
    pub resource_type: ResourceType,
    /// Whose it is.
    pub tenant: Tenant,
    /// Its name, usually dotted.
    pub name: Str,
    /// Its version.
    pub version: Str,
}

impl Identifier {
    /// An identifier in the default tenant.
    pub fn new(resource_type: ResourceType, name: impl Into<Str>, version: impl Into<Str>) -> Self {
        Self {
            resource_type,
            tenant: Tenant::default(),
            name: name.into(),
            version: version.into(),
        }
    }

    /// The same in another tenant.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = tenant;
        self
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}:{}:{}",
            self.resource_type, self.tenant, self.name, self.version
        )
    }
}

/// One execution (`flyteidl.core.WorkflowExecutionIdentifier`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecutionId {
    /// Whose it is.
    pub tenant: Tenant,
    /// Its name, unique in the tenant.
    pub name: Str,
}

/// Names are parts of paths, labels and messages.
fn check_name(what: &str, name: &str, bytes_max: usize) -> crate::Result<()> {
    let wrong = match name {
        "" => "is empty",
        n if n.len() > bytes_max => "is too long",
        n if n.contains('/') => "has a slash",
        n if n.chars().any(char::is_control) => "has a control character",
        n if n.trim() != n => "has white space at an end",
        n if n.chars().all(|c| c == '.') => "has dots only",
        _ => return Ok(()),
    };
    let shown: String = name.chars().take(100).collect();
    let text = format!(
        "the name `{shown}` of the {what} {wrong}: 1 to {bytes_max} bytes without slashes and \
         control characters are allowed"
    );
    Err(crate::Error::new(crate::ErrorKind::Invalid, "name", text))
}

impl Tenant {
    /// Whether its names can be names of folders and labels: at most
    /// [`TENANT_NAME_BYTES_MAX`] bytes each, project and domain not empty, none with a slash, a
    /// control character, or white space at its ends, or only of dots.
    ///
    /// # Errors
    /// `Invalid` with the name and what is allowed.
    pub fn check(&self) -> crate::Result<()> {
        let names = [
            ("project", &self.project, false),
            ("domain", &self.domain, false),
            ("organisation", &self.org, true),
        ];
        for (what, name, optional) in names {
            if !(optional && name.is_empty()) {
                check_name(what, name, TENANT_NAME_BYTES_MAX)?;
            }
        }
        Ok(())
    }
}

impl ExecutionId {
    /// Whether it may be submitted: its tenant is in order ([`Tenant::check`]), and its name by the
    /// same rules, with at most [`EXECUTION_NAME_BYTES_MAX`] bytes.
    ///
    /// ```
    /// use flyte_core::id::{ExecutionId, Tenant};
    /// let id = |name: &str| ExecutionId::new(Tenant::default(), name);
    /// assert!(id("nightly-2026.11").check().is_ok());
    /// for bad in ["", "a/b", "..", " x", "a\nb", &"x".repeat(101)] {
    ///     assert!(id(bad).check().is_err(), "{bad:?}");
    /// }
    /// ```
    ///
    /// # Errors
    /// `Invalid` with the name and what is allowed.
    pub fn check(&self) -> crate::Result<()> {
        self.tenant.check()?;
        check_name("execution", &self.name, EXECUTION_NAME_BYTES_MAX)
    }

    /// The execution `name` of `tenant`.
    pub fn new(tenant: Tenant, name: impl Into<Str>) -> Self {
        Self {
            tenant,
            name: name.into(),
        }
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tenant, self.name)
    }
}

/// The index of an open frame inside its execution; the root frame is 0.
///
/// An execution is a tree of frames: the root graph, and one more for each sub-workflow, taken
/// branch or dynamic expansion that was opened.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct FrameIx(pub u32);

/// The index of a node inside its graph.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct NodeIx(pub u32);

/// The address of a node inside an execution.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct NodeAddr {
    /// The frame.
    pub frame: FrameIx,
    /// The node in the frame's graph.
    pub node: NodeIx,
}

impl NodeAddr {
    /// Node `node` of frame `frame`.
    #[must_use]
    pub const fn new(frame: u32, node: u32) -> Self {
        Self {
            frame: FrameIx(frame),
            node: NodeIx(node),
        }
    }
}

/// Names one attempt of one node; every effect carries it, and a backend makes its own
/// idempotency token or object name from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The execution.
    pub execution: ExecutionId,
    /// The node.
    pub addr: NodeAddr,
    /// The attempt, from 0 (`retry_attempt`).
    pub attempt: u32,
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}.{}/{}",
            self.execution, self.addr.frame.0, self.addr.node.0, self.attempt
        )
    }
}

/// A 32-byte BLAKE3 digest, shown as hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes` in the separate space that `domain` names.
    #[must_use]
    pub fn of(domain: &str, bytes: &[u8]) -> Self {
        let mut h = blake3::Hasher::new_derive_key(domain);
        h.update(bytes);
        Self(*h.finalize().as_bytes())
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        blake3::Hash::from(self.0).to_hex().to_string()
    }

    /// Reads what [`Digest::to_hex`] wrote.
    #[must_use]
    pub fn from_hex(s: &str) -> Option<Self> {
        blake3::Hash::from_hex(s).ok().map(|h| Self(*h.as_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", &self.to_hex()[..12])
    }
}
