use super::*;

pub(super) async fn cancel(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    begin(s.enqueue(SHARD, vec![submit(1, "a", 1)]));
    let answer = ask(&s, SHARD, submit(1, "a", 1)).await?;
    ensure!(answer == Enqueued::Accepted, "asked again it is {answer:?}");
    let lease = s.claim(SHARD, "testkit").await?;
    let n = s.inbox(&lease, 0, 10).await?.len();
    ensure!(n == 1, "one command, {n} entries");
    let mut w = Writer::new(&lease);
    for text in ["a", "b", "c"] {
        let number = w.written.len() as u64 + 1;
        begin(s.commit(&lease, batch(number, vec![w.peek(text)], 0)));
        w.commit(&s, &[text], 0).await?;
    }
    let (frames, _) = loaded(&s, &lease).await?;
    ensure!(
        frames == w.written,
        "three commits, each dropped and made again, left {} frames",
        frames.len()
    );
    begin(s.release(&lease));
    s.release(&lease).await?;
    s.claim(SHARD, "testkit").await?;
    Ok(())
}

pub(super) async fn commit_opaque(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let given = [&b"no frame of ours"[..], b"", b"\0\xff\0"].map(Bytes::from_static);
    s.commit(&lease, batch(1, given[..1].to_vec(), 0)).await?;
    s.commit(&lease, batch(2, given[1..].to_vec(), 0)).await?;
    let (frames, _) = loaded(&s, &lease).await?;
    ensure!(frames == given, "given {given:?}, loaded {frames:?}");
    s.release(&lease).await?;
    let s = h.reopen(s).await;
    let there = s.frames(start(SHARD), 10).await?;
    let places: Vec<u64> = there.iter().map(|f| f.position.sequence).collect();
    ensure!(places == [1, 2, 3], "they stand at {places:?}");
    let same = there.iter().map(|f| &f.bytes).eq(&given);
    ensure!(same, "given {given:?}, there are {there:?}");
    Ok(())
}

pub(super) async fn commit_atomic(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a"], 0).await?;
    // The number is wrong: nothing of it may stay.
    let wrong = batch(7, vec![w.peek("b"), w.peek("c")], u64::MAX);
    ensure!(
        s.commit(&lease, wrong).await.is_err(),
        "batch 7 follows batch 1"
    );
    let (frames, entries) = loaded(&s, &lease).await?;
    ensure!(
        frames.len() == 1 && entries.len() == 1,
        "a refused batch left {} frames and {} entries",
        frames.len(),
        entries.len()
    );
    w.commit(&s, &["b", "c", "d"], u64::MAX).await?;
    let s = h.reopen(s).await;
    let all = s.frames(start(SHARD), 100).await?;
    ensure!(
        all.len() == 4,
        "a batch of three frames left {}",
        all.len() - 1
    );
    Ok(())
}

pub(super) async fn commit_durable(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a", "b"], 0).await?;
    w.commit(&s, &["c"], 0).await?;
    let s = h.reopen(s).await;
    let have: Vec<Bytes> = s
        .frames(start(SHARD), 100)
        .await?
        .into_iter()
        .map(|f| f.bytes)
        .collect();
    ensure!(
        have == w.written,
        "{} frames were written, {} are there",
        w.written.len(),
        have.len()
    );
    Ok(())
}

pub(super) async fn commit_fenced(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let (old, new) = succession(h, &s).await?;
    let mut late = Writer::new(&old);
    stale("commit", late.commit(&s, &["late"], 0).await)?;
    let mut w = Writer::new(&new);
    w.commit(&s, &["mine"], 0).await?;
    stale("a second commit", late.commit(&s, &["later"], 0).await)?;
    let n = s.frames(start(SHARD), 100).await?.len();
    ensure!(n == 1, "{n} frames: a stale owner wrote");
    Ok(())
}

pub(super) async fn commit_numbered(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    let mut w = Writer::new(&lease);
    let first = batch(1, vec![w.peek("a")], 0);
    s.commit(&lease, first.clone()).await?;
    s.commit(&lease, first.clone()).await?;
    w.written.push(w.peek("a"));
    let n = s.frames(start(SHARD), 100).await?.len();
    ensure!(n == 1, "the same batch twice left {n} frames");
    for (what, wrong) in [
        (
            "other bytes under one number",
            batch(1, vec![w.peek("x")], 0),
        ),
        ("a gap", batch(3, vec![w.peek("x")], 0)),
        ("number 0", batch(0, vec![w.peek("x")], 0)),
    ] {
        match s.commit(&lease, wrong).await {
            Ok(()) => ensure!(false, "{what} was taken"),
            Err(e) => ensure!(e.kind() == ErrorKind::Invalid, "{what}: {e}"),
        }
    }
    s.commit(&lease, batch(2, vec![w.peek("b")], 0)).await?;
    s.release(&lease).await?;
    let next = s.claim(SHARD, "testkit").await?;
    s.commit(&next, batch(1, vec![frame(3, next.epoch, Vec::new())], 0))
        .await?;
    let n = s.frames(start(SHARD), 100).await?.len();
    ensure!(n == 3, "three batches left {n} frames");
    Ok(())
}

pub(super) async fn commit_consume(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let commands = (0..4).map(|i| submit(i, &format!("e{i}"), 0)).collect();
    s.enqueue(SHARD, commands).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let open = s.inbox(&lease, 0, 10).await?;
    let mut w = Writer::new(&lease);
    w.commit(&s, &["a"], 0).await?;
    let n = s.inbox(&lease, 0, 10).await?.len();
    ensure!(n == 4, "0 consumes none, {n} of 4 are left");
    w.commit(&s, &["b"], open[1].number).await?;
    let left: Vec<u64> = s
        .inbox(&lease, 0, 10)
        .await?
        .iter()
        .map(|e| e.number)
        .collect();
    ensure!(
        left == [open[2].number, open[3].number],
        "left are {left:?}"
    );
    s.release(&lease).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let (_, entries) = loaded(&s, &lease).await?;
    ensure!(entries == left, "after a restart open are {entries:?}");
    Ok(())
}

/// Commits that begin at the same time share a sync in some round; one by one they never do.
pub(super) async fn commit_joined(h: &dyn StoreFixture) -> Outcome {
    const ROUNDS: usize = 16;
    const SHARDS: u32 = 8;
    let s = h.fresh().await;
    if s.info().durability != Durability::Power {
        return Err(not_applicable("there is no disk to wait for"));
    }
    let count = async || {
        let none = || not_applicable("its fixture cannot count syncs");
        h.syncs(&s).await.ok_or_else(none)
    };
    let mut writers = Vec::new();
    for shard in 0..SHARDS {
        let lease = s.claim(ShardId(shard), "testkit").await?;
        writers.push(Writer::new(&lease));
    }
    let mut fewest = u64::MAX;
    for _ in 0..ROUNDS {
        let before = count().await?;
        let all = writers.iter_mut().map(|w| w.commit(&s, &["joined"], 0));
        for done in futures::future::join_all(all).await {
            done?;
        }
        let syncs = count().await?.saturating_sub(before);
        ensure!(syncs > 0, "{SHARDS} commits returned without a sync");
        fewest = fewest.min(syncs);
        if fewest <= u64::from(SHARDS) / 2 {
            return Ok(());
        }
    }
    ensure!(
        false,
        "{SHARDS} commits of {SHARDS} leases cost at least {fewest} syncs in each of {ROUNDS} \
         rounds: they wait one by one"
    );
    Ok(())
}
