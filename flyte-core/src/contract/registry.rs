use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Page;
use crate::Result;
use crate::id::{Digest, Identifier, ResourceType, Str, Tenant};
use crate::template::{LaunchPlanTemplate, TaskTemplate, WorkflowTemplate};

/// Immutable versions of tasks, workflows and launch plans.
///
/// - MUST [registry.tenant]: nothing of one tenant is ever returned for another.
/// - MUST [registry.cancel]: a call may be dropped at any await; it then happened or it did not,
///   and may be made again.
///
/// ```
/// use flyte_core::contract::{Entity, Registered, Registry};
/// use flyte_core::id::{Identifier, ResourceType, Tenant};
/// use flyte_core::memory::MemoryRegistry;
/// use flyte_core::template::{TaskTemplate, TypedInterface};
/// use flyte_core::ErrorKind;
///
/// # futures::executor::block_on(async {
/// let registry: std::sync::Arc<dyn Registry> = std::sync::Arc::new(MemoryRegistry::default());
/// let id = Identifier::new(ResourceType::Task, "double", "v1");
/// let task = TaskTemplate::new(id.clone(), "container", TypedInterface::default());
/// assert_eq!(registry.register(&Entity::Task(task.clone())).await?, Registered::Created);
/// assert_eq!(registry.register(&Entity::Task(task.clone())).await?, Registered::Unchanged);
///
/// let mut other = task.clone();
/// other.metadata.retries = Some(3);
/// let refused = registry.register(&Entity::Task(other)).await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
/// assert!(refused.message().contains("metadata.retries"));
///
/// let latest = registry.latest(ResourceType::Task, &Tenant::default(), "double").await?;
/// assert_eq!(latest.id()?, &id);
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait Registry: Debug + Send + Sync {
    /// Stores a version.
    ///
    /// - MUST [registry.register.durable]: when it returns, `get` finds it.
    /// - MUST [registry.register.same]: the same content again is [`Registered::Unchanged`].
    /// - MUST [registry.register.other]: other content under the same version is `AlreadyExists`;
    ///   the error names what differs, and the stored one stays.
    async fn register(&self, entity: &Entity) -> Result<Registered>;

    /// One version.
    ///
    /// - MUST [registry.get.missing]: an unknown one is `NotFound`.
    async fn get(&self, id: &Identifier) -> Result<Entity>;

    /// The version that was registered last; archived ones do not count.
    ///
    /// - MUST [registry.latest]: the last registered, not the greatest text.
    async fn latest(&self, kind: ResourceType, tenant: &Tenant, name: &str) -> Result<Entity>;

    /// Versions, newest first.
    ///
    /// - MUST [registry.list.paging]: following `next` gives each match exactly once.
    async fn list(&self, query: &ListQuery) -> Result<Page<Identifier>>;

    /// Makes one version of a launch plan the active one of its name, in one step.
    ///
    /// - MUST [registry.activate.kind]: an unknown version is `NotFound`, and what is no launch
    ///   plan is `Invalid`; the active version stays.
    /// - MUST [registry.activate.one]: at most one version of a name is active at any moment.
    async fn activate(&self, id: &Identifier) -> Result<()>;

    /// Makes a launch plan's version inactive.
    ///
    /// - MUST [registry.deactivate]: `active` no longer gives it; another version stays active.
    async fn deactivate(&self, id: &Identifier) -> Result<()>;

    /// The active version of a launch plan's name.
    ///
    /// - MUST [registry.active.none]: none active is `NotFound`.
    async fn active(&self, tenant: &Tenant, name: &str) -> Result<Entity>;

    /// Hides (or shows again) a name in lists and in `latest`; `get` still finds its versions.
    ///
    /// - MUST [registry.archive]: as said; a name without versions is `NotFound`.
    async fn archive(
        &self,
        kind: ResourceType,
        tenant: &Tenant,
        name: &str,
        archived: bool,
    ) -> Result<()>;
}

/// Something with an immutable version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // Moved rarely, never many.
pub enum Entity {
    /// A task.
    Task(TaskTemplate),
    /// A workflow.
    Workflow(WorkflowTemplate),
    /// A launch plan.
    LaunchPlan(LaunchPlanTemplate),
}

impl Entity {
    /// Its identifier.
    ///
    /// # Errors
    /// `Invalid` for a task without one.
    pub fn id(&self) -> Result<&Identifier> {
        match self {
            Self::Task(t) => t.id.as_ref().ok_or_else(|| {
                crate::Error::new(
                    crate::ErrorKind::Invalid,
                    "Entity::id",
                    "the task has no id",
                )
            }),
            Self::Workflow(w) => Ok(&w.id),
            Self::LaunchPlan(l) => Ok(&l.id),
        }
    }

    /// The digest of its content; the activation state of a launch plan does not count.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut copy = self.clone();
        if let Self::LaunchPlan(l) = &mut copy {
            l.closure.active = false;
        }
        let bytes = postcard::to_allocvec(&copy)
            .expect("invariant: a template has no type postcard refuses");
        Digest::of("flyte entity v1", &bytes)
    }
}

impl Entity {
    /// What differs in another entity of the same version, for people: paths of fields, such as
    /// `metadata.retries`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> String {
        let json = |e: &Self| serde_json::to_value(e).unwrap_or_default();
        let mut out = Vec::new();
        differing("", &json(self), &json(other), &mut out);
        match out.is_empty() {
            true => "its content".into(),
            false => out.join(", "),
        }
    }
}

fn differing(place: &str, a: &serde_json::Value, b: &serde_json::Value, out: &mut Vec<String>) {
    /// More help nobody.
    const SHOWN_MAX: usize = 5;
    use serde_json::Value::{Array, Object};
    if a == b || out.len() >= SHOWN_MAX {
        return;
    }
    let at = |key: &str| match place {
        "" => key.to_owned(),
        place => format!("{place}.{key}"),
    };
    match (a, b) {
        (Object(x), Object(y)) => {
            let keys = x.keys().chain(y.keys().filter(|k| !x.contains_key(*k)));
            for key in keys {
                let none = serde_json::Value::Null;
                let of = |m: &serde_json::Map<_, _>| m.get(key).unwrap_or(&none).clone();
                // The kind of entity is known to who reads this.
                let inner =
                    if place.is_empty() && x.len() == 1 && key.starts_with(char::is_uppercase) {
                        String::new()
                    } else {
                        at(key)
                    };
                differing(&inner, &of(x), &of(y), out);
            }
        }
        (Array(x), Array(y)) if x.len() == y.len() => {
            for (i, (x, y)) in x.iter().zip(y).enumerate() {
                differing(&format!("{place}[{i}]"), x, y, out);
            }
        }
        _ => out.push(match place {
            "" => "its kind".into(),
            place => place.into(),
        }),
    }
}

/// What [`Registry::register`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is new.
    Created,
    /// The same was there.
    Unchanged,
}

/// Which versions [`Registry::list`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListQuery {
    /// Which kind.
    pub kind: ResourceType,
    /// Whose.
    pub tenant: Tenant,
    /// Only this name.
    pub name: Option<Str>,
    /// At most this many.
    pub limit: u32,
    /// From where, as the last page said.
    pub from: Option<String>,
}

impl ListQuery {
    /// Everything of a kind and tenant, 100 at a time.
    #[must_use]
    pub fn new(kind: ResourceType, tenant: Tenant) -> Self {
        Self {
            kind,
            tenant,
            name: None,
            limit: 100,
            from: None,
        }
    }

    /// Only versions of `name`.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Str>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// At most `limit` a page.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// From where the last page ended.
    #[must_use]
    pub fn with_from(mut self, from: Option<String>) -> Self {
        self.from = from;
        self
    }
}
