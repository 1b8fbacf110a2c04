//! What tasks left in files.

use flyte_core::literal::{Literal, Row};
use flyte_core::object_store::{self, ObjectStore, ObjectStoreExt};
use flyte_core::{Error, ErrorKind};
use futures::StreamExt;

use super::world::World;
use crate::outcome::Files;

impl World {
    pub(super) async fn files(&self, prefix: &str) -> Result<Files, Error> {
        let read = |name: &'static str| async move {
            let path = self.path(&format!("{prefix}/{name}"))?;
            match self.blobs.get(&path).await {
                Ok(found) => {
                    let size = found.meta.size;
                    let keep = size <= flyte_core::limits::OUTPUT_FILE_BYTES_MAX;
                    let bytes = match keep {
                        true => Some(found.bytes().await.map_err(|e| blob_error("fetch", e))?),
                        false => None,
                    };
                    Ok(Some((size, bytes.map(|b| b.to_vec()))))
                }
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(blob_error("fetch", e)),
            }
        };
        let outputs = read("outputs.pb").await?;
        Ok(Files {
            error: read("error.pb").await?.and_then(|f| f.1),
            outputs_bytes: outputs.as_ref().map_or(0, |o| o.0),
            outputs: outputs.and_then(|o| o.1),
            futures: read("futures.pb").await?.is_some(),
        })
    }

    /// The first file or folder of ours that outputs point at and that is not there any more.
    pub(super) async fn gone(&self, outputs: &Row) -> Result<Option<String>, Error> {
        for uri in outputs.values().iter().flat_map(uris) {
            if self.root.is_empty() || !uri.starts_with(&self.root) {
                continue;
            }
            let path = self.path(&uri)?;
            let there = match self.blobs.head(&path).await {
                Ok(_) => true,
                // It may be a folder.
                Err(object_store::Error::NotFound { .. }) => {
                    let first = self.blobs.list(Some(&path)).next().await;
                    first
                        .transpose()
                        .map_err(|e| blob_error("cache", e))?
                        .is_some()
                }
                Err(e) => return Err(blob_error("cache", e)),
            };
            if !there {
                return Ok(Some(uri));
            }
        }
        Ok(None)
    }
}

/// The files and folders that a value points at.
fn uris(value: &Literal) -> Vec<String> {
    match value {
        Literal::Blob(b) => vec![b.uri.to_string()],
        Literal::Schema(s) => vec![s.uri.to_string()],
        Literal::StructuredDataset(d) => vec![d.uri.to_string()],
        Literal::Offloaded(o) => vec![o.uri.to_string()],
        Literal::Union(u) => uris(&u.value),
        Literal::Annotated(_) => uris(value.value()),
        Literal::Collection(items) => items.iter().flat_map(uris).collect(),
        Literal::Map(entries) => entries.values().flat_map(uris).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn blob_error(operation: &'static str, e: object_store::Error) -> Error {
    Error::new(ErrorKind::Unavailable, operation, e.to_string()).with_source(e)
}
