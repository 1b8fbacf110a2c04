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

#[tokio::test]
async fn local_files_have_two_forms_of_uri() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    store.put(&"f".into(), "text".into()).await.unwrap();
    let files = ResultFiles::new(&store, "/data-in-memory");
    let uris = [
        "file:///data-in-memory/f",
        "/data-in-memory/f",
        "/data-in-memory-too/f",
    ];
    let mut artifact = artifact(&uris);
    artifact.blobs = files.note(&artifact.outputs).await.unwrap();
    assert_eq!(artifact.blobs.len(), 2);
    assert_eq!(files.lost(&artifact).await.unwrap(), None);
    store.put(&"f".into(), "TEXT".into()).await.unwrap();
    assert!(files.lost(&artifact).await.unwrap().is_some());
}

/// A root on this machine, with a store of files that knows nothing of it.
struct Disk {
    folder: tempfile::TempDir,
    store: Arc<dyn ObjectStore>,
}

impl Disk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            store: Arc::new(InMemory::new()),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn root(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    async fn publish(&self, names: &[&str]) -> Result<Artifact> {
        let uris: Vec<String> = names
            .iter()
            .map(|n| format!("{}/{n}", self.root()))
            .collect();
        let uris: Vec<&str> = uris.iter().map(|u| &**u).collect();
        let mut artifact = artifact(&uris);
        let files = ResultFiles::new(&self.store, self.root());
        artifact.blobs = files.note(&artifact.outputs).await?;
        Ok(artifact)
    }

    async fn lost(&self, artifact: &Artifact) -> Option<String> {
        let files = ResultFiles::new(&self.store, self.root());
        let lost = files.lost(artifact).await.unwrap();
        lost.map(|text| text.replace(self.root(), "ROOT"))
    }
}

const NAMES: [&str; 13] = [
    "part#1", "#", "100%", "a%20b", "q?", "s*", "b[1]", " lead", ".hidden", "größe", "名", "a\nb",
    "..x",
];

#[tokio::test]
async fn every_name_of_this_machine_is_noted_and_compared() {
    for name in NAMES {
        let disk = Disk::new();
        disk.write(name, "alone");
        disk.write(&format!("d/{name}"), "inside");
        disk.write(&format!("d/{name}.d/{name}"), "deep");
        let artifact = disk.publish(&[name, "d"]).await.unwrap();
        assert_eq!(disk.lost(&artifact).await, None, "{name}");
        for (path, had) in [
            (name.to_owned(), "alone"),
            (format!("d/{name}"), "inside"),
            (format!("d/{name}.d/{name}"), "deep"),
        ] {
            disk.write(&path, "other");
            let told = disk.lost(&artifact).await.unwrap_or_default();
            assert!(told.contains("had"), "{path}: {told}");
            std::fs::remove_file(disk.path(&path)).unwrap();
            let told = disk.lost(&artifact).await.unwrap_or_default();
            let wanted = ["gone", "lost its file", "was a file"];
            assert!(wanted.iter().any(|w| told.contains(w)), "{path}: {told}");
            disk.write(&path, had);
        }
        assert_eq!(disk.lost(&artifact).await, None, "{name}");
        disk.write(&format!("d/{name}+"), "new");
        let told = disk.lost(&artifact).await.unwrap();
        assert!(told.contains("has a new file"), "{told}");
    }
}

#[tokio::test]
async fn empty_folders_are_noted_and_compared() {
    let disk = Disk::new();
    std::fs::create_dir_all(disk.path("none")).unwrap();
    std::fs::create_dir_all(disk.path("deep/a/b")).unwrap();
    std::fs::create_dir_all(disk.path("deep/c")).unwrap();
    disk.write("mixed/f", "text");
    std::fs::create_dir_all(disk.path("mixed/e")).unwrap();
    let none = disk.publish(&["none"]).await.unwrap();
    let deep = disk.publish(&["deep"]).await.unwrap();
    let mixed = disk.publish(&["mixed"]).await.unwrap();
    let noted = |a: &Artifact| -> Vec<String> {
        let files = a.blobs[0].files.iter();
        files.map(|f| f.path.to_string()).collect()
    };
    assert_eq!(noted(&none), ["/"]);
    assert_eq!(noted(&deep), ["a/b/", "c/"]);
    assert_eq!(noted(&mixed), ["e/", "f"]);
    for artifact in [&none, &deep, &mixed] {
        assert_eq!(disk.lost(artifact).await, None);
    }
    disk.write("none/f", "");
    std::fs::remove_dir(disk.path("deep/a/b")).unwrap();
    std::fs::remove_dir(disk.path("mixed/e")).unwrap();
    let told = disk.lost(&none).await.unwrap();
    assert_eq!(told, "`ROOT/none` has a new file `f`");
    let told = disk.lost(&deep).await.unwrap();
    assert_eq!(told, "`ROOT/deep` lost its empty folder `a/b/`");
    let told = disk.lost(&mixed).await.unwrap();
    assert_eq!(told, "`ROOT/mixed` lost its empty folder `e/`");
    std::fs::create_dir_all(disk.path("mixed/e")).unwrap();
    std::fs::create_dir_all(disk.path("mixed/g")).unwrap();
    let told = disk.lost(&mixed).await.unwrap();
    assert_eq!(told, "`ROOT/mixed` has a new empty folder `g/`");
    std::fs::remove_dir_all(disk.path("none")).unwrap();
    assert_eq!(disk.lost(&none).await.unwrap(), "`ROOT/none` is gone");
}

#[tokio::test]
async fn a_link_counts_as_its_file_or_by_its_target() {
    let disk = Disk::new();
    disk.write("file", "text");
    std::fs::create_dir_all(disk.path("d")).unwrap();
    let link = |to: &str, name: &str| {
        let at = disk.path(name);
        let _none = std::fs::remove_file(&at);
        std::os::unix::fs::symlink(to, at).unwrap();
    };
    link("../file", "d/file");
    link("..", "d/round");
    link("nowhere", "d/dead");
    let artifact = disk.publish(&["d"]).await.unwrap();
    assert_eq!(
        artifact.blobs[0].files.len(),
        3,
        "no link is followed in a circle"
    );
    assert_eq!(disk.lost(&artifact).await, None);
    link("elsewher", "d/dead");
    assert!(disk.lost(&artifact).await.is_some());
    link("nowhere", "d/dead");
    disk.write("file", "TEXT");
    let told = disk.lost(&artifact).await.unwrap();
    assert!(
        told.ends_with("file `file` that has other bytes than it had"),
        "{told}"
    );
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_an_error_that_shows_it() {
    use std::os::unix::ffi::OsStrExt;
    let disk = Disk::new();
    disk.write("d/in/f", "");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    std::fs::write(disk.path("d/in").join(name), "").unwrap();
    let e = disk.publish(&["d"]).await.unwrap_err();
    assert!(e.message().contains("`in/caf\\xe9` is not UTF-8"), "{e}");
}

#[tokio::test]
async fn an_empty_folder_of_a_cloud_is_nothing_below_its_uri() {
    let bench = Bench::with(&[]);
    let folder = BlobType {
        format: "".into(),
        dimensionality: Dimensionality::Multipart,
    };
    let mut artifact = artifact(&[]);
    let blob = Literal::Blob(Arc::new(Blob::new(ours("d"), folder)));
    artifact.outputs = Row::from_pairs([("o0", blob)]);
    artifact.blobs = bench.files().note(&artifact.outputs).await.unwrap();
    assert_eq!(bench.files().lost(&artifact).await.unwrap(), None);
    bench
        .files()
        .blobs
        .put(&"d/1".into(), "".into())
        .await
        .unwrap();
    let told = bench.files().lost(&artifact).await.unwrap().unwrap();
    assert!(told.ends_with("has a new file `1`"), "{told}");
}
