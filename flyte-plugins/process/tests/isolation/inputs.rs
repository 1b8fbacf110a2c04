use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_core::ErrorKind;
use flyte_core::contract::JobPhase;
use flyte_core::literal::{
    Binary, Blob, BlobType, Dimensionality, Document, Literal, LiteralType, MSGPACK_TAG, Row,
    Schema, SimpleType, StructuredDataset, Union,
};
use flyte_idl::convert::decode_literal_map;

use crate::job::{Lab, stdout};

fn blob(path: &Path) -> Literal {
    let kind = BlobType {
        format: "".into(),
        dimensionality: Dimensionality::Single,
    };
    let uri = path.to_string_lossy().into_owned();
    Literal::Blob(Arc::new(Blob::new(uri, kind)))
}

fn raw(lab: &Lab, text: &str) -> PathBuf {
    let path = lab.path("data/raw/made/raw.txt");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn each_attempt_changes_its_own_copy() {
    let lab = Lab::new();
    let path = raw(&lab, "one\n");
    let mut read_only = fs::metadata(&path).unwrap().permissions();
    read_only.set_readonly(true);
    fs::set_permissions(&path, read_only).unwrap();
    let inputs = Row::from_pairs([("raw", blob(&path))]);
    let line = "echo two >> {{.inputs.raw}}; cat {{.inputs.raw}}; basename {{.inputs.raw}}; \
                test -s {{.input}} && test {{.inputPrefix}}/inputs.pb = {{.input}}";
    for attempt in 0..2 {
        let phase = lab.run(&lab.request(0, attempt, line, inputs.clone()));
        assert!(matches!(phase, JobPhase::Succeeded(_)), "{phase:?}");
        assert_eq!(stdout(&lab.attempt(0, attempt)), "one\ntwo\nraw.txt\n");
        assert!(!lab.attempt(0, attempt).join("inputs").exists());
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
}

/// Every form of a value that names files, here those of two files.
fn all_forms(file: &Path, folder: &Path) -> Row {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let entry = |k: &str, v: &str| (rmpv::Value::from(k), rmpv::Value::from(v));
    let document = rmpv::Value::Map(vec![
        entry("path", &text(file)),
        entry("comment", "/etc/hostname"),
    ]);
    let mut packed = Vec::new();
    rmpv::encode::write_value(&mut packed, &document).unwrap();
    let fields = BTreeMap::from([("path".to_owned(), Document::String(text(folder)))]);
    let variant = LiteralType::simple(SimpleType::None);
    let value = blob(file).annotated("its hash", BTreeMap::new());
    Row::from_pairs([
        ("list", Literal::collection([blob(file), blob(file)])),
        ("map", Literal::map([("k", blob(folder))])),
        ("union", Literal::Union(Arc::new(Union { value, variant }))),
        (
            "packed",
            Literal::Binary(Arc::new(Binary {
                value: packed.into(),
                tag: MSGPACK_TAG.into(),
            })),
        ),
        ("generic", Literal::Generic(Arc::new(fields))),
        (
            "schema",
            Literal::Schema(Arc::new(Schema {
                uri: format!("{}/", text(folder)).into(),
                schema_type: None,
            })),
        ),
        (
            "dataset",
            Literal::StructuredDataset(Arc::new(StructuredDataset {
                uri: format!("file://{}", text(folder)).into(),
                dataset_type: None,
                has_metadata: false,
            })),
        ),
        ("text", Literal::string(text(file))),
        ("cloud", blob(Path::new("s3://bucket/key"))),
        ("gone", blob(&file.with_extension("gone"))),
    ])
}

/// A task that gives its inputs back as they are, in every form, gives the originals back.
#[test]
fn outputs_that_pass_an_input_through_name_the_original() {
    let mut lab = Lab::new();
    lab.options.file_roots.push(lab.path("data"));
    let path = raw(&lab, "one\n");
    let folder = path.parent().unwrap().to_path_buf();
    let inputs = all_forms(&path, &folder);
    let line = "cp {{.input}} {{.outputPrefix}}/outputs.pb; cp {{.input}} {{.outputPrefix}}/seen.pb; \
                find {{.inputPrefix}} -name raw.txt | wc -l";
    let request = lab.request(0, 0, line, inputs.clone());
    let phase = lab.run(&request);
    assert!(matches!(phase, JobPhase::Succeeded(_)), "{phase:?}");
    // Two in the list, and one each of: map, union, packed, generic, schema, dataset.
    assert_eq!(stdout(&lab.attempt(0, 0)).trim(), "8");
    let read = |name: &str| {
        let path = Path::new(&request.locations.output_prefix).join(name);
        decode_literal_map(&fs::read(path).unwrap()).unwrap()
    };
    let outputs = read("outputs.pb");
    assert_eq!(outputs.len(), inputs.len());
    for (name, value) in inputs.iter() {
        assert_eq!(outputs.get(name), Some(value), "{name}");
    }
    let seen = read("seen.pb");
    let private = lab.attempt(0, 0).join("inputs");
    for name in [
        "list", "map", "union", "packed", "generic", "schema", "dataset",
    ] {
        let value = format!("{:?}", seen.get(name).unwrap());
        let packed = match seen.get(name) {
            Some(Literal::Binary(b)) => String::from_utf8_lossy(&b.value).into_owned(),
            _ => value,
        };
        assert!(
            packed.contains(private.to_str().unwrap()),
            "{name}: {packed}"
        );
        assert!(
            !packed.contains(folder.to_str().unwrap()),
            "{name}: {packed}"
        );
    }
    for name in ["text", "cloud", "gone"] {
        assert_eq!(seen.get(name), inputs.get(name), "{name}");
    }
}

/// Above the bound the attempt reads the original. It is read-only by a mount, else by mode; root without a
/// mount namespace can write it, and fails for that.
#[test]
fn a_large_input_is_read_in_place_and_not_written() {
    let mut lab = Lab::new();
    lab.options.input_copy_bytes_max = 3;
    lab.options.file_roots.push(lab.path("data"));
    let path = raw(&lab, "one\n");
    let inputs = Row::from_pairs([("raw", blob(&path))]);
    let read = lab.run(&lab.request(0, 0, "cat {{.inputs.raw}}", inputs.clone()));
    assert!(matches!(read, JobPhase::Succeeded(_)), "{read:?}");
    assert_eq!(stdout(&lab.attempt(0, 0)), "one\n");
    let line = format!(
        "test {{{{.inputs.raw}}}} = {}; echo two >> {{{{.inputs.raw}}}}",
        path.display()
    );
    let phase = lab.run(&lab.request(0, 1, &line, inputs));
    let JobPhase::Failed { error, .. } = phase else {
        panic!("{phase:?}");
    };
    match fs::read_to_string(&path).unwrap().as_str() {
        "one\n" => assert_eq!(&*error.code, "ProcessExited"),
        _ => assert_eq!(&*error.code, "InputChanged"),
    }
}

#[test]
fn a_large_input_that_changed_meanwhile_fails_the_attempt_by_name() {
    let mut lab = Lab::new();
    lab.options.input_copy_bytes_max = 3;
    let path = raw(&lab, "one\n");
    let inputs = Row::from_pairs([("raw", blob(&path))]);
    let line =
        "touch {{.outputPrefix}}/begun; until [ -e {{.outputPrefix}}/go ]; do sleep 0.01; done";
    let request = lab.request(0, 0, line, inputs);
    let handle = lab.launch(&request).unwrap();
    let outputs = Path::new(&request.locations.output_prefix);
    let begun = Instant::now();
    while !outputs.join("begun").exists() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::yield_now();
    }
    fs::write(&path, "two\n").unwrap();
    fs::write(outputs.join("go"), "").unwrap();
    let failed = || match lab.end(&handle) {
        JobPhase::Failed {
            error, recoverable, ..
        } => {
            assert_eq!(&*error.code, "InputChanged");
            assert!(!recoverable);
            error.message.to_string()
        }
        other => panic!("{other:?}"),
    };
    let text = failed();
    assert!(
        text.contains(path.to_str().unwrap()) && text.contains("`raw`"),
        "{text}"
    );
    // What was said stays said.
    fs::remove_file(&path).unwrap();
    assert_eq!(failed(), text);
    lab.finalize(&handle);
    assert_eq!(failed(), text);
}

#[test]
fn a_disk_that_cannot_hold_the_copies_is_an_error_with_both_sizes() {
    const BYTES: u64 = 1 << 42;
    let mut lab = Lab::new();
    lab.options.input_copy_bytes_max = u64::MAX;
    let path = raw(&lab, "");
    if fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(BYTES)
        .is_err()
    {
        println!("skipped: this file system has no file of {BYTES} bytes");
        return;
    }
    let request = lab.request(0, 0, "true", Row::from_pairs([("raw", blob(&path))]));
    match lab.launch(&request) {
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Full, "{e}");
            let text = e.to_string();
            assert!(
                text.contains(&format!("needs about {BYTES} bytes")),
                "{text}"
            );
            assert!(text.contains("bytes free"), "{text}");
            assert!(!lab.attempt(0, 0).join("inputs").exists());
        }
        // The file system shares the blocks of copies.
        Ok(handle) => {
            assert!(matches!(lab.end(&handle), JobPhase::Succeeded(_)));
            lab.finalize(&handle);
        }
    }
}
