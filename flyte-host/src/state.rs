use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flyte_core::limits::{OFFLOAD_BYTES_MAX, OFFLOAD_BYTES_MIN};
use flyte_store::{BlobOptions, Blobs};

use crate::fail::{Refusal, Result};
use crate::store_address::StoreAddress;
use crate::store_list::StoreList;

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

    /// The store that `--store` or the variable `FLYTE_STORE` names, and which of them.
    pub(crate) fn named_store(wish: Option<&str>) -> Result<Option<(&'static str, StoreAddress)>> {
        let (place, text) = match wish {
            Some(wish) => ("--store", Some(wish.to_owned())),
            None => ("FLYTE_STORE", variable("FLYTE_STORE")?),
        };
        let parsed = text.map(|text| StoreAddress::parse(&text, place));
        Ok(parsed.transpose()?.map(|address| (place, address)))
    }

    /// The folder's own store.
    pub(crate) fn own_store(&self) -> StoreAddress {
        StoreAddress::Sqlite(self.path("flyte.db"))
    }

    /// The other stores that runs of this folder used.
    pub(crate) fn stores(&self) -> StoreList {
        StoreList::of(&self.0)
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
        let (place, wish) = match wish {
            Some(wish) => ("--blobs", Some(wish.to_owned())),
            None => ("FLYTE_BLOBS", variable("FLYTE_BLOBS")?),
        };
        let url = match wish {
            Some(url) if url.contains("://") => url,
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

    /// Whether an option or a variable names the place of files.
    pub(crate) fn names_blobs(wish: Option<&str>) -> bool {
        wish.is_some() || std::env::var_os("FLYTE_BLOBS").is_some()
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

/// The text of a variable, if it is set.
fn variable(name: &'static str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Refusal::new("Invalid", "its value is no UTF-8 text")
                .at(name)
                .remedy("set it anew, or unset it"))
        }
    }
}
