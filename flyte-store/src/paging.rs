//! Where a page of the index ends and the next one begins.

use flyte_core::journal::IndexRow;
use flyte_core::{Error, ErrorKind, Result};

/// Where the next page begins: after this row.
pub(crate) fn key(row: &IndexRow) -> String {
    match row {
        IndexRow::Execution(e) => format!("{}/{}", e.created_at.as_unix_millis(), e.id.name),
        IndexRow::Node(n) => format!("{}/{}", n.addr.frame.0, n.addr.node.0),
        IndexRow::Attempt(a) => {
            let addr = a.key.addr;
            format!("{}/{}/{}", addr.frame.0, addr.node.0, a.key.attempt)
        }
        _ => String::new(),
    }
}

/// The time and the name after which executions are wanted.
pub(crate) fn execution(from: Option<&str>) -> Result<(i64, &str)> {
    let Some(from) = from else {
        return Ok((i64::MAX, ""));
    };
    from.split_once('/')
        .and_then(|(created, name)| Some((created.parse().ok()?, name)))
        .ok_or_else(|| bad(from))
}

/// The frame, node and attempt after which rows are wanted.
pub(crate) fn place(from: Option<&str>) -> Result<[i64; 3]> {
    let Some(from) = from else {
        return Ok([-1; 3]);
    };
    let mut out = [-1; 3];
    for (slot, part) in out.iter_mut().zip(from.split('/')) {
        *slot = part.parse().map_err(|_| bad(from))?;
    }
    Ok(out)
}

fn bad(from: &str) -> Error {
    let text = format!("`{from}` is not where a page ended; give back `Page::next` as it is");
    Error::new(ErrorKind::Invalid, "query", text)
}
