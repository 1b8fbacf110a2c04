//! The stored form of each kind of record, held to what `tests/fixtures/records-v*.txt` says.
//!
//! A kind that is added, or whose bytes change, needs a fixture of its own:
//! `FLYTE_WRITE_FIXTURES=records-v2 cargo test -p flyte-core --lib golden` writes a file with what
//! the others lack. Lines of files that are there are never changed: journals have such bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::contract::{ExecutionOptions, JobHandle, Submission, TaskLog};
use crate::id::{
    AttemptKey, Digest, ExecutionId, FrameIx, Identifier, NodeAddr, ResourceType, Tenant,
};
use crate::literal::{Literal, Row, Timestamp};
use crate::template::{InterfaceChange, PathStep};

/// The name of a kind. A new variant does not compile until it is here, and then lacks a sample.
fn kind(change: &Change) -> &'static str {
    match change {
        Change::Opened(_) => "Opened",
        Change::FrameOpened { .. } => "FrameOpened",
        Change::Started { .. } => "Started",
        Change::Launched { .. } => "Launched",
        Change::Progressed { .. } => "Progressed",
        Change::Succeeded { .. } => "Succeeded",
        Change::AttemptFailed { .. } => "AttemptFailed",
        Change::Failed { .. } => "Failed",
        Change::Skipped { .. } => "Skipped",
        Change::Aborted { .. } => "Aborted",
        Change::Published { .. } => "Published",
        Change::Finalized { .. } => "Finalized",
        Change::AbortRequested { .. } => "AbortRequested",
        Change::Failing { .. } => "Failing",
        Change::FrameEnding { .. } => "FrameEnding",
        Change::FailureHandling { .. } => "FailureHandling",
        Change::Ended { .. } => "Ended",
        Change::Parked { cause } => match cause {
            ParkCause::UnknownTask { .. } => "Parked UnknownTask",
            ParkCause::MissingPlugin { .. } => "Parked MissingPlugin",
            ParkCause::PoisonSuspect { .. } => "Parked PoisonSuspect",
            ParkCause::Quarantined { .. } => "Parked Quarantined",
            ParkCause::PlanUnreadable { .. } => "Parked PlanUnreadable",
            ParkCause::TaskChanged { .. } => "Parked TaskChanged",
        },
        Change::Released => "Released",
        Change::OwnerLost => "OwnerLost",
        Change::OwnerLeft => "OwnerLeft",
        Change::ParentTold => "ParentTold",
        Change::Signalled { .. } => "Signalled",
        Change::ValueRead { .. } => "ValueRead",
        Change::SignalIgnored { why, .. } => match why {
            IgnoredSignal::AlreadyGiven => "SignalIgnored AlreadyGiven",
            IgnoredSignal::WrongType => "SignalIgnored WrongType",
        },
        Change::Computed { .. } => "Computed",
    }
}

/// How many kinds there are: the arms above.
const KINDS: usize = 32;

fn error() -> Box<ExecutionError> {
    Box::new(ExecutionError::new(ErrorOrigin::User, "CODE", "a message"))
}

pub(super) fn submission() -> Submission {
    let id = ExecutionId::new(Tenant::new("project", "domain"), "name");
    let options = ExecutionOptions {
        max_parallelism: 3,
        interruptible: Some(true),
        overwrite_cache: true,
        envs: [("KEY".into(), "value".into())].into(),
        output_location_prefix: "s3://bucket".into(),
        priority: -1,
        labels: [("a".into(), "b".into())].into(),
        parameters: [("code".into(), "/folder".into())].into(),
    };
    Submission {
        parent: Some((id.clone(), NodeAddr::new(1, 2), 3)),
        id,
        plan: Digest([7; 32]),
        entity: Identifier::new(ResourceType::Workflow, "wf", "v"),
        inputs: Row::from_pairs([("x", Literal::Integer(1)), ("s", Literal::string("ü"))]),
        options,
        submitted_at: Timestamp::from_unix_millis(1_700_000_000_123),
    }
}

fn samples() -> Vec<Change> {
    let addr = NodeAddr::new(1, 300);
    let attempt = 2;
    let text = || "why".into();
    let values = || [Some(Literal::Boolean(true)), None].into_iter().collect();
    let key = AttemptKey {
        execution: submission().id,
        addr,
        attempt,
    };
    let handle = JobHandle::new(1, vec![1, 2, 3]).expect("invariant: a short handle");
    let parked = |cause| Change::Parked { cause };
    vec![
        Change::Opened(Box::new(Opened {
            submission: submission(),
        })),
        Change::FrameOpened {
            parent: addr,
            attempt,
            graph: 4,
            plan: Some(Digest([9; 32])),
            items: Some(5),
            inputs: values(),
        },
        Change::Started { addr, attempt },
        Change::Launched {
            addr,
            attempt,
            handle,
        },
        Change::Progressed {
            addr,
            attempt,
            phase: TaskPhase::Running,
            phase_version: 6,
            reason: text(),
            logs: vec![TaskLog {
                name: "log".into(),
                uri: "file:///log".into(),
            }],
        },
        Change::Succeeded {
            addr,
            attempt,
            outputs: values(),
            cache: CacheStatus::Miss,
            producer: Some(Box::new(Producer { key })),
        },
        Change::AttemptFailed {
            addr,
            attempt,
            error: error(),
            charge: Charge::System,
            retry: Some(Retrying {
                attempt: 3,
                not_before: Some(Timestamp::from_unix_millis(1_500)),
            }),
        },
        Change::Failed {
            addr,
            error: error(),
            timed_out: true,
        },
        Change::Skipped { addr },
        Change::Aborted {
            addr,
            reason: text(),
        },
        Change::Published {
            addr,
            status: CacheStatus::Populated,
        },
        Change::Finalized { addr, attempt },
        Change::AbortRequested {
            reason: text(),
            by: "somebody".into(),
        },
        Change::Failing {
            error: error(),
            node: Some(addr),
        },
        Change::FrameEnding {
            frame: FrameIx(1),
            overdue: Some(Overdue::Node),
        },
        Change::FailureHandling { frame: FrameIx(1) },
        Change::Ended {
            phase: WorkflowPhase::Failed,
            outputs: Some(Row::from_pairs([("o0", Literal::Integer(-1))])),
            error: Some(error()),
        },
        parked(ParkCause::UnknownTask {
            addr,
            message: text(),
        }),
        parked(ParkCause::MissingPlugin {
            addr,
            task_type: "spark".into(),
        }),
        parked(ParkCause::PoisonSuspect { addr }),
        parked(ParkCause::Quarantined { message: text() }),
        parked(ParkCause::PlanUnreadable { message: text() }),
        parked(ParkCause::TaskChanged {
            addr,
            changes: vec![
                InterfaceChange {
                    task: "pay".into(),
                    variable: "amount".into(),
                    output: false,
                    stored: Some("int".into()),
                    program: None,
                },
                InterfaceChange {
                    task: "pay".into(),
                    variable: "o0".into(),
                    output: true,
                    stored: None,
                    program: Some("str".into()),
                },
            ],
        }),
        Change::Released,
        Change::OwnerLost,
        Change::OwnerLeft,
        Change::ParentTold,
        Change::Signalled {
            signal: "go".into(),
            value: Literal::Boolean(true),
        },
        Change::ValueRead {
            frame: FrameIx(1),
            uri: "file:///value".into(),
            path: Some(vec![PathStep::Key("a".into()), PathStep::Index(2)]),
            value: Literal::string("there"),
        },
        Change::SignalIgnored {
            signal: "go".into(),
            why: IgnoredSignal::AlreadyGiven,
        },
        Change::SignalIgnored {
            signal: "go".into(),
            why: IgnoredSignal::WrongType,
        },
        Change::Computed {
            addr,
            attempt,
            outputs: [Some(Literal::Integer(3)), None].into_iter().collect(),
            cache: CacheStatus::Miss,
        },
    ]
}

fn frame(change: Change) -> JournalFrame {
    JournalFrame {
        sequence: 1,
        epoch: 2,
        at: Timestamp::from_unix_millis(1_700_000_000_123),
        records: vec![Record {
            execution: 5,
            change,
        }],
    }
}

fn snapshot() -> bytes::Bytes {
    let opened = frame(samples().remove(0));
    let head = SnapshotHead {
        through: 1,
        epoch: 2,
        at: opened.at,
        executions: 5,
        left: true,
    };
    let mut writer = SnapshotWriter::new(head, [5]);
    writer.tail(opened).expect("invariant: it is the first");
    writer.finish().expect("invariant: it is whole")
}

/// Everything that is stored, by its name.
fn forms() -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    for change in samples() {
        let name = format!("frame of {}", kind(&change));
        let bytes = frame(change).encode().expect("invariant: a small frame");
        assert!(
            out.insert(name, bytes.to_vec()).is_none(),
            "a kind comes twice"
        );
    }
    assert_eq!(out.len(), KINDS, "a kind of record has no sample");
    out.insert("snapshot".into(), snapshot().to_vec());
    out
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(digits).collect()
}

/// Name and bytes of each line, of all files.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder()).expect("tests/fixtures is there");
    let mut out = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a text");
        for line in text.lines() {
            let (name, bytes) = line.split_once(": ").expect("a name and bytes");
            out.push((name.to_owned(), unhex(bytes)));
        }
    }
    out
}

#[test]
fn what_is_stored_has_a_fixture_with_its_bytes() {
    let lacking = |there: &[(String, Vec<u8>)]| {
        let missing = |f: &(String, Vec<u8>)| !there.contains(f);
        forms().into_iter().filter(missing).collect::<Vec<_>>()
    };
    let new = lacking(&fixtures());
    if let Ok(name) = std::env::var("FLYTE_WRITE_FIXTURES") {
        let lines = new.iter().map(|(n, b)| format!("{n}: {}\n", hex(b)));
        std::fs::write(
            folder().join(format!("{name}.txt")),
            lines.collect::<String>(),
        )
        .expect("the fixtures can be written");
    }
    let new = lacking(&fixtures());
    let names: Vec<&str> = new.iter().map(|f| &*f.0).collect();
    assert!(
        names.is_empty(),
        "stored differently than any fixture: {names:?}; journals have the old bytes. If those can \
         still be read, raise FRAME_VERSION and write a fixture as the head of this file says"
    );
}

#[test]
fn every_fixture_can_be_read() {
    let fixtures = fixtures();
    assert!(fixtures.len() > KINDS, "{} fixtures", fixtures.len());
    for (name, bytes) in fixtures {
        let frames = match name.as_str() {
            "snapshot" => SnapshotFrames::open(&bytes.into())
                .expect("a snapshot")
                .map(|f| f.expect("a frame"))
                .collect(),
            _ => vec![JournalFrame::decode(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"))],
        };
        for record in frames.iter().flat_map(|f| &f.records) {
            let read = kind(&record.change);
            assert!(
                name == "snapshot" || name.ends_with(read),
                "{name} is {read}"
            );
        }
    }
}
