//! Where files are: a folder, or a bucket of a cloud.

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod cloud;
mod options;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use flyte_core::{Error, ErrorKind, Result};
use futures::StreamExt;
use object_store::ObjectStore;

pub use options::BlobOptions;

/// Files, and what their uris begin with: what `SchedulerBuilder::blobs` takes.
#[derive(Clone)]
#[non_exhaustive]
pub struct Blobs {
    /// The files, by their paths below `root`.
    pub store: Arc<dyn ObjectStore>,
    /// An absolute folder, or a url such as `s3://bucket/prefix`; without a slash at its end.
    pub root: String,
}

impl Blobs {
    /// Asks a cloud for the first file, so that a wrong bucket or credential is known before work
    /// begins. A folder was looked at when it was opened.
    /// Needs a tokio runtime; may be dropped at any time.
    ///
    /// # Errors
    /// `NotFound` if there is no such bucket; `Denied` if the credentials may not list it;
    /// `Unavailable` if nobody answers, after the tries that [`BlobOptions`] names.
    pub async fn check(&self) -> Result<()> {
        if !self.root.contains("://") {
            return Ok(());
        }
        match self.store.list(None).next().await {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(e)) => {
                let (kind, text) = match &e {
                    _ if no_bucket(&e) => {
                        (ErrorKind::NotFound, "there is no such bucket".to_owned())
                    }
                    object_store::Error::PermissionDenied { .. }
                    | object_store::Error::Unauthenticated { .. } => (
                        ErrorKind::Denied,
                        format!("the credentials are refused: {e}"),
                    ),
                    _ => (ErrorKind::Unavailable, e.to_string()),
                };
                let error = Error::new(kind, "blobs", text);
                Err(error.with("place", &self.root).with_source(e))
            }
        }
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store of a cloud has its key.
        f.debug_struct("Blobs")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// A list of what is not there is an error that only its text tells from others.
fn no_bucket(e: &object_store::Error) -> bool {
    matches!(e, object_store::Error::NotFound { .. }) || e.to_string().contains("404 Not Found")
}

/// Blobs in a folder, which must exist. What it acknowledges survives the loss of power; what is
/// being written is not there until it is whole. [`BlobOptions`] opens other places.
///
/// # Errors
/// `Invalid` if it is no folder.
pub fn local_blobs(dir: &Path) -> Result<Arc<dyn ObjectStore>> {
    let url = dir.to_string_lossy();
    Ok(BlobOptions::new(url).open()?.store)
}
