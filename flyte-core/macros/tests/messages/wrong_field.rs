use flyte_core::author::*;

#[derive(LiteralStruct)]
struct Model {
    weight: f64,
}

#[task]
fn fit() -> Model {
    Model { weight: 0.5 }
}

fn main() {
    let _ = Workflow::<(), _>::build("w", |wf, _| {
        let m = wf.call(fit());
        m.wait()
    });
    let _ = Workflow::<(), _>::build("w", |wf, _| {
        let m = wf.call(fit());
        m.weigth()
    });
}
