use super::*;
use crate::contract::{Prune, Pruned};
use crate::literal::Timestamp;

pub(super) fn everything() -> Prune {
    Prune {
        tenant: Tenant::default(),
        ended_before: Timestamp::from_unix_millis(i64::MAX / 2),
        keep: 0,
        spare: Default::default(),
        only: None,
        limit: 100,
        remember: Duration::from_secs(3600),
        dry_run: false,
    }
}

/// A store without `prune` says so, and is not asked for more.
async fn offered(s: &Arc<dyn Store>) -> Outcome {
    if s.info().prune {
        return Ok(());
    }
    match s.prune(&everything()).await {
        Err(e) if e.kind() == ErrorKind::Unsupported => {
            Err(not_applicable("its `info` does not offer `prune`"))
        }
        other => Err(Failure::Broken(format!(
            "its `info` does not offer `prune`, which answers {other:?}, not `Unsupported`"
        ))),
    }
}

fn gone(pruned: &Pruned) -> Vec<&str> {
    pruned.executions.iter().map(|id| &*id.name).collect()
}

/// The names of a tenant's executions that have rows.
async fn rows(s: &Arc<dyn Store>, tenant: Tenant) -> Result<Vec<String>> {
    let page = s.query(&executions(tenant, false, 100, None)).await?;
    let mut found = names(&page.items);
    found.sort();
    Ok(found)
}

fn wanted(what: &str, have: &[impl AsRef<str>], want: &[&str]) -> Outcome {
    let have: Vec<&str> = have.iter().map(AsRef::as_ref).collect();
    ensure!(have == want, "{what}: {have:?}, not {want:?}");
    Ok(())
}

pub(super) async fn prune_over(h: &dyn StoreFixture) -> Outcome {
    // Every third is another tenant's, every second is over.
    let (s, _) = history(h, 8).await?;
    offered(&s).await?;
    let pruned = s.prune(&everything()).await?;
    wanted("gone", &gone(&pruned), &["e2", "e4", "e8"])?;
    let left = rows(&s, Tenant::default()).await?;
    wanted("left", &left, &["e1", "e5", "e7"])?;
    wanted("again", &gone(&s.prune(&everything()).await?), &[])
}

pub(super) async fn prune_bounds(h: &dyn StoreFixture) -> Outcome {
    let (s, w) = history(h, 16).await?;
    offered(&s).await?;
    // Of the default tenant e2, e4, e8, e10, e14 and e16 are over.
    let mut bound = everything();
    bound.keep = 4;
    bound.limit = 1;
    let pruned = s.prune(&bound).await?;
    wanted("beyond four", &gone(&pruned), &["e2"])?;
    ensure!(pruned.more, "e4 would go, too, and nothing says so");
    let pruned = s.prune(&bound).await?;
    wanted("then", &gone(&pruned), &["e4"])?;
    ensure!(!pruned.more, "nothing else would go");
    let all = executions(Tenant::default(), false, 100, None);
    let ended = s
        .query(&all)
        .await?
        .items
        .into_iter()
        .find_map(|r| match r {
            IndexRow::Execution(e) if &*e.id.name == "e10" => e.ended_at,
            _ => None,
        });
    let mut bound = everything();
    bound.ended_before = ended.ok_or_else(|| Failure::Broken("e10 has no end".into()))?;
    let pruned = s.prune(&bound).await?;
    wanted("before the end of e10", &gone(&pruned), &["e8"])?;
    let left = rows(&s, Tenant::new("other", "development")).await?;
    wanted(
        "of the other tenant",
        &left,
        &["e12", "e15", "e3", "e6", "e9"],
    )?;
    s.release(&w.lease).await?;
    Ok(())
}

pub(super) async fn prune_spare(h: &dyn StoreFixture) -> Outcome {
    let (s, _) = history(h, 8).await?;
    offered(&s).await?;
    let mut bound = everything();
    bound.spare = ["e4".into()].into();
    wanted("gone", &gone(&s.prune(&bound).await?), &["e2", "e8"])
}

pub(super) async fn prune_only(h: &dyn StoreFixture) -> Outcome {
    let (s, mut w) = history(h, 8).await?;
    offered(&s).await?;
    let mut bound = everything();
    bound.only = Some(["e4".into(), "e8".into()].into());
    bound.spare = ["e8".into()].into();
    // It began first and ended last: nobody has looked at it.
    w.ends(&s, 1).await?;
    wanted("gone", &gone(&s.prune(&bound).await?), &["e4"])?;
    bound.only = Some(Default::default());
    wanted("of none", &gone(&s.prune(&bound).await?), &[])
}

pub(super) async fn prune_parent(h: &dyn StoreFixture) -> Outcome {
    let (s, mut w) = history(h, 1).await?;
    offered(&s).await?;
    w.child(&s, 2, Some("e1"), false, true).await?;
    wanted(
        "beside its parent",
        &gone(&s.prune(&everything()).await?),
        &[],
    )?;
    w.ends(&s, 1).await?;
    let mut one = everything();
    one.spare = ["e1".into()].into();
    wanted("a parent that is over", &gone(&s.prune(&one).await?), &[])?;
    let both = s.prune(&everything()).await?;
    wanted("with its parent", &gone(&both), &["e1", "e2"])
}

pub(super) async fn prune_gone(h: &dyn StoreFixture) -> Outcome {
    let (s, mut w) = history(h, 2).await?;
    offered(&s).await?;
    s.prune(&everything()).await?;
    // Another execution goes on, and the index with it.
    w.execution(&s, 3, false, true).await?;
    s.release(&w.lease).await?;
    let s = h.reopen(s).await;
    let left = rows(&s, Tenant::default()).await?;
    wanted("rows", &left, &["e1", "e3"])?;
    let located = s.locate(&id("e2")).await.map_err(|e| e.kind());
    ensure!(
        located == Err(ErrorKind::NotFound),
        "what was pruned is located: {located:?}"
    );
    for query in [
        Query::Execution {
            execution: id("e2"),
        },
        Query::Nodes {
            execution: id("e2"),
            frame: None,
            limit: 10,
            from: None,
        },
        Query::Attempts {
            execution: id("e2"),
            node: None,
            limit: 10,
            from: None,
        },
    ] {
        let found = s.query(&query).await?.items.len();
        ensure!(found == 0, "{query:?} gives {found} rows");
    }
    let answer = ask(&s, SHARD, submit(77, "e2", 99)).await?;
    ensure!(
        answer == Enqueued::Accepted,
        "the name of what was pruned is not free: {answer:?}"
    );
    Ok(())
}

pub(super) async fn prune_dry(h: &dyn StoreFixture) -> Outcome {
    let (s, _) = history(h, 4).await?;
    offered(&s).await?;
    let before = rows(&s, Tenant::default()).await?;
    let mut look = everything();
    look.dry_run = true;
    wanted("would go", &gone(&s.prune(&look).await?), &["e2", "e4"])?;
    let after = rows(&s, Tenant::default()).await?;
    ensure!(before == after, "looking changed {before:?} to {after:?}");
    s.locate(&id("e2")).await?;
    Ok(())
}

pub(super) async fn prune_commands(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    offered(&s).await?;
    let abort = || Command {
        id: crate::contract::CommandId(5),
        body: CommandBody::Release { execution: id("a") },
    };
    ask(&s, SHARD, abort()).await?;
    s.prune(&everything()).await?;
    ask(&s, SHARD, abort()).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let entries = loaded(&s, &lease).await?.1.len();
    ensure!(entries == 1, "a young id was forgotten: {entries} entries");
    Ok(())
}
