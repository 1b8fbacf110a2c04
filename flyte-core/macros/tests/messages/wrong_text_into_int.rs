use flyte_core::author::*;

#[task]
fn name() -> String {
    "x".into()
}

#[task]
fn square(x: i64, times: i64) -> i64 {
    x.pow(times as u32)
}

fn main() {
    let _ = Workflow::<(), _>::build("w", |wf, _| {
        let n = wf.call(name());
        wf.call(square(2, n))
    });
    let _ = Workflow::<(), _>::build("w", |wf, _| wf.call(square("two", 2)));
    let _ = Workflow::<(), _>::build("w", |wf, _| wf.call(square(2, 2.0)));
}
