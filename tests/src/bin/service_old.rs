//! The service before a deploy.
// Tasks may be async and wait for nothing.
#![allow(clippy::unused_async)]

use flyte_host::{prelude::*, tokio};
use flyte_tests::service::{Mailer, serve};

#[task(tag = "service::confirm", retries = 3)]
async fn confirm(mailer: Res<Mailer>, order: i64) -> String {
    format!("{order} by {mailer:?}")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let orders = Workflow::<i64, _>::build("order", |wf, n| {
        let paid = wf.approve(n, "paid", "7d");
        wf.call(confirm(paid))
    })?;
    serve(&orders).await
}
