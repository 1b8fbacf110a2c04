//! A workflow that waits for a person: the approval comes as a signal, here from another task of
//! the host; it might as well come from another process, or after a restart.

use std::time::Duration;

use flyte_host::core::literal::Literal;
use flyte_host::{prelude::*, tokio};

#[task]
fn draft(topic: String) -> String {
    format!("a text about {topic}")
}

#[task]
fn publish(text: String, copies: i64) -> String {
    format!("{copies} × {text}")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let wf = Workflow::<String, _>::build("review", |wf, topic| {
        let text = wf.call(draft(topic));
        let approved = wf.approve(text, "publish it", "7days");
        let copies = wf.signal::<i64>("copies", "7days");
        wf.call(publish(approved, copies))
    })?;
    let scheduler = flyte_host::open("approval.db")?.build().await?;
    let run = scheduler.launch(&wf, "rust".into()).named("rust-1").await?;

    let editor = scheduler.clone();
    let id = run.id().clone();
    tokio::spawn(async move {
        // A wrong answer is refused and changes nothing.
        let wrong = editor.signal(&id, "copies", Literal::Boolean(true)).await;
        println!("refused: {}", wrong.expect_err("copies is a number"));
        editor.signal(&id, "copies", Literal::Integer(3)).await?;
        editor
            .signal(&id, "publish it", Literal::Boolean(true))
            .await
    });

    println!("{}", run.await?);
    scheduler.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
