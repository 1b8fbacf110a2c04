use flyte_core::author::*;

#[task]
fn fit(train: Vec<i64>, rate: f64) -> f64 {
    train.len() as f64 * rate
}

fn main() {
    let _ = Workflow::<Vec<i64>, _>::build("w", |wf, xs| wf.call(fit(xs)));
}
