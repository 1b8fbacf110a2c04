//! The pipeline that started Flyte, in Rust: prepare data, train gradient boosted trees, score the
//! held-out part, measure. The second run computes nothing; another learning rate trains again.
//!
//! ```sh
//! cargo run --release -p flyte-host --features demo --example training_pipeline -- 0.3
//! ```

use flyte_host::core::contract::Query;
use flyte_host::core::journal::IndexRow;
use flyte_host::prelude::*;
use flyte_host::tokio;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::metrics;
use smartcore::xgboost::{XGRegressor, XGRegressorParameters};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Trees = XGRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>;

/// Samples and what they are: 1 for benign.
#[derive(Clone, Debug, LiteralStruct)]
struct Samples {
    rows: Vec<Vec<f64>>,
    labels: Vec<f64>,
}

impl Samples {
    fn matrix(&self) -> Result<DenseMatrix<f64>, Error> {
        Ok(DenseMatrix::from_2d_vec(&self.rows)?)
    }
}

/// What can be turned.
#[derive(Clone, Debug, LiteralStruct)]
pub struct Hyperparameters {
    /// How much each tree corrects the ones before.
    pub learning_rate: f64,
    /// How many trees.
    pub trees: i64,
    /// How deep each is.
    pub depth: i64,
    /// Draws what each tree sees.
    pub seed: i64,
}

/// How good the model is on data that it has not seen.
#[derive(Clone, Debug, PartialEq, LiteralStruct)]
pub struct Metrics {
    /// The share of right answers.
    pub accuracy: f64,
    /// The area under the ROC curve.
    pub auc: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
}

/// Splits the breast cancer data that the crate ships; the seed draws who is held out.
#[task(cache = "1")]
fn prepare(held_out: f64, seed: i64) -> Result<(Samples, Samples), Error> {
    let all = smartcore::dataset::breast_cancer::load_dataset();
    let mut parts = (Vec::new(), Vec::new());
    let mut state = seed as u64;
    for (row, label) in all.data.chunks(all.num_features).zip(&all.target) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let drawn = (state >> 11) as f64 / (1u64 << 53) as f64;
        let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        let part = if drawn < held_out {
            &mut parts.1
        } else {
            &mut parts.0
        };
        part.push((row, f64::from(*label)));
    }
    let samples = |part: Vec<(Vec<f64>, f64)>| {
        let (rows, labels) = part.into_iter().unzip();
        Samples { rows, labels }
    };
    Ok((samples(parts.0), samples(parts.1)))
}

/// The model as JSON.
#[task(cache = "1", retries = 2, timeout = "10m")]
fn train(data: Samples, hyper: Hyperparameters) -> Result<String, Error> {
    let parameters = XGRegressorParameters::default()
        .with_learning_rate(hyper.learning_rate)
        .with_n_estimators(usize::try_from(hyper.trees)?)
        .with_max_depth(u16::try_from(hyper.depth)?)
        .with_subsample(0.8)
        .with_seed(u64::try_from(hyper.seed)?);
    let model = Trees::fit(&data.matrix()?, &data.labels, parameters)?;
    Ok(serde_json::to_string(&model)?)
}

/// A score for each sample.
#[task(cache = "1")]
fn score(model: String, data: Samples) -> Result<Vec<f64>, Error> {
    let model: Trees = serde_json::from_str(&model)?;
    Ok(model.predict(&data.matrix()?)?)
}

#[task(cache = "1")]
fn measure(scores: Vec<f64>, data: Samples) -> Metrics {
    let guesses: Vec<f64> = scores
        .iter()
        .map(|s| f64::from(u8::from(*s > 0.5)))
        .collect();
    let whole = |values: &[f64]| values.iter().map(|v| *v as u32).collect::<Vec<_>>();
    Metrics {
        accuracy: metrics::accuracy(&whole(&data.labels), &whole(&guesses)),
        auc: metrics::roc_auc_score(&data.labels, &scores),
        f1: metrics::f1(&data.labels, &guesses, 1.0),
    }
}

/// Runs the pipeline on a database; gives the metrics, and each task with how the cache took part.
pub async fn run(
    database: &std::path::Path,
    hyper: Hyperparameters,
) -> Result<(Metrics, Vec<(String, String)>), Error> {
    let wf = Workflow::<(f64, Hyperparameters), _>::build("training", |wf, (held_out, hyper)| {
        let (training, test) = wf.call(prepare(held_out, hyper.seed()).named("prepare"));
        let model = wf.call(train(training, hyper).named("train"));
        let scores = wf.call(score(model, test).named("score"));
        wf.call(measure(scores, test).named("measure"))
    })?;
    let scheduler = flyte_host::open(database)?.build().await?;
    let run = scheduler.launch(&wf, (0.3, hyper)).await?;
    let metrics = (&run).await?;
    let nodes = Query::Nodes {
        execution: run.id().clone(),
        frame: None,
        limit: 100,
        from: None,
    };
    let mut tasks = Vec::new();
    for row in scheduler.store().query(&nodes).await?.items {
        if let IndexRow::Node(node) = row {
            tasks.push((node.name.to_string(), node.cache.to_string()));
        }
    }
    scheduler.shutdown(std::time::Duration::from_secs(10)).await;
    Ok((metrics, tasks))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let learning_rate = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 0.3,
    };
    let hyper = Hyperparameters {
        learning_rate,
        trees: 40,
        depth: 4,
        seed: 7,
    };
    let (metrics, tasks) = run("training.db".as_ref(), hyper).await?;
    for (task, cache) in tasks {
        println!("{task:<10} {cache}");
    }
    println!("{metrics:?}");
    Ok(())
}
