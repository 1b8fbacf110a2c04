//! The second of three programs: it does not know the task. The execution is parked, by name.

use flyte_host::core::id::{ExecutionId, Tenant};
use flyte_host::tokio;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let database = std::env::args().nth(1).unwrap();
    let scheduler = flyte_host::open(database)?.build().await?;
    let id = ExecutionId::new(Tenant::default(), "o1");
    let run = scheduler.attach(&id).await?;
    println!("{}", run.wait().await.expect_err("nobody here can run it"));
    println!("{}", scheduler.explain(&id, "n0").await?);
    scheduler.shutdown(std::time::Duration::from_secs(10)).await;
    Ok(())
}
