use std::collections::HashMap;
use std::path::PathBuf;
use std::{fs, io};

use flyte_core::contract::Query;
use flyte_core::id::ExecutionId;
use flyte_core::journal::IndexRow;
use flyte_core::names::execution_folder;
use flyte_core::object_store::{self, ObjectStore, ObjectStoreExt, path::Path};
use flyte_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;

use super::Pruner;
use crate::engine::EngineConfig;

/// The name of the folder of each execution that was looked at.
pub(super) type Folders = HashMap<ExecutionId, String>;

impl Pruner {
    /// Whether a cached result needs the files of each, whose folders are noted.
    pub(super) async fn look(
        &self,
        ids: &[ExecutionId],
        folders: &mut Folders,
    ) -> Result<Vec<bool>> {
        let mut texts = Vec::with_capacity(ids.len());
        for id in ids {
            let execution = id.clone();
            let page = self.store.query(&Query::Execution { execution }).await?;
            // Without a row somebody else was quicker, and there is nothing to look for.
            let Some(IndexRow::Execution(row)) = page.items.first() else {
                folders.remove(id);
                texts.push(None);
                continue;
            };
            let own = execution_folder(&row.id, &row.plan, row.created_at);
            texts.push(Some(format!("/{own}/")));
            folders.insert(id.clone(), own);
        }
        let Some(cache) = &self.cache else {
            return Ok(vec![false; ids.len()]);
        };
        let asked: Vec<String> = texts.iter().flatten().cloned().collect();
        let mut held = cache.holds(&asked).await?.into_iter();
        let mut held = |t: &Option<String>| t.is_some() && held.next().unwrap_or(true);
        Ok(texts.iter().map(&mut held).collect())
    }

    /// Deletes the files of executions; how many, and their bytes.
    pub(super) async fn delete(
        &self,
        ids: &[ExecutionId],
        folders: &Folders,
        dry_run: bool,
    ) -> Result<(u64, u64)> {
        let (mut files, mut bytes) = (0, 0);
        let Some((blobs, root)) = &self.blobs else {
            return Ok((0, 0));
        };
        let config = EngineConfig::default();
        let places = [&*config.metadata_prefix, &*config.raw_prefix, "tasks"];
        for own in ids.iter().filter_map(|id| folders.get(id)) {
            for place in places {
                let folder = format!("{place}/{own}");
                let (gone_files, gone_bytes) = match local(root, &folder) {
                    Some(path) => on_disk(path, dry_run).await?,
                    None => in_store(&**blobs, &Path::from(folder), dry_run).await?,
                };
                files += gone_files;
                bytes += gone_bytes;
            }
        }
        Ok((files, bytes))
    }
}

/// Deletes what a store of files lists below a folder; how many files, and their bytes.
pub(super) async fn in_store(
    blobs: &dyn ObjectStore,
    folder: &Path,
    dry_run: bool,
) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let bad = |e: object_store::Error| {
        Error::new(ErrorKind::Unavailable, "prune", e.to_string())
            .with("folder", folder)
            .with_source(e)
    };
    let found: Vec<_> = blobs.list(Some(folder)).try_collect().await.map_err(bad)?;
    for file in found {
        files += 1;
        bytes += file.size;
        if !dry_run {
            match blobs.delete(&file.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(bad(e)),
            }
        }
    }
    Ok((files, bytes))
}

/// Where a folder is on this machine; files in memory and in a cloud have none.
fn local(root: &str, folder: &str) -> Option<PathBuf> {
    let root = std::path::Path::new(root);
    let there = root.is_absolute() && root.is_dir();
    there.then(|| root.join(folder))
}

/// Deletes a folder of this machine with all that is in it, also what a store of files does not
/// list; how many files, and their bytes.
pub(super) async fn on_disk(folder: PathBuf, dry_run: bool) -> Result<(u64, u64)> {
    let work = move || {
        let counted = count(&folder, dry_run)?;
        match dry_run {
            true => Ok(counted),
            false => match fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err((folder, e)),
                _ => Ok(counted),
            },
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|e| Error::new(ErrorKind::Other, "prune", e.to_string()))?;
    done.map_err(|(path, e)| {
        Error::new(ErrorKind::Unavailable, "prune", e.to_string())
            .with("path", path.display())
            .with_source(e)
    })
}

/// The files below a folder and their bytes; opens folders that could not be emptied otherwise.
fn count(folder: &std::path::Path, dry_run: bool) -> std::result::Result<(u64, u64), At> {
    let (mut files, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !dry_run {
            open(&folder).map_err(|e| (folder.clone(), e))?;
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err((folder, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| (folder.clone(), e))?;
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => {
                    files += 1;
                    bytes += meta.len();
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err((entry.path(), e)),
            }
        }
    }
    Ok((files, bytes))
}

/// Where something went wrong, and what.
type At = (PathBuf, io::Error);

/// Lets the owner of a folder delete what is in it.
#[cfg(unix)]
fn open(folder: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut mode = match fs::symlink_metadata(folder) {
        Ok(meta) => meta.permissions(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if mode.mode() & 0o700 == 0o700 {
        return Ok(());
    }
    mode.set_mode(mode.mode() | 0o700);
    fs::set_permissions(folder, mode)
}

#[cfg(not(unix))]
fn open(_: &std::path::Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_root_on_this_machine_has_folders() {
        let of = |root| local(root, "raw/own");
        assert_eq!(of("/"), Some("/raw/own".into()));
        assert_eq!(of("/never/there"), None);
        // In memory: not a folder of wherever this program runs.
        assert_eq!(of(""), None);
        assert_eq!(of("s3://bucket/prefix"), None);
    }
}
