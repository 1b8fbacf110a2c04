use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flyte_core::contract::{Cache, Store};
use flyte_core::limits::{OFFLOAD_BYTES_MAX, OFFLOAD_BYTES_MIN};
use flyte_core::memory::{MemoryCache, MemoryStore};

use flyte_scheduler::SystemClock;
use flyte_store::{BlobOptions, Blobs};

use crate::fail::{Refusal, Result};

/// A store, and its cache if it has one.
type Stores = (Arc<dyn Store>, Option<Arc<dyn Cache>>);

/// The folder `.flyte` where everything of this program lives.
#[derive(Clone, Debug)]
pub(crate) struct State(PathBuf);

impl State {
    /// `.flyte` in the working directory, made if it is not there.
    pub(crate) fn open() -> Result<Self> {
        let bad = |e: std::io::Error| Refusal::new("Io", e.to_string()).at("./.flyte");
        let dir = std::env::current_dir().map_err(bad)?.join(".flyte");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(bad)?;
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).map_err(bad)?;
        let ignore = dir.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(ignore, "*\n").map_err(bad)?;
        }
        Ok(Self(dir))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The store of `--store`, or of the variable `FLYTE_STORE`, with its cache.
    pub(crate) async fn store(&self, wish: Option<&str>) -> Result<Stores> {
        let variable = std::env::var("FLYTE_STORE").ok();
        let (place, wish) = match wish {
            Some(wish) => ("--store", Some(wish)),
            None => ("FLYTE_STORE", variable.as_deref()),
        };
        let path = match wish {
            Some("memory") => {
                let cache = MemoryCache::new(Arc::new(SystemClock::default()));
                return Ok((Arc::new(MemoryStore::default()), Some(Arc::new(cache))));
            }
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                return postgres(url, place).await;
            }
            Some(other) => match other.strip_prefix("sqlite:") {
                Some(path) => PathBuf::from(path),
                None => {
                    return Err(Refusal::new("Usage", format!("`{other}` is no store"))
                        .at(place)
                        .remedy("give `memory`, `sqlite:PATH` or `postgres://...`"));
                }
            },
            None => self.path("flyte.db"),
        };
        let store = flyte_store::SqliteStore::open(&path)?;
        let cache = store.cache();
        Ok((store, Some(cache)))
    }

    /// Above how many bytes values are stored as files: `--offload-above`, or the variable
    /// `FLYTE_OFFLOAD_ABOVE`.
    pub(crate) fn offload_above(wish: Option<u64>) -> Result<Option<u64>> {
        let bounds = OFFLOAD_BYTES_MIN..=OFFLOAD_BYTES_MAX;
        let (place, bytes) = match (wish, std::env::var_os("FLYTE_OFFLOAD_ABOVE")) {
            (Some(bytes), _) => ("--offload-above", Some(bytes)),
            (None, None) => return Ok(None),
            (None, Some(text)) => {
                let bytes = text.to_str().and_then(|t| t.parse().ok());
                ("FLYTE_OFFLOAD_ABOVE", bytes)
            }
        };
        match bytes.filter(|b| bounds.contains(b)) {
            Some(bytes) => Ok(Some(bytes)),
            None => {
                let text = "it must be a number of bytes";
                let remedy = format!("give {OFFLOAD_BYTES_MIN} to {OFFLOAD_BYTES_MAX}");
                Err(Refusal::new("Usage", text).at(place).remedy(remedy))
            }
        }
    }

    /// Where files of executions are: `--blobs`, or the variable `FLYTE_BLOBS`, or a folder here.
    pub(crate) fn blobs(&self, wish: Option<&str>) -> Result<Blobs> {
        let variable = match std::env::var("FLYTE_BLOBS") {
            Err(std::env::VarError::NotUnicode(_)) if wish.is_none() => {
                return Err(Refusal::new("Invalid", "it is no text").at("FLYTE_BLOBS"));
            }
            variable => variable.ok(),
        };
        let (place, wish) = match wish {
            Some(wish) => ("--blobs", Some(wish)),
            None => ("FLYTE_BLOBS", variable.as_deref()),
        };
        let url = match wish {
            Some(url) if url.contains("://") => url.to_owned(),
            Some(path) => std::path::absolute(path)
                .map_err(|e| Refusal::new("Io", e.to_string()).at(place))?
                .to_string_lossy()
                .into_owned(),
            None => {
                let dir = self.path("data");
                std::fs::create_dir_all(&dir)
                    .map_err(|e| Refusal::new("Io", e.to_string()).at(dir.display()))?;
                dir.to_string_lossy().into_owned()
            }
        };
        let opened = BlobOptions::from_env(url).open();
        opened.map_err(|e| Refusal::new("Usage", e.to_string()).at(place))
    }

    /// A folder that goes when it is no longer needed.
    pub(crate) fn temporary(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix("tmp-")
            .tempdir_in(&self.0)
            .map_err(|e| Refusal::new("Io", e.to_string()).at(self.0.display()))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, _: &'static str) -> Result<Stores> {
    let options = flyte_store::PostgresOptions::new(url);
    let store = flyte_store::PostgresStore::open(options).await?;
    let cache = store.cache();
    Ok((store, Some(cache)))
}

#[cfg(not(feature = "postgres"))]
#[allow(clippy::unused_async)] // It is the twin of the one that opens.
async fn postgres(_: &str, place: &'static str) -> Result<Stores> {
    let text = "this flyte-rs was built without Postgres";
    Err(Refusal::new("Usage", text)
        .at(place)
        .remedy("build it with `--features postgres`"))
}
