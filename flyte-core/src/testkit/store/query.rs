use super::*;

pub(super) async fn query_rebuilt(h: &dyn StoreFixture) -> Outcome {
    let (s, mut w) = history(h, 5).await?;
    let all = executions(Tenant::default(), false, 100, None);
    let nodes = Query::Nodes {
        execution: id("e2"),
        frame: None,
        limit: 10,
        from: None,
    };
    let before = (s.query(&all).await?.items, s.query(&nodes).await?.items);
    if !h.lose_index(&s).await {
        return Err(not_applicable("it keeps no index"));
    }
    let after = (s.query(&all).await?.items, s.query(&nodes).await?.items);
    ensure!(after == before, "before {before:?}, after {after:?}");
    w.execution(&s, 7, false, true).await?;
    let shown = names(&s.query(&all).await?.items);
    ensure!(shown.contains(&"e7".into()), "then it shows {shown:?}");
    Ok(())
}

pub(super) async fn shards(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    ask(&s, ShardId(8), submit(1, "a", 1)).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a"], 0).await?;
    let seen = s.shards().await?;
    let owned = Some("testkit".to_owned());
    ensure!(
        seen == [(SHARD, owned), (ShardId(8), None)],
        "the shards are {seen:?}"
    );
    s.release(&lease).await?;
    let seen = s.shards().await?;
    ensure!(
        seen == [(SHARD, None), (ShardId(8), None)],
        "nobody holds one: {seen:?}"
    );
    Ok(())
}

pub(super) async fn health(h: &dyn StoreFixture) -> Outcome {
    let (s, _) = history(h, 3).await?;
    let health = s.health().await?;
    ensure!(health.problems.is_empty(), "wrong: {:?}", health.problems);
    ensure!(health.bytes > 0, "a store with a history has no bytes");
    ensure!(!health.schema.is_empty(), "its schema has no name");
    Ok(())
}

pub(super) fn executions(
    tenant: Tenant,
    open_only: bool,
    limit: u32,
    from: Option<String>,
) -> Query {
    Query::Executions {
        tenant,
        open_only,
        limit,
        from,
    }
}

pub(super) fn names(rows: &[IndexRow]) -> Vec<String> {
    let name = |r: &IndexRow| match r {
        IndexRow::Execution(e) => e.id.name.to_string(),
        IndexRow::Node(n) => format!("{}/{}", n.execution.name, n.path),
        IndexRow::Attempt(a) => format!("{}#{}", a.key.execution.name, a.key.attempt),
    };
    rows.iter().map(name).collect()
}

pub(super) async fn query_tenant(h: &dyn StoreFixture) -> Outcome {
    let (s, _) = history(h, 7).await?;
    let other = Tenant::new("other", "development");
    let mine = s
        .query(&executions(Tenant::default(), false, 100, None))
        .await?;
    let mut have = names(&mine.items);
    have.sort();
    ensure!(
        have == ["e1", "e2", "e4", "e5", "e7"],
        "the default tenant has {have:?}"
    );
    let nobody = Tenant::new("nobody", "development");
    let none = s.query(&executions(nobody, false, 100, None)).await?;
    ensure!(
        none.items.is_empty(),
        "a tenant without executions has {:?}",
        names(&none.items)
    );
    // The right name in the wrong tenant.
    let execution = ExecutionId::new(other, "e1");
    for query in [
        Query::Execution {
            execution: execution.clone(),
        },
        Query::Nodes {
            execution: execution.clone(),
            frame: None,
            limit: 10,
            from: None,
        },
        Query::Attempts {
            execution,
            node: None,
            limit: 10,
            from: None,
        },
    ] {
        let found = s.query(&query).await?;
        ensure!(
            found.items.is_empty(),
            "across tenants: {:?}",
            names(&found.items)
        );
    }
    Ok(())
}

pub(super) async fn query_lags(h: &dyn StoreFixture) -> Outcome {
    let (s, mut w) = history(h, 2).await?;
    let all = executions(Tenant::default(), false, 100, None);
    // It may lag, but not for ever; and it says up to where.
    let last = w.written.len() as u64;
    for round in 0.. {
        let page = s.query(&all).await?;
        let mark = page.watermark.iter().find(|p| p.shard == SHARD);
        let seen = mark.map_or(0, |p| p.sequence);
        ensure!(
            seen <= last,
            "the index is at {seen}, {last} frames are committed"
        );
        if seen == last {
            ensure!(
                names(&page.items) == ["e2", "e1"],
                "newest first: {:?}",
                names(&page.items)
            );
            break;
        }
        ensure!(round < 100, "the index stays behind: {seen} of {last}");
        h.pass(Duration::from_millis(50)).await;
    }
    // A batch that was refused is not shown.
    let record = Record {
        execution: 9,
        change: Change::Opened(Box::new(Opened {
            submission: submission("never", 1),
        })),
    };
    let never = batch(77, vec![frame(last + 1, w.lease.epoch, vec![record])], 0);
    ensure!(
        s.commit(&w.lease, never).await.is_err(),
        "batch 77 was taken"
    );
    let shown = names(&s.query(&all).await?.items);
    ensure!(
        !shown.contains(&"never".into()),
        "what was not committed is shown"
    );
    let open = s
        .query(&executions(Tenant::default(), true, 100, None))
        .await?;
    ensure!(
        names(&open.items) == ["e1"],
        "open are {:?}",
        names(&open.items)
    );
    w.commit(&s, &[], 0).await?;
    Ok(())
}

pub(super) async fn query_paging(h: &dyn StoreFixture) -> Outcome {
    let (s, mut w) = history(h, 13).await?;
    let all = s
        .query(&executions(Tenant::default(), false, 100, None))
        .await?;
    let wanted = names(&all.items);
    let (mut have, mut from) = (Vec::new(), None);
    for round in 0.. {
        let page = s
            .query(&executions(Tenant::default(), false, 2, from))
            .await?;
        ensure!(
            page.items.len() <= 2,
            "a page of 2 has {}",
            page.items.len()
        );
        have.extend(names(&page.items));
        from = page.next;
        if from.is_none() {
            break;
        }
        ensure!(round < 20, "the pages do not end");
        if round == 1 {
            // What comes meanwhile must not move the others.
            w.execution(&s, 14, false, true).await?;
        }
    }
    have.retain(|n| n != "e14");
    ensure!(have == wanted, "wanted {wanted:?}, got {have:?}");
    let execution = id("e2");
    let nodes = Query::Nodes {
        execution: execution.clone(),
        frame: None,
        limit: 10,
        from: None,
    };
    let nodes = names(&s.query(&nodes).await?.items);
    ensure!(nodes == ["e2/n0"], "its nodes are {nodes:?}");
    let attempts = Query::Attempts {
        execution,
        node: None,
        limit: 10,
        from: None,
    };
    let attempts = names(&s.query(&attempts).await?.items);
    ensure!(attempts == ["e2#0"], "its attempts are {attempts:?}");
    Ok(())
}

pub(super) async fn locate(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    ask(&s, ShardId(8), submit(2, "b", 1)).await?;
    let s = h.reopen(s).await;
    for (name, wanted) in [("a", SHARD), ("b", ShardId(8))] {
        let at = s.locate(&id(name)).await?;
        ensure!(at == wanted, "{name} lives in {wanted}, not in {at}");
    }
    let foreign = ExecutionId::new(Tenant::new("other", "development"), "a");
    for unknown in [id("c"), foreign] {
        match s.locate(&unknown).await {
            Ok(at) => ensure!(false, "{unknown} is found in {at}"),
            Err(e) => ensure!(e.kind() == ErrorKind::NotFound, "it is {e}"),
        }
    }
    Ok(())
}

pub(super) async fn tenants(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    ensure!(s.tenants().await?.is_empty(), "an empty store has tenants");
    let mut wanted = Vec::new();
    for (i, project) in ["b", "a", "b"].into_iter().enumerate() {
        let mut c = submit(i as u128, &format!("e{i}"), 0);
        if let CommandBody::Submit(s) = &mut c.body {
            s.id.tenant = Tenant::new(project, "d");
        }
        ask(&s, SHARD, c).await?;
    }
    wanted.extend(["a", "b"].map(|p| Tenant::new(p, "d")));
    let have = s.tenants().await?;
    ensure!(have == wanted, "wanted {wanted:?}, got {have:?}");
    Ok(())
}
