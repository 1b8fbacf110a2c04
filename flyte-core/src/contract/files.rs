//! Files of tasks in Rust, where the tasks of flytekit have theirs.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::TaskContext;
use crate::author::File;
use crate::{Error, ErrorKind, Result};

impl TaskContext {
    /// The longest file that [`TaskContext::open`] reads, in bytes: 256 MiB.
    pub const OPEN_BYTES_MAX: u64 = 256 * 1024 * 1024;

    /// Writes a file into this attempt's folder of raw data and gives the value that names it, for
    /// an output. When it returns, the file is as durable as the store makes it; dropped before
    /// that, the file is there whole or not at all. The same name again replaces the file; other
    /// attempts have folders of their own.
    ///
    /// What is too big for memory is written by the store itself: [`TaskContext::raw`] and
    /// [`TaskContext::file_at`].
    ///
    /// ```
    /// use flyte_core::contract::TaskContext;
    /// # futures::executor::block_on(async {
    /// let cx = TaskContext::test();
    /// let file = cx.file("report.csv", "a,b\n1,2\n").await?;
    /// assert!(file.uri.ends_with("/report.csv"));
    /// assert_eq!(cx.open(&file).await?, "a,b\n1,2\n");
    /// # Ok::<_, flyte_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Invalid` if the name is empty or a path; what the store says, as `Denied` or `Unavailable`.
    pub async fn file(&self, name: &str, bytes: impl Into<PutPayload>) -> Result<File> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            let text = format!("`{name}` is no name of a file: one that is not empty, without `/`");
            return Err(Error::new(ErrorKind::Invalid, FILE, text));
        }
        let (store, folder) = self.raw();
        let path = folder.join(name);
        let written = store.put(&path, bytes.into()).await;
        written.map_err(|e| failed(FILE, path.as_ref(), e))?;
        Ok(self.file_at(&path))
    }

    /// Reads a file whole. It may be one of another task, also of flytekit's, or an input of the
    /// execution: whatever lies in the scheduler's store of files. May be dropped and called again.
    ///
    /// # Errors
    /// `Invalid` if it lies elsewhere, or has more than [`TaskContext::OPEN_BYTES_MAX`] bytes;
    /// `NotFound` if it is not there; what the store says, as `Denied` or `Unavailable`.
    pub async fn open(&self, file: &File) -> Result<Bytes> {
        let (store, path) = self.locate(&file.uri)?;
        let failed = |e| failed(OPEN, &file.uri, e);
        let found = store.get(&path).await.map_err(failed)?;
        if found.meta.size > Self::OPEN_BYTES_MAX {
            let text = format!(
                "`{}` has {} bytes, and {} is the most that is read whole: stream it from what \
                 `locate` gives",
                file.uri,
                found.meta.size,
                Self::OPEN_BYTES_MAX
            );
            return Err(Error::new(ErrorKind::Invalid, OPEN, text));
        }
        found.bytes().await.map_err(failed)
    }

    /// The store and the path of what a uri names, to read parts of it, stream it, or list a
    /// folder. It asks nobody whether there is something.
    ///
    /// ```
    /// use flyte_core::contract::TaskContext;
    /// use flyte_core::object_store::ObjectStoreExt;
    /// # futures::executor::block_on(async {
    /// let cx = TaskContext::test();
    /// let file = cx.file("letters", "abcdef").await?;
    /// let (store, path) = cx.locate(&file.uri)?;
    /// assert_eq!(store.get_range(&path, 2..4).await.unwrap(), "cd");
    /// assert!(cx.locate("https://example.org/letters").is_err());
    /// # Ok::<_, flyte_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Invalid` if it does not lie under the root of the scheduler's store of files.
    pub fn locate(&self, uri: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let (store, root) = self.files();
        let local = match root.contains("://") {
            true => None,
            false => uri.strip_prefix("file://"),
        };
        let inner = local.unwrap_or(uri).strip_prefix(root);
        // `/data` is no root of `/database`.
        let inner = inner.and_then(|rest| rest.strip_prefix('/'));
        let Some(inner) = inner else {
            let text = match root {
                "" => format!(
                    "`{uri}` does not lie in the scheduler's store of files, which is in memory: \
                     give it one by `SchedulerBuilder::blobs`, or read it with a client of your own"
                ),
                _ => format!(
                    "`{uri}` does not lie under `{root}`, where the scheduler's files are: copy it \
                     there, or read it with a client of your own"
                ),
            };
            return Err(Error::new(ErrorKind::Invalid, OPEN, text));
        };
        let path = Path::parse(inner)
            .map_err(|e| Error::new(ErrorKind::Invalid, OPEN, format!("`{uri}`: {e}")))?;
        Ok((store.clone(), path))
    }

    /// The value that names a file which was written through the store itself, for instance below
    /// [`TaskContext::raw`]. It asks nobody whether the file is there.
    #[must_use]
    pub fn file_at(&self, path: &Path) -> File {
        File::at(format!("{}/{path}", self.files().1))
    }
}

const FILE: &str = "TaskContext::file";
const OPEN: &str = "TaskContext::open";

fn failed(operation: &'static str, uri: &str, e: object_store::Error) -> Error {
    let kind = match &e {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, operation, format!("`{uri}`: {e}")).with_source(e)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use object_store::memory::InMemory;

    use super::*;
    use crate::contract::{HostResources, TaskContextParts};
    use crate::id::{ExecutionId, NodeAddr, Tenant};

    fn context(root: &str) -> TaskContext {
        let parts = TaskContextParts {
            execution: ExecutionId::new(Tenant::default(), "e"),
            epoch: 1,
            blobs: Arc::new(InMemory::new()),
            root: root.into(),
            prefix: Path::from("tasks/e"),
            resources: HostResources::default(),
            progress: None,
        };
        TaskContext::new(parts.into(), NodeAddr::default(), 2, None, None)
    }

    #[test]
    fn a_file_lies_in_the_attempts_raw_folder_under_the_root() {
        for root in ["", "/data", "s3://bucket/flyte"] {
            let cx = context(root);
            let file = block_on(cx.file("a b.txt", vec![1, 2, 3])).unwrap();
            assert_eq!(*file.uri, format!("{root}/tasks/e/0/0/2/raw/a b.txt"));
            assert_eq!(block_on(cx.open(&file)).unwrap(), [1, 2, 3].as_slice());
            block_on(cx.file("a b.txt", "again")).unwrap();
            assert_eq!(block_on(cx.open(&file)).unwrap(), "again");
        }
    }

    #[test]
    fn names_are_no_paths() {
        for name in ["", "a/b", ".", ".."] {
            let e = block_on(context("/data").file(name, "x")).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid, "{name}: {e}");
        }
    }

    #[test]
    fn only_what_lies_under_the_root_is_opened() {
        let cx = context("/data");
        let elsewhere = [
            "/database/x",
            "/etc/passwd",
            "/data",
            "/data/../etc/passwd",
            "s3://bucket/x",
            "file:///etc/passwd",
        ];
        for uri in elsewhere {
            let e = block_on(cx.open(&File::at(uri))).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid, "{uri}: {e}");
            assert!(e.message().contains(uri), "{uri}: {e}");
        }
        let e = block_on(cx.open(&File::at("s3://bucket/x"))).unwrap_err();
        assert!(e.message().contains("under `/data`"), "{e}");
        let e = block_on(cx.open(&File::at("/data/x"))).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
        let file = block_on(cx.file("x", "y")).unwrap();
        let file = File::at(format!("file://{}", file.uri));
        assert_eq!(block_on(cx.open(&file)).unwrap(), "y");
    }
}
