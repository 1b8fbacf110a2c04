use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::contract::{Entity, ListQuery, Page, Registered, Registry};
use crate::id::{Identifier, ResourceType, Str, Tenant};
use crate::{Error, ErrorKind, Result};

/// A registry that lives in this process.
///
/// ```
/// use flyte_core::contract::{Entity, Registered, Registry};
/// use flyte_core::id::{Identifier, ResourceType};
/// use flyte_core::memory::MemoryRegistry;
/// use flyte_core::template::{TaskTemplate, TypedInterface};
/// # futures::executor::block_on(async {
/// let registry = MemoryRegistry::default();
/// let id = Identifier::new(ResourceType::Task, "double", "1");
/// let task = TaskTemplate::new(id.clone(), "container", TypedInterface::default());
/// let task = Entity::Task(task);
/// assert_eq!(registry.register(&task).await?, Registered::Created);
/// assert_eq!(registry.register(&task).await?, Registered::Unchanged);
/// assert_eq!(registry.get(&id).await?, task);
/// # Ok::<_, flyte_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryRegistry(Arc<Mutex<Inner>>);

/// What versions have in common.
type Name = (ResourceType, Tenant, Str);

#[derive(Debug, Default)]
struct Inner {
    /// In the order of registration.
    entities: BTreeMap<u64, Entity>,
    numbers: BTreeMap<Identifier, u64>,
    active: BTreeMap<Name, Identifier>,
    archived: BTreeSet<Name>,
}

fn name_of(id: &Identifier) -> Name {
    (id.resource_type, id.tenant.clone(), id.name.clone())
}

fn missing(operation: &'static str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("no {what}"))
}

impl MemoryRegistry {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0
            .lock()
            .expect("invariant: nothing panics while it is held")
    }
}

impl Inner {
    fn get(&self, operation: &'static str, id: &Identifier) -> Result<Entity> {
        let number = self.numbers.get(id).ok_or_else(|| missing(operation, id))?;
        let mut entity = self.entities[number].clone();
        if let Entity::LaunchPlan(l) = &mut entity {
            l.closure.active = self.active.get(&name_of(id)) == Some(id);
        }
        Ok(entity)
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn register(&self, entity: &Entity) -> Result<Registered> {
        let id = entity.id()?.clone();
        let mut inner = self.lock();
        if inner.numbers.contains_key(&id) {
            let there = inner.get("register", &id)?;
            if there.digest() == entity.digest() {
                return Ok(Registered::Unchanged);
            }
            let text = format!("{id} exists and differs in {}", there.difference(entity));
            return Err(Error::new(ErrorKind::AlreadyExists, "register", text));
        }
        let number = inner.entities.len() as u64;
        inner.entities.insert(number, entity.clone());
        inner.numbers.insert(id, number);
        Ok(Registered::Created)
    }

    async fn get(&self, id: &Identifier) -> Result<Entity> {
        self.lock().get("get", id)
    }

    async fn latest(&self, kind: ResourceType, tenant: &Tenant, name: &str) -> Result<Entity> {
        let inner = self.lock();
        let wanted = (kind, tenant.clone(), Str::from(name));
        let last = inner
            .numbers
            .iter()
            .filter(|(id, _)| name_of(id) == wanted && !inner.archived.contains(&wanted))
            .max_by_key(|(_, number)| **number);
        let (id, _) = last.ok_or_else(|| missing("latest", format!("{kind} {tenant}:{name}")))?;
        inner.get("latest", id)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Identifier>> {
        let inner = self.lock();
        let before = match &query.from {
            None => u64::MAX,
            Some(from) => from.parse().map_err(|_| {
                let text = format!("`{from}` is not where a page ended");
                Error::new(ErrorKind::Invalid, "list", text)
            })?,
        };
        let fits = |id: &Identifier| {
            id.resource_type == query.kind
                && id.tenant == query.tenant
                && query.name.as_ref().is_none_or(|n| *n == id.name)
                && !inner.archived.contains(&name_of(id))
        };
        let newest = inner.entities.range(..before).rev();
        let mut found = newest
            .filter_map(|(n, e)| Some((*n, e.id().ok()?.clone())))
            .filter(|(_, id)| fits(id));
        let items: Vec<_> = found.by_ref().take(query.limit as usize).collect();
        let more = found.next().is_some();
        let next = items.last().filter(|_| more).map(|(n, _)| n.to_string());
        Ok(Page {
            items: items.into_iter().map(|(_, id)| id).collect(),
            next,
            watermark: Vec::new(),
        })
    }

    async fn activate(&self, id: &Identifier) -> Result<()> {
        let mut inner = self.lock();
        if !matches!(inner.get("activate", id)?, Entity::LaunchPlan(_)) {
            let text = format!("{id} is no launch plan");
            return Err(Error::new(ErrorKind::Invalid, "activate", text));
        }
        inner.active.insert(name_of(id), id.clone());
        Ok(())
    }

    async fn deactivate(&self, id: &Identifier) -> Result<()> {
        let mut inner = self.lock();
        inner.get("deactivate", id)?;
        if inner.active.get(&name_of(id)) == Some(id) {
            inner.active.remove(&name_of(id));
        }
        Ok(())
    }

    async fn active(&self, tenant: &Tenant, name: &str) -> Result<Entity> {
        let inner = self.lock();
        let wanted = (ResourceType::LaunchPlan, tenant.clone(), Str::from(name));
        let id = inner.active.get(&wanted);
        let id =
            id.ok_or_else(|| missing("active", format!("active launch plan {tenant}:{name}")))?;
        inner.get("active", id)
    }

    async fn archive(
        &self,
        kind: ResourceType,
        tenant: &Tenant,
        name: &str,
        archived: bool,
    ) -> Result<()> {
        let mut inner = self.lock();
        let wanted = (kind, tenant.clone(), Str::from(name));
        if !inner.numbers.keys().any(|id| name_of(id) == wanted) {
            return Err(missing("archive", format!("{kind} {tenant}:{name}")));
        }
        match archived {
            true => inner.archived.insert(wanted),
            false => inner.archived.remove(&wanted),
        };
        Ok(())
    }
}
