use flyte_host::core::journal::{Change, JournalFrame, Record};
use flyte_host::core::literal::{Literal, Row, SignedDuration, Timestamp};
use flyte_host::idl::Message;
use flyte_host::idl::convert::{encode_literal_map, literal_to_pb, task_to_pb, workflow_to_pb};

use super::bodies::zipped;
use crate::points::{plans, templates};

/// What a body is given first, and what is changed.
#[must_use]
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let texts = |all: &[&str]| all.iter().map(|t| t.as_bytes().to_vec()).collect();
    match name {
        "frames" => frames(),
        "plans" => plans().iter().map(|p| p.to_bytes()).collect(),
        "protobuf" => {
            let (workflows, tasks) = templates();
            let workflows = workflows
                .iter()
                .filter_map(|w| workflow_to_pb(w).ok())
                .map(|m| m.encode_to_vec());
            let tasks = tasks
                .iter()
                .filter_map(|t| task_to_pb(t).ok())
                .map(|m| m.encode_to_vec());
            workflows.chain(tasks).collect()
        }
        "literals" => {
            let mut out = vec![encode_literal_map(&row())];
            out.extend(
                row()
                    .values()
                    .iter()
                    .map(|l| literal_to_pb(l).encode_to_vec()),
            );
            out
        }
        "msgpack" => [
            &b"\x81\xa1a\x93\x01\x02\x03"[..],
            b"\x92\x81\xa1b\xc0\xc3",
            b"\x82\xa1a\xcb\x3f\xf0\0\0\0\0\0\0\xa1b\xc4\x02\0\x01",
            b"\xd6\xff\0\0\0\0",
            b"\xdf\xff\xff\xff\xff",
        ]
        .map(<[u8]>::to_vec)
        .into(),
        "json" => texts(&[
            "1",
            "-0.5e10",
            "\"2024-01-02T03:04:05.678Z\"",
            "\"1h30m\"",
            "true",
            "null",
            "[[1, 2], [], [3]]",
            "{\"a\": [1, {\"b\": null}], \"c\": \"\\u00e9\"}",
            "2024-02-30",
            "PT1H",
            "9223372036854775808",
        ]),
        "packages" => {
            let tar = tar();
            vec![zipped(&tar), tar]
        }
        _ => texts(&[
            "o0",
            "[3].name",
            "[0].a_b",
            "a.0",
            "b.1.c",
            "[-1].x",
            "a.-1",
            "[4294967296].o",
        ]),
    }
}

/// A package with a folder, two files and a long name.
fn tar() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let long = format!("folder/{}.py", "x".repeat(120));
    for (name, text) in [("a.pb", "bytes"), ("folder/b.py", "code"), (&*long, "more")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, text.as_bytes())
            .expect("it is in memory");
    }
    archive.into_inner().expect("it is in memory")
}

fn row() -> Row {
    let list = Literal::collection([Literal::Integer(1), Literal::None]);
    Row::from_pairs([
        ("a", Literal::Integer(-1)),
        ("b", Literal::Float(0.5)),
        ("c", Literal::string("text")),
        ("d", list.clone()),
        ("e", Literal::map([("k", list)])),
        ("f", Literal::Datetime(Timestamp::UNIX_EPOCH)),
        ("g", Literal::Duration(SignedDuration::from_millis(1500))),
        ("h", Literal::Boolean(true)),
    ])
}

fn frames() -> Vec<Vec<u8>> {
    let changes = [
        Change::OwnerLost,
        Change::Released,
        Change::Signalled {
            signal: "number".into(),
            value: Literal::Integer(5),
        },
        Change::AbortRequested {
            reason: "enough".into(),
            by: "me".into(),
        },
    ];
    let frame = |changes: &[Change]| {
        let record = |change: &Change| Record {
            execution: 3,
            change: change.clone(),
        };
        let frame = JournalFrame {
            sequence: 9,
            epoch: 2,
            at: Timestamp::UNIX_EPOCH,
            records: changes.iter().map(record).collect(),
        };
        frame.encode().expect("it is small").to_vec()
    };
    vec![frame(&changes), frame(&changes[..1]), frame(&[])]
}
