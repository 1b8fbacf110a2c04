use std::fs;
use std::path::Path;
use std::sync::Arc;

use flyte_core::contract::JobPhase;
use flyte_core::literal::{Blob, BlobType, Dimensionality, Literal, Row};

use crate::job::{Lab, stdout};
use crate::program::{CODE, Files, Op, Place, Program, Step};

/// Attempts give what the model gives, and nothing that was stored changes afterwards.
#[test]
fn random_programs_do_what_they_do_in_fresh_folders_with_copies() {
    let long = std::env::var_os("FLYTE_TEST_LONG").is_some();
    let seeds = match std::env::var("FLYTE_TEST_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("FLYTE_TEST_SEED is a number");
            seed..seed + 1
        }
        Err(_) if long => 0..10_000,
        Err(_) => 0..100,
    };
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    check(seed);
                }
            });
        }
    });
}

fn check(seed: u64) {
    let lab = Lab::new();
    let code = lab.path("code");
    let file = code.join(CODE.0);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, CODE.1).unwrap();
    let (program, expected) = Program::random(seed);
    let shown = || format!("FLYTE_TEST_SEED={seed}: {program:#?}");
    // The output of a step is that of its last attempt.
    let mut outputs: Vec<String> = Vec::new();
    let mut stored = Vec::new();
    for (n, step) in program.steps.iter().enumerate() {
        let inputs = inputs(step, &outputs);
        for (attempt, ops) in step.attempts.iter().enumerate() {
            let last = attempt + 1 == step.attempts.len();
            let line = script(ops, step, if last { 0 } else { 1 });
            let mut request = lab.request(n as u32, attempt as u32, &line, inputs.clone());
            let code = code.to_string_lossy().into_owned();
            request.parameters.insert("source_dir".into(), code);
            let phase = lab.run(&request);
            assert_eq!(
                matches!(phase, JobPhase::Succeeded(_)),
                last,
                "{phase:?} {}",
                shown()
            );
            let folder = lab.attempt(n as u32, attempt as u32);
            let want = &expected[n][attempt];
            assert_eq!(
                stdout(&folder),
                want.listed,
                "step {n}, attempt {attempt}: {}",
                shown()
            );
            assert!(!folder.join("tree").exists() && !folder.join("inputs").exists());
            let raw = request.locations.raw_output_prefix;
            if last {
                outputs.push(raw.clone());
            }
            stored.push((raw, want));
        }
    }
    for (raw, want) in stored {
        assert_eq!(files(Path::new(&raw)), want.output, "{raw}: {}", shown());
    }
    assert_eq!(fs::read_to_string(file).unwrap(), CODE.1, "{}", shown());
}

fn inputs(step: &Step, outputs: &[String]) -> Row {
    let each = step.inputs.iter().enumerate().map(|(k, input)| {
        let folder = &outputs[input.step];
        let (uri, dimensionality) = match &input.file {
            None => (folder.clone(), Dimensionality::Multipart),
            Some(file) => (format!("{folder}/{file}"), Dimensionality::Single),
        };
        let format = "".into();
        let blob = Blob::new(
            uri,
            BlobType {
                format,
                dimensionality,
            },
        );
        (format!("i{k}"), Literal::Blob(Arc::new(blob)))
    });
    Row::from_pairs(each.collect::<Vec<_>>())
}

/// The shell's lines of an attempt.
fn script(ops: &[Op], step: &Step, status: u8) -> String {
    let path = |place: Place, name: &str| match place {
        Place::Work => format!("./{name}"),
        Place::Output => format!("{{{{.rawOutputDataPrefix}}}}/{name}"),
        Place::Input(k) => match step.inputs[k].file {
            None => format!("{{{{.inputs.i{k}}}}}/{name}"),
            Some(_) => format!("{{{{.inputs.i{k}}}}}"),
        },
    };
    let mut out = String::from("into() { mkdir -p \"$(dirname \"$1\")\"; }\n");
    for op in ops {
        let line = match *op {
            Op::Create(p, name, text) => {
                let path = path(p, name);
                format!("into {path}; printf %s {text} > {path}")
            }
            Op::Append(p, name, text) => {
                let path = path(p, name);
                format!("into {path}; printf %s {text} >> {path}")
            }
            Op::Rename(p, name, q, to) => {
                let (from, to) = (path(p, name), path(q, to));
                let moved = format!("if [ -f {from} ]; then into {to}; mv {from} {to}; fi");
                if from == to { ":".into() } else { moved }
            }
            Op::Delete(p, name) => format!("rm -f {}", path(p, name)),
            Op::List(Place::Input(k)) if step.inputs[k].file.is_some() => {
                let path = path(Place::Input(k), "");
                format!("if [ -f {path} ]; then printf ':%s\\n' \"$(cat {path})\"; fi")
            }
            Op::List(p) => format!(
                "(cd {} && find . -type f | LC_ALL=C sort | while read -r f; do \
                 printf '%s:%s\\n' \"${{f#./}}\" \"$(cat \"$f\")\"; done)",
                path(p, "")
            ),
        };
        out.push_str(&line);
        out.push('\n');
    }
    out.push_str(&format!("exit {status}"));
    out
}

/// The files below a folder.
fn files(root: &Path) -> Files {
    let (mut out, mut folders) = (Files::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                out.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    out
}
