#![deny(unused_must_use)]

use flyte_core::author::*;

#[task]
fn number() -> i64 {
    1
}

fn main() {
    let _ = Workflow::<i64, ()>::build("w", |wf, n| {
        wf.when(n.gt(1), |wf| wf.call(number()));
        number();
    });
}
