use flyte_core::author::*;
use std::rc::Rc;

#[task]
async fn keeps(n: i64) -> i64 {
    let shared = Rc::new(n);
    std::future::ready(()).await;
    *shared
}

fn main() {}
