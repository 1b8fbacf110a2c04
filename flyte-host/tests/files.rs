//! Files that tasks in Rust write and read, alone and with those of flytekit.

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flyte_core::author::ForeignTask;
use flyte_core::template::TaskTarget;
use flyte_host::prelude::*;
use flyte_idl::convert::{decode, task_from_pb};
use flyte_plugins::process::{ProcessOptions, ProcessPlugin};

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
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let (code, data) = (path("code"), path("data"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files.py");
    let template = folder.path().join("task");
    let ran = Command::new(common::python())
        .args([&script, &template])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    std::fs::copy(script, code.join("uppers.py")).unwrap();
    let template = decode(&std::fs::read(template).unwrap()).unwrap();
    let mut template = task_from_pb(&template).unwrap();
    let Some(TaskTarget::Container(c)) = &mut template.target else {
        panic!("a task of flytekit is a container");
    };
    // The script ran as `__main__`.
    for a in &mut c.args {
        if a == "__main__" || a == "files" {
            *a = "uppers".into();
        }
    }
    let upper = ForeignTask::<File, File>::new(template, ["f"]).unwrap();
    let wf = Workflow::<String, _>::build("both", |wf, text| {
        let file = wf.call(write(text));
        let file = wf.call(upper.call(file).named("python"));
        wf.call(read(file))
    })
    .unwrap();
    let options = ProcessOptions {
        path_prepend: vec![common::python().parent().unwrap().to_owned()],
        working_dir: Some(code),
        ..ProcessOptions::default()
    };
    let scheduler = Scheduler::builder()
        .blobs(
            flyte_store::local_blobs(&data).unwrap(),
            data.to_string_lossy(),
        )
        .plugin(Arc::new(ProcessPlugin::new(options)))
        .build()
        .await
        .unwrap();
    let run = scheduler.launch(&wf, "a file".to_owned()).await.unwrap();
    assert_eq!(run.await.unwrap(), "A FILE");
}
