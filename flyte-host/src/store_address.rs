use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flyte_core::contract::{Cache, Store};
use flyte_core::memory::{MemoryCache, MemoryStore};
use flyte_scheduler::SystemClock;

use crate::fail::{Refusal, Result};

/// A store, and its cache if it has one.
pub(crate) type Stores = (Arc<dyn Store>, Option<Arc<dyn Cache>>);

/// Where a store of executions is. Its `Display` hides the password of a database.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StoreAddress {
    /// In this process only.
    Memory,
    /// A file; the path is absolute.
    Sqlite(PathBuf),
    /// The url of a database.
    Postgres(String),
}

impl StoreAddress {
    /// Reads `memory`, `sqlite:PATH` or `postgres://...`; `place` is the option or variable.
    pub(crate) fn parse(text: &str, place: &str) -> Result<Self> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.into()));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => std::path::absolute(path)
                .map(Self::Sqlite)
                .map_err(|e| Refusal::new("Io", e.to_string()).at(place)),
            _ => Err(Refusal::new("Usage", format!("`{text}` is no store"))
                .at(place)
                .remedy("give `memory`, `sqlite:PATH` or `postgres://...`")),
        }
    }

    /// The text that `parse` reads, with the password.
    pub(crate) fn whole(&self) -> String {
        match self {
            Self::Memory => "memory".into(),
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Whether opening it would create a new file.
    pub(crate) fn is_new_file(&self) -> bool {
        matches!(self, Self::Sqlite(path) if !path.exists())
    }

    /// Refuses a store that cannot have executions of earlier runs.
    pub(crate) fn refuse_empty(&self, place: &str) -> Result<()> {
        if *self == Self::Memory {
            let text = "a store in memory has no executions of earlier runs";
            return Err(Refusal::new("Usage", text)
                .at(place)
                .remedy("use it with `run` only"));
        }
        if self.is_new_file() {
            let text = format!("there is no store {self}");
            return Err(Refusal::new("FileNotFound", text).at(place));
        }
        Ok(())
    }

    /// Opens the store and its cache; an SQLite file is created if it is not there.
    pub(crate) async fn open(&self, place: &str) -> Result<Stores> {
        match self {
            Self::Memory => {
                let cache = MemoryCache::new(Arc::new(SystemClock::default()));
                Ok((Arc::new(MemoryStore::default()), Some(Arc::new(cache))))
            }
            Self::Sqlite(path) => sqlite(path),
            Self::Postgres(url) => postgres(url, place).await,
        }
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(url) => f.write_str(&without_password(url)),
            _ => f.write_str(&self.whole()),
        }
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A url whose password, in the authority or as a parameter, is replaced by `***`.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (rest, parameters) = match rest.split_once('?') {
        Some((rest, parameters)) => (rest, Some(parameters)),
        None => (rest, None),
    };
    // A password that is not escaped may hold any of the signs that separate parts.
    let shown = match rest.rsplit_once('@') {
        Some((user, place)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:***@{place}"),
            None => rest.into(),
        },
        None => rest.into(),
    };
    let mut out = format!("{scheme}://{shown}");
    for (i, parameter) in parameters.iter().flat_map(|p| p.split('&')).enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        out.push_str(match parameter.split_once('=') {
            Some(("password", _)) => "password=***",
            _ => parameter,
        });
    }
    out
}

fn sqlite(path: &Path) -> Result<Stores> {
    let store = flyte_store::SqliteStore::open(path)?;
    let cache = store.cache();
    Ok((store, Some(cache)))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, _: &str) -> Result<Stores> {
    let options = flyte_store::PostgresOptions::new(url);
    let store = flyte_store::PostgresStore::open(options).await?;
    let cache = store.cache();
    Ok((store, Some(cache)))
}

#[cfg(not(feature = "postgres"))]
#[allow(clippy::unused_async)] // It is the twin of the one that opens.
async fn postgres(_: &str, place: &str) -> Result<Stores> {
    let text = "this flyte-rs was built without Postgres";
    Err(Refusal::new("Usage", text)
        .at(place)
        .remedy("build it with `--features postgres`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("postgres://u:secret@h:5/d", "postgres://u:***@h:5/d"),
            ("postgres://u:se@cr/et@h/d", "postgres://u:***@h/d"),
            ("postgres://u@h/d", "postgres://u@h/d"),
            (
                "postgres://h/d?password=secret&sslmode=require",
                "postgres://h/d?password=***&sslmode=require",
            ),
        ] {
            let address = StoreAddress::parse(url, "--store").unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
            assert_eq!(address.whole(), url);
        }
    }

    #[test]
    fn relative_paths_become_absolute_and_nonsense_is_refused() {
        let here = std::env::current_dir().unwrap();
        let address = StoreAddress::parse("sqlite:x.db", "--store").unwrap();
        assert_eq!(address, StoreAddress::Sqlite(here.join("x.db")));
        for wrong in ["", "sqlite:", "mysql://h/d", "x.db"] {
            let refusal = StoreAddress::parse(wrong, "--store").unwrap_err();
            assert!(refusal.line().starts_with("--store: "), "{wrong}");
        }
    }
}
