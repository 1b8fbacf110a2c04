use std::path::Path;
use std::sync::Arc;

use flyte_core::{Error, ErrorKind, Result};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

/// Blobs in a folder, which must exist.
///
/// # Errors
/// `Invalid` if it is no folder.
pub fn local_blobs(dir: &Path) -> Result<Arc<dyn ObjectStore>> {
    let store = LocalFileSystem::new_with_prefix(dir).map_err(|e| {
        Error::new(ErrorKind::Invalid, "local_blobs", e.to_string()).with("folder", dir.display())
    })?;
    Ok(Arc::new(store))
}
