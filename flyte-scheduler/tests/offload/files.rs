use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flyte_core::object_store::{
    self, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory, path::Path,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

/// Files that cannot be written or read so many times, or not before somebody says so.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) inner: InMemory,
    pub(crate) no_puts: AtomicU32,
    pub(crate) no_gets: AtomicU32,
    held: Mutex<Option<Arc<tokio::sync::Semaphore>>>,
}

impl Files {
    async fn pass(&self, left: &AtomicU32) -> object_store::Result<()> {
        let held = self.held.lock().unwrap().clone();
        if let Some(held) = held {
            held.acquire().await.unwrap().forget();
        }
        match left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)) {
            Ok(_) => Err(object_store::Error::Generic {
                store: "test",
                source: "it is not there now".into(),
            }),
            Err(_) => Ok(()),
        }
    }

    /// Holds everything up until as many are let through.
    pub(crate) fn hold(&self) -> Arc<tokio::sync::Semaphore> {
        let held = Arc::new(tokio::sync::Semaphore::new(0));
        *self.held.lock().unwrap() = Some(held.clone());
        held
    }

    /// The files of values.
    pub(crate) async fn values(&self) -> Vec<Path> {
        let all: Vec<_> = self.inner.list(None).try_collect().await.unwrap();
        let mut all: Vec<_> = all.into_iter().map(|f| f.location).collect();
        all.retain(|p| p.as_ref().ends_with("_offloaded_metadata.pb"));
        all.sort();
        all
    }
}

impl std::fmt::Display for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the test's files")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Files {
    async fn put_opts(
        &self,
        path: &Path,
        bytes: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.pass(&self.no_puts).await?;
        self.inner.put_opts(path, bytes, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.pass(&self.no_gets).await?;
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(
        &self,
        path: &Path,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
