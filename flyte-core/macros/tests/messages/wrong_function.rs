use flyte_core::author::*;

#[task]
fn generic<T>(x: T) -> i64 {
    1
}

#[task]
fn borrows(text: &str) -> i64 {
    text.len() as i64
}

#[task]
fn takes_apart((a, b): (i64, i64)) -> i64 {
    a + b
}

struct S;
impl S {
    #[task]
    fn method(&self, x: i64) -> i64 {
        x
    }
}

#[dynamic]
fn without_builder(n: i64) -> Output<i64> {
    n
}

#[task]
fn opaque() -> impl Sized {
    1
}

fn main() {}
