use flyte_core::author::*;

struct Connection;

#[task]
fn read(from: Connection, rows: i64) -> i64 {
    let _ = from;
    rows
}

#[task]
fn narrow(count: u32) -> i64 {
    i64::from(count)
}

fn main() {}
