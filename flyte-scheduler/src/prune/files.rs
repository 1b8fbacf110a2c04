use std::collections::{BTreeSet, HashMap};

use flyte_core::contract::Query;
use flyte_core::id::{ExecutionId, Str, Tenant};
use flyte_core::journal::IndexRow;
use flyte_core::names::{for_parts, generated_name};
use flyte_core::object_store::{ObjectStoreExt, path::Path};
use flyte_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;

use super::Pruner;
use crate::engine::{EngineConfig, shard_of};

/// Rows that are read at once.
const PAGE: u32 = 1_024;

impl Pruner {
    /// The folders of an execution's files, without the root; `None` if somebody needs them.
    pub(super) async fn files_of(&self, id: &ExecutionId) -> Result<Option<Vec<String>>> {
        if self.blobs.is_none() {
            return Ok(Some(Vec::new()));
        }
        let folder = |t: &Tenant| format!("{}-{}-{}", t.project, t.domain, id.name);
        let own = folder(&id.tenant);
        for other in self.store.tenants().await? {
            if other == id.tenant {
                continue;
            }
            // Folders do not name the organisation, and names may have the dashes in them.
            let head = format!("{}-{}-", other.project, other.domain);
            let shared = own.strip_prefix(&head).into_iter().chain([&*id.name]);
            for name in shared {
                let other = ExecutionId::new(other.clone(), name);
                match self.store.locate(&other).await {
                    Ok(_) => return Ok(None),
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
        }
        let config = EngineConfig::default();
        let mut folders = vec![
            format!("{}/{own}/", config.metadata_prefix),
            format!("tasks/{own}/"),
        ];
        for name in self.attempts(id).await? {
            let shard = shard_of(&name);
            folders.push(format!("{}/{shard}/{name}/", config.raw_prefix));
        }
        if let Some(cache) = &self.cache {
            let held = cache.holds(&folders).await?;
            if held.contains(&true) {
                return Ok(None);
            }
        }
        Ok(Some(folders))
    }

    /// The names of all attempts that an execution can have begun.
    async fn attempts(&self, id: &ExecutionId) -> Result<BTreeSet<String>> {
        let mut nodes: HashMap<Str, u32> = HashMap::new();
        let mut from = None;
        loop {
            let query = Query::Nodes {
                execution: id.clone(),
                frame: None,
                limit: PAGE,
                from,
            };
            let page = self.store.query(&query).await?;
            for row in &page.items {
                if let IndexRow::Node(n) = row {
                    let most = nodes.entry(n.path.clone()).or_default();
                    *most = n.attempts.max(*most);
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let mut names = BTreeSet::new();
        for (path, attempts) in &nodes {
            for unique in unique_ids(path, &nodes) {
                let name = |attempt| generated_name(&id.name, &unique, attempt);
                names.extend((0..*attempts).map(name));
            }
        }
        Ok(names)
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

/// The unique ids that a node can have had: one for each attempt of each node around it.
fn unique_ids(path: &str, nodes: &HashMap<Str, u32>) -> Vec<String> {
    let (outer, id) = match (path.strip_suffix(']'), path.rfind(['/', '['])) {
        (_, None) => return vec![for_parts(20, &[path])],
        (Some(item), Some(at)) if path.as_bytes()[at] == b'[' => {
            (&path[..at], format!("n{}", &item[at + 1..]))
        }
        (_, Some(at)) => (&path[..at], path[at + 1..].to_owned()),
    };
    let attempts = nodes.get(outer).copied().unwrap_or(1).max(1);
    let mut out = Vec::new();
    for unique in unique_ids(outer, nodes) {
        for attempt in 0..attempts {
            out.push(for_parts(20, &[&unique, &attempt.to_string(), &id]));
        }
    }
    out
}
