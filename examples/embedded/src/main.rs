use flyte_host::{prelude::*, tokio};

#[task] // a plain function: it may block
fn split(n: i64) -> (Vec<f64>, Vec<f64>) {
    (vec![1.0; n as usize], vec![2.0])
}
#[task(retries = 3, timeout = "10m")] // an error by `?` is retried, after a growing delay
async fn fit(train: Vec<f64>, rate: String) -> Result<f64, TaskError> {
    tokio::task::yield_now().await; // or call a service
    Ok(rate.parse::<f64>().fatal()? * train.iter().sum::<f64>()) // `fatal`: no retry would help
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wf = Workflow::<(i64, String), _>::build("train", |wf, (n, rate)| {
        let (train, _) = wf.call(split(n)); // handles: what does not fit does not compile
        let model = wf.call(fit(train, rate).named("fit"));
        wf.when(model.gt(1.0), |_| model).or_fail("no good model")
    })?;
    let scheduler = flyte_host::open("app.db")?.build().await?;
    let run = scheduler.launch(&wf, (15, "0.1".into()));
    let run = run.named("order-7").or_attach().await?; // durable now: it survives a crash
    assert_eq!(run.await?, 1.5);
    Ok(())
}
