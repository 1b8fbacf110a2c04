use super::*;

pub(super) async fn fenced(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let (old, new) = succession(h, &s).await?;
    stale("load", s.load(&old).await.map(|_| ()))?;
    stale("inbox", s.inbox(&old, 0, 1).await)?;
    let wait = s.wait(&old, 0, Duration::from_millis(1));
    match select(wait, h.pass(Duration::from_secs(2))).await {
        Either::Left((waited, _)) => stale("wait", waited)?,
        Either::Right(_) => ensure!(false, "a wait under a stale lease goes on"),
    }
    s.inbox(&new, 0, 1).await?;
    Ok(())
}

pub(super) async fn claim_ends(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "first").await?;
    let lasts = s.renew(&lease).await?;
    let ttl = s.info().lease_ttl;
    ensure!(lasts == ttl, "`info` says {ttl:?}, `renew` says {lasts:?}");
    match ttl {
        Some(_) => {
            if !h.expire(&s, &lease).await {
                return Err(not_applicable("its time cannot pass here"));
            }
            s.claim(SHARD, "second").await?;
        }
        None if s.info().durability == Durability::Memory => {
            return Err(not_applicable("it ends with its process"));
        }
        None => {
            let s = h.reopen(s).await;
            s.claim(SHARD, "second").await?;
        }
    }
    Ok(())
}

pub(super) async fn claim_exclusive(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    s.claim(SHARD, "first owner").await?;
    let other = h.other(&s).await;
    for s in std::iter::once(&s).chain(&other) {
        match s.claim(SHARD, "second").await {
            Ok(lease) => ensure!(false, "two leases: {lease:?}"),
            Err(e) => {
                ensure!(e.kind() == ErrorKind::Held, "it is {:?}", e.kind());
                let wanted = s.info().held(SHARD, "first owner");
                ensure!(
                    e.message() == wanted.message(),
                    "the owner and the remedy are not named: {e}, not {wanted}"
                );
            }
        }
    }
    s.claim(ShardId(9), "second").await?;
    Ok(())
}

pub(super) async fn claim_epoch(h: &dyn StoreFixture) -> Outcome {
    let mut s = h.fresh().await;
    let mut last = 0;
    for i in 0..4 {
        let lease = s.claim(SHARD, "testkit").await?;
        ensure!(
            lease.epoch > last,
            "claim {i}: epoch {} after {last}",
            lease.epoch
        );
        last = lease.epoch;
        if i == 2 {
            s.release(&lease).await?;
            s = h.reopen(s).await;
        } else {
            s.release(&lease).await?;
        }
    }
    Ok(())
}

pub(super) async fn claim_version(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    // A frame as a later version would write it.
    let mut bytes = frame(1, lease.epoch, Vec::new()).to_vec();
    bytes[4..6].copy_from_slice(&(FRAME_VERSION + 1).to_le_bytes());
    let one = batch(1, vec![bytes.into()], 0);
    s.commit(&lease, one).await?;
    s.release(&lease).await?;
    match s.claim(SHARD, "testkit").await {
        Ok(_) => ensure!(false, "a shard of a newer version was claimed"),
        Err(e) => ensure!(e.kind() == ErrorKind::NewerVersion, "it is {e}"),
    }
    s.claim(ShardId(9), "testkit").await?;
    Ok(())
}

pub(super) async fn renew_stale(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let (old, new) = succession(h, &s).await?;
    stale("renew", s.renew(&old).await)?;
    s.renew(&new).await?;
    if h.expire(&s, &new).await {
        stale("renew after it ran out", s.renew(&new).await)?;
    }
    Ok(())
}

pub(super) async fn release(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let (old, new) = succession(h, &s).await?;
    s.release(&old).await?;
    s.renew(&new).await?;
    s.release(&new).await?;
    s.claim(SHARD, "third").await?;
    Ok(())
}
