use std::sync::Arc;

use dashmap::DashMap;
use flyte_core::author::ResourceNeed;
use flyte_core::contract::{Expansion, HostResources, Plugin, RawTask, Store, TASK_TYPE, Task};
use flyte_core::id::Digest;
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::plan::Plan;
use flyte_core::template::{InterfaceChange, TaskTarget, TaskTemplate, TypedInterface};

use crate::engine::{LoadedPlan, TaskKind, unsupported};

/// Plans that this scheduler has seen, with who runs their tasks.
#[derive(Debug)]
pub(crate) struct PlanCache {
    store: Arc<dyn Store>,
    plugins: Vec<Arc<dyn Plugin>>,
    resources: HostResources,
    loaded: DashMap<Digest, Arc<LoadedPlan>>,
    /// Plans that were checked, by the address of the `Arc` that is held beside.
    approved: DashMap<usize, (Arc<Plan>, Digest)>,
}

impl PlanCache {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        plugins: Vec<Arc<dyn Plugin>>,
        resources: HostResources,
    ) -> Self {
        Self {
            store,
            plugins,
            resources,
            loaded: DashMap::new(),
            approved: DashMap::new(),
        }
    }

    /// The plan of a digest, from memory or from the store.
    pub(crate) async fn load(&self, digest: Digest) -> flyte_core::Result<Arc<LoadedPlan>> {
        if let Some(plan) = self.loaded.get(&digest) {
            return Ok(plan.clone());
        }
        let bytes = self.store.get_plan(digest).await?;
        Ok(self.keep(digest, Arc::new(Plan::read(digest, &bytes)?)))
    }

    /// The name of a plan that was checked before.
    pub(crate) fn known(&self, plan: &Arc<Plan>) -> Option<Digest> {
        let found = self.approved.get(&(Arc::as_ptr(plan) as usize))?;
        Some(found.1)
    }

    /// Remembers that a plan can be run here.
    pub(crate) fn approve(&self, plan: &Arc<Plan>, digest: Digest) {
        let held = (plan.clone(), digest);
        self.approved.insert(Arc::as_ptr(plan) as usize, held);
    }

    /// Stores a plan and keeps it.
    pub(crate) async fn put(&self, plan: &Arc<Plan>) -> flyte_core::Result<Arc<LoadedPlan>> {
        let bytes = plan.to_bytes();
        let digest = Plan::digest_of(&bytes);
        if let Some(known) = self.loaded.get(&digest) {
            return Ok(known.clone());
        }
        self.store.put_plan(digest, bytes.into()).await?;
        Ok(self.keep(digest, plan.clone()))
    }

    /// Makes the plan that a dynamic task answered with durable, if it can run here.
    ///
    /// # Errors
    /// What cannot run, as the failure of the attempt that answered.
    pub(crate) async fn expansion(
        &self,
        plan: &Arc<Plan>,
    ) -> Result<Arc<LoadedPlan>, ExecutionError> {
        let refused = |text: &str| {
            let code = Expansion::BUILD_FAILED;
            ExecutionError::new(ErrorOrigin::User, code, text)
        };
        if let Some(what) = unsupported(plan) {
            return Err(refused(&what));
        }
        let loaded = self.put(plan).await.map_err(|e| {
            let text = format!("the plan of a dynamic task cannot be stored: {e}");
            ExecutionError::new(ErrorOrigin::System, "RuntimeFailure", text)
        })?;
        for kind in &loaded.tasks {
            match kind {
                TaskKind::InProcess(_) | TaskKind::Plugin(_) => {}
                TaskKind::Unknown(why) => return Err(refused(why)),
                TaskKind::NoPlugin(t) => {
                    return Err(refused(&format!("no plugin takes tasks of type `{t}`")));
                }
                TaskKind::Changed(changes) => return Err(refused(&listed(changes))),
            }
        }
        Ok(loaded)
    }

    fn keep(&self, digest: Digest, plan: Arc<Plan>) -> Arc<LoadedPlan> {
        let kinds = plan.tasks.iter().map(|t| self.kind(t)).collect();
        let loaded = Arc::new(LoadedPlan::new(plan, digest, kinds));
        self.loaded.insert(digest, loaded.clone());
        loaded
    }

    fn kind(&self, task: &TaskTemplate) -> TaskKind {
        if task.task_type == TASK_TYPE {
            return match RawTask::read(task) {
                Ok(object) => {
                    let changes = changes(task, &*object);
                    if !changes.is_empty() {
                        return TaskKind::Changed(changes.into());
                    }
                    let all: Vec<_> = missing(&*object, &self.resources).collect();
                    if all.is_empty() {
                        return TaskKind::InProcess(object.into());
                    }
                    let all = all.join("`, `");
                    let text = format!("needs a resource `{all}`: add `.resource(..)`");
                    TaskKind::Unknown(text.into())
                }
                Err(e) => TaskKind::Unknown(e.message().into()),
            };
        }
        match taker(&self.plugins, task) {
            Some(i) => TaskKind::Plugin(i as u16),
            None => TaskKind::NoPlugin(task.task_type.as_str().into()),
        }
    }
}

/// What keeps the object of a stored task from running as the plan says.
pub(crate) fn changes(stored: &TaskTemplate, object: &dyn Task) -> Vec<InterfaceChange> {
    let name = stored.id.as_ref().map_or("", |id| &id.name);
    let program = object.template().interface.unwrap_or_default();
    match &stored.interface {
        Some(stored) => stored.changes(name, &program),
        None => TypedInterface::default().changes(name, &program),
    }
}

/// Differences in one sentence.
pub(crate) fn listed(changes: &[InterfaceChange]) -> String {
    let all: Vec<String> = changes.iter().map(ToString::to_string).collect();
    format!("{}, in this program", all.join(", "))
}

/// The resources that a task needs and nobody gave.
pub(crate) fn missing(
    task: &dyn Task,
    resources: &HostResources,
) -> impl Iterator<Item = &'static str> {
    let needs = task.needs().iter().filter(|n| !n.is_given(resources));
    needs.map(ResourceNeed::name)
}

/// Which plugin runs a task: one that names its type, or one that takes any container.
pub(crate) fn taker(plugins: &[Arc<dyn Plugin>], task: &TaskTemplate) -> Option<usize> {
    let named = |p: &Arc<dyn Plugin>| p.info().task_types.contains(&task.task_type);
    let container = matches!(task.target, Some(TaskTarget::Container(_)));
    let fallback = |p: &Arc<dyn Plugin>| container && p.info().capabilities.fallback;
    let place = plugins.iter().position(named);
    place.or_else(|| plugins.iter().position(fallback))
}
