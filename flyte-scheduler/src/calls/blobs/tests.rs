use flyte_core::id::{AttemptKey, ExecutionId, NodeAddr, Tenant};
use flyte_core::literal::{Blob, BlobType, Dimensionality, Timestamp};
use flyte_core::object_store::memory::InMemory;
use futures::executor::block_on;

use super::*;

const ROOT: &str = "s3://bucket/flyte";

struct Bench(Arc<dyn ObjectStore>);

impl Bench {
    fn with(files: &[(&str, &str)]) -> Self {
        let bench = Self(Arc::new(InMemory::new()));
        files.iter().for_each(|(path, text)| bench.put(path, text));
        bench
    }

    fn put(&self, path: &str, text: &str) {
        let bytes = text.to_owned().into();
        block_on(self.0.put(&path.into(), bytes)).unwrap();
    }

    fn delete(&self, path: &str) {
        block_on(self.0.delete(&path.into())).unwrap();
    }

    fn files(&self) -> ResultFiles<'_> {
        let bounds = Bounds {
            digest_bytes_max: 10,
            digest_sum_bytes_max: 25,
            files_max: 3,
        };
        ResultFiles {
            bounds,
            ..ResultFiles::new(&self.0, ROOT)
        }
    }

    fn publish(&self, uris: &[&str]) -> Artifact {
        let mut artifact = artifact(uris);
        artifact.blobs = block_on(self.files().note(&artifact.outputs)).unwrap();
        artifact
    }

    fn lost(&self, artifact: &Artifact) -> Option<String> {
        block_on(self.files().lost(artifact)).unwrap()
    }
}

fn artifact(uris: &[&str]) -> Artifact {
    let blob = |uri: &&str| {
        let kind = BlobType {
            format: "".into(),
            dimensionality: Dimensionality::Single,
        };
        Literal::Blob(Arc::new(Blob::new(*uri, kind)))
    };
    let outputs = Literal::Collection(Arc::new(uris.iter().map(blob).collect()));
    Artifact {
        outputs: Row::from_pairs([("o0", outputs)]),
        producer: AttemptKey {
            execution: ExecutionId::new(Tenant::default(), "e"),
            addr: NodeAddr::default(),
            attempt: 0,
        },
        created_at: Timestamp::UNIX_EPOCH,
        blobs: Vec::new(),
    }
}

fn ours(path: &str) -> String {
    format!("{ROOT}/{path}")
}

#[test]
fn a_longer_file_is_compared_by_its_length_alone() {
    let bench = Bench::with(&[("short", "0123456789"), ("long", "0123456789a")]);
    let (short, long) = (ours("short"), ours("long"));
    let artifact = bench.publish(&[&short, &long]);
    assert_eq!(bench.lost(&artifact), None);
    bench.put("long", "another one");
    assert_eq!(bench.lost(&artifact), None, "as it is promised");
    bench.put("long", "a shorter");
    let told = bench.lost(&artifact).unwrap();
    assert_eq!(told, format!("`{long}` has 9 bytes, and had 11"));
    bench.put("long", "0123456789a");
    bench.put("short", "012345678x");
    let told = bench.lost(&artifact).unwrap();
    assert_eq!(told, format!("`{short}` has other bytes than it had"));
}

#[test]
fn digests_end_where_their_files_are_long_together() {
    let bench = Bench::with(&[
        ("d/1", "aaaaaaaaaa"),
        ("d/2", "bbbbbbbbbb"),
        ("d/3", "cccccc"),
    ]);
    let artifact = bench.publish(&[&ours("d")]);
    let digests: Vec<bool> = artifact.blobs[0]
        .files
        .iter()
        .map(|f| f.digest.is_some())
        .collect();
    assert_eq!(digests, [true, true, false], "10 + 10 + 6 are more than 25");
    bench.put("d/2", "BBBBBBBBBB");
    let told = bench.lost(&artifact).unwrap();
    assert!(
        told.ends_with("file `2` that has other bytes than it had"),
        "{told}"
    );
}

#[test]
fn a_folder_is_its_files() {
    let files = [("d/1", "one"), ("d/in/2", "two")];
    let bench = Bench::with(&files);
    let artifact = bench.publish(&[&ours("d")]);
    let check = |wanted: Option<&str>| {
        let wanted = wanted.map(|why| format!("`{}` {why}", ours("d")));
        assert_eq!(bench.lost(&artifact), wanted);
    };
    check(None);
    bench.put("d/3", "");
    check(Some("has a new file `3`"));
    bench.delete("d/3");
    bench.put("d2/1", "not in it");
    check(None);
    bench.put("d/in/2", "twos");
    check(Some("has a file `in/2` that has 4 bytes, and had 3"));
    bench.delete("d/in/2");
    check(Some("lost its file `in/2`"));
    bench.delete("d/1");
    check(Some("is gone"));
    bench.put("d", "a file");
    check(Some("was a folder, and is a file"));
}

#[test]
fn a_file_is_no_folder() {
    let bench = Bench::with(&[("f", "text")]);
    let artifact = bench.publish(&[&ours("f")]);
    bench.delete("f");
    bench.put("f/1", "text");
    let told = bench.lost(&artifact).unwrap();
    assert!(told.ends_with("was a file, and is a folder"), "{told}");
}

#[test]
fn a_folder_of_too_many_files_must_be_there() {
    let four = [("d/1", ""), ("d/2", ""), ("d/3", ""), ("d/4", "")];
    let bench = Bench::with(&four);
    bench.put("f", "x");
    let artifact = bench.publish(&[&ours("d"), &ours("f")]);
    let noted: Vec<&str> = artifact.blobs.iter().map(|b| &*b.uri).collect();
    assert_eq!(noted, [ours("f")]);
    bench.delete("d/4");
    assert_eq!(bench.lost(&artifact), None);
    ["d/1", "d/2", "d/3"]
        .iter()
        .for_each(|path| bench.delete(path));
    assert_eq!(
        bench.lost(&artifact),
        Some(format!("`{}` is gone", ours("d")))
    );
}

#[test]
fn a_folder_with_more_files_than_are_compared_is_not_what_it_was() {
    let bench = Bench::with(&[("d/1", ""), ("d/2", ""), ("d/3", "")]);
    let artifact = bench.publish(&[&ours("d")]);
    assert_eq!(bench.lost(&artifact), None);
    bench.put("d/4", "");
    let told = bench.lost(&artifact).unwrap();
    assert!(told.ends_with("has more files than it had"), "{told}");
}

#[test]
fn a_result_of_an_earlier_version_is_looked_for() {
    let bench = Bench::with(&[("f", "text"), ("d/1", "")]);
    let artifact = artifact(&[&ours("f"), &ours("d")]);
    assert_eq!(bench.lost(&artifact), None);
    bench.put("f", "other");
    assert_eq!(bench.lost(&artifact), None);
    bench.delete("d/1");
    assert_eq!(
        bench.lost(&artifact),
        Some(format!("`{}` is gone", ours("d")))
    );
    bench.put("d/1", "");
    bench.delete("f");
    assert_eq!(
        bench.lost(&artifact),
        Some(format!("`{}` is gone", ours("f")))
    );
}

#[test]
fn what_lies_elsewhere_is_not_looked_at() {
    let bench = Bench::with(&[]);
    let elsewhere = [
        "s3://bucket/flyte2/x",
        "s3://other/x",
        "https://a.example/x",
        "/x",
    ];
    let artifact = bench.publish(&elsewhere);
    assert!(artifact.blobs.is_empty());
    assert_eq!(bench.lost(&artifact), None);
    let artifact = bench.publish(&[&ours("never-there")]);
    let told = bench.lost(&artifact).unwrap();
    assert!(told.ends_with("is gone"), "{told}");
    bench.put("never-there", "late");
    let told = bench.lost(&artifact).unwrap();
    assert!(told.ends_with("was not there when it was stored"), "{told}");
}

#[test]
fn local_files_have_two_forms_of_uri() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    block_on(store.put(&"f".into(), "text".into())).unwrap();
    let files = ResultFiles::new(&store, "/data");
    let mut artifact = artifact(&["file:///data/f", "/data/f", "/database/f"]);
    artifact.blobs = block_on(files.note(&artifact.outputs)).unwrap();
    assert_eq!(artifact.blobs.len(), 2);
    assert_eq!(block_on(files.lost(&artifact)).unwrap(), None);
    block_on(store.put(&"f".into(), "TEXT".into())).unwrap();
    assert!(block_on(files.lost(&artifact)).unwrap().is_some());
}
