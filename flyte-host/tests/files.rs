//! Files that tasks in Rust write and read, alone and with those of flytekit.

mod common;
#[path = "common/foreign.rs"]
mod foreign;

use std::path::Path;
use std::process::Command;

use flyte_core::author::ForeignTask;
use flyte_host::prelude::*;
use foreign::Place;

#[task]
async fn write(cx: Cx<write>, text: String) -> Result<File, TaskError> {
    Ok(cx.file("text.txt", text).await?)
}

#[task]
async fn read(cx: Cx<read>, file: File) -> Result<String, TaskError> {
    Ok(String::from_utf8(cx.open(&file).await?.to_vec())?)
}

#[tokio::test]
async fn a_file_goes_from_task_to_task_and_no_further_than_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let scheduler = flyte_host::open(folder.path().join("app.db"));
    let scheduler = scheduler.unwrap().build().await.unwrap();
    let wf = Workflow::<String, _>::build("through", |wf, text| {
        let file = wf.call(write(text));
        (file, wf.call(read(file)))
    })
    .unwrap();
    let run = scheduler.launch(&wf, "a file".to_owned()).await.unwrap();
    let (file, text) = run.await.unwrap();
    assert_eq!(text, "a file");
    // Where it says.
    assert_eq!(std::fs::read_to_string(&*file.uri).unwrap(), "a file");
    assert!(file.uri.ends_with("/raw/text.txt"), "{}", file.uri);

    let other = folder.path().join("secret.txt");
    std::fs::write(&other, "not yours").unwrap();
    let wf = Workflow::<File, _>::build("elsewhere", |wf, file| wf.call(read(file))).unwrap();
    let given = File::at(other.to_string_lossy());
    let run = scheduler.launch(&wf, given).await.unwrap();
    let told = run.await.unwrap_err().to_string();
    assert!(
        told.contains("secret.txt") && told.contains("copy it there"),
        "{told}"
    );
}

#[tokio::test]
async fn a_file_goes_to_flytekit_and_back() {
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files.py");
    let written = place.folder.path().join("task");
    let ran = Command::new(common::python())
        .args([&script, &written])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let template = place.task("files", "uppers", &written);
    let upper = ForeignTask::<File, File>::new(template, ["f"]).unwrap();
    let wf = Workflow::<String, _>::build("both", |wf, text| {
        let file = wf.call(write(text));
        let file = wf.call(upper.call(file).named("python"));
        wf.call(read(file))
    })
    .unwrap();
    let scheduler = place.scheduler().await;
    let run = scheduler.launch(&wf, "a file".to_owned()).await.unwrap();
    assert_eq!(run.await.unwrap(), "A FILE");
}
