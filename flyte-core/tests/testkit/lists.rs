//! Every MUST has an id and a case.

use std::collections::BTreeSet;
use std::path::Path;

use flyte_core::testkit::{
    WITHOUT_CASE, cache, clock, event, host, plugin, policy, registry, secrets, store, task,
};

/// The ids in the documentation of the contracts.
fn documented() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/contract");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|n| n == "mod.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for rest in text.split("MUST [").skip(1) {
            out.push(rest.split(']').next().unwrap().to_owned());
        }
    }
    out.sort();
    out
}

fn cases() -> Vec<&'static str> {
    let mut out = Vec::new();
    out.extend(cache::cases().iter().map(|c| c.id));
    out.extend(clock::cases().iter().map(|c| c.id));
    out.extend(event::cases().iter().map(|c| c.id));
    out.extend(host::cases().iter().map(|c| c.id));
    out.extend(plugin::cases().iter().map(|c| c.id));
    out.extend(policy::cases().iter().map(|c| c.id));
    out.extend(registry::cases().iter().map(|c| c.id));
    out.extend(secrets::cases().iter().map(|c| c.id));
    out.extend(store::cases().iter().map(|c| c.id));
    out.extend(task::cases().iter().map(|c| c.id));
    out
}

#[test]
fn every_must_has_a_case() {
    let documented = documented();
    let unique: BTreeSet<&str> = documented.iter().map(String::as_str).collect();
    assert_eq!(
        unique.len(),
        documented.len(),
        "an id stands twice in the documentation"
    );
    let cases: BTreeSet<&str> = cases().into_iter().collect();
    let unknown: Vec<_> = cases.difference(&unique).collect();
    assert!(unknown.is_empty(), "cases of nothing: {unknown:?}");
    let excused: BTreeSet<&str> = WITHOUT_CASE.iter().map(|w| w.0).collect();
    let missing: Vec<_> = unique
        .difference(&cases)
        .filter(|id| !excused.contains(**id))
        .collect();
    assert!(missing.is_empty(), "without a case: {missing:?}");
    println!(
        "{} obligations, {} cases, {} excused",
        unique.len(),
        cases.len(),
        excused.len()
    );
    assert!(WITHOUT_CASE.len() <= 5);
    for (id, why) in WITHOUT_CASE {
        assert!(id.starts_with("plugin.") && why.len() > 20, "{id}: {why}");
        assert!(unique.contains(id) && !cases.contains(id), "{id}");
    }
    assert!(unique.len() > 125, "{}", unique.len());
}

/// The words in backticks that look like ids, in the tables of the public list.
fn listed() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contracts.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|l| l.starts_with("| "));
    let ids = rows.filter_map(|l| l.trim_end_matches(" |").rsplit("| ").next());
    let words = ids.flat_map(str::split_whitespace);
    let mut out: Vec<String> = words
        .filter(|w| w.starts_with('`'))
        .map(|w| w.trim_matches('`').to_owned())
        .collect();
    out.sort();
    out
}

#[test]
fn the_public_list_names_each_obligation_once() {
    assert_eq!(listed(), documented());
}
