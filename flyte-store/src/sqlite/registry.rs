use async_trait::async_trait;
use flyte_core::contract::{Durability, Entity, ListQuery, Page, Registered, Registry};
use flyte_core::id::{Identifier, ResourceType, Tenant};
use flyte_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, params};

use crate::codec::kind_of;

use super::error::classify;
use super::sealed::{decode, encode};
use super::writer::Writer;

/// The registry beside a [`SqliteStore`](super::SqliteStore), in the same file.
#[derive(Clone, Debug)]
pub struct SqliteRegistry(pub(super) Writer);

fn missing(operation: &'static str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("no {what}"))
}

/// The columns that name something, and a version if there is one.
macro_rules! name {
    ($kind:expr, $tenant:expr, $name:expr $(, $more:expr)*) => {
        params![kind_of($kind), &*$tenant.org, &*$tenant.project, &*$tenant.domain, $name $(, $more)*]
    };
}

const NAME: &str = "kind = ?1 AND org = ?2 AND project = ?3 AND domain = ?4 AND name = ?5";

fn read(c: &Connection, operation: &'static str, id: &Identifier) -> Result<Option<Entity>> {
    let sql = format!("SELECT entity, active FROM entities WHERE {NAME} AND version = ?6");
    let found: Option<(Vec<u8>, bool)> = c
        .prepare_cached(&sql)
        .and_then(|mut s| {
            let values = name!(id.resource_type, id.tenant, &*id.name, &*id.version);
            s.query_row(values, |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()
        })
        .map_err(|e| classify(operation, e))?;
    found
        .map(|(bytes, active)| {
            let mut entity: Entity = decode(&bytes)?;
            if let Entity::LaunchPlan(l) = &mut entity {
                l.closure.active = active;
            }
            Ok(entity)
        })
        .transpose()
}

fn one(
    c: &Connection,
    operation: &'static str,
    condition: &str,
    (kind, tenant, name): (ResourceType, &Tenant, &str),
) -> Result<Entity> {
    let sql = format!(
        "SELECT entity, active FROM entities WHERE {NAME} AND {condition}
         ORDER BY number DESC LIMIT 1"
    );
    let found: Option<(Vec<u8>, bool)> = c
        .prepare_cached(&sql)
        .and_then(|mut s| {
            s.query_row(name!(kind, tenant, name), |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()
        })
        .map_err(|e| classify(operation, e))?;
    let (bytes, active) =
        found.ok_or_else(|| missing(operation, format!("{kind} {tenant}:{name}")))?;
    let mut entity: Entity = decode(&bytes)?;
    if let Entity::LaunchPlan(l) = &mut entity {
        l.closure.active = active;
    }
    Ok(entity)
}

impl SqliteRegistry {
    async fn with<T: Send + 'static>(
        &self,
        durability: Durability,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.write(durability, f).await
    }

    /// Sets whether versions of a name are active; all of them if `version` is not given.
    async fn set_active(&self, id: Identifier, on: bool) -> Result<()> {
        let operation = if on { "activate" } else { "deactivate" };
        self.with(Durability::Power, move |c| {
            match read(c, operation, &id)? {
                Some(Entity::LaunchPlan(_)) => {}
                Some(_) => {
                    let text = format!("{id} is no launch plan");
                    return Err(Error::new(ErrorKind::Invalid, operation, text));
                }
                None => return Err(missing(operation, &id)),
            }
            let sql = match on {
                true => format!("UPDATE entities SET active = (version = ?6) WHERE {NAME}"),
                false => format!("UPDATE entities SET active = 0 WHERE {NAME} AND version = ?6"),
            };
            let values = name!(id.resource_type, id.tenant, &*id.name, &*id.version);
            c.execute(&sql, values)
                .map_err(|e| classify(operation, e))?;
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Registry for SqliteRegistry {
    async fn register(&self, entity: &Entity) -> Result<Registered> {
        let (id, entity) = (entity.id()?.clone(), entity.clone());
        self.with(Durability::Power, move |c| {
            if let Some(there) = read(c, "register", &id)? {
                if there.digest() == entity.digest() {
                    return Ok(Registered::Unchanged);
                }
                let text = format!("{id} exists and differs in {}", there.difference(&entity));
                return Err(Error::new(ErrorKind::AlreadyExists, "register", text));
            }
            let bytes = encode(&entity)?;
            c.execute(
                "INSERT INTO entities (kind, org, project, domain, name, version, entity)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                name!(id.resource_type, id.tenant, &*id.name, &*id.version, bytes),
            )
            .map_err(|e| classify("register", e))?;
            Ok(Registered::Created)
        })
        .await
    }

    async fn get(&self, id: &Identifier) -> Result<Entity> {
        let id = id.clone();
        self.with(Durability::Memory, move |c| {
            read(c, "get", &id)?.ok_or_else(|| missing("get", &id))
        })
        .await
    }

    async fn latest(&self, kind: ResourceType, tenant: &Tenant, name: &str) -> Result<Entity> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.with(Durability::Memory, move |c| {
            one(c, "latest", "archived = 0", (kind, &tenant, &name))
        })
        .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Identifier>> {
        let query = query.clone();
        let before: i64 = match &query.from {
            None => i64::MAX,
            Some(from) => from.parse().map_err(|_| {
                let text = format!("`{from}` is not where a page ended");
                Error::new(ErrorKind::Invalid, "list", text)
            })?,
        };
        self.with(Durability::Memory, move |c| {
            let t = &query.tenant;
            let values = params![
                kind_of(query.kind),
                &*t.org,
                &*t.project,
                &*t.domain,
                query.name.as_deref(),
                before,
                i64::from(query.limit) + 1
            ];
            let rows: Vec<(i64, String, String)> = c
                .prepare_cached(
                    "SELECT number, name, version FROM entities
                     WHERE kind = ?1 AND org = ?2 AND project = ?3 AND domain = ?4
                         AND (?5 IS NULL OR name = ?5) AND archived = 0 AND number < ?6
                     ORDER BY number DESC LIMIT ?7",
                )
                .and_then(|mut s| {
                    s.query_map(values, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                        .collect()
                })
                .map_err(|e| classify("list", e))?;
            let limit = query.limit as usize;
            let more = rows.len() > limit;
            let next = rows[..limit.min(rows.len())].last().filter(|_| more);
            let next = next.map(|r| r.0.to_string());
            let id = |(_, name, version): (i64, String, String)| {
                Identifier::new(query.kind, name, version).in_tenant(query.tenant.clone())
            };
            Ok(Page {
                items: rows.into_iter().take(limit).map(id).collect(),
                next,
                watermark: Vec::new(),
            })
        })
        .await
    }

    async fn activate(&self, id: &Identifier) -> Result<()> {
        self.set_active(id.clone(), true).await
    }

    async fn deactivate(&self, id: &Identifier) -> Result<()> {
        self.set_active(id.clone(), false).await
    }

    async fn active(&self, tenant: &Tenant, name: &str) -> Result<Entity> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.with(Durability::Memory, move |c| {
            let what = (ResourceType::LaunchPlan, &tenant, &*name);
            one(c, "active", "active = 1", what)
        })
        .await
    }

    async fn archive(
        &self,
        kind: ResourceType,
        tenant: &Tenant,
        name: &str,
        archived: bool,
    ) -> Result<()> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.with(Durability::Power, move |c| {
            let sql = format!("UPDATE entities SET archived = ?6 WHERE {NAME}");
            let n = c
                .execute(&sql, name!(kind, tenant, &*name, archived))
                .map_err(|e| classify("archive", e))?;
            match n {
                0 => Err(missing("archive", format!("{kind} {tenant}:{name}"))),
                _ => Ok(()),
            }
        })
        .await
    }
}
