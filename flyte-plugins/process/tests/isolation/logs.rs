//! Logs have a bound, beyond which the middle is cut.

use std::fs;

use flyte_core::contract::JobPhase;
use flyte_core::literal::Row;

use crate::job::{Lab, stdout};

const BOUND: u64 = 64 << 10;

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.options.log_bytes_max = BOUND;
    lab
}

const LINES: &str = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done";

#[test]
fn beyond_the_bound_the_middle_of_a_log_is_cut() {
    let lab = lab();
    let line = format!("{{ {LINES}; }} >&2; echo 'LAST WORDS: the disk is full' >&2; kill -6 $$");
    let phase = lab.run(&lab.request(0, 0, &line, Row::default()));
    let JobPhase::Failed { error, .. } = phase else {
        panic!("it failed");
    };
    assert!(
        error.message.contains("signal 6 (SIGABRT)"),
        "{}",
        error.message
    );
    assert!(error.message.ends_with("LAST WORDS: the disk is full"));
    let log = fs::read_to_string(lab.attempt(0, 0).join("stderr.log")).unwrap();
    let whole: String = (0..20000).map(|i| format!("line {i}\n")).collect();
    let whole = whole + "LAST WORDS: the disk is full\n";
    let (head, rest) = log.split_once("\n[").unwrap();
    let (cut, tail) = rest
        .split_once(" bytes of the log were cut here]\n")
        .unwrap();
    assert!(whole.starts_with(head) && whole.ends_with(tail));
    let cut: usize = cut.parse().unwrap();
    assert_eq!(head.len() + cut + tail.len(), whole.len());
    assert!(head.len() + tail.len() <= BOUND as usize);
    assert!(head.len() as u64 > BOUND * 2 / 5 && tail.len() as u64 > BOUND / 5);
    let files = fs::read_dir(lab.attempt(0, 0)).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    let logs: Vec<String> = names.filter(|n| n.contains(".log")).collect();
    assert_eq!(logs.len(), 2, "{logs:?}");
}

#[test]
fn a_log_is_readable_while_the_task_runs() {
    let lab = lab();
    let go = lab.path("go");
    let line = format!(
        "echo first; until [ -e {0} ]; do sleep 0.01; done; {LINES}; echo latest; rm {0}; \
         until [ -e {0} ]; do sleep 0.01; done",
        go.display()
    );
    let handle = lab
        .launch(&lab.request(0, 0, &line, Row::default()))
        .unwrap();
    let folder = lab.attempt(0, 0);
    let shows = |text: &str| {
        let files = fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path());
        let mut logs = files.filter(|f| f.to_string_lossy().contains("stdout.log"));
        logs.any(|f| fs::read_to_string(f).is_ok_and(|t| t.ends_with(text)))
    };
    while !shows("first\n") {
        std::thread::yield_now();
    }
    fs::write(&go, "").unwrap();
    while !shows("line 19999\nlatest\n") {
        std::thread::yield_now();
    }
    assert!(stdout(&folder).contains("the log goes on in files beside this one"));
    fs::write(&go, "").unwrap();
    lab.end(&handle);
    let log = stdout(&folder);
    assert!(log.starts_with("first\n") && log.ends_with("latest\n"));
    assert!(!log.contains("goes on in files"));
}

#[test]
fn a_log_within_the_bound_is_whole() {
    let lab = lab();
    let line = "head -c 30000 /dev/zero; printf 'no newline'";
    lab.run(&lab.request(0, 0, line, Row::default()));
    let log = fs::read(lab.attempt(0, 0).join("stdout.log")).unwrap();
    assert_eq!(log.len(), 30010);
    assert!(log.ends_with(b"no newline"));
}
