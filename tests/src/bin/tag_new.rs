//! The third of three programs: the task has another name, and its old tag. It goes on.

use flyte_host::core::id::{ExecutionId, Tenant};
use flyte_host::{prelude::*, tokio};

/// What `pack` was.
#[task(tag = "shop::pack")]
fn wrap(path: String) -> String {
    format!(
        "wrapped {}",
        std::fs::read_to_string(path).unwrap_or_default()
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let database = std::env::args().nth(1).unwrap();
    let scheduler = flyte_host::open(database)?.build().await?;
    // So that the task is linked, and known by its tag.
    let wf = Workflow::<String, String>::build("orders", |wf, path| wf.call(wrap(path)))?;
    let id = ExecutionId::new(Tenant::default(), "o1");
    println!("{}", scheduler.attach_to_id(&wf, &id).await?.await?);
    scheduler.shutdown(std::time::Duration::from_secs(10)).await;
    Ok(())
}
