//! Random messages on the way between Python and here, and between the wire and the model.

mod hashes;
mod make;
mod templates;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flyte_idl::{admin, core, event, plugins};
use make::{Maker, pool};
use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage};

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
fn messages_of_python_survive_the_way_here_and_back() {
    let pool = pool();
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

#[test]
fn messages_made_here_survive_the_way_to_python_and_back() {
    let pool = pool();
    let ours = |n: &str| n.starts_with("flyteidl.");
    let all: Vec<_> = pool
        .all_messages()
        .filter(|m| ours(m.full_name()) && !m.is_map_entry())
        .collect();
    let mut made = Vec::new();
    for (i, descriptor) in all.iter().enumerate() {
        for round in 0..4 {
            let seed = (i * 4 + round) as u64;
            made.push(Maker::new(seed, false).message(descriptor));
        }
    }
    let mut lines = String::new();
    for m in &made {
        let name = m.descriptor();
        writeln!(lines, "{} {}", name.full_name(), hex(&m.encode_to_vec())).unwrap();
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages-made-here.txt");
    std::fs::write(&file, lines).unwrap();
    let recoded = python(&["recode", file.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&recoded.stderr).into_owned();
    assert!(recoded.status.success(), "{told}");
    let recoded = String::from_utf8(recoded.stdout).unwrap();
    let generated = generated();
    let (mut lines, mut by_code) = (recoded.lines(), 0);
    for m in &made {
        let (name, text) = lines
            .next()
            .expect("a line for each")
            .split_once(' ')
            .unwrap();
        assert_eq!(name, m.descriptor().full_name());
        let back = unhex(text);
        let decoded = |b: &[u8]| DynamicMessage::decode(m.descriptor(), b).unwrap();
        assert_eq!(decoded(&back), *m, "{name}");
        if let Some(recode) = generated.get(name) {
            assert_eq!(decoded(&recode(&back)), *m, "{name}");
            by_code += 1;
        }
    }
    println!(
        "{} messages of {} types, {by_code} by the generated code",
        made.len(),
        all.len()
    );
    assert!(
        all.len() > 150 && by_code > 100,
        "{} and {by_code}",
        all.len()
    );
}
