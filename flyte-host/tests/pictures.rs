//! `flyte-rs graph` and `flyte-rs timeline`, and the pictures of real workflows.

#[path = "../../flyte-core/tests/picture/check.rs"]
mod check;
mod common;

use std::process::Output;

use common::{Folder, Templates, json, python, templates};
use flyte_host::core::compile::{Sources, compile};
use flyte_host::core::picture::Picture;

const TWO: &str = r#"
from flytekit import task, workflow

@task(cache=True, cache_version="1")
def double(x: int) -> int:
    return 2 * x

@task
def show(x: int, name: str) -> str:
    return f"{name}: {x}"

@workflow
def wf(x: int = 3, name: str = "n") -> str:
    return show(x=double(x=x), name=name)
"#;

const KINDS: &str = r#"
from datetime import timedelta
from flytekit import conditional, map_task, sleep, task, workflow

@task
def measure(n: int) -> float:
    return n / 10

@task
def retrain(x: float) -> str:
    return "a"

@task
def fine_tune(x: float) -> str:
    return "b"

@task
def square(x: int) -> int:
    return x * x

@task
def publish(m: str, xs: list[int]) -> str:
    return m

@workflow
def tune(x: float) -> str:
    return fine_tune(x=x)

@workflow
def wf(n: int = 5, xs: list[int] = [1, 2, 3]) -> str:
    d = measure(n=n)
    m = (
        conditional("how much drift")
        .if_(d > 0.5)
        .then(retrain(x=d))
        .elif_((d > 0.1) & (d <= 0.5))
        .then(tune(x=d))
        .else_()
        .fail("no drift")
    )
    p = publish(m=m, xs=map_task(square, concurrency=2)(x=xs))
    sleep(timedelta(seconds=30)) >> p
    return p
"#;

fn graph(f: &Folder, arguments: &[&str]) -> Output {
    let python = python();
    let mut all = vec!["graph", "--python", python.to_str().unwrap()];
    all.extend(arguments);
    f.flyte(&all)
}

fn stdout(o: &Output) -> String {
    let told = String::from_utf8_lossy(&o.stderr);
    assert_eq!(o.status.code(), Some(0), "{told}");
    String::from_utf8(o.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(o: &Output, texts: &[&str]) {
    let told = String::from_utf8_lossy(&o.stderr);
    assert_eq!(o.status.code(), Some(2), "{told}");
    assert!(o.stdout.is_empty());
    for text in texts {
        assert!(told.contains(text), "{text:?} in {told}");
    }
}

#[test]
fn a_workflow_is_drawn_to_stdout_or_a_file() {
    let f = Folder::with("two.py", TWO);
    let svg = stdout(&graph(&f, &["two.py", "wf"]));
    assert!(
        svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
        "{svg}"
    );
    for text in [
        ">double<",
        "n0 · python-task · cached",
        ">show<",
        ">two.wf<",
    ] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
    assert_eq!(stdout(&graph(&f, &["two.py", "wf", "-o", "-"])), svg);
    assert_eq!(
        stdout(&graph(&f, &["two.py", "two.wf", "-o", "wf.svg"])),
        ""
    );
    assert_eq!(std::fs::read_to_string(f.path("wf.svg")).unwrap(), svg);
}

#[test]
fn other_formats_are_asked_for_by_name() {
    let f = Folder::with("two.py", TWO);
    let dot = stdout(&graph(&f, &["--format", "dot", "two.py", "wf"]));
    assert!(
        dot.starts_with("digraph \"two.wf\" {") && dot.contains("double"),
        "{dot}"
    );
    let mermaid = stdout(&graph(&f, &["two.py", "wf", "--format", "mermaid"]));
    assert!(
        mermaid.starts_with("flowchart LR\n") && mermaid.contains("show<br/>n1"),
        "{mermaid}"
    );
    let single = stdout(&graph(&f, &["--format=mermaid", "two.py", "double"]));
    assert!(
        single.contains("double") && !single.contains("show"),
        "{single}"
    );
    refused(
        &graph(&f, &["--format", "png", "two.py", "wf"]),
        &["png", "svg", "dot", "mermaid"],
    );
}

#[test]
fn every_kind_of_node_of_flytekit_has_its_frame() {
    let f = Folder::with("kinds.py", KINDS);
    let mermaid = stdout(&graph(&f, &["--format", "mermaid", "kinds.py", "wf"]));
    for line in [
        "subgraph v2[\"how much drift (n1 · branch)\"]",
        "v4 -->|\"n0.o0 #gt; 0.5\"| v5",
        "v4 -->|\"n0.o0 #gt; 0.1 and n0.o0 #lt;= 0.5\"| v6",
        "subgraph v6[\"tune (n1 · sub-workflow)\"]",
        "v10[\"no drift<br/>fails\"]",
        "subgraph v12[\"for each item (n2 · map · 2 at once)\"]",
        "v14[\"square<br/>python-task\"]",
    ] {
        assert!(
            mermaid.lines().any(|l| l.trim() == line),
            "{line} in {mermaid}"
        );
    }
    assert!(mermaid.contains("sleep 30s"), "{mermaid}");
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let f = Folder::with("two.py", TWO);
    refused(
        &graph(&f, &["two.py", "wg"]),
        &["`wg`", "did you mean `wf`?"],
    );
    refused(
        &graph(&f, &["three.py", "wf"]),
        &["three.py", "no such file"],
    );
    refused(&graph(&f, &["two.py"]), &["ENTITY"]);
    refused(
        &graph(&f, &["two.py", "wf", "-o", "nowhere/wf.svg"]),
        &["nowhere/wf.svg"],
    );
}

#[test]
fn an_execution_is_drawn_over_time() {
    let f = Folder::with("two.py", TWO);
    for name in ["first", "second"] {
        let run = json(&f.run(&["--json", "--name", name, "two.py", "wf"]));
        assert_eq!(run["phase"], "SUCCEEDED");
    }
    let first = stdout(&f.flyte(&["timeline", "first"]));
    for text in [
        "first · ",
        "SUCCEEDED",
        ">double<",
        ">n1<",
        "n0, attempt 0: SUCCEEDED",
    ] {
        assert!(first.contains(text), "{text} in {first}");
    }
    assert!(!first.contains("cached"), "{first}");
    assert_eq!(stdout(&f.flyte(&["timeline", "second", "-o", "t.svg"])), "");
    let second = std::fs::read_to_string(f.path("t.svg")).unwrap();
    assert!(
        second.contains("· cached<") && second.contains("from the cache"),
        "{second}"
    );
    refused(
        &f.flyte(&["timeline", "fist"]),
        &["no execution `fist`", "did you mean `first`?"],
    );
}

#[test]
fn help_names_both() {
    let help = stdout(&Folder::with("x", "").flyte(&["--help"]));
    for line in ["graph", "timeline"] {
        assert!(
            help.lines().any(|l| l.trim_start().starts_with(line)),
            "{help}"
        );
    }
}

#[test]
fn every_real_workflow_is_drawn_without_overlap() {
    let Templates {
        workflows,
        tasks,
        launch_plans,
    } = templates();
    let (mut drawn, mut boxes, mut frames) = (0, 0, 0);
    for w in &workflows {
        let subs: Vec<_> = workflows.iter().filter(|s| s.id != w.id).cloned().collect();
        let sources = Sources::new(w, &tasks)
            .with_sub_workflows(&subs)
            .with_launch_plans(&launch_plans)
            .with_strict(false);
        let plan = compile(&sources).unwrap_or_else(|e| panic!("{}: {e}", w.id.name));
        let picture = Picture::of(&plan);
        check::check(&w.id.name, &picture);
        drawn += 1;
        boxes += picture.boxes.len();
        frames += picture.boxes.iter().filter(|b| b.is_frame).count();
    }
    println!("{drawn} workflows, {boxes} boxes, {frames} of them frames");
    assert!(
        drawn >= 30 && frames >= 5,
        "{drawn} workflows, {frames} frames"
    );
}
