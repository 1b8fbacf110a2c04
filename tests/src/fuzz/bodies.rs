use std::io::Write;

use flate2::write::GzEncoder;
use flyte_host::archive::unpack;
use flyte_host::core::journal::JournalFrame;
use flyte_host::core::literal::{
    Binary, Literal, LiteralType, MSGPACK_TAG, SimpleType, cache_digest, from_json, from_text,
    infer, parse_var, render_text, resolve_path, to_json,
};
use flyte_host::core::plan::Plan;
use flyte_host::core::template::PathStep;
use flyte_host::idl::convert::{
    decode, decode_literal_map, encode_literal_map, error_document, launch_plan_from_pb,
    literal_from_pb, task_from_pb, task_to_pb, type_from_pb, workflow_from_pb, workflow_to_pb,
};
use flyte_host::idl::{Message, admin, core as pb};

/// Takes any bytes.
pub type Body = fn(&[u8]);

/// The bodies, by the names that their corpora have.
pub const TARGETS: [(&str, Body); 8] = [
    ("frames", frames),
    ("plans", plans),
    ("protobuf", protobuf),
    ("literals", literals),
    ("msgpack", msgpack),
    ("json", json),
    ("paths", paths),
    ("packages", packages),
];

/// Frames of a journal, as they are and once more with the length and the checksum that their
/// bytes should have: what lies behind the checksum is to be read, too.
fn frames(bytes: &[u8]) {
    let resealed = sealed(bytes);
    if JournalFrame::decode(bytes).is_ok() {
        assert_eq!(resealed, bytes, "the test knows where they stand");
    }
    for bytes in [bytes.to_vec(), resealed] {
        let _version = JournalFrame::version_of(&bytes);
        if let Ok(frame) = JournalFrame::decode(&bytes) {
            let again = frame.encode().expect("what was read can be written");
            let read = JournalFrame::decode(&again);
            same(&read.ok(), &Some(frame));
        }
    }
}

/// Where a frame's length and checksum stand, and where its records begin.
const LENGTH: usize = 36;
const CHECKSUM: usize = 40;
const RECORDS: usize = 44;

fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    if out.len() >= RECORDS {
        let length = (out.len() - RECORDS) as u32;
        out[LENGTH..CHECKSUM].copy_from_slice(&length.to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&out[..CHECKSUM]);
        crc.update(&out[RECORDS..]);
        out[CHECKSUM..CHECKSUM + 4].copy_from_slice(&crc.finalize().to_le_bytes());
    }
    out
}

/// Stored plans.
fn plans(bytes: &[u8]) {
    if let Ok(plan) = Plan::from_bytes(bytes) {
        let again = Plan::from_bytes(&plan.to_bytes());
        same(&again.ok().as_ref(), &Some(&plan));
        for graph in &plan.graphs {
            for node in 0..graph.len() as u32 {
                let _there = (
                    graph.id_of(node),
                    graph.bindings(node),
                    graph.downstream(node),
                );
                let _there = (graph.input_names_of(node), graph.output_names_of(node));
                let _there = graph.settings_of(node);
            }
        }
        let _there = (plan.signals(), plan.node_count());
    }
}

/// Templates and closures as other programs wrote them.
fn protobuf(bytes: &[u8]) {
    if let Ok(message) = decode::<pb::TaskTemplate>(bytes)
        && let Ok(task) = task_from_pb(&message)
        // Not all that can be held can be said on the wire.
        && let Ok(again) = task_to_pb(&task)
    {
        let again = again.encode_to_vec();
        let again = decode::<pb::TaskTemplate>(&again).expect("it was just written");
        same(&task_from_pb(&again).ok(), &Some(task));
    }
    if let Ok(message) = decode::<pb::WorkflowTemplate>(bytes)
        && let Ok(workflow) = workflow_from_pb(&message)
        && let Ok(again) = workflow_to_pb(&workflow)
    {
        let again = again.encode_to_vec();
        let again = decode::<pb::WorkflowTemplate>(&again).expect("it was just written");
        same(&workflow_from_pb(&again).ok(), &Some(workflow));
    }
    if let Ok(closure) = decode::<pb::CompiledWorkflowClosure>(bytes)
        && let Some(template) = closure.primary.and_then(|w| w.template)
    {
        let _refused = workflow_from_pb(&template);
    }
    if let Ok(spec) = decode::<admin::WorkflowSpec>(bytes) {
        let _refused = spec.template.map(|t| workflow_from_pb(&t));
    }
    if let Ok(plan) = decode::<admin::LaunchPlan>(bytes) {
        let _refused = launch_plan_from_pb(&plan);
    }
    if let Ok(t) = decode::<pb::LiteralType>(bytes) {
        let _refused = type_from_pb(&t);
    }
}

/// Inputs, outputs and errors as tasks wrote them.
fn literals(bytes: &[u8]) {
    if let Ok(row) = decode_literal_map(bytes) {
        let again = decode_literal_map(&encode_literal_map(&row)).expect("it was just written");
        same(&again, &row);
        row.values().iter().for_each(used);
    }
    let _refused = error_document(bytes);
    if let Ok(literal) = decode::<pb::Literal>(bytes) {
        let _refused = literal_from_pb(&literal);
    }
}

/// Documents in MessagePack.
fn msgpack(bytes: &[u8]) {
    let literal = Literal::Binary(std::sync::Arc::new(Binary {
        value: bytes.into(),
        tag: MSGPACK_TAG.into(),
    }));
    for path in [
        vec![PathStep::Key("a".into())],
        vec![PathStep::Index(0), PathStep::Key("b".into())],
        vec![
            PathStep::Key("a".into()),
            PathStep::Index(-1),
            PathStep::Unset,
        ],
    ] {
        let _refused = resolve_path(&literal, &path);
    }
    used(&literal);
}

/// Inputs in JSON, and as words of a command line.
fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    for t in types() {
        let _refused = from_text(text, &t);
        if let Some(value) = &value
            && let Ok(literal) = from_json(value, &t)
        {
            let shown = to_json(&literal, Some(&t));
            from_json(&shown, &t).unwrap_or_else(|e| panic!("{t}: {shown}: {e}"));
            used(&literal);
        }
    }
}

/// Names of outputs with an index.
fn paths(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok((index, name)) = parse_var(&text) {
        let again = match index {
            Some(i) => format!("[{i}].{name}"),
            None => name.to_owned(),
        };
        assert_eq!(parse_var(&again).ok(), Some((index, name)));
    }
    let steps: Vec<PathStep> = text
        .split('.')
        .take(50)
        .map(|word| match word.parse() {
            Ok(i) => PathStep::Index(i),
            Err(_) => PathStep::Key(word.into()),
        })
        .collect();
    let inner = Literal::collection([Literal::Integer(1), Literal::string("x")]);
    let value = Literal::map([("a", inner.clone()), ("b", inner)]);
    let _refused = resolve_path(&value, &steps);
}

/// Packages: the bytes as a `.tgz`, and as the tar inside of one.
fn packages(bytes: &[u8]) {
    let root = tempfile::tempdir().expect("there is room for a folder");
    for archive in [bytes.to_vec(), zipped(bytes)] {
        let out = root.path().join("out");
        if let Ok(files) = unpack(&archive[..], &out) {
            assert!(files.iter().all(|f| out.join(f).is_file()), "{files:?}");
        }
        for left in std::fs::read_dir(root.path()).expect("it was just made") {
            assert_eq!(left.expect("it was just made").path(), out);
            std::fs::remove_dir_all(&out).expect("it is ours");
        }
    }
}

pub(super) fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("it is in memory");
    out.finish().expect("it is in memory")
}

/// Not by `==`: a float may be no number.
fn same(left: &impl std::fmt::Debug, right: &impl std::fmt::Debug) {
    assert_eq!(format!("{left:?}"), format!("{right:?}"));
}

fn used(literal: &Literal) {
    let _digest = cache_digest(literal);
    let _type = infer(literal);
    let _shown = (to_json(literal, None), render_text(literal));
}

fn types() -> Vec<LiteralType> {
    use SimpleType as S;
    let simple = [
        S::None,
        S::Integer,
        S::Float,
        S::String,
        S::Boolean,
        S::Datetime,
        S::Duration,
        S::Struct,
        S::Binary,
    ];
    let mut out: Vec<LiteralType> = simple.map(LiteralType::simple).into();
    let int = || LiteralType::simple(S::Integer);
    let none = LiteralType::simple(S::None);
    out.push(LiteralType::collection(LiteralType::collection(int())));
    out.push(LiteralType::union([
        int(),
        LiteralType::simple(S::String),
        none,
    ]));
    out
}

/// The body of this name.
#[must_use]
pub fn body(name: &str) -> Option<Body> {
    TARGETS.iter().find(|t| t.0 == name).map(|t| t.1)
}
