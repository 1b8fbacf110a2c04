use std::io::Write;

use flyte_host::core::author::ForeignTask;
use flyte_host::core::id::{Identifier, ResourceType};
use flyte_host::core::journal::WorkflowPhase;
use flyte_host::core::literal::{LiteralType, SimpleType};
use flyte_host::core::template::{Container, TaskTarget, TaskTemplate, TypedInterface, Variable};
use flyte_host::prelude::*;

/// What a workflow of the host is given: a length of time in milliseconds, and where its tasks
/// say what they do.
type Given = (i64, String);
type Shape = Workflow<Given, ()>;
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The names of the workflows that the host runs: of shells and of Rust functions.
pub const HOSTED: [&str; 9] = [
    "shellchain",
    "shellfan",
    "shellretry",
    "shellfails",
    "rustchain",
    "rustmap",
    "child",
    "mixed",
    "changing",
];

/// The names of the workflows in Python.
pub const PYTHON: [&str; 6] = ["chain", "fan", "retry", "cached", "fails", "nested"];

/// The module that they stand in.
pub(super) const MODULE: &str = include_str!("shapes.py");

/// How an execution of a workflow of this name ends.
#[must_use]
pub(super) fn ends(shape: &str) -> WorkflowPhase {
    match shape.contains("fails") {
        true => WorkflowPhase::Failed,
        false => WorkflowPhase::Succeeded,
    }
}

/// Appends one line: a single write, so that lines do not mix.
fn append(file: &str, line: &str) -> Fallible<()> {
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(file)?;
    file.write_all(line.as_bytes())?;
    Ok(())
}

/// Says that an attempt in the host begins, or has ended.
pub(super) fn say(
    word: &str,
    cx: &flyte_host::core::contract::TaskContext,
    witness: &str,
) -> Fallible<()> {
    let key = cx.key();
    let (frame, node) = (key.addr.frame.0, key.addr.node.0);
    let line = format!(
        "{word} rust:{}:{frame}.{node}:{}\n",
        key.execution.name, key.attempt
    );
    append(witness, &line)
}

/// Pays under the idempotency key of the node.
fn pay(cx: &flyte_host::core::contract::TaskContext, witness: &str) -> Fallible<()> {
    let (key, paid) = (cx.key(), cx.idempotency_key());
    let (frame, node) = (key.addr.frame.0, key.addr.node.0);
    let line = format!("{paid} {}:{frame}.{node}\n", key.execution.name);
    append(&payments(witness), &line)
}

/// Where attempts pay, beside the file in which they say what they do.
pub(super) fn payments(witness: &str) -> String {
    format!("{witness}.payments")
}

#[task]
async fn mark(cx: Cx<mark>, n: i64, ms: i64, witness: String) -> Result<i64, TaskError> {
    say("start", &cx, &witness)?;
    pay(&cx, &witness)?;
    flyte_host::tokio::time::sleep(std::time::Duration::from_millis(ms as u64)).await;
    say("end", &cx, &witness)?;
    Ok(n + 1)
}

#[task]
fn count(upto: i64) -> Vec<i64> {
    (0..upto).collect()
}

/// A shell that says what it does; with `words` in between.
fn shell(name: &str, retries: u32, words: &str) -> Fallible<ForeignTask<Given, ()>> {
    let variable = |t| Variable::new(LiteralType::simple(t));
    let interface = TypedInterface {
        inputs: [
            ("ms".into(), variable(SimpleType::Integer)),
            ("witness".into(), variable(SimpleType::String)),
        ]
        .into(),
        outputs: Default::default(),
    };
    let id = Identifier::new(ResourceType::Task, name, "1");
    let mut template = TaskTemplate::new(id, "raw-container", interface);
    // It leaves a program in a session of its own, which names the attempt, too.
    let script = format!(
        "setsid sh -c 'sleep 600; sleep 600' left \"$1\" > /dev/null 2>&1 &\n\
         echo \"start $1\" >> \"$3\"\nsleep $(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))\n\
         {words}\necho \"end $1\" >> \"$3\""
    );
    let arguments = ["{{.outputPrefix}}", "{{.inputs.ms}}", "{{.inputs.witness}}"];
    template.target = Some(TaskTarget::Container(Container {
        image: "none".into(),
        command: ["/bin/sh", "-c", &script, "shell"].map(String::from).into(),
        args: arguments.map(String::from).into(),
        ..Container::default()
    }));
    template.metadata.retries = Some(retries);
    Ok(ForeignTask::new(template, ["ms", "witness"])?)
}

/// The workflow of this name, and those that it starts.
pub fn hosted(name: &str) -> Fallible<Shape> {
    let says = |n: &str| format!("echo \"fail $1\" >> \"$3\"; exit {n}");
    let good = shell("good", 0, "")?;
    let shaky = format!(
        "if [ \"$FLYTE_ATTEMPT_NUMBER\" = 0 ]; then {}; fi",
        says("3")
    );
    let shaky = shell("shaky", 2, &shaky)?;
    let bad = shell("bad", 0, &says("4"))?;
    Ok(match name {
        "shellchain" => Shape::build(name, |wf, (ms, witness)| {
            let mut before = wf.call(good.call((ms, witness)));
            for _ in 0..3 {
                let next = wf.call(good.call((ms, witness)));
                wf.after(next, before);
                before = next;
            }
        })?,
        "shellfan" => Shape::build(name, |wf, (ms, witness)| {
            let last = wf.call(good.call((ms, witness)));
            for _ in 0..5 {
                let one = wf.call(good.call((ms, witness)));
                wf.after(last, one);
            }
        })?,
        "shellretry" => Shape::build(name, |wf, (ms, witness)| {
            let first = wf.call(shaky.call((ms, witness)).retries(2));
            let then = wf.call(good.call((ms, witness)));
            wf.after(then, first);
        })?,
        "shellfails" => Shape::build(name, |wf, (ms, witness)| {
            let first = wf.call(good.call((ms, witness)));
            let then = wf.call(bad.call((ms, witness)));
            wf.after(then, first);
        })?,
        "rustchain" => Shape::build(name, |wf, (ms, witness)| {
            let mut n = wf.constant(0);
            for _ in 0..6 {
                n = wf.call(mark(n, ms, witness));
            }
        })?,
        "rustmap" => Shape::build(name, |wf, (ms, witness)| {
            let all = wf.call(count(12));
            wf.call(map(all, |n| mark(n, ms, witness)).concurrency(5));
        })?,
        "child" => {
            let inner = hosted("mixed")?;
            Shape::build(name, |wf, (ms, witness)| {
                let first = wf.call(mark(0, ms, witness));
                let child = wf.launch(&inner, (ms, witness));
                wf.after(child, first);
            })?
        }
        "mixed" => Shape::build(name, |wf, (ms, witness)| {
            let first = wf.call(mark(0, ms, witness));
            let pause = wf.sleep("1s");
            let shell = wf.call(good.call((ms, witness)));
            let last = wf.call(mark(first, ms, witness));
            wf.after(pause, first);
            wf.after(shell, pause);
            wf.after(last, shell);
        })?,
        // Each program runs its own executions only, and those of the other wait.
        "changing" => {
            let changing = super::versions::changing()?;
            Shape::build(name, |wf, (ms, witness)| {
                let mut n = wf.constant(0);
                for _ in 0..4 {
                    n = wf.call(changing.call((n, ms, witness)));
                }
            })?
        }
        other => return Err(format!("there is no workflow `{other}`").into()),
    })
}
