use flyte_core::author::*;

#[task]
fn items() -> Vec<i64> {
    vec![1]
}

fn main() {
    let _ = Workflow::<i64, _>::build("w", |wf, n| {
        let xs = wf.call(items());
        wf.when(n.gt(1.5), |_| n).elif(xs.eq(vec![1]), |_| n).otherwise(|_| n)
    });
    let _ = Workflow::<i64, _>::build("w", |wf, n| wf.when(true, |_| n).otherwise(|_| n));
}
