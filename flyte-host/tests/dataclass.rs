//! Structs of Rust are dataclasses of flytekit, and back.

mod common;
#[path = "common/foreign.rs"]
mod foreign;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use flyte_core::author::{ForeignTask, LiteralValue};
use flyte_core::literal::{SignedDuration, Timestamp, castable, infer};
use flyte_host::prelude::*;
use flyte_idl::Message;
use flyte_idl::convert::{decode, literal_from_pb, literal_to_pb, type_from_pb};
use foreign::Place;

#[derive(Clone, Copy, Debug, PartialEq, LiteralEnum)]
enum Color {
    #[literal(rename = "red")]
    Red,
    #[literal(rename = "dark blue")]
    DarkBlue,
}

#[derive(Clone, Debug, PartialEq, LiteralStruct)]
struct Part {
    n: i64,
    label: String,
}

#[derive(Clone, Debug, PartialEq, LiteralStruct)]
struct Model {
    w: f64,
    ok: bool,
    color: Color,
    part: Part,
    parts: Vec<Part>,
    by: BTreeMap<String, Vec<Part>>,
    maybe: Option<Part>,
    nothing: Option<i64>,
    at: Timestamp,
    lasts: SignedDuration,
    #[literal(default = 3)]
    n: i64,
}

fn part(n: i64) -> Part {
    Part {
        n,
        label: "ä".into(),
    }
}

fn original() -> Model {
    Model {
        w: 0.1,
        ok: true,
        color: Color::Red,
        // More than a double holds.
        part: part((1 << 53) + 1),
        parts: vec![part(1)],
        by: BTreeMap::from([("k".to_owned(), vec![part(2), part(3)])]),
        maybe: Some(part(4)),
        nothing: None,
        at: Timestamp::new(1_700_000_000, 250_000_000).unwrap(),
        lasts: SignedDuration::from_millis(90_500),
        n: 7,
    }
}

/// What Python makes of it.
fn turned(mut m: Model) -> Model {
    m.n += 1;
    m.w *= 2.0;
    m.part.n += 1;
    m.parts.push(Part {
        n: m.parts.len() as i64,
        label: "added".into(),
    });
    m.color = match m.color {
        Color::Red => Color::DarkBlue,
        Color::DarkBlue => Color::Red,
    };
    m.at = m.at.saturating_add(SignedDuration::from_millis(86_400_000));
    m
}

fn python(arguments: &[&Path], mode: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dataclass.py");
    let mut command = Command::new(common::python());
    let output = command
        .arg(script)
        .arg(mode)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A value and its type, for both sides to look at.
struct Pair<'f> {
    theirs: &'f Path,
    given: &'f Path,
    answers: &'f Path,
}

impl Pair<'_> {
    fn write<T: LiteralValue>(&self, name: &str, value: T) {
        let own = T::literal_type();
        let bytes = std::fs::read(self.theirs.join(name)).unwrap();
        let theirs = type_from_pb(&decode(&bytes).unwrap()).unwrap();
        assert!(castable(&own, &theirs), "{name}: {own} into {theirs}");
        assert!(castable(&theirs, &own), "{name}: {theirs} into {own}");
        assert_eq!(own, theirs, "{name}");
        let literal = value.into_literal();
        assert!(castable(&infer(&literal).unwrap(), &theirs), "{name}");
        let bytes = literal_to_pb(&literal).encode_to_vec();
        std::fs::write(self.given.join(name), bytes).unwrap();
    }

    #[track_caller]
    fn read<T: LiteralValue + PartialEq + std::fmt::Debug>(&self, name: &str, want: T) {
        let bytes = std::fs::read(self.answers.join(name)).unwrap();
        let literal = literal_from_pb(&decode(&bytes).unwrap()).unwrap();
        assert!(
            castable(&infer(&literal).unwrap(), &T::literal_type()),
            "{name}"
        );
        assert_eq!(T::from_literal(&literal).unwrap(), want, "{name}");
    }
}

#[test]
fn flytekit_reads_and_writes_what_rust_does() {
    let folder = tempfile::tempdir().unwrap();
    let [theirs, given, answers] = ["theirs", "given", "answers"].map(|n| {
        let path = folder.path().join(n);
        std::fs::create_dir(&path).unwrap();
        path
    });
    python(&[&theirs], "types");
    let pair = Pair {
        theirs: &theirs,
        given: &given,
        answers: &answers,
    };
    let map = |m: Model| BTreeMap::from([("a".to_owned(), m)]);
    let deep = |m: Model| BTreeMap::from([("a".to_owned(), vec![m.clone(), m])]);
    pair.write("model", original());
    pair.write("models", vec![original(), turned(original())]);
    pair.write("by", map(original()));
    pair.write("deep", deep(original()));
    pair.write("maybe", Some(original()));
    pair.write("none", None::<Model>);
    pair.write("color", Color::Red);
    python(&[&given, &answers], "turn");
    let once = turned(original());
    pair.read("model", once.clone());
    pair.read("models", vec![once.clone(), turned(once.clone())]);
    pair.read("by", map(once.clone()));
    pair.read("deep", deep(once.clone()));
    pair.read("maybe", Some(once));
    pair.read("none", None::<Model>);
    pair.read("color", Color::DarkBlue);
}

#[task]
fn make(n: i64) -> (Model, Vec<Model>, BTreeMap<String, Model>) {
    let one = Model { n, ..original() };
    let by = BTreeMap::from([("k".to_owned(), one.clone())]);
    (one.clone(), vec![one.clone(), one], by)
}

#[task]
fn check(model: Model, models: Vec<Model>, by: BTreeMap<String, Model>, n: i64) -> bool {
    let want = turned(Model { n, ..original() });
    model == want && models == [want.clone(), want.clone()] && by["k"] == want
}

type Models = (Model, Vec<Model>, BTreeMap<String, Model>);

#[tokio::test]
async fn one_workflow_of_rust_and_python_tasks() {
    let place = Place::new();
    let types = place.folder.path().join("types");
    std::fs::create_dir(&types).unwrap();
    python(&[&types], "types");
    let template = place.task("dataclass", "shapes", &types.join("task"));
    let inputs = ["model", "models", "by"];
    let turn = ForeignTask::<Models, Models>::new(template, inputs).unwrap();
    let wf = Workflow::<i64, _>::build("both", |wf, n| {
        let (one, many, by) = wf.call(make(n));
        let (one, many, by) = wf.call(turn.call((one, many, by)).named("python"));
        (
            wf.call(check(one, many, by, n)),
            one.part().n(),
            many.at(1).color(),
        )
    })
    .unwrap();
    let scheduler = place.scheduler().await;
    let run = scheduler.launch(&wf, 5).await.unwrap();
    let (same, n, color) = run.await.unwrap();
    assert!(same);
    assert_eq!((n, color), ((1 << 53) + 2, Color::DarkBlue));
}
