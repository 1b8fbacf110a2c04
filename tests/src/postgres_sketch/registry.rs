use std::sync::Arc;

use async_trait::async_trait;
use flyte_core::contract::{Entity, ListQuery, Page, Registered, Registry};
use flyte_core::id::{Identifier, ResourceType, Tenant};
use flyte_core::{Error, ErrorKind, Result};

use super::sql::{Sql, SqlRow, Transaction, Value, alone, decode, encode, named};

/// Versions of entities on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresRegistry(Arc<dyn Sql>);

impl PostgresRegistry {
    /// Over these connections.
    #[must_use]
    pub fn new(sql: Arc<dyn Sql>) -> Self {
        Self(sql)
    }
}

/// The columns of a name, `$1` to `$5`.
fn name_of(kind: ResourceType, tenant: &Tenant, name: &str) -> Vec<Value> {
    let mut values = vec![Value::Int(kind as i64)];
    values.extend(named(tenant, name));
    values
}

/// The columns of a version, `$1` to `$6`.
fn version_of(id: &Identifier) -> Vec<Value> {
    let mut values = name_of(id.resource_type, &id.tenant, &id.name);
    values.push((&*id.version).into());
    values
}

fn missing(operation: &'static str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("no {what}"))
}

fn entity(row: &SqlRow) -> Result<Entity> {
    let mut entity: Entity = decode(&row.bytes(0)?)?;
    if let Entity::LaunchPlan(l) = &mut entity {
        l.closure.active = row.bool(1)?;
    }
    Ok(entity)
}

const NAME: &str = "kind = $1 AND org = $2 AND project = $3 AND domain = $4 AND name = $5";

async fn read(tx: &mut dyn Transaction, id: &Identifier) -> Result<Option<Entity>> {
    let text = format!("SELECT entity, active FROM entities WHERE {NAME} AND version = $6");
    let rows = tx.run(&text, version_of(id)).await?;
    rows.first().map(entity).transpose()
}

impl PostgresRegistry {
    async fn newest(
        &self,
        operation: &'static str,
        condition: &str,
        (kind, tenant, name): (ResourceType, &Tenant, &str),
    ) -> Result<Entity> {
        let text = format!(
            "SELECT entity, active FROM entities WHERE {NAME} AND {condition}
             ORDER BY number DESC LIMIT 1"
        );
        let rows = alone(&*self.0, &text, name_of(kind, tenant, name)).await?;
        let none = || missing(operation, format!("{kind} {tenant}:{name}"));
        entity(rows.first().ok_or_else(none)?)
    }

    /// A transaction in which `id` is known to be a launch plan.
    async fn at_launch_plan(
        &self,
        operation: &'static str,
        id: &Identifier,
    ) -> Result<Box<dyn Transaction>> {
        let mut tx = self.0.begin().await?;
        match read(&mut *tx, id).await? {
            Some(Entity::LaunchPlan(_)) => Ok(tx),
            Some(_) => {
                let text = format!("{id} is no launch plan");
                Err(Error::new(ErrorKind::Invalid, operation, text))
            }
            None => Err(missing(operation, id)),
        }
    }
}

#[async_trait]
impl Registry for PostgresRegistry {
    async fn register(&self, entity: &Entity) -> Result<Registered> {
        let id = entity.id()?;
        let mut tx = self.0.begin().await?;
        let mut values = version_of(id);
        values.push(encode(entity)?[..].into());
        let text = "INSERT INTO entities (kind, org, project, domain, name, version, entity)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING number";
        if !tx.run(text, values).await?.is_empty() {
            tx.commit().await?;
            return Ok(Registered::Created);
        }
        let there = read(&mut *tx, id)
            .await?
            .ok_or_else(|| missing("register", id))?;
        if there.digest() == entity.digest() {
            return Ok(Registered::Unchanged);
        }
        let text = format!("{id} exists and differs in {}", there.difference(entity));
        Err(Error::new(ErrorKind::AlreadyExists, "register", text))
    }

    async fn get(&self, id: &Identifier) -> Result<Entity> {
        let mut tx = self.0.begin().await?;
        read(&mut *tx, id).await?.ok_or_else(|| missing("get", id))
    }

    async fn latest(&self, kind: ResourceType, tenant: &Tenant, name: &str) -> Result<Entity> {
        self.newest("latest", "NOT archived", (kind, tenant, name))
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Identifier>> {
        let from: u64 = match &query.from {
            None => i64::MAX as u64,
            Some(from) => from.parse().map_err(|_| {
                let text = format!("`{from}` is not where a page ended");
                Error::new(ErrorKind::Invalid, "list", text)
            })?,
        };
        let mut values = name_of(
            query.kind,
            &query.tenant,
            query.name.as_deref().unwrap_or(""),
        );
        values.extend([from.into(), (u64::from(query.limit) + 1).into()]);
        let text = "SELECT number, name, version FROM entities
            WHERE kind = $1 AND org = $2 AND project = $3 AND domain = $4
                AND ($5 = '' OR name = $5) AND NOT archived AND number < $6
            ORDER BY number DESC LIMIT $7";
        let rows = alone(&*self.0, text, values).await?;
        let limit = query.limit as usize;
        let next = match rows.len() > limit {
            true => rows
                .get(limit.saturating_sub(1))
                .map(|r| r.int(0))
                .transpose()?,
            false => None,
        };
        let id = |row: &SqlRow| {
            let id = Identifier::new(query.kind, row.text(1)?, row.text(2)?);
            Ok(id.in_tenant(query.tenant.clone()))
        };
        Ok(Page {
            items: rows.iter().take(limit).map(id).collect::<Result<_>>()?,
            next: next.map(|n| n.to_string()),
            watermark: Vec::new(),
        })
    }

    async fn activate(&self, id: &Identifier) -> Result<()> {
        let mut tx = self.at_launch_plan("activate", id).await?;
        // `one_active` refuses a second one at any moment: the old one goes first.
        let text = format!("UPDATE entities SET active = false WHERE {NAME} AND active");
        tx.run(&text, name_of(id.resource_type, &id.tenant, &id.name))
            .await?;
        let text = format!("UPDATE entities SET active = true WHERE {NAME} AND version = $6");
        tx.run(&text, version_of(id)).await?;
        tx.commit().await
    }

    async fn deactivate(&self, id: &Identifier) -> Result<()> {
        let mut tx = self.at_launch_plan("deactivate", id).await?;
        let text = format!("UPDATE entities SET active = false WHERE {NAME} AND version = $6");
        tx.run(&text, version_of(id)).await?;
        tx.commit().await
    }

    async fn active(&self, tenant: &Tenant, name: &str) -> Result<Entity> {
        self.newest("active", "active", (ResourceType::LaunchPlan, tenant, name))
            .await
    }

    async fn archive(
        &self,
        kind: ResourceType,
        tenant: &Tenant,
        name: &str,
        archived: bool,
    ) -> Result<()> {
        let text = format!("UPDATE entities SET archived = $6 WHERE {NAME} RETURNING number");
        let mut values = name_of(kind, tenant, name);
        values.push(Value::Bool(archived));
        match alone(&*self.0, &text, values).await?.is_empty() {
            true => Err(missing("archive", format!("{kind} {tenant}:{name}"))),
            false => Ok(()),
        }
    }
}
