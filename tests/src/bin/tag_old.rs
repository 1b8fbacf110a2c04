//! The first of three programs: a task under its first name. It submits and is killed.

use flyte_host::{prelude::*, tokio};

/// Waits for a file.
#[task(tag = "shop::pack")]
async fn pack(path: String) -> String {
    while !std::path::Path::new(&path).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    "packed".into()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let (database, path) = (arguments.next().unwrap(), arguments.next().unwrap());
    let wf = Workflow::<String, _>::build("orders", |wf, path| wf.call(pack(path)))?;
    let scheduler = flyte_host::open(database)?.build().await?;
    let run = scheduler.launch(&wf, path).named("o1").await?;
    println!("submitted");
    println!("{}", run.await?);
    Ok(())
}
