use flyte_core::author::*;

#[derive(LiteralStruct)]
struct Model {
    weight: f64,
    rows: u64,
}

fn main() {}
