use super::*;

pub(super) async fn trim_fenced(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let (old, new) = succession(h, &s).await?;
    let mut w = Writer::new(&new);
    w.commit(&s, &["a", "b"], 0).await?;
    let bytes = Bytes::from_static(b"state");
    s.snapshot(&new, Snapshot { through: 2, bytes }).await?;
    stale("trim", s.trim(&old, 3).await)?;
    let n = s.frames(start(SHARD), 10).await?.len();
    ensure!(n == 2, "a stale owner trimmed: {n} of 2 frames are left");
    Ok(())
}

pub(super) async fn trim_index(h: &dyn StoreFixture) -> Outcome {
    let (s, mut w) = history(h, 4).await?;
    fleet(&s)?;
    let all = executions(Tenant::default(), false, 100, None);
    let before = s.query(&all).await?.items;
    let through = w.written.len() as u64;
    s.snapshot(&w.lease, w.snapshot(through)?).await?;
    s.trim(&w.lease, through + 1).await?;
    let left = s.frames(start(SHARD), 1000).await?.len();
    ensure!(left == 0, "{left} frames that the snapshot covers are left");
    let after = s.query(&all).await?.items;
    ensure!(
        after == before,
        "before {:?}, after {:?}",
        names(&before),
        names(&after)
    );
    // What was open goes on, and its rows are made by who has never seen it begin.
    w.ends(&s, 1).await?;
    s.release(&w.lease).await?;
    let s = h.reopen(s).await;
    let ended = |items: &[IndexRow]| {
        let of = |r: &IndexRow| match r {
            IndexRow::Execution(e) if &*e.id.name == "e1" => e.ended_at.map(|_| e.inputs.clone()),
            _ => None,
        };
        items.iter().find_map(of)
    };
    let items = s.query(&all).await?.items;
    ensure!(
        ended(&items).is_some(),
        "e1 ended after the trim: {items:?}"
    );
    if let Some(other) = h.other(&s).await {
        let items = other.query(&all).await?.items;
        ensure!(ended(&items).is_some(), "for another process: {items:?}");
    }
    Ok(())
}

pub(super) async fn snapshot_read(h: &dyn StoreFixture) -> Outcome {
    let (s, w) = history(h, 3).await?;
    fleet(&s)?;
    let none = s.last_snapshot(SHARD).await?;
    ensure!(none.is_none(), "nobody made {none:?}");
    for through in [2, 4] {
        let made = w.snapshot(through)?;
        s.snapshot(&w.lease, made.clone()).await?;
        let have = s.last_snapshot(SHARD).await?;
        ensure!(have.as_ref() == Some(&made), "the newest is not {have:?}");
    }
    Ok(())
}

pub(super) async fn snapshot_loads(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a", "b", "c"], 0).await?;
    let made = |through: u64| Snapshot {
        through,
        bytes: format!("state after {through}").into(),
    };
    for through in [1, 2] {
        s.snapshot(&lease, made(through)).await?;
    }
    s.release(&lease).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut items = s.load(&lease).await?;
    match items.next().await {
        Some(Ok(LoadItem::Snapshot(have))) => {
            ensure!(have == made(2), "the newest is not {have:?}");
        }
        other => ensure!(false, "a load begins with the snapshot, not with {other:?}"),
    }
    match items.next().await {
        Some(Ok(LoadItem::Frame(f))) => {
            ensure!(
                f.position.sequence == 3,
                "the tail begins at {:?}",
                f.position
            );
        }
        other => ensure!(false, "then comes frame 3, not {other:?}"),
    }
    let more = items.next().await;
    ensure!(more.is_none(), "and then {more:?}");
    Ok(())
}

pub(super) fn fleet(s: &Arc<dyn Store>) -> Outcome {
    match s.info().fleet {
        true => Ok(()),
        false => Err(not_applicable("its `info` does not offer it")),
    }
}

pub(super) async fn snapshot_fenced(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let (old, new) = succession(h, &s).await?;
    let mut w = Writer::new(&new);
    w.commit(&s, &["a", "b"], 0).await?;
    let made = |text: &str| Snapshot {
        through: 1,
        bytes: text.to_owned().into(),
    };
    s.snapshot(&new, made("mine")).await?;
    stale("snapshot", s.snapshot(&old, made("late")).await)?;
    match s.load(&new).await?.next().await {
        Some(Ok(LoadItem::Snapshot(have))) => {
            ensure!(have == made("mine"), "a stale owner wrote {have:?}");
        }
        other => ensure!(false, "a load begins with the snapshot, not with {other:?}"),
    }
    Ok(())
}

pub(super) async fn trim_guarded(h: &dyn StoreFixture) -> Outcome {
    // Real frames: an index must have seen what goes.
    let (s, w) = history(h, 4).await?;
    fleet(&s)?;
    let n = w.written.len() as u64;
    s.trim(&w.lease, n + 1).await?;
    let left = s.frames(start(SHARD), 1000).await?.len() as u64;
    ensure!(
        left == n,
        "without a snapshot {} of {n} frames are left",
        left
    );
    let through = n - 2;
    s.snapshot(&w.lease, w.snapshot(through)?).await?;
    s.trim(&w.lease, n + 1).await?;
    let next = JournalPosition {
        shard: SHARD,
        sequence: through + 1,
    };
    let tail = s.frames(next, 1000).await?;
    ensure!(
        tail.len() == 2,
        "of the 2 frames after the snapshot {} are left",
        tail.len()
    );
    let (frames, _) = loaded(&s, &w.lease).await?;
    ensure!(
        frames.len() == 2,
        "a load after it has {} frames",
        frames.len()
    );
    Ok(())
}

pub(super) fn want(n: u64) -> CreditRequest {
    CreditRequest {
        pool: "gpu".into(),
        capacity: 10,
        want: n,
    }
}

pub(super) async fn credits_bound(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let a = s.claim(ShardId(1), "a").await?;
    let b = s.claim(ShardId(2), "b").await?;
    let first = s.credits(&a, &want(7)).await?;
    ensure!((first.held, first.free) == (7, 3), "7 of 10: {first:?}");
    let second = s.credits(&b, &want(7)).await?;
    ensure!(
        (second.held, second.free) == (3, 0),
        "7 of the rest: {second:?}"
    );
    // The wish is for all that is to be held, not for more.
    let fewer = s.credits(&a, &want(2)).await?;
    ensure!(
        (fewer.held, fewer.free) == (2, 5),
        "2 from now on: {fewer:?}"
    );
    let second = s.credits(&b, &want(20)).await?;
    ensure!(second.held == 8, "20 of 10, 2 are out: {second:?}");
    Ok(())
}

pub(super) async fn credits_fenced(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    fleet(&s)?;
    let (old, new) = succession(h, &s).await?;
    stale("credits", s.credits(&old, &want(1)).await)?;
    s.credits(&new, &want(10)).await?;
    if !h.expire(&s, &new).await {
        s.release(&new).await?;
    }
    let next = s.claim(SHARD, "third").await?;
    let other = s.claim(ShardId(2), "other").await?;
    let got = s.credits(&other, &want(10)).await?;
    ensure!(
        got.held == 10,
        "what a stale holder had is not free: {got:?}"
    );
    s.renew(&next).await?;
    Ok(())
}
