use std::collections::HashMap;
use std::path::PathBuf;

use flyte_core::contract::Query;
use flyte_core::id::ExecutionId;
use flyte_core::journal::IndexRow;
use flyte_core::names::execution_folder;
use flyte_core::object_store::{ObjectStoreExt, path::Path};
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
            for folder in places.map(|place| Path::from(format!("{place}/{own}"))) {
                let bad = |e: flyte_core::object_store::Error| {
                    Error::new(ErrorKind::Unavailable, "prune", e.to_string())
                        .with("folder", &folder)
                        .with_source(e)
                };
                let found: Vec<_> = blobs.list(Some(&folder)).try_collect().await.map_err(bad)?;
                for file in found {
                    files += 1;
                    bytes += file.size;
                    if !dry_run {
                        match blobs.delete(&file.location).await {
                            Ok(()) | Err(flyte_core::object_store::Error::NotFound { .. }) => {}
                            Err(e) => return Err(bad(e)),
                        }
                    }
                }
                if !dry_run && let Some(path) = local(root, &folder) {
                    tidy(&path);
                }
            }
        }
        Ok((files, bytes))
    }
}

/// Where a folder is on this machine; files in memory and in a cloud have none.
fn local(root: &str, folder: &Path) -> Option<PathBuf> {
    let root = std::path::Path::new(root);
    root.is_absolute().then(|| root.join(folder.as_ref()))
}

/// Deletes what a file system keeps beside files: folders that are empty now, and what is left of
/// uploads that were cut off. Folders that executions share stay.
fn tidy(folder: &std::path::Path) {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), error = %e, "an empty folder stays");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_root_on_this_machine_has_folders() {
        let of = |root| local(root, &Path::from("raw/own"));
        assert_eq!(of("/data"), Some("/data/raw/own".into()));
        // In memory: not a folder of wherever this program runs.
        assert_eq!(of(""), None);
        assert_eq!(of("s3://bucket/prefix"), None);
    }
}
