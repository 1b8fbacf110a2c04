use flyte_core::author::*;
use flyte_core::contract::TaskError;

struct Db;
struct Http;

#[task]
fn fetch(cx: Cx<fetch>, db: Res<Db>, url: String) -> Result<i64, TaskError> {
    let _ = (db, url);
    let _ = cx.resource::<Http>()?;
    Ok(1)
}

fn main() {}
