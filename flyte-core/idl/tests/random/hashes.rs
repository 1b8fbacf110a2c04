//! The hash of a message is the one over the JSON that protobuf itself makes of it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use flyte_core::literal::{Literal, Row, SignedDuration, Timestamp};
use flyte_idl::convert::{
    decode, decode_literal_map, encode_literal_map, interface_from_pb, interface_to_pb,
};
use flyte_idl::hash::{literal_map_hash, variable_map_hash};
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage};

use crate::make::{Maker, pool, walk};
use crate::{hex, python, unhex};

const EACH: u64 = 1500;

/// What the random messages do not have.
fn by_hand() -> Vec<Row> {
    let time = |s, n| Literal::Datetime(Timestamp::new(s, n).unwrap());
    let duration = |s, n| Literal::Duration(SignedDuration::new(s, n).unwrap());
    let all = [
        time(-1, 0),
        time(-1, 999_000_000),
        time(-1, 999_999_000),
        time(-11_644_473_600, 1),
        time(-62_135_596_800, 0),
        time(253_402_300_799, 999_999_999),
        duration(0, 0),
        duration(0, -1),
        duration(0, -500_000_000),
        duration(-3, -20_000),
        duration(-86_400, 0),
        Literal::Float(f64::NAN),
        Literal::Float(f64::NEG_INFINITY),
        Literal::Float(f64::MAX),
        Literal::Float(0.1),
        Literal::Float(-1.0 / 3.0),
        Literal::Float(2.2e-308),
        Literal::Float(65_536.0),
    ];
    all.map(|l| Row::from_pairs([("x", l)])).into()
}

/// Every field that a message can have, at any depth.
fn fields(of: &MessageDescriptor, into: &mut BTreeSet<String>) {
    for field in of.fields() {
        let new = of.is_map_entry() || into.insert(field.full_name().to_owned());
        if let Some(inner) = field.kind().as_message().filter(|_| new) {
            fields(inner, into);
        }
    }
}

#[test]
fn hashes_are_those_over_the_json_of_protobuf() {
    let pool = pool();
    let descriptor = |name: &str| {
        let name = format!("flyteidl.core.{name}");
        pool.get_message_by_name(&name).unwrap()
    };
    let make = |name: &str, seed| {
        Maker::new(seed, true)
            .message(&descriptor(name))
            .encode_to_vec()
    };
    let (mut lines, mut ours) = (String::new(), Vec::new());
    let mut add = |name: &str, message: &[u8], hash: [u8; 32]| {
        writeln!(lines, "flyteidl.core.{name} {}", hex(message)).unwrap();
        ours.push(hex(&hash));
    };
    let random = |seed| decode_literal_map(&make("LiteralMap", seed)).unwrap();
    for row in (0..EACH).map(random).chain(by_hand()) {
        add(
            "LiteralMap",
            &encode_literal_map(&row),
            literal_map_hash(&row),
        );
    }
    for seed in 0..EACH {
        let message = decode(&make("TypedInterface", seed)).unwrap();
        let interface = interface_from_pb(&message).unwrap();
        let message = interface_to_pb(&interface).unwrap();
        for (message, variables) in [
            (message.inputs, &interface.inputs),
            (message.outputs, &interface.outputs),
        ] {
            let hash = variable_map_hash(variables).unwrap();
            add("VariableMap", &message.unwrap().encode_to_vec(), hash);
        }
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages-to-hash.txt");
    std::fs::write(&file, &lines).unwrap();
    let theirs = python(&["hash", file.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&theirs.stderr).into_owned();
    assert!(theirs.status.success(), "{told}");
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    assert_eq!(theirs.lines().count(), ours.len());

    let mut seen = BTreeSet::new();
    for ((line, ours), theirs) in lines.lines().zip(&ours).zip(theirs.lines()) {
        assert_eq!(ours, theirs, "{line}");
        let (name, text) = line.split_once(' ').unwrap();
        let of = pool.get_message_by_name(name).unwrap();
        let mut message = DynamicMessage::decode(of, &*unhex(text)).unwrap();
        walk(&mut message, &mut |m| {
            let of = m.descriptor();
            let set = of.fields().filter(|f| m.has_field(f));
            seen.extend(set.map(|f| f.full_name().to_owned()));
            true
        });
    }
    // A wrong name of a field that never comes would go unseen.
    let mut all = BTreeSet::new();
    fields(&descriptor("LiteralMap"), &mut all);
    fields(&descriptor("VariableMap"), &mut all);
    let unseen: Vec<_> = all.difference(&seen).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
    let distinct: BTreeSet<_> = ours.iter().collect();
    println!("{} hashes, {} distinct", ours.len(), distinct.len());
    assert!(distinct.len() > 1000, "{}", distinct.len());
}
