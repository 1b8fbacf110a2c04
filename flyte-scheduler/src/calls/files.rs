//! What tasks left in files.

use flyte_core::object_store::path::Path;
use flyte_core::object_store::{self, ObjectStoreExt};
use flyte_core::{Error, ErrorKind};

use super::world::World;
use crate::outcome::Files;

impl World {
    pub(super) async fn files(&self, prefix: &str, most: u64) -> Result<Files, Error> {
        let read = |name: &'static str| async move {
            let path = self.path(&format!("{prefix}/{name}"))?;
            match self.blobs.get(&path).await {
                Ok(found) => {
                    let size = found.meta.size;
                    let keep = size <= most;
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
            outputs_bytes_max: Some(most),
            outputs: outputs.and_then(|o| o.1),
            futures: read("futures.pb").await?.is_some(),
        })
    }
}

/// The path of a uri in the store whose uris begin with `root`.
pub(super) fn path_of(root: &str, uri: &str) -> Result<Path, Error> {
    let inner = uri.strip_prefix(root).unwrap_or(uri);
    Path::parse(inner.trim_start_matches('/'))
        .map_err(|e| Error::new(ErrorKind::Invalid, "blobs", format!("`{uri}`: {e}")))
}

pub(super) fn blob_error(operation: &'static str, e: object_store::Error) -> Error {
    Error::new(ErrorKind::Unavailable, operation, e.to_string()).with_source(e)
}
