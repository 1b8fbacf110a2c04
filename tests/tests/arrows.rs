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
