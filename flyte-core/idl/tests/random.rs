//! Random messages that Python encodes are decoded and encoded here, and are equal to Python.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flyte_idl::{admin, core, event, plugins};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

fn python(arguments: &[&str]) -> Output {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("FLYTE_TEST_PYTHON")
        .map_or_else(|| here.join("../../.venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run scripts/test-env",
        python.display()
    );
    Command::new(python)
        .arg(here.join("tests/random_messages.py"))
        .args(arguments)
        .output()
        .unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim_matches('-');
    let byte = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    match bytes {
        [] => "-".into(),
        _ => bytes.iter().map(|b| format!("{b:02x}")).collect(),
    }
}

type Recode = fn(&[u8]) -> Vec<u8>;

fn recode<M: Message + Default>(bytes: &[u8]) -> Vec<u8> {
    M::decode(bytes).unwrap().encode_to_vec()
}

/// The messages that this project reads and writes, by the code that does it.
fn generated() -> BTreeMap<&'static str, Recode> {
    macro_rules! list {
        ($($package:literal $module:ident: $($name:ident)+;)+) => {
            [$($((concat!("flyteidl.", $package, ".", stringify!($name)), recode::<$module::$name> as Recode),)+)+]
        };
    }
    list! {
        "core" core: Literal LiteralMap LiteralCollection LiteralType TypedInterface VariableMap
            Binding BindingData TaskTemplate WorkflowTemplate Node BranchNode GateNode ArrayNode
            Identifier ErrorDocument ExecutionError DynamicJobSpec CompiledWorkflowClosure
            TaskExecutionIdentifier NodeExecutionIdentifier WorkflowExecutionIdentifier TaskLog
            SecurityContext K8sPod Container ParameterMap;
        "admin" admin: TaskSpec WorkflowSpec LaunchPlan LaunchPlanSpec ExecutionSpec
            ExecutionClosure ExecutionCreateRequest NodeExecution TaskExecution Schedule
            CreateTaskRequest CreateTaskResponse GetTaskResponse Resource Agent;
        "event" event: WorkflowExecutionEvent NodeExecutionEvent TaskExecutionEvent;
        "plugins" plugins: ArrayJob;
    }
    .into()
}

#[test]
fn random_messages_survive_the_way_there_and_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let names = ["core", "plugins", "kubeflow", "event", "admin", "service"];
    let files = names.map(|n| root.join(format!("flyteidl/{n}.proto")));
    let pool = DescriptorPool::from_file_descriptor_set(protox::compile(files, [root]).unwrap());
    let pool = pool.unwrap();
    let made = python(&["make"]);
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{told}");
    let made = String::from_utf8(made.stdout).unwrap();
    let generated = generated();
    let (mut pairs, mut by_code, mut by_proto) = (String::new(), 0, 0);
    let mut seen = std::collections::BTreeSet::new();
    for line in made.lines() {
        let (name, text) = line.split_once(' ').unwrap();
        let bytes = unhex(text);
        // By our .proto files every message that we define; by the generated code those in use.
        let Some(descriptor) = pool.get_message_by_name(name) else {
            continue;
        };
        let message = DynamicMessage::decode(descriptor, &bytes[..]).unwrap();
        assert_eq!(
            message.unknown_fields().count(),
            0,
            "{name} has fields that we do not know"
        );
        writeln!(pairs, "{line}\n{name} {}", hex(&message.encode_to_vec())).unwrap();
        by_proto += 1;
        if let Some((name, recode)) = generated.get_key_value(name) {
            writeln!(pairs, "{line}\n{name} {}", hex(&recode(&bytes))).unwrap();
            by_code += 1;
            seen.insert(*name);
        }
    }
    let unseen: Vec<_> = generated.keys().filter(|n| !seen.contains(**n)).collect();
    assert!(unseen.is_empty(), "Python does not know {unseen:?}");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("random-messages.txt");
    std::fs::write(&file, pairs).unwrap();
    let compared = python(&["compare", file.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&compared.stdout).into_owned();
    assert!(
        compared.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&compared.stderr)
    );
    println!("{by_proto} by the .proto files, {by_code} by the generated code; {told}");
    assert!(by_proto > 500 && by_code > 100, "{by_proto} and {by_code}");
}
