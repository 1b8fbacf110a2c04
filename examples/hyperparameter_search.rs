//! A dynamic workflow: what runs in the second round depends on what came out of the first.

use flyte_host::{prelude::*, tokio};

#[derive(Clone, Debug, PartialEq, LiteralStruct)]
struct Trial {
    rate: f64,
    loss: f64,
}

/// Stands for a training: the best rate is 0.3.
#[task(cache = "1")]
fn train(rate: f64) -> Trial {
    let loss = (rate - 0.3).powi(2);
    Trial { rate, loss }
}

#[task]
fn best(trials: Vec<Trial>) -> Result<Trial, TaskError> {
    let by_loss = |a: &Trial, b: &Trial| a.loss.total_cmp(&b.loss);
    trials
        .into_iter()
        .min_by(by_loss)
        .ok_or_else(|| TaskError::new("no trials"))
}

/// Tries rates around the best one so far, closer each time, until the step is small.
#[dynamic]
fn search(wf: &mut WorkflowBuilder, around: Trial, step: f64) -> Output<Trial> {
    if step < 0.001 {
        return wf.constant(around);
    }
    let rates = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|k| around.rate + k * step);
    let trials: Vec<Output<Trial>> = rates.into_iter().map(|r| wf.call(train(r))).collect();
    let best = wf.call(best(trials));
    wf.call(search(best, step / 2.0))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let wf = Workflow::<f64, _>::build("hyperparameters", |wf, first| {
        let start = wf.call(train(first));
        wf.call(search(start, 0.4))
    })?;
    let scheduler = flyte_host::open("search.db")?.build().await?;
    let found = scheduler.launch(&wf, 0.9).await?.await?;
    println!("rate {:.3}, loss {:.6}", found.rate, found.loss);
    scheduler.shutdown(std::time::Duration::from_secs(10)).await;
    Ok(())
}
