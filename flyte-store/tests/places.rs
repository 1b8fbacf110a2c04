//! Places of tasks in a folder of the disk, where a path becomes one of the system.

use flyte_core::contract::{HostResources, TaskContext, TaskContextParts};
use flyte_core::id::{Digest, ExecutionId, NodeAddr, Tenant};
use flyte_core::literal::Timestamp;
use flyte_core::object_store::ObjectStoreExt;
use flyte_core::object_store::path::Path;
use flyte_store::local_blobs;

const ELSEWHERE: [&str; 3] = ["other", "root/other", "root/tasks/e/0/0/0/outputs/other"];

#[tokio::test]
async fn no_path_leaves_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for file in ELSEWHERE {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "not yours").unwrap();
    }
    let parts = TaskContextParts {
        execution: ExecutionId::new(Tenant::default(), "e"),
        plan: Digest([0; 32]),
        submitted_at: Timestamp::UNIX_EPOCH,
        epoch: 1,
        blobs: local_blobs(&root).unwrap(),
        root: root.to_string_lossy().into_owned(),
        prefix: Path::from("tasks/e"),
        resources: HostResources::default(),
        progress: None,
    };
    let cx = TaskContext::new(
        parts.into(),
        Default::default(),
        NodeAddr::default(),
        0,
        None,
        None,
    );
    let raw = cx.raw();
    let texts = [
        "../outputs/other",
        "../../../../../../other",
        "../../../../../../../other",
        "%2E%2E/outputs/other",
        "..%2Foutputs%2Fother",
        "x/../../outputs/other",
        "/other",
        &format!("{}/other", root.display()),
        &format!("file://{}/other", root.display()),
        "..",
        ".",
        "",
    ];
    let mut paths: Vec<Path> = texts.iter().map(|t| Path::from(*t)).collect();
    paths.extend(texts.iter().filter_map(|t| Path::parse(t).ok()));
    paths.extend(texts.iter().filter_map(|t| Path::from_url_path(t).ok()));
    assert!(paths.len() > texts.len());
    for path in paths {
        assert!(raw.get(&path).await.is_err(), "read by {path}");
        let _may_be_no_name = raw.put(&path, "mine".into()).await;
        let _may_not_be_there = raw.delete(&path).await;
    }
    for file in ELSEWHERE {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert_eq!(text, "not yours", "{file}");
    }
    let names = |path| -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        let name = |e: std::io::Result<std::fs::DirEntry>| e.unwrap().file_name();
        let mut all: Vec<_> = entries.map(|e| name(e).into_string().unwrap()).collect();
        all.sort();
        all
    };
    assert_eq!(names(folder.path().to_owned()), ["other", "root"]);
    assert_eq!(names(root.clone()), ["other", "tasks"]);
    let outputs = root.join("tasks/e/0/0/0/outputs");
    assert_eq!(names(outputs), ["other"]);

    raw.put(&"a b/ü.txt".into(), "mine".into()).await.unwrap();
    let file = raw.file_at(&"a b/ü.txt".into());
    let text = std::fs::read_to_string(&*file.uri).unwrap();
    assert_eq!(text, "mine", "its uri is a path of the disk");
    assert_eq!(cx.open(&file).await.unwrap(), "mine");
}
