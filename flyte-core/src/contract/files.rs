//! Files of tasks in Rust, where the tasks of flytekit have theirs.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Place, TaskContext};
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
    /// What is too big for memory is written through [`TaskContext::raw`], and named by
    /// [`Place::file_at`].
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
        let (raw, path) = (self.raw(), Path::from(name));
        let file = raw.file_at(&path);
        let written = raw.put(&path, bytes.into()).await;
        written.map_err(|e| failed(FILE, &file.uri, e))?;
        Ok(file)
    }

    /// Reads a file whole. It may be one of another task, also of flytekit's, or an input of the
    /// execution: whatever lies in the scheduler's store of files, since who has a uri may read
    /// what it names. May be dropped and called again.
    ///
    /// # Errors
    /// `Invalid` if it lies elsewhere, or has more than [`TaskContext::OPEN_BYTES_MAX`] bytes;
    /// `NotFound` if it is not there; what the store says, as `Denied` or `Unavailable`.
    pub async fn open(&self, file: &File) -> Result<Bytes> {
        let failed = |e| failed(OPEN, &file.uri, e);
        let there = self.locate(&file.uri)?;
        let found = there.get(&Path::ROOT).await.map_err(failed)?;
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

    /// What a uri names, to read parts of it, stream it, or list a folder. The place cannot be
    /// written and has nothing but that: a file is at the empty path, what is in a folder at the
    /// paths inside it. It asks nobody whether there is something.
    ///
    /// ```
    /// use flyte_core::contract::TaskContext;
    /// use flyte_core::object_store::{ObjectStoreExt, path::Path};
    /// # futures::executor::block_on(async {
    /// let cx = TaskContext::test();
    /// let file = cx.file("letters", "abcdef").await?;
    /// let there = cx.locate(&file.uri)?;
    /// assert_eq!(there.get_range(&Path::ROOT, 2..4).await.unwrap(), "cd");
    /// let folder = cx.locate(cx.raw().uri())?;
    /// assert_eq!(folder.get_range(&"letters".into(), 2..4).await.unwrap(), "cd");
    /// assert!(cx.locate("https://example.org/letters").is_err());
    /// # Ok::<_, flyte_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Invalid` if it does not lie under the root of the scheduler's store of files, or is that
    /// root.
    pub fn locate(&self, uri: &str) -> Result<Place> {
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
        if path.is_root() {
            let text = format!("`{uri}` is all of the scheduler's files: name one, or a folder");
            return Err(Error::new(ErrorKind::Invalid, OPEN, text));
        }
        Ok(Place::new(store, root, &path).read_only())
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
    use std::sync::Arc;

    use futures::executor::block_on;
    use object_store::memory::InMemory;

    use super::*;
    use crate::contract::{HostResources, TaskContextParts};
    use crate::id::{Digest, ExecutionId, NodeAddr, Tenant};
    use crate::literal::Timestamp;

    fn context(root: &str) -> TaskContext {
        let parts = TaskContextParts {
            execution: ExecutionId::new(Tenant::default(), "e"),
            plan: Digest([0; 32]),
            submitted_at: Timestamp::UNIX_EPOCH,
            epoch: 1,
            blobs: Arc::new(InMemory::new()),
            root: root.into(),
            prefix: Path::from("tasks/e"),
            resources: HostResources::default(),
            progress: None,
        };
        TaskContext::new(
            parts.into(),
            Default::default(),
            NodeAddr::default(),
            2,
            None,
            None,
        )
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
            "/data/",
            "/data//",
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

    #[test]
    fn what_is_located_is_read_and_not_written() {
        let cx = context("/data");
        let file = block_on(cx.file("x", "y")).unwrap();
        for uri in [&*file.uri, cx.raw().uri()] {
            let there = cx.locate(uri).unwrap();
            let e = block_on(there.put(&"z".into(), "mine now".into())).unwrap_err();
            assert!(e.to_string().contains("for reading"), "{e}");
        }
        assert_eq!(block_on(cx.open(&file)).unwrap(), "y");
    }

    #[test]
    fn an_attempt_reads_the_checkpoint_before_and_writes_its_own() {
        let parts = context("/data").parts().clone();
        let at = |n| {
            TaskContext::new(
                parts.clone(),
                Default::default(),
                NodeAddr::default(),
                n,
                None,
                None,
            )
        };
        assert!(at(0).previous_checkpoint().is_none());
        block_on(at(0).checkpoint().put(&"at".into(), "7".into())).unwrap();
        let before = at(1).previous_checkpoint().unwrap();
        let read = block_on(async { before.get(&"at".into()).await?.bytes().await });
        assert_eq!(read.unwrap(), "7");
        let written = block_on(before.put(&"at".into(), "8".into()));
        assert!(written.is_err(), "the attempt before is over");
        assert_eq!(before.uri(), at(0).checkpoint().uri());
        assert!(block_on(at(1).checkpoint().get(&"at".into())).is_err());
    }
}
