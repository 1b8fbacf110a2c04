use flyte_core::contract::Query;
use flyte_core::id::ExecutionId;
use flyte_core::journal::IndexRow;
use flyte_core::names::execution_folder;
use flyte_core::object_store::{ObjectStoreExt, path::Path};
use flyte_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;

use super::Pruner;
use crate::engine::EngineConfig;

impl Pruner {
    /// The folders of an execution's files, without the root; `None` if somebody needs them.
    pub(super) async fn files_of(&self, id: &ExecutionId) -> Result<Option<Vec<String>>> {
        if self.blobs.is_none() {
            return Ok(Some(Vec::new()));
        }
        let execution = id.clone();
        let page = self.store.query(&Query::Execution { execution }).await?;
        let Some(IndexRow::Execution(row)) = page.items.first() else {
            return Ok(Some(Vec::new()));
        };
        let own = execution_folder(&row.id, &row.plan, row.created_at);
        let config = EngineConfig::default();
        let folders = vec![
            format!("{}/{own}/", config.metadata_prefix),
            format!("{}/{own}/", config.raw_prefix),
            format!("tasks/{own}/"),
        ];
        if let Some(cache) = &self.cache {
            let held = cache.holds(&folders).await?;
            if held.contains(&true) {
                return Ok(None);
            }
        }
        Ok(Some(folders))
    }

    /// Deletes what lies in folders; how many files, and their bytes.
    pub(super) async fn delete(&self, folders: &[String], dry_run: bool) -> Result<(u64, u64)> {
        let (mut files, mut bytes) = (0, 0);
        let Some((blobs, _)) = &self.blobs else {
            return Ok((0, 0));
        };
        for folder in folders {
            let folder = Path::from(folder.trim_end_matches('/'));
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
        }
        Ok((files, bytes))
    }
}
