//! The service of docs/embedding.md, as several programs have it: each defines its own task, and the
//! same order is asked for by all of them.

use std::future::pending;
use std::time::Duration;

use flyte_host::prelude::*;
use flyte_host::scheduler::WaitError;

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the task needs of its host.
#[derive(Debug)]
pub struct Mailer;

/// Serves one order from the database of the first argument: the second is `hold` to wait until the
/// process is killed, or `pay` to let the order go on and print what comes of it.
///
/// # Errors
/// What the scheduler says.
pub async fn serve(orders: &Workflow<i64, String>) -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let (database, what) = (arguments.next(), arguments.next());
    let database = database.ok_or("where is the database?")?;
    let builder = flyte_host::open(database)?.resource(Mailer);
    let scheduler = builder.workflow(orders).build().await?;
    let order = scheduler.launch(orders, 7).named("order-7").or_attach();
    let order = order.await?;
    println!("started");
    if what.as_deref() == Some("hold") {
        return pending().await;
    }
    order.signal("paid", true).await?;
    match order.untyped().wait().await {
        Ok(outcome) => println!("{}: {}", outcome.phase, order.outputs().await?),
        Err(WaitError::Parked(why)) => {
            let health = scheduler.health().await;
            println!("parked: {why}");
            for (task, n) in health.changed_tasks {
                println!("{n} wait for `{task}`");
            }
        }
        Err(e) => return Err(e.into()),
    }
    scheduler.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
