use std::io::Write;
use std::time::Duration;

use flyte_host::core::contract::TaskContext;
use flyte_host::prelude::*;

/// Workflows of a number and the folder in which tasks note what they do; each gives a text.
pub(super) type Shape = Workflow<(i64, String), String>;

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The names of the workflows.
pub(super) const SHAPES: [&str; 6] = ["chain", "map", "cached", "written", "child", GIVEN];

/// The workflow that is given a stored input, by its uri in place of the folder.
pub(super) const GIVEN: &str = "given";

/// How many keys the cached files have.
pub(super) const KEYS: i64 = 24;

/// How many bytes a file has.
pub(super) const BYTES: usize = 16 << 10;

#[task]
async fn step(n: i64) -> i64 {
    flyte_host::tokio::time::sleep(Duration::from_millis(5)).await;
    n + 1
}

#[task]
fn upto(n: i64) -> Vec<i64> {
    (0..n).collect()
}

#[task]
fn shown(n: i64) -> String {
    n.to_string()
}

/// Appends a line of its own.
fn note(cx: &TaskContext, folder: &str) -> Fallible<()> {
    let path = std::path::Path::new(folder).join("computed");
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path)?;
    Ok(file.write_all(format!("{}\n", cx.key()).as_bytes())?)
}

#[task(cache = "1", cache_ignore(folder))]
async fn kept(cx: Cx<kept>, key: i64, folder: String) -> Result<File, TaskError> {
    note(&cx, &folder)?;
    Ok(cx.file("kept", vec![key as u8; BYTES]).await?)
}

#[task]
async fn written(cx: Cx<written>, n: i64) -> Result<File, TaskError> {
    Ok(cx.file("written", vec![n as u8; BYTES]).await?)
}

/// A stored input of the execution, a moment later.
#[task]
async fn given(uri: String) -> File {
    flyte_host::tokio::time::sleep(Duration::from_millis(20)).await;
    File { uri: uri.into() }
}

/// Reads a file through and says where it is.
#[task]
async fn read(cx: Cx<read>, file: File) -> Result<String, TaskError> {
    let bytes = cx.open(&file).await?;
    match bytes.len() == BYTES {
        true => Ok(file.uri.to_string()),
        false => Err(format!("{} has {} bytes", file.uri, bytes.len()).into()),
    }
}

/// A workflow by its name.
pub(super) fn shape(name: &str) -> Fallible<Shape> {
    Ok(match name {
        "chain" => Shape::build(name, |wf, (n, _)| {
            let mut n = wf.call(step(n));
            for _ in 0..5 {
                n = wf.call(step(n));
            }
            wf.call(shown(n))
        })?,
        "map" => Shape::build(name, |wf, (n, _)| {
            let all = wf.call(upto(12));
            wf.call(map(all, |n| step(n)).concurrency(5));
            wf.call(shown(n))
        })?,
        "cached" => Shape::build(name, |wf, (n, folder)| {
            let file = wf.call(kept(n, folder));
            wf.call(read(file))
        })?,
        "written" => Shape::build(name, |wf, (n, _)| {
            let file = wf.call(written(n));
            wf.call(read(file))
        })?,
        GIVEN => Shape::build(name, |wf, (_, uri)| {
            let file = wf.call(given(uri));
            wf.call(read(file))
        })?,
        "child" => {
            let inner = shape("cached")?;
            Shape::build(name, |wf, (n, folder)| {
                let first = wf.call(step(n));
                let child = wf.launch(&inner, (n, folder));
                wf.after(child, first);
                child
            })?
        }
        other => return Err(format!("there is no workflow `{other}`").into()),
    })
}
