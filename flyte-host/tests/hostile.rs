//! Tasks and machines that do not behave.

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Folder, json, python};

/// Writes a task that runs a shell line into `DIR/0_NAME_1.pb`.
const RAW: &str = r#"
import sys
from flyteidl.admin import task_pb2
from flyteidl.core import tasks_pb2, identifier_pb2, interface_pb2, types_pb2
folder, name, line, depth = sys.argv[1:5]
t = types_pb2.LiteralType(simple=types_pb2.INTEGER)
for _ in range(int(depth)):
    t = types_pb2.LiteralType(collection_type=t)
var = lambda: interface_pb2.VariableMap(variables={"o0": interface_pb2.Variable(type=t)})
template = tasks_pb2.TaskTemplate(
    id=identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, name=name),
    type="container",
    interface=interface_pb2.TypedInterface(outputs=var()),
    container=tasks_pb2.Container(image="none", command=["sh", "-c", line]),
)
with open(f"{folder}/0_{name}_1.pb", "wb") as f:
    f.write(task_pb2.TaskSpec(template=template).SerializeToString())
"#;

fn raw(f: &Folder, name: &str, line: &str, depth: u32) {
    let folder = f.path(name);
    std::fs::create_dir(&folder).unwrap();
    let made = Command::new(python())
        .args(["-c", RAW])
        .arg(&folder)
        .args([name, line, &depth.to_string()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{told}");
}

#[test]
fn a_task_without_outputs_or_with_garbage_fails_by_name() {
    let f = Folder::with("notes.txt", "");
    raw(&f, "nothing", "true", 0);
    raw(
        &f,
        "garbage",
        "head -c 999 /dev/urandom > {{.outputPrefix}}/outputs.pb",
        0,
    );
    raw(
        &f,
        "large",
        "head -c 3000000 /dev/zero > {{.outputPrefix}}/outputs.pb",
        0,
    );
    raw(&f, "error", "echo garbage > {{.outputPrefix}}/error.pb", 0);
    raw(&f, "exits", "echo said why >&2; exit 3", 0);
    raw(&f, "killed", "kill -9 $$", 0);
    let cases = [
        ("nothing", "OutputsNotFound", "left no outputs.pb"),
        ("garbage", "OutputsNotFound", "outputs.pb"),
        ("large", "OutputSizeExceeded", "3000000 bytes"),
        ("error", "ErrorFileBadFormat", "error.pb"),
        ("exits", "ProcessExited", "said why"),
        ("killed", "ProcessExited", "signal 9"),
    ];
    for (name, code, text) in cases {
        let o = f.run(&["--json", name, name]);
        let told = String::from_utf8_lossy(&o.stderr).into_owned();
        assert_eq!(o.status.code(), Some(1), "{name}: {told}");
        assert!(!told.contains("panicked"), "{name}: {told}");
        let shown = json(&o);
        let have = shown["error"]["code"].as_str().unwrap();
        assert!(have.ends_with(code), "{name}: {have}");
        let message = shown["error"]["message"].as_str().unwrap();
        assert!(message.contains(text), "{name}: {message}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let f = Folder::with(
        "deep.py",
        "from flytekit import task, workflow\n\n\
         @task\ndef same(d: dict) -> dict:\n    return d\n\n\
         @workflow\ndef wf(d: dict) -> dict:\n    return same(d=d)\n",
    );
    let nested = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    let o = f.run(&["--json", "deep.py", "wf", "--d", &nested(70)]);
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(2), "{told}");
    assert!(told.contains("--d") && told.contains("64"), "{told}");
    let text = format!("{{\"d\": {}}}", nested(1_000_000));
    std::fs::write(f.path("in.json"), text).unwrap();
    let o = f.run(&["--json", "--inputs-file", "in.json", "deep.py", "wf"]);
    assert_eq!(o.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&o.stderr).contains("overflow"));
    let o = f.run(&["--json", "deep.py", "wf", "--d", &nested(20)]);
    assert_eq!(o.status.code(), Some(0));
    raw(&f, "lists", "true", 40);
    let o = f.run(&["--json", "lists", "lists"]);
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(2), "{told}");
    assert!(told.contains("24"), "{told}");
}

#[test]
fn an_import_error_is_shown_with_its_own_traceback() {
    let f = Folder::with("broken.py", "import json\nimport no_such_module_here\n");
    let o = f.run(&["--json", "broken.py", "wf"]);
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(2), "{told}");
    assert!(told.contains("broken.py\", line 2"), "{told}");
    assert!(told.contains("ModuleNotFoundError"), "{told}");
    assert!(
        !told.contains("importlib"),
        "only the user's own frames: {told}"
    );
}

#[test]
fn a_task_that_prints_100_mb_succeeds_and_costs_no_memory() {
    let f = Folder::with(
        "loud.py",
        "import sys\nfrom flytekit import task, workflow\n\n\
         @task\ndef loud(mb: int) -> int:\n    \
         for _ in range(mb):\n        sys.stdout.write('x' * 1023 * 1024 + '\\n' * 1024)\n    \
         return mb\n\n\
         @workflow\ndef wf(mb: int = 100) -> int:\n    return loud(mb=mb)\n",
    );
    let mut child = f
        .command(&[
            "run",
            "--name",
            "loud",
            "--python",
            python().to_str().unwrap(),
        ])
        .args(["loud.py", "wf"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let status = loop {
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", child.id())) {
            let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
            let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or(0));
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(0));
    let find = Command::new("find")
        .arg(f.path(".flyte/data"))
        .args(["-name", "stdout.log"])
        .output()
        .unwrap();
    let log = String::from_utf8(find.stdout).unwrap();
    let log = std::fs::read(log.trim()).unwrap();
    let bound = 8 << 20;
    assert!(
        log.len() >= bound / 10 * 7 && log.len() < bound + 200,
        "{}",
        log.len()
    );
    let cut = b"bytes of the log were cut here";
    assert!(log.windows(cut.len()).any(|w| w == cut), "nothing is cut");
    println!(
        "peak of flyte-rs while a task printed 100 MB: {} MiB",
        peak >> 10
    );
    assert!(peak > 0 && peak < 64 << 10, "{peak} KiB");
}

/// In a name space of its own, the state lives on a disk of 3 MiB that the task fills.
const FULL: &str = r#"
set -eu
mount -t tmpfs -o size=3m none state
mkdir state/.flyte data
chmod 700 state/.flyte
ln -s "$PWD/data" state/.flyte/data
cp fills.py state
cd state
set +e
"$1" run --python "$2" --name full --json fills.py wf --disk "$PWD/fill" > ../first.json 2> ../first.err
echo "$?" > ../first.exit
rm -f fill
"$1" resume full --json > ../second.json 2> ../second.err
echo "$?" > ../second.exit
"#;

#[test]
fn a_full_disk_is_named_and_nothing_is_lost() {
    let f = Folder::with(
        "fills.py",
        "from flytekit import task, workflow\n\n\
         @task\ndef fills(disk: str) -> int:\n    \
         with open(disk, 'wb', buffering=0) as f:\n        \
         try:\n            while True:\n                f.write(b'x' * 4096)\n        \
         except OSError:\n            pass\n    \
         return 7\n\n\
         @task\ndef more(n: int) -> int:\n    return n + 1\n\n\
         @workflow\ndef wf(disk: str) -> int:\n    return more(n=fills(disk=disk))\n",
    );
    std::fs::create_dir(f.path("state")).unwrap();
    let ran = Command::new("unshare")
        .args([
            "-rm",
            "sh",
            "-c",
            FULL,
            "full",
            env!("CARGO_BIN_EXE_flyte-rs"),
        ])
        .arg(python())
        .current_dir(f.path(""))
        .output()
        .unwrap();
    let read = |name: &str| std::fs::read_to_string(f.path(name)).unwrap_or_default();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        ran.status.success(),
        "unshare and mount must work here: {told}"
    );
    let (first, second) = (read("first.err"), read("second.err"));
    assert_eq!(read("first.exit").trim(), "1", "{first}");
    assert!(
        first.contains("full") && first.contains("make room"),
        "{first}"
    );
    assert!(!first.contains("panicked"), "{first}");
    assert_eq!(read("second.exit").trim(), "0", "{second}");
    let shown: serde_json::Value = serde_json::from_str(read("second.json").trim()).unwrap();
    assert_eq!(shown["outputs"]["o0"], 8);
    assert_eq!(
        shown["nodes"][0]["attempts"], 1,
        "what was done is not done again"
    );
}
