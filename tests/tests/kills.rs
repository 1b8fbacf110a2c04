//! A few real kills; `cargo run --release -p flyte-tests --bin kills -- --kills 500` does many.

use std::process::Command;

fn kills(arguments: &[&str]) {
    let run = Command::new(env!("CARGO_BIN_EXE_kills"))
        .args(arguments)
        .arg("--json")
        .output()
        .unwrap();
    let (out, told) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    println!("{out}");
    assert!(run.status.success(), "{out}{told}");
    let table: serde_json::Value = serde_json::from_str(&out).unwrap();
    let wanted: u64 = arguments[1].parse().unwrap();
    assert_eq!(table["kills"], wanted);
    assert!(table["acknowledged submits"].as_u64().unwrap() > 3, "{out}");
    let parked = table["times parked since a task changed"].as_u64();
    assert!(parked.unwrap() > 0, "{out}");
    assert!(
        table["attempts as processes"].as_u64().unwrap() > 5,
        "{out}"
    );
}

#[test]
fn without_python_it_says_what_to_run_first() {
    let run = Command::new(env!("CARGO_BIN_EXE_kills"))
        .env("FLYTE_TEST_PYTHON", "/no/such/python")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{told}");
    assert!(told.contains("run scripts/test-env first"), "{told}");
}

#[test]
fn twenty_kills_on_sqlite_lose_nothing() {
    kills(&["--kills", "20", "--seed", "1"]);
}

#[test]
fn five_kills_of_a_fleet_lose_nothing() {
    if std::env::var_os("FLYTE_TEST_POSTGRES").is_none() {
        assert!(
            std::env::var_os("FLYTE_TEST_ALL").is_none(),
            "FLYTE_TEST_POSTGRES is not set: scripts/with-postgres starts a server and sets it"
        );
        use std::io::Write;
        let text = "kills of a fleet: skipped, since FLYTE_TEST_POSTGRES is not set\n";
        // Past what the test harness captures.
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return;
    }
    kills(&["--kills", "5", "--seed", "2", "--fleet"]);
}
