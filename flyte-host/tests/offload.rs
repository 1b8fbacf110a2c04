//! `flyte-rs run` of what flytekit wrote, with values that are stored as files of their own.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flyte_host::core::literal::Literal;
use flyte_host::idl::convert::decode_literal_map;
use serde_json::{Value, json};

const TEXT: usize = 200_000;

fn run(folder: &Path, options: &[&str], rest: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flyte-rs"))
        .args(["run", "--json", "--quiet", "--python"])
        .arg(common::python())
        .args(options)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/offload.py"))
        .args(rest)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn get(folder: &Path, execution: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flyte-rs"))
        .args(["get", "execution", execution, "--json"])
        .current_dir(folder)
        .output()
        .unwrap()
}

fn shown(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The files of values under a folder.
fn values(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => out.extend(values(&path)),
            false => out.extend(
                path.to_string_lossy()
                    .ends_with("_offloaded_metadata.pb")
                    .then_some(path),
            ),
        }
    }
    out
}

#[test]
fn long_values_are_printed_written_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let n = TEXT.to_string();
    let options = ["--offload-above", "262144", "--outputs-pb", "out.pb"];
    let named = ["--name", "long"];
    let first = run(
        dir.path(),
        &[&options[..], &named].concat(),
        &["wf", "--n", &n],
    );
    let outputs = &shown(&first)["outputs"];
    assert_eq!(
        outputs["o0"].as_str().map(|t| t.chars().count()),
        Some(TEXT)
    );
    assert_eq!(outputs["o1"], json!(TEXT));
    assert_eq!(outputs["o2"], json!(300_000));
    assert_eq!(outputs["o3"], json!("enough"));

    // A text, a document, and a part of it: each is a file.
    assert_eq!(values(dir.path()).len(), 3);
    let bytes = std::fs::read(dir.path().join("out.pb")).unwrap();
    let row = decode_literal_map(&bytes).unwrap();
    let text = row.get("o0").and_then(Literal::as_str).unwrap();
    assert_eq!(outputs["o0"].as_str(), Some(text));
    assert_eq!(&shown(&get(dir.path(), "long"))["outputs"], outputs);

    std::fs::write(
        dir.path().join("in.json"),
        json!({"text": outputs["o0"]}).to_string(),
    )
    .unwrap();
    let back = run(dir.path(), &["--inputs-file", "in.json"], &["back"]);
    assert_eq!(shown(&back)["outputs"]["o0"], json!(TEXT));
}

/// flytekit stores long values itself, if its variable says so, and notes no digest of the file.
#[test]
fn what_flytekit_stored_itself_gets_a_digest() {
    const MANY: usize = 1_200_000;
    let dir = tempfile::tempdir().unwrap();
    let n = MANY.to_string();
    let options = ["--env", "_F_L_MIN_SIZE_MB=1", "--name", "theirs"];
    let outputs = &shown(&run(dir.path(), &options, &["wf", "--n", &n]))["outputs"];
    let text = outputs["o0"].as_str().unwrap();
    assert_eq!(text.chars().count(), MANY);
    assert_eq!(outputs["o1"], json!(MANY), "the next task reads it");

    let ours = |p: &PathBuf| p.to_string_lossy().contains("/blake3-");
    let (ours, theirs): (Vec<_>, Vec<_>) = values(dir.path()).into_iter().partition(ours);
    let ([ours], [theirs]) = (&ours[..], &theirs[..]) else {
        panic!("{ours:?} {theirs:?}");
    };
    std::fs::remove_file(theirs).unwrap();
    assert_eq!(&shown(&get(dir.path(), "theirs"))["outputs"], outputs);
    let mut bytes = std::fs::read(ours).unwrap();
    bytes[MANY] ^= 1;
    std::fs::write(ours, bytes).unwrap();
    let damaged = get(dir.path(), "theirs");
    let told = String::from_utf8_lossy(&damaged.stdout) + String::from_utf8_lossy(&damaged.stderr);
    assert_ne!(damaged.status.code(), Some(0));
    assert!(
        told.contains("it has other bytes than were written"),
        "{told}"
    );
}

#[test]
fn a_bound_that_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = run(
        dir.path(),
        &["--offload-above", "1000"],
        &["back", "--text", "a"],
    );
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_ne!(refused.status.code(), Some(0));
    assert!(
        told.contains("--offload-above") && told.contains("262144"),
        "{told}"
    );
}
