//! Options that every command takes, and what later commands know of a run's store and files.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use common::{Folder, json, python, until};

const GATE: &str = r#"
from datetime import timedelta
from flytekit import wait_for_input, workflow

@workflow
def wf() -> int:
    return wait_for_input("number", timeout=timedelta(hours=1), expected_type=int)
"#;

fn told(o: &Output) -> String {
    String::from_utf8_lossy(&o.stderr).into_owned()
}

/// The `error` of a command that must be refused.
fn refused(o: &Output) -> serde_json::Value {
    assert_eq!(o.status.code(), Some(2), "{}", told(o));
    json(o)["error"].clone()
}

#[test]
fn later_commands_find_the_store_and_the_files_of_a_run() {
    let f = Folder::with("gate.py", GATE);
    std::fs::create_dir(f.path("files")).unwrap();
    let mut run = f.start(&[
        "--store",
        "sqlite:own.db",
        "--blobs",
        "files",
        "--project",
        "p",
        "--name",
        "e1",
        "gate.py",
        "wf",
    ]);
    let list = f.path(".flyte/stores.json");
    until("the execution is there", || {
        // Before, the folder's own store would be made.
        list.exists() && f.flyte(&["get", "execution", "e1"]).status.success()
    });
    run.kill().unwrap();
    run.wait().unwrap();
    let mode = std::fs::metadata(&list).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a url may have a password");
    assert!(!f.path(".flyte/flyte.db").exists());

    // From another place in the line, and by the store's name.
    let store = format!("sqlite:{}", f.path("own.db").display());
    let row = |arguments: &[&str]| {
        let o = f.flyte(arguments);
        assert!(o.status.success(), "{}", told(&o));
        json(&o)
    };
    let all = row(&["--json", "get", "executions"]);
    assert_eq!(all[0]["execution"], "e1", "{all}");
    assert_eq!(all[0]["store"], store.as_str(), "{all}");
    let named = row(&["get", "--store", "sqlite:own.db", "executions", "--json"]);
    assert_eq!(named, all);
    let none = row(&["get", "executions", "--json", "--project", "other"]);
    assert_eq!(none, serde_json::json!([]));

    // Its interpreter and its files are those of its start.
    let error = refused(&f.flyte(&["resume", "e1", "--json", "--python", "/bin/other"]));
    assert_eq!(error["code"], "OtherPython", "{error}");
    let error = refused(&f.flyte(&["--json", "--blobs", ".", "resume"]));
    assert_eq!(error["code"], "OtherBlobs", "{error}");

    let mut resume = f.command(&["resume", "--json"]);
    let resume = resume
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("it has an owner", || {
        let o = f.flyte(&["doctor", "--json", "--store", "sqlite:own.db"]);
        json(&o)["shards"][0]["owner"].is_string()
    });
    let o = f.flyte(&["signal", "e1", "number", "42"]);
    assert!(o.status.success(), "{}", told(&o));
    let resumed = resume.wait_with_output().unwrap();
    assert!(resumed.status.success(), "{}", told(&resumed));
    assert_eq!(json(&resumed)["outputs"]["o0"], 42);

    // Pruning deletes, so that it keeps to the folder's own store.
    let o = f.flyte(&["prune", "--keep", "0", "--json"]);
    assert_eq!(json(&o)["executions"], serde_json::json!([]));
    assert!(told(&o).contains("own.db is left as it is"), "{}", told(&o));
    let here = ["--store", "sqlite:own.db", "--blobs", "files"];
    let o = f.flyte(&[&["prune", "--keep", "0", "--json"][..], &here].concat());
    let pruned = json(&o)["executions"].clone();
    assert_eq!(pruned, serde_json::json!(["p/development/e1"]));

    let python = python();
    let python = python.to_str().unwrap();
    let o = f.flyte(&["--json", "--python", python, "graph", "gate.py", "wf"]);
    let shown = json(&o);
    assert_eq!(shown["format"], "svg", "{shown}");
    assert!(shown["picture"].as_str().unwrap().contains("<svg"));
}

#[test]
fn every_command_takes_the_options_before_and_after_its_name() {
    let options = [
        "--store",
        "--blobs",
        "--project",
        "--domain",
        "--json",
        "--python",
    ];
    let f = Folder::with("none", "");
    let commands: [&[&str]; 12] = [
        &["run"],
        &["resume"],
        &["abort"],
        &["release"],
        &["signal"],
        &["get", "executions"],
        &["get", "execution"],
        &["get", "nodes"],
        &["graph"],
        &["timeline"],
        &["prune"],
        &["doctor"],
    ];
    for command in commands {
        let o = f.flyte(&[command, &["--help"]].concat());
        let help = String::from_utf8_lossy(&o.stdout).into_owned();
        for option in options {
            assert!(
                help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
                "{command:?} {option}: {help}"
            );
        }
    }
    std::fs::create_dir(f.path("here")).unwrap();
    let given = [
        "--project",
        "p",
        "--domain",
        "d",
        "--blobs",
        "here",
        "--json",
        "--python",
        "py",
    ];
    for command in [
        &["resume"][..],
        &["get", "executions"],
        &["prune", "--keep", "1"],
    ] {
        let outputs = [
            f.flyte(&[command, &given].concat()),
            f.flyte(&[&given, command].concat()),
        ];
        for o in &outputs {
            assert_eq!(o.status.code(), Some(0), "{command:?}: {}", told(o));
        }
        assert_eq!(outputs[0].stdout, outputs[1].stdout, "{command:?}");
    }
}

#[test]
fn a_store_that_cannot_have_executions_is_refused() {
    let f = Folder::with("none", "");
    for command in [
        &["resume"][..],
        &["get", "executions"],
        &["abort", "e1"],
        &["prune", "--keep", "1"],
    ] {
        for (store, code, said) in [
            ("memory", "Usage", "in memory"),
            ("sqlite:typo.db", "FileNotFound", "typo.db"),
            ("mysql://h/d", "Usage", "is no store"),
        ] {
            let error = refused(&f.flyte(&[&["--json", "--store", store], command].concat()));
            assert_eq!(error["code"], code, "{error}");
            assert_eq!(error["place"], "--store", "{error}");
            assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        }
    }
    assert!(!f.path("typo.db").exists());
}

#[test]
fn a_store_that_cannot_be_read_is_named_and_the_others_are_shown() {
    let f = Folder::with("broken.db", &"no database. ".repeat(1000));
    let broken = f.path("broken.db").display().to_string();
    std::fs::create_dir(f.path(".flyte")).unwrap();
    let list = serde_json::json!({"stores": [format!("sqlite:{broken}"), "sqlite:/no/such/file"]});
    std::fs::write(f.path(".flyte/stores.json"), list.to_string()).unwrap();
    assert!(
        f.flyte(&["doctor", "--python", "none"])
            .status
            .code()
            .is_some()
    );
    let o = f.flyte(&["get", "executions", "--json"]);
    assert_eq!(o.status.code(), Some(1), "{}", told(&o));
    assert_eq!(json(&o), serde_json::json!([]));
    assert!(told(&o).contains(&broken), "{}", told(&o));
    let error = refused(&f.flyte(&["get", "execution", "e1", "--json"]));
    assert_eq!(error["code"], "NotFound", "{error}");
}
