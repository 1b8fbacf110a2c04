//! Templates from the wire go into the model and come back as they were.

use std::collections::BTreeMap;

use flyte_idl::convert::{
    interface_from_pb, interface_to_pb, launch_plan_from_pb, launch_plan_to_pb, task_from_pb,
    task_to_pb, workflow_from_pb, workflow_to_pb,
};
use flyte_idl::{admin, core};
use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use crate::make::{Maker, pool, walk};

const EACH: u64 = 400;

/// An absent message that comes back empty.
const FILLED: [&str; 6] = [
    "WorkflowTemplate.metadata",
    "WorkflowTemplate.metadata_defaults",
    "TaskTemplate.metadata",
    "TypedInterface.inputs",
    "TypedInterface.outputs",
    "TypeAnnotation.annotations",
];
/// An empty message that comes back absent.
const EMPTIED: [&str; 8] = [
    "LaunchPlan.closure",
    "LaunchPlanSpec.entity_metadata",
    "LaunchPlanSpec.default_inputs",
    "LaunchPlanSpec.fixed_inputs",
    "LaunchPlanSpec.labels",
    "LaunchPlanSpec.annotations",
    "LaunchPlanSpec.raw_output_data_config",
    "LaunchPlanSpec.envs",
];

/// All that the model does not keep of what a template can say on the wire. `done` counts how
/// often each entry made a difference.
fn normalise(message: &mut DynamicMessage, done: &mut BTreeMap<&'static str, usize>) {
    walk(message, &mut |m| {
        let kind = m.descriptor().name().to_owned();
        let field = |name: &'static str| {
            let (owner, field) = name.split_once('.').unwrap();
            (owner == kind).then_some(field)
        };
        for name in FILLED {
            if let Some(f) = field(name).filter(|f| !m.has_field_by_name(f)) {
                let empty = m.get_field_by_name(f).unwrap().into_owned();
                m.set_field_by_name(f, empty);
                *done.entry(name).or_default() += 1;
            }
        }
        for name in EMPTIED {
            let Some(f) = field(name).filter(|f| m.has_field_by_name(f)) else {
                continue;
            };
            let is_empty = match &*m.get_field_by_name(f).unwrap() {
                Value::Message(inner) => inner.encode_to_vec().is_empty(),
                _ => unreachable!("all of them are messages"),
            };
            if is_empty {
                m.clear_field_by_name(f);
                *done.entry(name).or_default() += 1;
            }
        }
        if kind == "Value" && m.fields().count() == 0 {
            m.set_field_by_name("null_value", Value::EnumNumber(0));
            *done.entry("Value.kind").or_default() += 1;
        }
        let negative = |m: &DynamicMessage| matches!(m.get_field_by_name("max_parallelism").as_deref(), Some(Value::I32(i)) if *i < 0);
        if kind == "LaunchPlanSpec" && negative(m) {
            m.clear_field_by_name("max_parallelism");
            *done.entry("LaunchPlanSpec.max_parallelism").or_default() += 1;
        }
        // Carried as bytes.
        kind != "ExecutionEnv"
    });
}

/// The first lines that differ.
fn differs(back: &impl std::fmt::Debug, expected: &impl std::fmt::Debug) -> String {
    let (back, expected) = (format!("{back:#?}"), format!("{expected:#?}"));
    let pairs = back.lines().zip(expected.lines()).enumerate();
    let first = pairs.filter(|(_, (b, e))| b != e).take(3);
    first
        .map(|(i, (b, e))| format!("\nline {i}: {b} instead of {e}"))
        .collect()
}

#[test]
fn templates_come_back_as_they_were() {
    let pool = pool();
    let mut done = BTreeMap::new();
    macro_rules! there_and_back {
        ($name:literal, $type:ty, $from:path, $to:path) => {
            let descriptor = pool.get_message_by_name($name).unwrap();
            let mut bytes_of_all = 0;
            for seed in 0..EACH {
                let mut made = Maker::new(seed, true).message(&descriptor);
                let wire = <$type>::decode(&*made.encode_to_vec()).unwrap();
                let model = $from(&wire).unwrap_or_else(|e| panic!("{} {seed}: {e}", $name));
                let back = $to(&model).unwrap_or_else(|e| panic!("{} {seed}: {e}", $name));
                assert_eq!($from(&back).unwrap(), model, "{} {seed}", $name);
                normalise(&mut made, &mut done);
                let bytes = made.encode_to_vec();
                let expected = <$type>::decode(&*bytes).unwrap();
                let differs = differs(&back, &expected);
                assert!(back == expected, "{} {seed}: {differs}", $name);
                bytes_of_all += bytes.len();
            }
            println!("{EACH} {}, {bytes_of_all} bytes", $name);
            assert!(bytes_of_all as u64 > EACH * 100, "{} says nothing", $name);
        };
    }
    there_and_back!(
        "flyteidl.core.TypedInterface",
        core::TypedInterface,
        interface_from_pb,
        interface_to_pb
    );
    there_and_back!(
        "flyteidl.core.TaskTemplate",
        core::TaskTemplate,
        task_from_pb,
        task_to_pb
    );
    there_and_back!(
        "flyteidl.core.WorkflowTemplate",
        core::WorkflowTemplate,
        workflow_from_pb,
        workflow_to_pb
    );
    there_and_back!(
        "flyteidl.admin.LaunchPlan",
        admin::LaunchPlan,
        launch_plan_from_pb,
        launch_plan_to_pb
    );
    let listed = FILLED
        .iter()
        .chain(&EMPTIED)
        .chain(&["Value.kind", "LaunchPlanSpec.max_parallelism"]);
    let idle: Vec<_> = listed.filter(|n| !done.contains_key(**n)).collect();
    assert!(idle.is_empty(), "nothing needs {idle:?}");
}

/// Every kind of node, binding, condition and gate is among the random messages.
#[test]
fn the_random_messages_say_everything() {
    let pool = pool();
    let mut missing = std::collections::BTreeSet::new();
    let mut seen = std::collections::BTreeSet::new();
    for name in [
        "core.TaskTemplate",
        "core.WorkflowTemplate",
        "admin.LaunchPlan",
    ] {
        let descriptor = pool
            .get_message_by_name(&format!("flyteidl.{name}"))
            .unwrap();
        for seed in 0..EACH {
            let mut made = Maker::new(seed, true).message(&descriptor);
            walk(&mut made, &mut |m| {
                let of = m.descriptor();
                missing.extend(of.fields().map(|f| f.full_name().to_owned()));
                seen.extend(m.fields().map(|(f, _)| f.full_name().to_owned()));
                true
            });
        }
    }
    // This enum has one value, its default.
    missing.remove("flyteidl.core.OAuth2TokenRequest.type");
    missing.retain(|f| !seen.contains(f));
    println!("{} fields", seen.len());
    assert!(missing.is_empty(), "never set: {missing:?}");
}
