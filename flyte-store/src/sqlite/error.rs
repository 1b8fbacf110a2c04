use flyte_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// The one place where SQLite's errors become ours.
pub(super) fn classify(operation: &'static str, e: rusqlite::Error) -> Error {
    let (kind, remedy) = match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (ErrorKind::Full, "; make room on the disk"),
        Some(ErrorCode::ReadOnly) => (ErrorKind::Denied, "; the file is read-only"),
        Some(ErrorCode::CannotOpen) => (ErrorKind::Denied, "; check the path and its rights"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            ErrorKind::Corrupt,
            "; the file is damaged: restore it from a backup",
        ),
        None if matches!(e, rusqlite::Error::InvalidColumnType(..)) => (
            ErrorKind::Corrupt,
            "; the file is damaged: restore it from a backup",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Unavailable,
            "; another process holds it for long",
        ),
        Some(ErrorCode::SystemIoFailure) => (ErrorKind::Unavailable, "; the disk failed"),
        _ => (ErrorKind::Other, ""),
    };
    Error::new(kind, operation, format!("{e}{remedy}")).with_source(e)
}
