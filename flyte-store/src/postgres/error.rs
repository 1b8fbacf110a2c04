use flyte_core::{Error, ErrorKind, Retry};
use tokio_postgres::error::SqlState;

/// What a lost answer leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing: a transaction that did not get to its end is undone.
    None,
    /// Whether the statement, or the transaction that it ends, took effect.
    Effect,
}

/// The one place where Postgres' errors become ours.
pub(super) fn classify(operation: &'static str, doubt: Doubt, e: tokio_postgres::Error) -> Error {
    let code = e.code().map_or("", SqlState::code);
    let (kind, remedy) = kind_of(code);
    let text = match e.as_db_error() {
        Some(db) => format!("{}{remedy} (SQLSTATE {code})", db.message()),
        None => format!("the connection failed: {}", said(&e)),
    };
    let error = Error::new(kind, operation, text);
    // A server that answers an error has undone the transaction, unless it was on its way out.
    let open = code.is_empty() || code.starts_with("57P") || code.starts_with("08");
    let error = match (kind, doubt) {
        (ErrorKind::Unavailable, Doubt::Effect) if open => error.with_retry(Retry::Ambiguous),
        _ => error,
    };
    error.with_source(e)
}

/// By SQLSTATE; the empty one is that of a connection that failed.
fn kind_of(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "" => (ErrorKind::Unavailable, ""),
        // Canceled by its time-out, or kept by a lock for too long; or the victim of a deadlock.
        "57014" | "55P03" | "40001" | "40P01" => (ErrorKind::Unavailable, ""),
        // The transaction stood still for too long and was undone.
        "25P03" => (ErrorKind::Unavailable, ""),
        "53100" => (ErrorKind::Full, "; make room on the database's disk"),
        "25006" => (
            ErrorKind::Denied,
            "; this server takes no writes: connect to its primary",
        ),
        "42501" => (
            ErrorKind::Denied,
            "; grant the user its rights on the schema",
        ),
        "42P01" | "3F000" | "42703" => (
            ErrorKind::Corrupt,
            "; the tables are not those of this program: restore them from a backup",
        ),
        "22021" | "22P05" => (ErrorKind::Invalid, "; Postgres keeps no NUL in texts"),
        "54000" | "54001" => (ErrorKind::Limit, ""),
        _ => match code.get(..2) {
            Some("08" | "53" | "57" | "58") => (ErrorKind::Unavailable, ""),
            Some("28") => (ErrorKind::Denied, "; check user and password"),
            Some("3D") => (ErrorKind::Denied, "; create the database"),
            Some("XX") => (
                ErrorKind::Corrupt,
                "; the database is damaged: restore it from a backup",
            ),
            _ => (ErrorKind::Other, ""),
        },
    }
}

/// The innermost cause, which is what people can act on.
fn said(e: &tokio_postgres::Error) -> String {
    let mut text = e.to_string();
    let mut cause = std::error::Error::source(e);
    while let Some(e) = cause {
        text = e.to_string();
        cause = e.source();
    }
    text
}

/// No answer in time: the connection is taken for lost.
pub(super) fn silent(operation: &'static str, doubt: Doubt) -> Error {
    let error = Error::new(
        ErrorKind::Unavailable,
        operation,
        "the database did not answer in time",
    );
    match doubt {
        Doubt::None => error,
        Doubt::Effect => error.with_retry(Retry::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let cases = [
            ("", ErrorKind::Unavailable),
            ("57014", ErrorKind::Unavailable),
            ("57P01", ErrorKind::Unavailable),
            ("25P03", ErrorKind::Unavailable),
            ("53300", ErrorKind::Unavailable),
            ("53100", ErrorKind::Full),
            ("25006", ErrorKind::Denied),
            ("28P01", ErrorKind::Denied),
            ("3D000", ErrorKind::Denied),
            ("42P01", ErrorKind::Corrupt),
            ("XX001", ErrorKind::Corrupt),
            ("22021", ErrorKind::Invalid),
            ("23505", ErrorKind::Other),
        ];
        for (code, wanted) in cases {
            assert_eq!(kind_of(code).0, wanted, "{code}");
        }
    }
}
