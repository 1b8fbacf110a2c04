//! Which crates may see which.

use std::process::Command;

fn dependencies(package: &str) -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "-p",
            package,
            "-e",
            "normal",
            "--prefix",
            "none",
            "--no-dedupe",
        ])
        .args(["--format", "{p}"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|l| l.split(' ').next().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn arrows_point_one_way() {
    let forbidden = [
        (
            "flyte-core",
            &[
                "flyte-idl",
                "flyte-store",
                "flyte-plugins",
                "flyte-scheduler",
            ][..],
        ),
        (
            "flyte-idl",
            &["flyte-store", "flyte-plugins", "flyte-scheduler"],
        ),
        (
            "flyte-store",
            &["flyte-plugins", "flyte-scheduler", "flyte-plugin-process"],
        ),
        (
            "flyte-plugins",
            &["flyte-store", "flyte-scheduler", "rusqlite"],
        ),
        (
            "flyte-scheduler",
            &[
                "flyte-store",
                "flyte-plugins",
                "rusqlite",
                "hyper",
                "rustls",
            ],
        ),
        // By feature only.
        (
            "flyte-host",
            &["hyper", "reqwest", "rustls", "aws-lc-rs", "opentelemetry"],
        ),
    ];
    for (package, never) in forbidden {
        let have = dependencies(package);
        for name in never {
            assert!(
                !have.iter().any(|h| h == name),
                "{package} must not see {name}"
            );
        }
    }
}

#[test]
fn core_and_scheduler_stay_small() {
    let n = dependencies("flyte-scheduler").len();
    println!("crates of core and scheduler: {n}");
    assert!(n <= 80, "{n} crates, the limit is 80");
}

/// What is written in a folder, file by file.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../flyte-scheduler/src/");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(format!("{root}{folder}")).unwrap() {
        let path = entry.unwrap().path();
        out.push((
            path.display().to_string(),
            std::fs::read_to_string(&path).unwrap(),
        ));
    }
    assert!(!out.is_empty());
    out
}

#[test]
fn the_shell_stays_thin() {
    let lines: usize = sources("shell")
        .iter()
        .map(|(_, s)| s.lines().count())
        .sum();
    println!("lines of the shell: {lines}");
    assert!(lines < 400, "{lines} lines");
}

#[test]
fn engine_and_shard_know_no_runtime_and_no_clock() {
    let words = [
        "tokio",
        "std::time::Instant",
        "SystemTime",
        "Instant::now",
        "std::fs",
        "std::net",
    ];
    for (path, text) in ["engine", "shard"].into_iter().flat_map(sources) {
        // What a comment says is not used.
        let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        for line in code {
            let used = words.iter().find(|w| line.contains(**w));
            assert_eq!(used, None, "{path}: {line}");
        }
    }
}
