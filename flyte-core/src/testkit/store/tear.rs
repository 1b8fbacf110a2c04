use super::*;

pub(super) async fn commit_torn(h: &dyn StoreFixture) -> Outcome {
    for percent in [0, 40, 70, 99] {
        cut(h, Tear::Torn(percent)).await?;
    }
    Ok(())
}

pub(super) async fn commit_short(h: &dyn StoreFixture) -> Outcome {
    for percent in [0, 40, 70, 99] {
        cut(h, Tear::Short(percent)).await?;
    }
    Ok(())
}

/// A batch of several frames is cut; then the store is used and opened once more.
async fn cut(h: &dyn StoreFixture, tear: Tear) -> Outcome {
    let s = h.fresh().await;
    s.enqueue(SHARD, vec![submit(1, "a", 1), submit(2, "b", 1)])
        .await?;
    let old = s.claim(SHARD, "first").await?;
    let open: Vec<u64> = s
        .inbox(&old, 0, 10)
        .await?
        .iter()
        .map(|e| e.number)
        .collect();
    ensure!(open.len() == 2, "two commands left {open:?} in the inbox");
    let mut w = Writer::new(&old);
    w.commit(&s, &["one", "two"], open[0]).await?;
    let mut held = w.written.clone();
    let long = "of the batch that is cut ".repeat(100);
    w.commit(&s, &["three", &long, "five"], open[1]).await?;
    let Some(s) = h.tear(s, tear).await else {
        return Err(not_applicable("its fixture cannot cut an append"));
    };
    if s.info().lease_ttl.is_some() {
        h.expire(&s, &old).await;
    }
    let new = s.claim(SHARD, "second").await?;
    ensure!(
        new.epoch > old.epoch,
        "{tear:?}: epoch {} follows {}",
        new.epoch,
        old.epoch
    );
    let (frames, entries) = loaded(&s, &new).await?;
    ensure!(
        frames == held,
        "{tear:?}: two frames were committed before the append that was cut, {} are there",
        frames.len()
    );
    ensure!(
        entries == open[1..],
        "{tear:?}: the frames of the append are gone, and of its inbox entries {:?} open are \
         {entries:?}",
        &open[1..]
    );
    let later = Bytes::from_static(b"after the crash");
    s.commit(&new, batch(1, vec![later.clone()], open[1]))
        .await?;
    held.push(later);
    s.release(&new).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "third").await?;
    let (frames, entries) = loaded(&s, &lease).await?;
    ensure!(
        frames == held && entries.is_empty(),
        "{tear:?}: a commit after the crash was acknowledged; opened once more, the store has {} \
         of {} frames and the entries {entries:?}",
        frames.len(),
        held.len()
    );
    Ok(())
}
