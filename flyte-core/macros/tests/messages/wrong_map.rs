use flyte_core::author::*;

#[task]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn main() {
    let _ = Workflow::<(i64, Vec<i64>, Vec<String>), _>::build("maps", |wf, (n, xs, texts)| {
        let one = wf.map(n, |x| add(x, 1));
        let two = wf.map((xs, n), |(x, y)| add(x, y));
        let other = wf.map((xs, texts), |(x, text)| add(x, text));
        (one, two, other)
    });
}
