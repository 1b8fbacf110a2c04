//! Cases for [`Registry`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Case, Outcome, Report, begin, run};
use crate::contract::{Entity, ListQuery, Registered, Registry};
use crate::id::{Identifier, ResourceType, Tenant};
use crate::template::{
    LaunchPlanClosure, LaunchPlanSpec, LaunchPlanTemplate, TaskTemplate, TypedInterface,
};
use crate::{ErrorKind, Result};

/// Makes registries.
///
/// ```
/// use flyte_core::contract::Registry;
/// use flyte_core::memory::MemoryRegistry;
/// use flyte_core::testkit::registry::{RegistryHarness, check};
/// use std::sync::Arc;
///
/// #[derive(Debug)]
/// struct Mine;
///
/// #[async_trait::async_trait]
/// impl RegistryHarness for Mine {
///     async fn fresh(&self) -> Arc<dyn Registry> { Arc::new(MemoryRegistry::default()) }
///     async fn reopen(&self, _: Arc<dyn Registry>) -> Option<Arc<dyn Registry>> { None }
/// }
/// futures::executor::block_on(check(&Mine)).assert_conforms();
/// ```
#[async_trait]
pub trait RegistryHarness: fmt::Debug + Send + Sync {
    /// An empty one.
    async fn fresh(&self) -> Arc<dyn Registry>;
    /// The same one after a restart; `None` if it is gone with its process.
    async fn reopen(&self, registry: Arc<dyn Registry>) -> Option<Arc<dyn Registry>>;
}

cases! { RegistryHarness:
    "registry.tenant" => tenant,
    "registry.cancel" => cancel,
    "registry.register.durable" => durable,
    "registry.register.same" => same,
    "registry.register.other" => other,
    "registry.get.missing" => missing,
    "registry.latest" => latest,
    "registry.list.paging" => paging,
    "registry.activate.kind" => activate_kind,
    "registry.activate.one" => activate,
    "registry.deactivate" => deactivate,
    "registry.active.none" => none_active,
    "registry.archive" => archive,
}

fn id(kind: ResourceType, name: &str, version: &str) -> Identifier {
    Identifier::new(kind, name, version)
}

fn task(name: &str, version: &str) -> Entity {
    let id = id(ResourceType::Task, name, version);
    Entity::Task(TaskTemplate::new(
        id,
        "container",
        TypedInterface::default(),
    ))
}

fn launch_plan(version: &str) -> Entity {
    Entity::LaunchPlan(LaunchPlanTemplate {
        id: id(ResourceType::LaunchPlan, "lp", version),
        spec: LaunchPlanSpec::default(),
        closure: LaunchPlanClosure::default(),
    })
}

fn elsewhere() -> Tenant {
    Tenant::new("other", "development")
}

fn is(e: &crate::Error, kind: ErrorKind, what: &str) -> Outcome {
    ensure!(e.kind() == kind, "{what}: wanted {kind:?}, got {e}");
    Ok(())
}

async fn versions(r: &Arc<dyn Registry>, tenant: Tenant) -> Result<Vec<String>> {
    let query = ListQuery::new(ResourceType::Task, tenant);
    let page = r.list(&query).await?;
    Ok(page
        .items
        .iter()
        .map(|i| format!("{}:{}", i.name, i.version))
        .collect())
}

async fn tenant(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    r.register(&task("t", "1")).await?;
    r.register(&launch_plan("1")).await?;
    r.activate(&id(ResourceType::LaunchPlan, "lp", "1")).await?;
    let foreign = id(ResourceType::Task, "t", "1").in_tenant(elsewhere());
    let found = [
        ("get", r.get(&foreign).await.is_ok()),
        (
            "latest",
            r.latest(ResourceType::Task, &elsewhere(), "t")
                .await
                .is_ok(),
        ),
        ("active", r.active(&elsewhere(), "lp").await.is_ok()),
    ];
    for (what, found) in found {
        ensure!(!found, "`{what}` gave another tenant's version");
    }
    let listed = versions(&r, elsewhere()).await?;
    ensure!(listed.is_empty(), "another tenant lists {listed:?}");
    Ok(())
}

async fn durable(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    let made = r.register(&task("t", "1")).await?;
    ensure!(made == Registered::Created, "it is new: {made:?}");
    let wanted = id(ResourceType::Task, "t", "1");
    ensure!(
        r.get(&wanted).await? == task("t", "1"),
        "it came back changed"
    );
    if let Some(r) = h.reopen(r).await {
        ensure!(
            r.get(&wanted).await? == task("t", "1"),
            "it changed over a restart"
        );
    }
    Ok(())
}

async fn same(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    r.register(&launch_plan("1")).await?;
    // Whether it is active is no part of its content.
    r.activate(&id(ResourceType::LaunchPlan, "lp", "1")).await?;
    let again = r.register(&launch_plan("1")).await?;
    ensure!(again == Registered::Unchanged, "the same again: {again:?}");
    Ok(())
}

async fn other(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    r.register(&task("t", "1")).await?;
    let mut changed = task("t", "1");
    if let Entity::Task(t) = &mut changed {
        t.metadata.retries = Some(3);
    }
    match r.register(&changed).await {
        Ok(done) => ensure!(false, "other content under one version: {done:?}"),
        Err(e) => {
            is(&e, ErrorKind::AlreadyExists, "other content")?;
            ensure!(
                e.to_string().contains("retries"),
                "it does not say what differs: {e}"
            );
        }
    }
    let stays = r.get(&id(ResourceType::Task, "t", "1")).await?;
    ensure!(stays == task("t", "1"), "the stored version changed");
    Ok(())
}

async fn missing(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    r.register(&task("t", "1")).await?;
    for wanted in [
        id(ResourceType::Task, "t", "2"),
        id(ResourceType::Task, "u", "1"),
        id(ResourceType::Workflow, "t", "1"),
    ] {
        match r.get(&wanted).await {
            Ok(_) => ensure!(false, "{wanted} was found"),
            Err(e) => is(&e, ErrorKind::NotFound, "an unknown version")?,
        }
    }
    Ok(())
}

async fn latest(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    for version in ["1", "10", "9", "2"] {
        r.register(&task("t", version)).await?;
    }
    // The same again is no new registration.
    r.register(&task("t", "10")).await?;
    let found = r
        .latest(ResourceType::Task, &Tenant::default(), "t")
        .await?;
    ensure!(
        found == task("t", "2"),
        "the last registered is 2: {:?}",
        found.id()
    );
    Ok(())
}

async fn paging(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    let mut wanted = Vec::new();
    for i in 0..7 {
        let version = format!("v{}", i * 3 % 7);
        r.register(&task("t", &version)).await?;
        r.register(&task("u", &version)).await?;
        wanted.insert(0, version);
    }
    let (mut found, mut from) = (Vec::new(), None);
    for _ in 0..10 {
        let query = ListQuery::new(ResourceType::Task, Tenant::default())
            .with_name("t")
            .with_limit(3)
            .with_from(from);
        let page = r.list(&query).await?;
        ensure!(
            page.items.len() <= 3,
            "a page of 3 has {}",
            page.items.len()
        );
        found.extend(page.items.iter().map(|i| i.version.to_string()));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    ensure!(
        found == wanted,
        "newest first: wanted {wanted:?}, got {found:?}"
    );
    Ok(())
}

async fn activate(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    for version in ["1", "2"] {
        r.register(&launch_plan(version)).await?;
    }
    let of = |v| id(ResourceType::LaunchPlan, "lp", v);
    r.activate(&of("1")).await?;
    r.activate(&of("2")).await?;
    let mut active = Vec::new();
    for version in ["1", "2"] {
        if let Entity::LaunchPlan(l) = r.get(&of(version)).await?
            && l.closure.active
        {
            active.push(version);
        }
    }
    ensure!(active == ["2"], "active are {active:?}");
    let found = r.active(&Tenant::default(), "lp").await?;
    ensure!(
        found.id()?.version == of("2").version,
        "`active` gives {:?}",
        found.id()
    );
    // Two at once: one of them it is, and not both.
    let (one, two) = (of("1"), of("2"));
    let (a, b) = futures::future::join(r.activate(&one), r.activate(&two)).await;
    a.and(b)?;
    let mut active = Vec::new();
    for version in ["1", "2"] {
        if let Entity::LaunchPlan(l) = r.get(&of(version)).await?
            && l.closure.active
        {
            active.push(version);
        }
    }
    ensure!(active.len() == 1, "after two at once active are {active:?}");
    Ok(())
}

async fn activate_kind(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    r.register(&launch_plan("1")).await?;
    r.register(&task("lp", "1")).await?;
    let of = |v| id(ResourceType::LaunchPlan, "lp", v);
    r.activate(&of("1")).await?;
    let wrong = [
        (of("3"), ErrorKind::NotFound),
        (id(ResourceType::Task, "lp", "1"), ErrorKind::Invalid),
    ];
    for (id, kind) in wrong {
        match r.activate(&id).await {
            Ok(()) => ensure!(false, "{id} became active"),
            Err(e) => is(&e, kind, "activate")?,
        }
    }
    let found = r.active(&Tenant::default(), "lp").await?;
    ensure!(found.id()? == &of("1"), "active is {:?}", found.id());
    Ok(())
}

async fn deactivate(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    for version in ["1", "2"] {
        r.register(&launch_plan(version)).await?;
    }
    let of = |v| id(ResourceType::LaunchPlan, "lp", v);
    r.activate(&of("2")).await?;
    r.deactivate(&of("1")).await?;
    let found = r.active(&Tenant::default(), "lp").await?;
    ensure!(found.id()? == &of("2"), "active is {:?}", found.id());
    r.deactivate(&of("2")).await?;
    match r.active(&Tenant::default(), "lp").await {
        Ok(found) => ensure!(false, "active is {:?}", found.id()),
        Err(e) => is(&e, ErrorKind::NotFound, "active")?,
    }
    Ok(())
}

async fn cancel(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    begin(r.register(&launch_plan("1")));
    r.register(&launch_plan("1")).await?;
    let of = id(ResourceType::LaunchPlan, "lp", "1");
    begin(r.activate(&of));
    r.activate(&of).await?;
    let found = r.active(&Tenant::default(), "lp").await?;
    ensure!(found.id()? == &of, "active is {:?}", found.id());
    let query = ListQuery::new(ResourceType::LaunchPlan, Tenant::default());
    let n = r.list(&query).await?.items.len();
    ensure!(n == 1, "one version, listed {n} times");
    Ok(())
}

async fn none_active(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    r.register(&launch_plan("1")).await?;
    let of = id(ResourceType::LaunchPlan, "lp", "1");
    for step in ["never", "no longer"] {
        match r.active(&Tenant::default(), "lp").await {
            Ok(_) => ensure!(false, "{step} active, and given"),
            Err(e) => is(&e, ErrorKind::NotFound, step)?,
        }
        r.activate(&of).await?;
        r.deactivate(&of).await?;
    }
    Ok(())
}

async fn archive(h: &dyn RegistryHarness) -> Outcome {
    let r = h.fresh().await;
    let tenant = Tenant::default();
    r.register(&task("t", "1")).await?;
    r.register(&task("u", "1")).await?;
    r.archive(ResourceType::Task, &tenant, "t", true).await?;
    let listed = versions(&r, tenant.clone()).await?;
    ensure!(listed == ["u:1"], "an archived name is listed: {listed:?}");
    ensure!(
        r.latest(ResourceType::Task, &tenant, "t").await.is_err(),
        "`latest` gives an archived name"
    );
    ensure!(
        r.get(&id(ResourceType::Task, "t", "1")).await.is_ok(),
        "`get` does not find an archived name"
    );
    match r.archive(ResourceType::Task, &tenant, "nobody", true).await {
        Ok(()) => ensure!(false, "a name without versions was archived"),
        Err(e) => is(&e, ErrorKind::NotFound, "archive")?,
    }
    r.archive(ResourceType::Task, &tenant, "t", false).await?;
    let listed = versions(&r, tenant).await?;
    ensure!(listed.len() == 2, "shown again, it is not: {listed:?}");
    Ok(())
}
