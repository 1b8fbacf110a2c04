use std::time::Instant;

use super::*;
use crate::limits::VALUES_BYTES_MAX;
use crate::literal::{Literal, Row};

pub(super) async fn enqueue_kinds(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let commands = every_kind();
    s.enqueue(SHARD, commands.clone()).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let open = s.inbox(&lease, 0, 100).await?;
    let read: Vec<Command> = open.into_iter().map(|e| e.command).collect();
    ensure!(read == commands, "given {commands:?}, read {read:?}");
    Ok(())
}

pub(super) async fn enqueue_durable(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let s = h.reopen(s).await;
    let lease = s.claim(SHARD, "testkit").await?;
    let (_, entries) = loaded(&s, &lease).await?;
    ensure!(
        entries.len() == 1,
        "an acknowledged command is not there: {entries:?}"
    );
    Ok(())
}

pub(super) async fn enqueue_idempotent(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let first = ask(&s, SHARD, submit(1, "a", 1)).await?;
    let again = ask(&s, SHARD, submit(1, "a", 1)).await?;
    ensure!(first == again, "first {first:?}, then {again:?}");
    let lease = s.claim(SHARD, "testkit").await?;
    let open = s.inbox(&lease, 0, 10).await?;
    ensure!(open.len() == 1, "one command id, {} entries", open.len());
    let mut w = Writer::new(&lease);
    w.commit(&s, &[], open[0].number).await?;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let open = s.inbox(&lease, 0, 10).await?;
    ensure!(open.is_empty(), "a command that was handled came back");
    Ok(())
}

pub(super) async fn enqueue_order(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let lease = s.claim(SHARD, "testkit").await?;
    for chunk in 0..4 {
        let commands = (0..5)
            .map(|i| chunk * 5 + i)
            .map(|i| submit(i, &format!("e{i}"), 0));
        s.enqueue(SHARD, commands.collect()).await?;
    }
    let open = s.inbox(&lease, 0, 100).await?;
    let ids: Vec<u128> = open.iter().map(|e| e.command.id.0).collect();
    ensure!(
        ids == (0..20).collect::<Vec<_>>(),
        "they are read as {ids:?}"
    );
    ensure!(
        open.windows(2).all(|w| w[0].number < w[1].number),
        "their numbers do not rise"
    );
    let rest = s.inbox(&lease, open[9].number, 4).await?;
    let rest: Vec<u128> = rest.iter().map(|e| e.command.id.0).collect();
    ensure!(rest == [10, 11, 12, 13], "4 after the tenth are {rest:?}");
    Ok(())
}

pub(super) async fn enqueue_bounded(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let mut long = submit(2, "b", 1);
    if let CommandBody::Submit(s) = &mut long.body {
        let value = Literal::string("x".repeat(VALUES_BYTES_MAX as usize));
        s.inputs = Row::from_pairs([("x", value)]);
    }
    let nameless = submit(3, "", 1);
    for (bad, kind) in [(long, ErrorKind::Limit), (nameless, ErrorKind::Invalid)] {
        let refused = s.enqueue(SHARD, vec![submit(1, "a", 1), bad]).await;
        let got = refused.as_ref().err().map(crate::Error::kind);
        ensure!(got == Some(kind), "{kind:?} was expected: {refused:?}");
    }
    let lease = s.claim(SHARD, "kit").await?;
    let open = s.inbox(&lease, 0, 10).await?;
    ensure!(
        open.is_empty(),
        "{} commands of refused calls are there",
        open.len()
    );
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    Ok(())
}

pub(super) async fn enqueue_name(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let same = ask(&s, ShardId(7), submit(2, "a", 1)).await?;
    ensure!(
        same == Enqueued::Existing { shard: SHARD },
        "the same again: {same:?}"
    );
    match ask(&s, ShardId(7), submit(3, "a", 2)).await? {
        Enqueued::Conflict {
            shard,
            difference,
            existing,
        } => {
            ensure!(shard == SHARD, "it is said to live in {shard}");
            let first = submit(1, "a", 1);
            let there = CommandBody::Submit(existing);
            ensure!(
                there == first.body,
                "the submission that is there is said to be {there:?}"
            );
            ensure!(
                difference.contains('x'),
                "the difference is in input `x`: {difference:?}"
            );
        }
        other => ensure!(false, "other content under one name: {other:?}"),
    }
    let mut foreign = submit(4, "a", 2);
    if let CommandBody::Submit(s) = &mut foreign.body {
        s.id.tenant = Tenant::new("other", "development");
    }
    let foreign = ask(&s, ShardId(7), foreign).await?;
    ensure!(
        foreign == Enqueued::Accepted,
        "another tenant's name is its own: {foreign:?}"
    );
    for (shard, wanted) in [(SHARD, 1), (ShardId(7), 1)] {
        let lease = s.claim(shard, "testkit").await?;
        let n = s.inbox(&lease, 0, 10).await?.len();
        ensure!(n == wanted, "{shard} has {n} entries, wanted {wanted}");
    }
    Ok(())
}

/// How long a waiter took to hear of a command.
pub(super) async fn heard(
    waiter: &Arc<dyn Store>,
    teller: &Arc<dyn Store>,
    h: &dyn StoreFixture,
) -> Result<Duration> {
    let lease = waiter.claim(SHARD, "testkit").await?;
    let begun = Instant::now();
    let wait = async {
        // A store without a timer leaves the bound to its caller.
        let wait = waiter.wait(&lease, 0, Duration::from_secs(4));
        match select(wait, h.pass(Duration::from_secs(5))).await {
            Either::Left((waited, _)) => waited.map(|()| begun.elapsed()),
            Either::Right(_) => Ok(begun.elapsed()),
        }
    };
    let tell = async {
        h.pass(Duration::from_millis(50)).await;
        teller.enqueue(SHARD, vec![submit(1, "a", 1)]).await
    };
    let (waited, told) = join(wait, tell).await;
    told?;
    waited
}

pub(super) async fn enqueue_wake(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let Some(other) = h.other(&s).await else {
        return Err(not_applicable(
            "it lives in one process; see store.wait.wakes",
        ));
    };
    let took = heard(&s, &other, h).await?;
    ensure!(
        took < Duration::from_secs(2),
        "another process was heard after {took:?}"
    );
    Ok(())
}

pub(super) async fn wait_wakes(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    let took = heard(&s, &s, h).await?;
    ensure!(took < Duration::from_secs(2), "it was heard after {took:?}");
    // What is there already is not waited for.
    s.release(&Lease {
        shard: SHARD,
        epoch: 1,
        owner: "testkit".into(),
    })
    .await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let begun = Instant::now();
    s.wait(&lease, 0, Duration::from_secs(20)).await?;
    ensure!(
        begun.elapsed() < Duration::from_secs(2),
        "an open entry was waited for"
    );
    Ok(())
}

pub(super) async fn wait_idle(h: &dyn StoreFixture) -> Outcome {
    let s = h.fresh().await;
    ask(&s, SHARD, submit(1, "a", 1)).await?;
    let lease = s.claim(SHARD, "testkit").await?;
    let open = s.inbox(&lease, 0, 10).await?;
    let patience = Duration::from_millis(300);
    let begun = Instant::now();
    let wait = s.wait(&lease, open[0].number, patience);
    // A store without a timer leaves the bound to its caller.
    match select(wait, h.pass(patience * 2)).await {
        Either::Left((waited, _)) => {
            waited?;
            let took = begun.elapsed();
            ensure!(
                took >= patience / 2,
                "nothing happened, and it returned after {took:?}"
            );
        }
        Either::Right(_) => {}
    }
    Ok(())
}
