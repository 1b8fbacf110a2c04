//! Packages and folders: real ones, and ones that somebody has tampered with.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use common::{Folder, json, python};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

const MODULE: &str = r#"
from flytekit import task, workflow

@task
def double(x: int) -> int:
    return 2 * x

@workflow
def wf(x: int = 3) -> int:
    return double(x=x)
"#;

fn package(f: &Folder, arguments: &[&str]) {
    let pyflyte = python().with_file_name("pyflyte");
    let made = Command::new(pyflyte)
        .args(["--pkgs", "mod", "package", "--image", "none:none", "-f"])
        .args(arguments)
        .current_dir(f.path(""))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{told}");
}

fn tgz(path: &Path, fill: impl FnOnce(&mut tar::Builder<GzEncoder<std::fs::File>>)) {
    let file = std::fs::File::create(path).unwrap();
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    fill(&mut tar);
    tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
}

/// A header whose name is written as it is: the builder would refuse these.
fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut h = tar::Header::new_gnu();
    h.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    h.set_entry_type(kind);
    h.set_size(size);
    h.set_mode(0o644);
    h.set_cksum();
    h
}

fn succeeds(f: &Folder, arguments: &[&str]) -> Value {
    let o = f.run(arguments);
    let told = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(0), "{told}");
    json(&o)
}

#[test]
fn real_packages_run_with_their_own_code_or_with_yours() {
    let f = Folder::with("mod.py", MODULE);
    package(&f, &["--copy", "auto", "-o", "fast.tgz"]);
    package(&f, &["--copy", "none", "-o", "plain.tgz"]);
    // The fast package brings its code: the file is not needed any more.
    std::fs::create_dir(f.path("elsewhere")).unwrap();
    std::fs::rename(f.path("mod.py"), f.path("elsewhere/mod.py")).unwrap();
    let shown = succeeds(&f, &["--json", "fast.tgz", "wf", "--x", "4"]);
    assert_eq!(shown["outputs"]["o0"], 8);
    let with = ["--json", "--source", "elsewhere", "plain.tgz", "mod.wf"];
    assert_eq!(succeeds(&f, &with)["outputs"]["o0"], 6);
    // The same entities as a folder of .pb files.
    std::fs::create_dir(f.path("pbs")).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["xzf", "plain.tgz", "-C", "pbs"]);
    assert!(tar.current_dir(f.path("")).status().unwrap().success());
    let with = ["--json", "--source", "elsewhere", "pbs", "wf", "--x", "1"];
    assert_eq!(succeeds(&f, &with)["outputs"]["o0"], 2);
    let o = f.run(&["--source", "elsewhere", "fast.tgz", "wf"]);
    assert_eq!(o.status.code(), Some(2));
}

#[test]
fn a_folder_of_python_code_runs() {
    let f = Folder::with("notes.txt", "");
    std::fs::create_dir_all(f.path("pkg/sub")).unwrap();
    std::fs::write(f.path("pkg/__init__.py"), "").unwrap();
    std::fs::write(f.path("pkg/sub/__init__.py"), "").unwrap();
    std::fs::write(f.path("pkg/sub/mod.py"), MODULE).unwrap();
    std::fs::write(f.path("pkg/other.py"), "from pkg.sub.mod import wf\n").unwrap();
    let shown = succeeds(&f, &["--json", "pkg", "pkg.sub.mod.wf"]);
    assert_eq!(shown["outputs"]["o0"], 6);
    std::fs::create_dir(f.path("flat")).unwrap();
    std::fs::write(f.path("flat/mod.py"), MODULE).unwrap();
    let shown = succeeds(&f, &["--json", "flat", "wf", "--x=5"]);
    assert_eq!(shown["outputs"]["o0"], 10);
}

#[test]
fn tampered_packages_are_refused_and_leave_nothing() {
    let f = Folder::with("mod.py", MODULE);
    package(&f, &["--copy", "none", "-o", "good.tgz"]);
    let good = std::fs::read(f.path("good.tgz")).unwrap();
    std::fs::write(f.path("cut.tgz"), &good[..good.len() / 2]).unwrap();
    std::fs::write(f.path("text.tgz"), "no archive at all").unwrap();
    tgz(&f.path("up.tgz"), |t| {
        let h = header("../escaped.pb", tar::EntryType::Regular, 1);
        t.append(&h, &b"x"[..]).unwrap();
    });
    tgz(&f.path("root.tgz"), |t| {
        let h = header("/tmp/flyte-rs-escaped.pb", tar::EntryType::Regular, 1);
        t.append(&h, &b"x"[..]).unwrap();
    });
    for (name, kind) in [
        ("soft.tgz", tar::EntryType::Symlink),
        ("hard.tgz", tar::EntryType::Link),
    ] {
        tgz(&f.path(name), |t| {
            let mut h = header("0_a_1.pb", kind, 0);
            h.set_link_name("/etc/passwd").unwrap();
            h.set_cksum();
            t.append(&h, std::io::empty()).unwrap();
        });
    }
    tgz(&f.path("bomb.tgz"), |t| {
        let h = header("0_a_1.pb", tar::EntryType::Regular, 1 << 30);
        t.append(&h, std::io::Read::take(std::io::repeat(0), 1 << 30))
            .unwrap();
    });
    tgz(&f.path("many.tgz"), |t| {
        for i in 0..10_001 {
            let h = header(&format!("{i}_a_1.pb"), tar::EntryType::Regular, 0);
            t.append(&h, std::io::empty()).unwrap();
        }
    });
    tgz(&f.path("twice.tgz"), |t| {
        for _ in 0..2 {
            let h = header("0_a_1.pb", tar::EntryType::Regular, 0);
            t.append(&h, std::io::empty()).unwrap();
        }
    });
    tgz(&f.path("foreign.tgz"), |t| {
        let h = header("readme.txt", tar::EntryType::Regular, 2);
        t.append(&h, &b"hi"[..]).unwrap();
    });
    tgz(&f.path("garbage.tgz"), |t| {
        let h = header("0_a_2.pb", tar::EntryType::Regular, 3);
        t.append(&h, &b"\xff\xff\xff"[..]).unwrap();
    });
    let cases = [
        ("cut.tgz", "no readable .tgz"),
        ("text.tgz", "no readable .tgz"),
        ("up.tgz", "`../escaped.pb` leads out of the package"),
        ("root.tgz", "`/tmp/flyte-rs-escaped.pb` leads out"),
        ("soft.tgz", "links are not followed"),
        ("hard.tgz", "links are not followed"),
        ("bomb.tgz", "unpacks to more than 256 MiB"),
        ("many.tgz", "more than 10000 entries"),
        ("twice.tgz", "`0_a_1.pb`"),
        ("foreign.tgz", "there are no tasks and no workflows"),
        ("garbage.tgz", "0_a_2.pb: the message"),
    ];
    for (name, wanted) in cases {
        let o = f.run(&["--json", name, "wf"]);
        let told = String::from_utf8_lossy(&o.stderr).into_owned();
        assert_eq!(o.status.code(), Some(2), "{name}: {told}");
        assert!(told.contains(wanted), "{name}: {told}");
        assert!(!told.contains("panicked"), "{name}: {told}");
        assert!(json(&o)["error"]["message"].is_string(), "{name}");
    }
    assert!(!Path::new("/tmp/flyte-rs-escaped.pb").exists());
    assert!(!f.path(".flyte/escaped.pb").exists());
    let left = std::fs::read_dir(f.path(".flyte")).unwrap();
    let left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
    let tmp = |n: &std::ffi::OsString| n.to_string_lossy().starts_with("tmp-");
    assert!(!left.iter().any(tmp), "{left:?}");
}
