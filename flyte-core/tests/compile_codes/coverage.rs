//! `docs/coverage.md` says the truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flyte_core::compile::CompileErrorCode;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Sources below a folder, joined.
fn sources(folder: &Path, skip: &str) -> String {
    let (mut out, mut folders) = (String::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with(skip) {
                out.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    out
}

#[test]
fn every_code_is_provoked_or_reserved() {
    let doc = std::fs::read_to_string(here().join("../docs/coverage.md")).unwrap();
    let mut rows: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for line in doc.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [code, tests, why] = cells[..] else {
            panic!("three columns: {line}");
        };
        assert!(
            rows.insert(code.trim_matches('`'), (tests, why)).is_none(),
            "{code} twice"
        );
    }
    let tests = sources(&here().join("tests/compile_codes"), "coverage.rs");
    let code_of_compiler = sources(&here().join("src"), "compile/error.rs");
    for code in CompileErrorCode::ALL {
        let name = code.as_str();
        let Some((named, why)) = rows.remove(name) else {
            panic!("{name} is not in docs/coverage.md");
        };
        assert!(!why.is_empty(), "{name} says nothing");
        let raised = code_of_compiler.contains(&format!("Code::{name}"));
        if named == "reserved" {
            assert!(!raised, "{name} is raised and listed as reserved");
            continue;
        }
        assert!(raised, "{name} is not raised");
        assert!(
            tests.contains(&format!("\"{name}\"")),
            "no test expects {name}"
        );
        for test in named.split(", ") {
            let test = test.trim_matches('`');
            assert!(
                tests.contains(&format!("fn {test}()")),
                "{name}: there is no test {test}"
            );
        }
    }
    assert!(rows.is_empty(), "these are no codes: {rows:?}");
}
