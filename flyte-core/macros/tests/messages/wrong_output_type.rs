use flyte_core::author::*;
use flyte_core::contract::TaskError;

struct Connection;

#[task]
fn open(name: String) -> Connection {
    let _ = name;
    Connection
}

#[task]
fn open_or_fail(name: String) -> Result<Connection, TaskError> {
    let _ = name;
    Ok(Connection)
}

fn main() {}
