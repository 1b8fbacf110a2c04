//! `flyte-rs demo`: the training pipeline of the examples.

use serde_json::json;

use crate::fail::{Refusal, Result};
use crate::state::State;

// The example has a `main` of its own.
#[allow(dead_code, unreachable_pub, clippy::print_stdout)]
#[path = "../../examples/training_pipeline.rs"]
mod training_pipeline;

use training_pipeline::{Hyperparameters, run};

pub(crate) async fn demo(learning_rate: f64, trees: u32, seed: u32, as_json: bool) -> Result<u8> {
    let hyper = Hyperparameters {
        learning_rate,
        trees: trees.into(),
        depth: 4,
        seed: seed.into(),
    };
    let database = State::open()?.root().join("demo.db");
    let ran = run(&database, hyper).await;
    let (metrics, tasks) = ran.map_err(|e| Refusal::new("Demo", e.to_string()))?;
    let (accuracy, auc, f1) = (metrics.accuracy, metrics.auc, metrics.f1);
    if as_json {
        let tasks: serde_json::Map<_, _> = tasks.into_iter().map(|(t, c)| (t, c.into())).collect();
        out!(
            "{}",
            json!({"accuracy": accuracy, "auc": auc, "f1": f1, "tasks": tasks})
        )?;
    } else {
        for (task, cache) in tasks {
            tell!("{task:<10} {cache}");
        }
        out!("accuracy {accuracy:.4}, AUC {auc:.4}, F1 {f1:.4}")?;
    }
    Ok(0)
}
