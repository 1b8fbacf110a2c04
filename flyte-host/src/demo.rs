//! `flyte-rs demo`: the training pipeline of the examples.

use serde_json::json;

use crate::cli::Common;
use crate::fail::{Refusal, Result};
use crate::state::State;

// The example has a `main` of its own.
#[allow(dead_code, unreachable_pub, clippy::print_stdout)]
#[path = "../../examples/training_pipeline.rs"]
mod training_pipeline;

use training_pipeline::{Hyperparameters, run};

pub(crate) async fn demo(learning_rate: f64, trees: u32, seed: u32, common: &Common) -> Result<u8> {
    refuse_unused(common)?;
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
    if common.json {
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

/// The pipeline has a database of its own, one tenant and no Python.
fn refuse_unused(common: &Common) -> Result<()> {
    let given = [
        ("--store", common.store.is_some()),
        ("--blobs", common.blobs.is_some()),
        ("--project", common.project.is_some()),
        ("--domain", common.domain.is_some()),
        ("--python", common.python.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            let text = "the demo runs in Rust and keeps everything in .flyte/demo.db";
            Err(Refusal::new("Usage", text)
                .at(option)
                .remedy("leave the option out"))
        }
        None => Ok(()),
    }
}
