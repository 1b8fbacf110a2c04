//! A short soak; `cargo run --release -p flyte-tests --bin soak` does a long one.

use std::process::Command;

#[test]
fn kills_lose_nothing_and_what_is_kept_levels_off() {
    // Eight lives: the first third fills up what the retention leaves.
    let soak = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args([
            "--seconds",
            "18",
            "--submits",
            "150",
            "--kill-every",
            "1.5",
            "--rate",
            "12",
            "--json",
        ])
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&soak.stdout);
    let told = String::from_utf8_lossy(&soak.stderr);
    println!("{out}");
    assert!(soak.status.success(), "{out}{told}");
    let table: serde_json::Value = serde_json::from_str(&out).unwrap();
    let figure = |name: &str| table[name].as_u64().unwrap();
    assert!(figure("kills") >= 4, "{out}");
    assert!(figure("acknowledged submits") > 40, "{out}");
    assert!(figure("pruned") > 10, "{out}");
    assert!(figure("kept") < figure("executions"), "{out}");
    assert!(figure("aborted") > 0, "{out}");
    // The others came from the cache.
    let computed = figure("cached files computed");
    assert!(
        0 < computed && computed < figure("acknowledged submits"),
        "{out}"
    );
}
