use flyte_core::author::*;

#[task(retry = 3)]
fn a() {}

#[task(timeout = "10 minutes")]
fn b() {}

#[task(retries = -1)]
fn c() {}

#[task(cache_ignore(y), cache = "1")]
fn d(x: i64) {
    let _ = x;
}

#[task(retries = 1, retries = 2)]
fn e() {}

#[derive(LiteralEnum)]
enum F {
    G(i64),
}

#[derive(LiteralStruct)]
struct H {
    #[literal(renam = "x")]
    x: i64,
}

#[task(retries = 5000)]
fn i() {}

#[task(retries = 3, backoff = "5m..1s")]
fn j() {}

#[task(retries = 3, backoff = "1s")]
fn k() {}

#[task(node_timeout = "for ever")]
fn l() {}

fn main() {}
