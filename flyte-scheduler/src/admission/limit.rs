use flyte_core::id::{Str, Tenant};
use flyte_core::template::TaskTemplate;

/// The key of [`TaskTemplate::config`] under which a task names the pools that each of its attempts
/// takes a unit of, with commas between them.
pub const POOLS: &str = "flyte.pools";
/// The key of [`TaskTemplate::config`] under which a task names its rate keys.
pub const RATE_KEYS: &str = "flyte.rate-keys";

/// A bound on attempts that run at once, over all schedulers that share a store.
///
/// Each attempt of a task that a limit concerns holds a unit from its start until its job is over,
/// also while it is being ended. Sub-workflows, gates and child executions hold none. A unit
/// belongs to the lease of the scheduler that took it: when a scheduler dies, its units are free
/// once its lease is; jobs that outlive it are counted again by the next owner, which then begins
/// nothing before it is within the limit.
///
/// ```
/// use flyte_scheduler::{Limit, Scheduler};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let scheduler = Scheduler::builder()
///     .limit(Limit::pool("licences", 3))
///     .limit(Limit::task_type("spark", 20))
///     .limit(Limit::project(100))
///     .limit(Limit::rate("search-api"))
///     .build()
///     .await?;
/// # scheduler.shutdown(std::time::Duration::ZERO).await;
/// # Ok::<_, flyte_scheduler::BuildError>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    over: Over,
    capacity: Option<u64>,
}

/// What a limit is over.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Over {
    Project,
    TaskType(String),
    Pool(String),
    Rate(String),
}

impl Limit {
    /// Tasks that name this pool in their `config`, under [`POOLS`].
    pub fn pool(name: impl Into<String>, capacity: u64) -> Self {
        Self::new(Over::Pool(name.into()), Some(capacity))
    }

    /// Tasks of this type, as Flyte's `resourceQuotas` of a plugin.
    pub fn task_type(task_type: impl Into<String>, capacity: u64) -> Self {
        Self::new(Over::TaskType(task_type.into()), Some(capacity))
    }

    /// Each project by itself: all tasks of all its domains.
    #[must_use]
    pub fn project(capacity: u64) -> Self {
        Self::new(Over::Project, Some(capacity))
    }

    /// Tasks that name this key in their `config`, under [`RATE_KEYS`]: any number of them at once,
    /// until one fails with `retry_after`; then none begins before that time. Other schedulers of
    /// the store notice within a second. It opens early if the scheduler that closed it dies.
    pub fn rate(key: impl Into<String>) -> Self {
        Self::new(Over::Rate(key.into()), None)
    }

    fn new(over: Over, capacity: Option<u64>) -> Self {
        Self { over, capacity }
    }

    /// `None` for a rate key.
    pub(crate) fn capacity(&self) -> Option<u64> {
        self.capacity
    }

    /// Whether two limits are over the same.
    pub(crate) fn is_twin(&self, other: &Self) -> bool {
        self.over == other.over
    }

    /// What it is over, for people.
    pub(crate) fn words(&self) -> String {
        match &self.over {
            Over::Project => "each project".into(),
            Over::TaskType(t) => format!("the task type `{t}`"),
            Over::Pool(p) => format!("the pool `{p}`"),
            Over::Rate(k) => format!("the rate key `{k}`"),
        }
    }

    /// The account in the store that a task's attempts draw on, if the limit concerns it.
    pub(crate) fn name_for(&self, tenant: &Tenant, task: &TaskTemplate) -> Option<Str> {
        let named = |key: &str, name: &str| {
            let list = task.config.get(key);
            list.is_some_and(|l| l.split(',').any(|n| n.trim() == name))
        };
        match &self.over {
            Over::Project => Some(format!("project/{}/{}", tenant.org, tenant.project).into()),
            Over::TaskType(t) if *t == task.task_type => Some(format!("type/{t}").into()),
            Over::Pool(p) if named(POOLS, p) => Some(format!("pool/{p}").into()),
            Over::Rate(k) if named(RATE_KEYS, k) => Some(format!("rate/{k}").into()),
            _ => None,
        }
    }
}
