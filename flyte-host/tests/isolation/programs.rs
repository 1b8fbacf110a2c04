//! Random programs of file-writing tasks of the real flytekit, against a plain model.

use std::cell::Cell;
use std::path::Path;

use serde_json::{Value, json};

use crate::input::Input;
use crate::inputs::paths;
use crate::program::{Files, Op, Place, Program};
use crate::tree::is_long;

/// One in the gate; 32 otherwise.
#[test]
fn random_programs_do_what_they_do_in_fresh_folders_with_copies() {
    let seed = Cell::new(0);
    Input::each("programs", |input| {
        for _ in 0..if is_long() { 8 } else { 1 } {
            check(input, seed.replace(seed.get() + 1));
        }
    });
}

fn check(input: &Input, seed: u64) {
    let (program, expected) = Program::random(seed);
    let name = format!("program_{seed}.py");
    let text = workflow(&program);
    std::fs::write(input.path(&name), &text).unwrap();
    let outputs = input.run(&[&*name, "program"]).outputs();
    for (n, expected) in expected.iter().enumerate() {
        let want = expected.last().unwrap();
        let listed = outputs[format!("o{}", 2 * n)].as_str();
        assert_eq!(listed, Some(&*want.listed), "seed {seed}, step {n}: {text}");
        let mut folder = Vec::new();
        paths(&outputs[format!("o{}", 2 * n + 1)], &mut folder);
        let mut have = files(Path::new(&folder[0]));
        assert_eq!(have.remove("keep").as_deref(), Some(""), "{outputs}");
        assert_eq!(have, want.output, "seed {seed}, step {n}: {text}");
    }
}

/// The program as flytekit's.
fn workflow(program: &Program) -> String {
    let n = program.steps.len();
    let types = vec!["str, FlyteDirectory"; n].join(", ");
    let mut out = format!(
        "from flytekit import FlyteDirectory, workflow\nfrom steps import step\n\n\n\
         @workflow\ndef program() -> tuple[{types}]:\n"
    );
    for (n, step) in program.steps.iter().enumerate() {
        let attempts: Vec<Value> = step.attempts.iter().map(|ops| written(ops)).collect();
        let alone: Vec<bool> = step.inputs.iter().map(|i| i.file.is_some()).collect();
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        for input in &step.inputs {
            match &input.file {
                None => folders.push(format!("d{}", input.step)),
                Some(file) => files.push(format!("f{}[{file:?}]", input.step)),
            }
        }
        out.push_str(&format!(
            "    d{n}, f{n}, t{n} = step(attempts={:?}, alone={:?}, folders=[{}], files=[{}])\n",
            Value::from(attempts).to_string(),
            json!(alone).to_string(),
            folders.join(", "),
            files.join(", ")
        ));
        if n > 0 {
            // A step that changed something comes first.
            out.push_str(&format!("    d{} >> d{n}\n", n - 1));
        }
    }
    let results: Vec<String> = (0..n).map(|n| format!("t{n}, d{n}")).collect();
    out.push_str(&format!("    return {}\n", results.join(", ")));
    out
}

fn written(ops: &[Op]) -> Value {
    let place = |p: Place| match p {
        Place::Work => json!("work"),
        Place::Output => json!("output"),
        Place::Input(k) => json!(k),
    };
    let op = |op: &Op| match *op {
        Op::Create(p, name, text) => json!(["create", place(p), name, text.to_string()]),
        Op::Append(p, name, text) => json!(["append", place(p), name, text.to_string()]),
        Op::Rename(p, name, q, to) => json!(["rename", place(p), name, place(q), to]),
        Op::Delete(p, name) => json!(["delete", place(p), name]),
        Op::List(p) => json!(["list", place(p)]),
    };
    ops.iter().map(op).collect()
}

/// The files below a folder.
fn files(root: &Path) -> Files {
    let (mut out, mut folders) = (Files::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                out.insert(name.to_owned(), std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    out
}
