use std::time::Duration;

/// How long what is known of executions that are over is kept: their rows, names and files.
///
/// Every minute the owner of a shard looks at each tenant. An execution goes if any bound says so;
/// one that is not over never goes, a child not before its parent, and one in whose files a result
/// lies not before that is gone from the cache and from every execution that stays. What went cannot be listed, pictured or
/// attached to, and its name is free.
///
/// ```
/// use flyte_scheduler::{Retention, Scheduler};
/// use std::time::Duration;
///
/// let week = Duration::from_secs(7 * 24 * 3600);
/// let builder = Scheduler::builder().retention(Retention::default().max_age(week).max_count(10_000));
/// # drop(builder);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// The age, since its end, beyond which an execution goes. `None` keeps any.
    pub max_age: Option<Duration>,
    /// How many executions of a tenant (org, project and domain) that are over stay: the newest by
    /// their submission. `None` keeps all.
    pub max_count: Option<u64>,
    /// Nothing goes sooner than this after its end, whatever the bounds say: somebody may be
    /// reading it. Ids of commands are remembered as long, and a day at least. Default one hour.
    pub grace: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            max_age: None,
            max_count: None,
            grace: Duration::from_secs(3600),
        }
    }
}

impl Retention {
    /// Executions go that ended longer ago than this.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Of each tenant only so many that are over stay.
    #[must_use]
    pub fn max_count(mut self, executions: u64) -> Self {
        self.max_count = Some(executions);
        self
    }

    /// Nothing goes sooner than this after its end.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}
