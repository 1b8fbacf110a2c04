//! Cases for [`Cache`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Case, Failure, Outcome, Report, begin, not_applicable, run};
use crate::contract::{
    Artifact, ArtifactBlob, ArtifactFile, Cache, CacheExplanation, CacheKey, CacheLookup,
    PutOptions, ReservationToken, ReserveOutcome,
};
use crate::id::{AttemptKey, Digest, ExecutionId, NodeAddr, Tenant};
use crate::literal::{Literal, Row, Timestamp};
use crate::{ErrorKind, Result};

/// Makes caches, and lets their time pass.
///
/// ```
/// use flyte_core::contract::{Cache, ManualClock};
/// use flyte_core::memory::MemoryCache;
/// use flyte_core::testkit::cache::{CacheHarness, check};
/// use std::{sync::Arc, time::Duration};
///
/// #[derive(Debug, Default)]
/// struct Mine(Arc<ManualClock>);
///
/// #[async_trait::async_trait]
/// impl CacheHarness for Mine {
///     async fn fresh(&self) -> Arc<dyn Cache> { Arc::new(MemoryCache::new(self.0.clone())) }
///     async fn reopen(&self, _: Arc<dyn Cache>) -> Option<Arc<dyn Cache>> { None }
///     async fn pass(&self, d: Duration) { self.0.advance(d) }
///     async fn unreachable(&self) -> Option<Arc<dyn Cache>> { None }
/// }
/// futures::executor::block_on(check(&Mine::default())).assert_conforms();
/// ```
#[async_trait]
pub trait CacheHarness: fmt::Debug + Send + Sync {
    /// An empty one.
    async fn fresh(&self) -> Arc<dyn Cache>;
    /// The same one after a restart; `None` if it is gone with its process.
    async fn reopen(&self, cache: Arc<dyn Cache>) -> Option<Arc<dyn Cache>>;
    /// Lets at least this much of the cache's time pass.
    async fn pass(&self, d: Duration);
    /// One that cannot be asked; `None` if there is no such thing.
    async fn unreachable(&self) -> Option<Arc<dyn Cache>>;
}

cases! { CacheHarness:
    "cache.cancel" => cancel,
    "cache.tenant" => tenant,
    "cache.unreachable" => unreachable,
    "cache.get.hit" => hit,
    "cache.get.parts" => parts,
    "cache.put.durable" => durable,
    "cache.put.first" => first,
    "cache.put.overwrite" => overwrite,
    "cache.put.free" => free,
    "cache.put.token" => token,
    "cache.reserve.one" => reserve_one,
    "cache.reserve.again" => reserve_again,
    "cache.reserve.expiry" => reserve_expiry,
    "cache.extend.stale" => extend_stale,
    "cache.release.foreign" => release_foreign,
    "cache.explain.nearest" => explain,
    "cache.invalidate" => invalidate,
    "cache.holds" => holds,
    "cache.sweep.roots" => sweep_roots,
    "cache.sweep.grace" => sweep_grace,
}

/// A span that a busy machine does not pass by accident.
const TTL: Duration = Duration::from_secs(60);

fn key(x: u8) -> CacheKey {
    CacheKey {
        tenant: Tenant::default(),
        task: "task".into(),
        cache_version: "1".into(),
        interface: Digest::of("testkit", b"interface"),
        inputs: vec![
            ("x".into(), Digest::of("testkit", &[x])),
            ("y".into(), Digest::of("testkit", b"y")),
        ],
    }
}

fn artifact(n: i64) -> Artifact {
    Artifact {
        outputs: Row::from_pairs([("o0", Literal::Integer(n)), ("o1", Literal::string("ü"))]),
        producer: AttemptKey {
            execution: ExecutionId::new(Tenant::default(), format!("e{n}")),
            addr: NodeAddr::new(1, 2),
            attempt: 3,
        },
        created_at: Timestamp::from_unix_millis(1_000 + n),
        blobs: vec![ArtifactBlob {
            uri: "/data/ü".into(),
            files: vec![ArtifactFile {
                path: "".into(),
                bytes: 1 << 40,
                digest: Some(Digest::of("testkit", b"file")),
            }],
        }],
    }
}

async fn put(c: &Arc<dyn Cache>, key: &CacheKey, n: i64) -> Result<()> {
    c.put(key, &artifact(n), &PutOptions::default()).await
}

async fn has(c: &Arc<dyn Cache>, key: &CacheKey) -> Result<Option<i64>> {
    Ok(match c.get(key).await? {
        CacheLookup::Hit(a) => a.outputs.get("o0").and_then(Literal::as_integer),
        CacheLookup::Miss => None,
    })
}

async fn reserve(
    c: &Arc<dyn Cache>,
    key: &CacheKey,
    owner: &str,
    ttl: Duration,
) -> Result<Option<ReservationToken>> {
    Ok(match c.reserve(key, owner, ttl).await? {
        ReserveOutcome::Acquired(r) => Some(r.token),
        ReserveOutcome::Held { .. } => None,
    })
}

async fn held(c: &Arc<dyn Cache>, owner: &str) -> std::result::Result<ReservationToken, Failure> {
    let token = reserve(c, &key(1), owner, TTL).await?;
    token.ok_or_else(|| Failure::Broken("a free key could not be reserved".into()))
}

async fn cancel(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    begin(c.reserve(&key(1), "me", TTL));
    let token = held(&c, "me").await?;
    begin(c.extend(&key(1), token, TTL));
    c.extend(&key(1), token, TTL).await?;
    let (artifact, options) = (artifact(1), PutOptions::default().with_token(token));
    begin(c.put(&key(1), &artifact, &options));
    c.put(&key(1), &artifact, &options).await?;
    begin(c.get(&key(1)));
    ensure!(
        has(&c, &key(1)).await? == Some(1),
        "what was put is not there"
    );
    begin(c.release(&key(1), token));
    c.release(&key(1), token).await?;
    begin(c.invalidate(&key(1)));
    // Whether the first one did it cannot be known.
    c.invalidate(&key(1)).await?;
    ensure!(
        has(&c, &key(1)).await?.is_none(),
        "it is there all the same"
    );
    Ok(())
}

async fn free(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    let token = held(&c, "me").await?;
    put(&c, &key(1), 1).await?;
    ensure!(
        has(&c, &key(1)).await? == Some(1),
        "a task that is not serialised could not publish"
    );
    // The holder comes second: its result is no error, and gives way.
    let options = PutOptions::default().with_token(token);
    c.put(&key(1), &artifact(2), &options).await?;
    ensure!(
        has(&c, &key(1)).await? == Some(1),
        "the first result gave way"
    );
    Ok(())
}

async fn tenant(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    for tenant in [
        Tenant::new("flytesnacks", "production"),
        Tenant::new("other", "development"),
        Tenant {
            org: "org".into(),
            ..Tenant::default()
        },
    ] {
        let foreign = CacheKey { tenant, ..key(1) };
        let found = has(&c, &foreign).await?;
        ensure!(
            found.is_none(),
            "{} got a result of {}",
            foreign.tenant,
            key(1).tenant
        );
        let told = c.explain(&foreign).await?;
        ensure!(
            told == CacheExplanation::NothingStored,
            "`explain` tells {told:?}"
        );
        ensure!(
            !c.invalidate(&foreign).await?,
            "another tenant's result was forgotten"
        );
    }
    ensure!(has(&c, &key(1)).await? == Some(1), "the result is gone");
    Ok(())
}

async fn unreachable(h: &dyn CacheHarness) -> Outcome {
    let Some(c) = h.unreachable().await else {
        return Err(not_applicable("it cannot be out of reach"));
    };
    match c.get(&key(1)).await {
        Ok(found) => ensure!(false, "it says {found:?}"),
        Err(e) => ensure!(e.kind() == ErrorKind::Unavailable, "it says {:?}", e.kind()),
    }
    Ok(())
}

async fn hit(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    ensure!(
        c.get(&key(1)).await? == CacheLookup::Miss,
        "an empty cache has it"
    );
    put(&c, &key(1), 7).await?;
    let found = c.get(&key(1)).await?;
    let wanted = CacheLookup::Hit(Box::new(artifact(7)));
    ensure!(found == wanted, "put {wanted:?}, got {found:?}");
    Ok(())
}

async fn parts(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    let mut fewer = key(1);
    fewer.inputs.pop();
    let mut renamed = key(1);
    renamed.inputs[0].0 = "z".into();
    let others = [
        (
            "task",
            CacheKey {
                task: "other".into(),
                ..key(1)
            },
        ),
        (
            "cache_version",
            CacheKey {
                cache_version: "2".into(),
                ..key(1)
            },
        ),
        (
            "interface",
            CacheKey {
                interface: Digest::of("testkit", b"other"),
                ..key(1)
            },
        ),
        ("an input", key(2)),
        ("the number of inputs", fewer),
        ("the name of an input", renamed),
    ];
    for (what, other) in others {
        ensure!(
            has(&c, &other).await?.is_none(),
            "a key that differs in {what} hits"
        );
    }
    Ok(())
}

async fn durable(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    ensure!(
        has(&c, &key(1)).await? == Some(1),
        "what was put is not there"
    );
    let Some(c) = h.reopen(c).await else {
        return Ok(());
    };
    ensure!(
        has(&c, &key(1)).await? == Some(1),
        "it is gone after a restart"
    );
    Ok(())
}

async fn first(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    put(&c, &key(1), 2).await?;
    let found = has(&c, &key(1)).await?;
    ensure!(found == Some(1), "the first result gave way: {found:?}");
    Ok(())
}

async fn overwrite(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    let options = PutOptions::default().with_overwrite(true);
    c.put(&key(1), &artifact(2), &options).await?;
    let found = has(&c, &key(1)).await?;
    ensure!(found == Some(2), "with `overwrite` it is {found:?}");
    Ok(())
}

async fn refused(c: &Arc<dyn Cache>, token: ReservationToken, what: &str) -> Outcome {
    let options = PutOptions::default().with_token(token).with_overwrite(true);
    match c.put(&key(1), &artifact(9), &options).await {
        Ok(()) => ensure!(false, "a result was published under {what}"),
        Err(e) => ensure!(e.kind() == ErrorKind::StaleLease, "{what}: {:?}", e.kind()),
    }
    let found = has(c, &key(1)).await?;
    ensure!(
        found != Some(9),
        "{what}: it was refused, and is there all the same"
    );
    Ok(())
}

async fn token(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    let mine = held(&c, "me").await?;
    refused(
        &c,
        ReservationToken(mine.0 ^ 1 << 40),
        "a token that nobody has",
    )
    .await?;
    let options = PutOptions::default().with_token(mine);
    c.put(&key(1), &artifact(1), &options).await?;
    ensure!(
        has(&c, &key(1)).await? == Some(1),
        "the holder could not publish"
    );
    c.release(&key(1), mine).await?;
    refused(&c, mine, "a token that was released").await?;
    let short = reserve(&c, &key(1), "me", Duration::from_millis(50)).await?;
    h.pass(Duration::from_millis(100)).await;
    if let Some(short) = short {
        refused(&c, short, "a token that expired").await?;
    }
    let other = held(&c, "another").await?;
    ensure!(Some(other) != short, "a token was given out twice");
    Ok(())
}

async fn reserve_one(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    held(&c, "me").await?;
    match c.reserve(&key(1), "another", TTL).await? {
        ReserveOutcome::Held { owner, .. } => ensure!(owner == "me", "it is held by {owner}"),
        ReserveOutcome::Acquired(_) => ensure!(false, "two owners hold one key"),
    }
    ensure!(
        reserve(&c, &key(2), "another", TTL).await?.is_some(),
        "another key is held too"
    );
    Ok(())
}

async fn reserve_again(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    let short = Duration::from_millis(200);
    let token = reserve(&c, &key(1), "me", short).await?;
    let again = reserve(&c, &key(1), "me", TTL).await?;
    ensure!(
        token.is_some() && token == again,
        "first {token:?}, then {again:?}"
    );
    h.pass(short * 2).await;
    let other = reserve(&c, &key(1), "another", TTL).await?;
    ensure!(other.is_none(), "asking again did not prolong it");
    Ok(())
}

async fn reserve_expiry(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    let short = Duration::from_millis(100);
    let token = reserve(&c, &key(1), "me", short).await?;
    h.pass(short * 2).await;
    let other = reserve(&c, &key(1), "another", TTL).await?;
    ensure!(other.is_some(), "a reservation outlived its ttl");
    ensure!(
        other != token,
        "the token of an ended hold was given out again"
    );
    Ok(())
}

async fn extend_stale(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    let short = Duration::from_millis(300);
    let Some(token) = reserve(&c, &key(1), "me", short).await? else {
        return Err(Failure::Broken("a free key could not be reserved".into()));
    };
    c.extend(&key(1), token, TTL).await?;
    h.pass(short * 2).await;
    ensure!(
        reserve(&c, &key(1), "another", TTL).await?.is_none(),
        "it was not prolonged"
    );
    c.release(&key(1), token).await?;
    let brief = reserve(&c, &key(1), "me", Duration::from_millis(50)).await?;
    h.pass(Duration::from_millis(100)).await;
    for (what, token) in [("released", Some(token)), ("expired", brief)] {
        let Some(token) = token else { continue };
        match c.extend(&key(1), token, TTL).await {
            Ok(()) => ensure!(false, "a token that is {what} was prolonged"),
            Err(e) => ensure!(e.kind() == ErrorKind::StaleLease, "{what}: {:?}", e.kind()),
        }
    }
    Ok(())
}

async fn release_foreign(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    let token = held(&c, "me").await?;
    c.release(&key(1), ReservationToken(token.0 ^ 1 << 40))
        .await?;
    c.release(&key(2), token).await?;
    ensure!(
        reserve(&c, &key(1), "another", TTL).await?.is_none(),
        "somebody else's token released it"
    );
    c.release(&key(1), token).await?;
    ensure!(
        reserve(&c, &key(1), "another", TTL).await?.is_some(),
        "the holder could not release it"
    );
    Ok(())
}

async fn explain(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    let told = c.explain(&key(1)).await?;
    ensure!(
        told == CacheExplanation::NothingStored,
        "nothing is stored: {told:?}"
    );
    put(&c, &key(1), 1).await?;
    let far = CacheKey {
        cache_version: "2".into(),
        interface: Digest::of("testkit", b"far"),
        ..key(3)
    };
    put(&c, &far, 2).await?;
    let told = c.explain(&key(1)).await?;
    ensure!(told == CacheExplanation::Hit, "it would hit: {told:?}");
    let told = c.explain(&key(2)).await?;
    let wanted = CacheExplanation::Differs(vec!["inputs.x".into()]);
    ensure!(told == wanted, "nearest is {wanted:?}: {told:?}");
    let other = CacheKey {
        cache_version: "9".into(),
        ..key(1)
    };
    let told = c.explain(&other).await?;
    let wanted = CacheExplanation::Differs(vec!["cache_version".into()]);
    ensure!(told == wanted, "nearest is {wanted:?}: {told:?}");
    Ok(())
}

async fn invalidate(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    put(&c, &key(2), 2).await?;
    ensure!(
        c.invalidate(&key(1)).await?,
        "it says that there was nothing"
    );
    ensure!(has(&c, &key(1)).await?.is_none(), "it hits afterwards");
    ensure!(has(&c, &key(2)).await? == Some(2), "another result is gone");
    ensure!(
        !c.invalidate(&key(1)).await?,
        "it says that there was something"
    );
    put(&c, &key(1), 3).await?;
    let found = has(&c, &key(1)).await?;
    ensure!(found == Some(3), "replaced by 3, it is {found:?}");
    Ok(())
}

async fn holds(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    let text = Literal::string("file:///data/of-e1/x.csv");
    let artifact = Artifact {
        outputs: Row::from_pairs([("o0", text)]),
        ..artifact(2)
    };
    c.put(&key(2), &artifact, &PutOptions::default()).await?;
    let texts = ["data/of-e1/".to_owned(), "data/of-e2/".to_owned()];
    let held = c.holds(&texts).await?;
    ensure!(held == [true, false], "one of two is named: {held:?}");
    c.invalidate(&key(2)).await?;
    let held = c.holds(&texts).await?;
    ensure!(held == [false, false], "none is named any more: {held:?}");
    Ok(())
}

async fn sweep_roots(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    put(&c, &key(2), 2).await?;
    h.pass(Duration::from_millis(50)).await;
    let report = c.sweep(&[key(1)], Duration::from_millis(1)).await?;
    ensure!(has(&c, &key(1)).await? == Some(1), "a root went");
    ensure!(
        has(&c, &key(2)).await?.is_none(),
        "what nobody needs stayed"
    );
    ensure!(
        (report.kept, report.removed) == (1, 1),
        "it reports {report:?}"
    );
    Ok(())
}

async fn sweep_grace(h: &dyn CacheHarness) -> Outcome {
    let c = h.fresh().await;
    put(&c, &key(1), 1).await?;
    put(&c, &key(2), 2).await?;
    h.pass(Duration::from_millis(400)).await;
    // Reading counts as use.
    has(&c, &key(1)).await?;
    let report = c.sweep(&[], Duration::from_millis(300)).await?;
    ensure!(
        has(&c, &key(1)).await? == Some(1),
        "what was read lately went"
    );
    ensure!(
        has(&c, &key(2)).await?.is_none(),
        "what nobody read stayed: {report:?}"
    );
    Ok(())
}
