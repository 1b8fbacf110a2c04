use flyte_core::author::*;

#[task]
fn number() -> i64 {
    1
}

#[task]
fn text() -> String {
    "x".into()
}

fn main() {
    let _ = Workflow::<i64, _>::build("w", |wf, n| {
        wf.when(n.gt(1), |wf| wf.call(number()))
            .otherwise(|wf| wf.call(text()))
    });
}
