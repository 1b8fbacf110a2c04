//! The examples do what they say.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant, SystemTime};

fn example(name: &str) -> PathBuf {
    // target/debug/deps/examples-… -> target/debug/examples
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    // `cargo test` builds examples, unless it is asked for this file alone.
    static BUILD: Once = Once::new();
    BUILD.call_once(|| {
        let built = std::fs::metadata(&path).and_then(|m| m.modified());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        if built.map_or(true, |built| built < newest(root)) {
            let mut build = Command::new(env!("CARGO"));
            let built = build.args(["build", "-p", "flyte-host", "--examples"]);
            assert!(built.status().unwrap().success());
        }
    });
    assert!(path.exists(), "{} was not built", path.display());
    path
}

/// When a source of the examples was last written.
fn newest(folder: &Path) -> SystemTime {
    let mut out = SystemTime::UNIX_EPOCH;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if path.is_dir() {
            let sources =
                name.starts_with("flyte-") || ["src", "examples", "core"].contains(&&*name);
            if sources || folder.components().any(|c| c.as_os_str() == "src") {
                out = out.max(newest(&path));
            }
        } else if name.ends_with(".rs") {
            out = out.max(entry.metadata().unwrap().modified().unwrap());
        }
    }
    out
}

/// How long an example may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn printed(name: &str, dir: &tempfile::TempDir, arguments: &[&str]) -> String {
    let mut run = Command::new(example(name));
    run.args(arguments).current_dir(dir);
    let child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let (mut child, begun) = (child.unwrap(), Instant::now());
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let o = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert!(o.status.success(), "{name}: {told}");
    String::from_utf8(o.stdout).unwrap()
}

#[test]
fn each_prints_what_it_found() {
    for (name, wanted) in [
        ("approval", "refused: "),
        ("approval", "3 × a text about rust"),
        ("hyperparameter_search", "rate 0.300, loss 0.0000"),
        ("custom_plugin", "Some(Integer(81))"),
        ("custom_store", "1024\n"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let shown = printed(name, &dir, &[]);
        assert!(shown.contains(wanted), "{name}: {shown}");
    }
}

/// A service, killed when the test ends.
struct Service(Child);

impl Service {
    fn start(dir: &tempfile::TempDir) -> (Self, String) {
        let mut run = Command::new(example("web_service"));
        let mut child = run.current_dir(dir).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("listening on ").to_owned();
        (Self(child), address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _over = self.0.kill();
        let _over = self.0.wait();
    }
}

fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_service_takes_orders_tells_events_and_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (service, address) = Service::start(&dir);
    let order = r#"{"pieces": 3}"#;
    let taken = ask(&address, "POST", "/orders/7", order);
    assert!(
        taken.starts_with("HTTP/1.1 202") && taken.contains(r#"{"order":"7"}"#),
        "{taken}"
    );
    let events = ask(&address, "GET", "/orders/7/events", "");
    for wanted in [
        "reserve QUEUED",
        "reserve SUCCEEDED",
        "ship SUCCEEDED",
        "order SUCCEEDED",
    ] {
        assert!(events.contains(wanted), "{wanted}: {events}");
    }
    let other = ask(&address, "POST", "/orders/7", r#"{"pieces": 4}"#);
    assert!(other.starts_with("HTTP/1.1 409"), "{other}");
    let bad = ask(&address, "POST", "/orders/8", r#"{"pieces": 0}"#);
    assert!(bad.starts_with("HTTP/1.1 202"), "{bad}");
    let failed = ask(&address, "GET", "/orders/8", "");
    assert!(
        failed.starts_with("HTTP/1.1 422") && failed.contains("at least one"),
        "{failed}"
    );
    assert!(ask(&address, "GET", "/orders/9", "").starts_with("HTTP/1.1 404"));
    drop(service);
    let (_service, address) = Service::start(&dir);
    let known = ask(&address, "GET", "/orders/7", "");
    assert!(known.contains("3 pieces are on their way"), "{known}");
}
