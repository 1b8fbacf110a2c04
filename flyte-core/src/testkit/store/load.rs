use super::*;

pub(super) async fn load_complete(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    for i in 0..30 {
        w.commit(&s, &["a", "b"][..1 + i % 2], 0).await?;
    }
    s.release(&lease).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let (frames, _) = loaded(&s, &lease).await?;
    ensure!(
        frames == w.written,
        "{} were written, {} came",
        w.written.len(),
        frames.len()
    );
    Ok(())
}

pub(super) async fn load_inbox(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let commands = (0..3).map(|i| submit(i, &format!("e{i}"), 0)).collect();
    s.enqueue(SHARD, commands).await?;
    s.enqueue(ShardId(9), vec![submit(9, "elsewhere", 0)])
        .await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    let first = s.inbox(&lease, 0, 1).await?[0].number;
    w.commit(&s, &["a"], first).await?;
    let mut items = s.load(&lease).await?;
    let mut order = Vec::new();
    while let Some(item) = items.next().await {
        order.push(match item? {
            LoadItem::Snapshot(_) => 's',
            LoadItem::Frame(_) => 'f',
            LoadItem::Inbox(_) => 'i',
        });
    }
    ensure!(
        order == ['f', 'i', 'i'],
        "one frame, then two entries: {order:?}"
    );
    Ok(())
}

pub(super) async fn load_corrupt(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a", "b", "c"], 0).await?;
    let second = JournalPosition {
        shard: SHARD,
        sequence: 2,
    };
    if !h.damage(&s, second).await {
        return Err(not_applicable("nothing can be damaged here"));
    }
    let frames = match loaded(&s, &lease).await {
        Err(e) => {
            ensure!(e.kind() == ErrorKind::Corrupt, "it is {e}");
            return Ok(());
        }
        Ok((frames, _)) => frames,
    };
    // A store to which frames are opaque leaves it to their checksum.
    ensure!(
        frames.len() == 3,
        "the damaged frame was skipped: {} of 3",
        frames.len()
    );
    let noticed = frames.iter().any(|f| JournalFrame::decode(f).is_err());
    ensure!(noticed, "the damage went unnoticed");
    Ok(())
}

pub(super) async fn plan_durable(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let (digest, bytes) = plan();
    s.put_plan(digest, bytes.clone()).await?;
    s.put_plan(digest, bytes.clone()).await?;
    let s = h.reopen(s).await;
    ensure!(s.get_plan(digest).await? == bytes, "it came back changed");
    Ok(())
}

pub(super) async fn plan_verified(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let (digest, bytes) = plan();
    match s.get_plan(digest).await {
        Ok(_) => ensure!(false, "an unknown plan was given"),
        Err(e) => ensure!(e.kind() == ErrorKind::NotFound, "it is {e}"),
    }
    let other = Digest::of("testkit", b"another digest");
    if s.put_plan(other, bytes).await.is_ok() {
        match s.get_plan(other).await {
            Ok(_) => ensure!(false, "bytes were given under a digest that is not theirs"),
            Err(e) => ensure!(e.kind() == ErrorKind::Corrupt, "it is {e}"),
        }
    }
    Ok(())
}

pub(super) async fn frames_order(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    for _ in 0..5 {
        w.commit(&s, &["a", "b"], 0).await?;
    }
    let (mut have, mut at) = (Vec::new(), start(SHARD));
    loop {
        let some = s.frames(at, 3).await?;
        ensure!(some.len() <= 3, "at most 3, got {}", some.len());
        let Some(last) = some.last() else { break };
        for (i, f) in some.iter().enumerate() {
            let wanted = at.sequence + i as u64;
            ensure!(
                f.position.sequence == wanted,
                "frame {wanted} is {:?}",
                f.position
            );
            ensure!(f.position.shard == SHARD, "it is of {}", f.position.shard);
        }
        at.sequence = last.position.sequence + 1;
        have.extend(some.into_iter().map(|f| f.bytes));
    }
    ensure!(have == w.written, "{} of {}", have.len(), w.written.len());
    let other = s.frames(start(ShardId(8)), 10).await?;
    ensure!(other.is_empty(), "a shard without a journal has frames");
    Ok(())
}
