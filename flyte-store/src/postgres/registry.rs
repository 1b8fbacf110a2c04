use std::sync::Arc;

use async_trait::async_trait;
use flyte_core::contract::{Entity, ListQuery, Page, Registered, Registry};
use flyte_core::id::{Identifier, ResourceType, Tenant};
use flyte_core::{Error, ErrorKind, Result};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::pool::{Pool, Session};
use crate::codec::{decode, encode, kind_of};

/// The registry beside a [`PostgresStore`](super::PostgresStore), in the same database.
#[derive(Clone, Debug)]
pub struct PostgresRegistry(pub(super) Arc<Pool>);

/// What names something, of `$1` to `$5`.
macro_rules! name {
    () => {
        "kind = $1 AND org = $2 AND project = $3 AND domain = $4 AND name = $5"
    };
}

fn missing(operation: &'static str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("no {what}"))
}

fn entity(row: &Row) -> Result<Entity> {
    let mut entity: Entity = decode(row.get(0))?;
    if let Entity::LaunchPlan(l) = &mut entity {
        l.closure.active = row.get(1);
    }
    Ok(entity)
}

async fn read(session: &mut Session, id: &Identifier) -> Result<Option<Entity>> {
    let text = concat!(
        "SELECT entity, active FROM entities WHERE ",
        name!(),
        " AND version = $6"
    );
    let (kind, t) = (kind_of(id.resource_type), &id.tenant);
    let values: [&(dyn ToSql + Sync); 6] = [
        &kind,
        &&*t.org,
        &&*t.project,
        &&*t.domain,
        &&*id.name,
        &&*id.version,
    ];
    let rows = session.query(text, &values).await?;
    rows.first().map(entity).transpose()
}

impl PostgresRegistry {
    async fn newest(
        &self,
        operation: &'static str,
        text: &'static str,
        (kind, t, name): (ResourceType, &Tenant, &str),
    ) -> Result<Entity> {
        let mut session = self.0.take(operation).await?;
        let number = kind_of(kind);
        let values: [&(dyn ToSql + Sync); 5] =
            [&number, &&*t.org, &&*t.project, &&*t.domain, &name];
        let rows = session.query(text, &values).await?;
        let none = || missing(operation, format!("{kind} {t}:{name}"));
        entity(rows.first().ok_or_else(none)?)
    }

    /// Sets whether a version is active; at most one of a name is.
    async fn set_active(&self, operation: &'static str, id: &Identifier, on: bool) -> Result<()> {
        let mut session = self.0.take(operation).await?;
        let (kind, t) = (kind_of(id.resource_type), &id.tenant);
        // All versions are locked in one order, so that two calls do not each leave one active.
        let lock = concat!(
            "SELECT 1 FROM entities WHERE ",
            name!(),
            " ORDER BY number FOR UPDATE"
        );
        let values: [&(dyn ToSql + Sync); 6] = [
            &kind,
            &&*t.org,
            &&*t.project,
            &&*t.domain,
            &&*id.name,
            &&*id.version,
        ];
        session.begin(lock, &values[..5]).await?;
        match read(&mut session, id).await? {
            Some(Entity::LaunchPlan(_)) => {}
            Some(_) => {
                let text = format!("{id} is no launch plan");
                return Err(Error::new(ErrorKind::Invalid, operation, text));
            }
            None => return Err(missing(operation, id)),
        }
        // The old one goes first: the index refuses two at any moment.
        let others = concat!(
            "UPDATE entities SET active = false WHERE ",
            name!(),
            " AND active AND version <> $6"
        );
        let this = concat!(
            "UPDATE entities SET active = $7 WHERE ",
            name!(),
            " AND version = $6"
        );
        let mut with_wish = values.to_vec();
        with_wish.push(&on);
        match on {
            true => session.end(&[(others, &values), (this, &with_wish)]).await,
            false => session.end(&[(this, &with_wish)]).await,
        }
    }
}

#[async_trait]
impl Registry for PostgresRegistry {
    async fn register(&self, entity: &Entity) -> Result<Registered> {
        let id = entity.id()?;
        let bytes = encode(entity)?;
        let text = "INSERT INTO entities (kind, org, project, domain, name, version, entity)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING number";
        let (kind, t) = (kind_of(id.resource_type), &id.tenant);
        let values: [&(dyn ToSql + Sync); 7] = [
            &kind,
            &&*t.org,
            &&*t.project,
            &&*t.domain,
            &&*id.name,
            &&*id.version,
            &bytes,
        ];
        let mut session = self.0.take("register").await?;
        if !session.change(text, &values).await?.is_empty() {
            return Ok(Registered::Created);
        }
        let there = read(&mut session, id).await?;
        let there = there.ok_or_else(|| missing("register", id))?;
        if there.digest() == entity.digest() {
            return Ok(Registered::Unchanged);
        }
        let text = format!("{id} exists and differs in {}", there.difference(entity));
        Err(Error::new(ErrorKind::AlreadyExists, "register", text))
    }

    async fn get(&self, id: &Identifier) -> Result<Entity> {
        let mut session = self.0.take("get").await?;
        let found = read(&mut session, id).await?;
        found.ok_or_else(|| missing("get", id))
    }

    async fn latest(&self, kind: ResourceType, tenant: &Tenant, name: &str) -> Result<Entity> {
        let text = concat!(
            "SELECT entity, active FROM entities WHERE ",
            name!(),
            " AND NOT archived ORDER BY number DESC LIMIT 1"
        );
        self.newest("latest", text, (kind, tenant, name)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Identifier>> {
        let before: i64 = match &query.from {
            None => i64::MAX,
            Some(from) => from.parse().map_err(|_| {
                let text = format!("`{from}` is not where a page ended");
                Error::new(ErrorKind::Invalid, "list", text)
            })?,
        };
        let text = "SELECT number, name, version FROM entities
            WHERE kind = $1 AND org = $2 AND project = $3 AND domain = $4
                AND ($5::text IS NULL OR name = $5) AND NOT archived AND number < $6
            ORDER BY number DESC LIMIT $7";
        let (kind, t) = (kind_of(query.kind), &query.tenant);
        let (name, most) = (query.name.as_deref(), i64::from(query.limit) + 1);
        let values: [&(dyn ToSql + Sync); 7] = [
            &kind,
            &&*t.org,
            &&*t.project,
            &&*t.domain,
            &name,
            &before,
            &most,
        ];
        let mut session = self.0.take("list").await?;
        let rows = session.query(text, &values).await?;
        let limit = query.limit as usize;
        let more = rows.len() > limit;
        let next = rows[..limit.min(rows.len())].last().filter(|_| more);
        let next = next.map(|row| row.get::<_, i64>(0).to_string());
        let id = |row: &Row| {
            let id = Identifier::new(query.kind, row.get::<_, &str>(1), row.get::<_, &str>(2));
            id.in_tenant(query.tenant.clone())
        };
        Ok(Page {
            items: rows.iter().take(limit).map(id).collect(),
            next,
            watermark: Vec::new(),
        })
    }

    async fn activate(&self, id: &Identifier) -> Result<()> {
        self.set_active("activate", id, true).await
    }

    async fn deactivate(&self, id: &Identifier) -> Result<()> {
        self.set_active("deactivate", id, false).await
    }

    async fn active(&self, tenant: &Tenant, name: &str) -> Result<Entity> {
        let text = concat!(
            "SELECT entity, active FROM entities WHERE ",
            name!(),
            " AND active ORDER BY number DESC LIMIT 1"
        );
        let what = (ResourceType::LaunchPlan, tenant, name);
        self.newest("active", text, what).await
    }

    async fn archive(
        &self,
        kind: ResourceType,
        tenant: &Tenant,
        name: &str,
        archived: bool,
    ) -> Result<()> {
        let text = concat!(
            "UPDATE entities SET archived = $6 WHERE ",
            name!(),
            " RETURNING number"
        );
        let (number, t) = (kind_of(kind), tenant);
        let values: [&(dyn ToSql + Sync); 6] = [
            &number,
            &&*t.org,
            &&*t.project,
            &&*t.domain,
            &name,
            &archived,
        ];
        let mut session = self.0.take("archive").await?;
        match session.change(text, &values).await?.is_empty() {
            true => Err(missing("archive", format!("{kind} {tenant}:{name}"))),
            false => Ok(()),
        }
    }
}
