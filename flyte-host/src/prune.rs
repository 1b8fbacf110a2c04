use std::time::{Duration, SystemTime};

use clap::Args;
use flyte_core::literal::Timestamp;
use flyte_scheduler::{PruneBounds, PruneReport, Pruner};
use serde_json::json;

use crate::cli::Common;
use crate::environments::Environments;
use crate::fail::{Refusal, Result};
use crate::machine::{Machine, shown};
use crate::stored::Stored;

/// Delete old executions that are over, with their files.
///
/// What all given bounds agree on goes; at least one must be given. Executions stay whose files a
/// cached result or an execution that stays needs, and children stay with their parents. Other
/// stores than `.flyte/flyte.db` must be named by `--store` or `FLYTE_STORE`.
#[derive(Args, Debug)]
pub(crate) struct PruneArguments {
    /// Only what ended longer ago than this: a number and `s`, `m`, `h`, `d` or `w`, such as `7d`.
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// The newest N executions of each project and domain stay.
    #[arg(long, value_name = "N")]
    keep: Option<u64>,
    /// Before that, forget cached results that nobody has used for so long.
    #[arg(long, value_name = "AGE", value_parser = age)]
    cache_unused: Option<Duration>,
    /// Stored inputs and snapshots of code that nothing names go after so long; 1h if unset. A place
    /// of files outside of `.flyte`, which other folders may use, is looked at only if this is given.
    #[arg(long, value_name = "AGE", value_parser = age)]
    stored_unused: Option<Duration>,
    /// Say what would go, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// A length of time as people write it.
fn age(text: &str) -> std::result::Result<Duration, String> {
    let wrong = || format!("`{text}` is no age: give a number and s, m, h, d or w, such as 7d");
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(seconds).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

fn before(age: Duration) -> Timestamp {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let millis = now.saturating_sub(age).as_millis();
    Timestamp::from_unix_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

pub(crate) async fn prune(a: PruneArguments, common: &Common) -> Result<u8> {
    if a.older_than.is_none() && a.keep.is_none() {
        return Err(Refusal::new("Usage", "nothing says what goes")
            .at("prune")
            .remedy("give --older-than AGE, --keep N or both"));
    }
    let machine = Machine::to_prune(common).await?;
    let files = machine.blobs.clone();
    let mut pruner = Pruner::new(machine.store.clone()).blobs(files.store, files.root);
    let mut forgotten = 0;
    if let Some(cache) = &machine.cache {
        if let Some(unused) = a.cache_unused.filter(|_| !a.dry_run) {
            forgotten = cache.sweep(&[], unused).await?.removed;
        }
        pruner = pruner.cache(cache.clone());
    }
    let mut bounds = PruneBounds {
        ended_before: before(a.older_than.unwrap_or_default()),
        keep: a.keep.unwrap_or(0),
        dry_run: a.dry_run,
        ..PruneBounds::default()
    };
    // Files that are in another place would stay for ever.
    let mut elsewhere = machine.executions(false).await?;
    elsewhere.retain(|e| common.fits(&e.id.tenant) && !machine.has_files_of(e));
    let mut all = PruneReport::default();
    for tenant in machine.store.tenants().await? {
        if common.fits(&tenant) {
            let there = elsewhere.iter().filter(|e| e.id.tenant == tenant);
            bounds.spare = there.map(|e| e.id.name.clone()).collect();
            let one = pruner.prune(&tenant, &bounds).await?;
            all.executions.extend(one.executions);
            all.held.extend(one.held);
            all.files += one.files;
            all.bytes += one.bytes;
        }
    }
    if !a.dry_run {
        let owner = format!("flyte-rs prune, process {}", std::process::id());
        pruner.compact(&owner).await?;
        Environments::sweep(&machine).await;
    }
    let unused = a.stored_unused;
    let stored = Stored::sweep(&machine, &pruner, &all.executions, unused, a.dry_run).await;
    all.files += stored.files();
    all.bytes += stored.bytes();
    let names = |ids: &[flyte_core::id::ExecutionId]| -> Vec<String> {
        let name = |id: &flyte_core::id::ExecutionId| format!("{}/{}", shown(&id.tenant), id.name);
        ids.iter().map(name).collect()
    };
    if common.json {
        let out = json!({
            "executions": names(&all.executions),
            "held": names(&all.held),
            "files": all.files,
            "bytes": all.bytes,
            "cached_results_forgotten": forgotten,
            "stored_inputs": stored.inputs.digests,
            "stored_code": stored.code.digests,
            "stored_left": stored.left,
            "dry_run": a.dry_run,
        });
        out!("{out}")?;
        return Ok(0);
    }
    for name in names(&all.executions) {
        out!("{name}")?;
    }
    let would = if a.dry_run { "would go" } else { "gone" };
    tell!(
        "{} executions, {} stored inputs, {} snapshots of code and {} files of {} bytes {would}",
        all.executions.len(),
        stored.inputs.digests.len(),
        stored.code.digests.len(),
        all.files,
        all.bytes
    );
    if let Some(why) = &stored.left {
        tell!("stored inputs and code stay: {why}");
    }
    if !elsewhere.is_empty() {
        let n = elsewhere.len();
        tell!("{n} stay, since their files are in another place; name it by --blobs");
    }
    if !all.held.is_empty() {
        let n = all.held.len();
        tell!(
            "{n} stay, since cached results or other executions need their files; see --cache-unused"
        );
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_and_nonsense_is_named() {
        assert_eq!(age("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(age("0s"), Ok(Duration::ZERO));
        for wrong in ["", "7", "d", "-1d", "7 d", "1y", "99999999999999999w", "7ü"] {
            assert!(age(wrong).unwrap_err().contains("such as 7d"), "{wrong}");
        }
    }
}
