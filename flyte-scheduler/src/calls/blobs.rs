//! What results of the cache point at: noted when they are stored, compared when they are used.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use flyte_core::contract::{Artifact, ArtifactBlob, ArtifactFile};
use flyte_core::id::Digest;
use flyte_core::limits::{CACHE_DIGEST_BYTES_MAX, CACHE_DIGEST_SUM_BYTES_MAX, CACHE_FILES_MAX};
use flyte_core::literal::{Literal, Row};
use flyte_core::object_store::path::Path;
use flyte_core::object_store::{self, ObjectStore, ObjectStoreExt};
use flyte_core::{Error, Result};
use futures::{StreamExt, TryStreamExt, stream};

use super::files::{blob_error, path_of};

/// The scheduler's store of files, as results of the cache are looked at.
#[derive(Debug)]
pub(super) struct ResultFiles<'a> {
    blobs: &'a Arc<dyn ObjectStore>,
    /// What the uris of `blobs` begin with; empty in memory, where nothing is looked at.
    root: &'a str,
    bounds: Bounds,
}

#[derive(Debug)]
struct Bounds {
    digest_bytes_max: u64,
    digest_sum_bytes_max: u64,
    files_max: usize,
}

/// A file that is there: its path inside the uri's folder, where it is, its length.
type Found = (String, Path, u64);

/// Files that are read at once.
const READERS: usize = 4;
/// Bytes that are digested before others have a turn: a lease is kept on this thread.
const TURN_BYTES: usize = 1024 * 1024;
const GONE: &str = "is gone";

impl<'a> ResultFiles<'a> {
    pub(super) fn new(blobs: &'a Arc<dyn ObjectStore>, root: &'a str) -> Self {
        let bounds = Bounds {
            digest_bytes_max: CACHE_DIGEST_BYTES_MAX,
            digest_sum_bytes_max: CACHE_DIGEST_SUM_BYTES_MAX,
            files_max: CACHE_FILES_MAX,
        };
        Self {
            blobs,
            root,
            bounds,
        }
    }

    /// What lies where outputs point, as far as it is ours and within the bounds.
    pub(super) async fn note(&self, outputs: &Row) -> Result<Vec<ArtifactBlob>> {
        let (mut out, mut files, mut bytes) = (Vec::new(), 0, 0);
        for (uri, path) in self.ours(outputs)? {
            let Some(found) = self.look(&path, self.bounds.files_max - files).await? else {
                continue;
            };
            files += found.len();
            let wanted = found.into_iter().map(|(name, path, size)| {
                let b = &self.bounds;
                let digest = size <= b.digest_bytes_max && bytes + size <= b.digest_sum_bytes_max;
                bytes += if digest { size } else { 0 };
                (name, path, size, digest)
            });
            let noted = stream::iter(wanted).map(|(name, path, size, wanted)| async move {
                let digest = match wanted {
                    true => Some(self.digest(&path).await?),
                    false => None,
                };
                Ok::<_, Error>(ArtifactFile {
                    path: name.into(),
                    bytes: size,
                    digest,
                })
            });
            out.push(ArtifactBlob {
                uri: uri.into(),
                files: noted.buffered(READERS).try_collect().await?,
            });
        }
        Ok(out)
    }

    /// What is wrong with the files of a stored result, for people; `None` if they are whole.
    pub(super) async fn lost(&self, artifact: &Artifact) -> Result<Option<String>> {
        for (uri, path) in self.ours(&artifact.outputs)? {
            let noted = artifact.blobs.iter().find(|b| *b.uri == *uri);
            let wrong = match noted {
                Some(blob) => self.compare(blob, &path).await?,
                // Anything at all is more than none.
                None => self.look(&path, 0).await?.map(|_| GONE.to_owned()),
            };
            if let Some(wrong) = wrong {
                return Ok(Some(format!("`{uri}` {wrong}")));
            }
        }
        Ok(None)
    }

    async fn compare(&self, blob: &ArtifactBlob, path: &Path) -> Result<Option<String>> {
        let Some(found) = self.look(path, self.bounds.files_max).await? else {
            return Ok(Some("has more files than it had".into()));
        };
        if found.is_empty() {
            return Ok(Some(GONE.into()));
        }
        // A file by itself has no path.
        let alone = found[0].0.is_empty();
        let was = blob.files.first().map(|f| f.path.is_empty());
        match was {
            None => return Ok(Some("was not there when it was stored".into())),
            Some(true) if !alone => return Ok(Some("was a file, and is a folder".into())),
            Some(false) if alone => return Ok(Some("was a folder, and is a file".into())),
            Some(_) => {}
        }
        let names: BTreeSet<&str> = blob.files.iter().map(|f| &*f.path).collect();
        if let Some((new, ..)) = found.iter().find(|f| !names.contains(&*f.0)) {
            return Ok(Some(format!("has a new file `{new}`")));
        }
        let mut pairs = Vec::with_capacity(found.len());
        for file in &blob.files {
            let inside = match &*file.path {
                "" => String::new(),
                name => format!("has a file `{name}` that "),
            };
            let Some((_, at, size)) = found.iter().find(|f| *f.0 == *file.path) else {
                return Ok(Some(format!("lost its file `{}`", file.path)));
            };
            if *size != file.bytes {
                let had = file.bytes;
                return Ok(Some(format!("{inside}has {size} bytes, and had {had}")));
            }
            pairs.extend(file.digest.map(|digest| (inside, at, digest)));
        }
        let looks = stream::iter(pairs).map(|(inside, at, digest)| async move {
            let same = self.digest(at).await? == digest;
            Ok::<_, Error>((!same).then(|| format!("{inside}has other bytes than it had")))
        });
        let mut wrong = looks
            .buffered(READERS)
            .try_filter_map(|w| async move { Ok(w) })
            .boxed();
        wrong.try_next().await
    }

    /// The uris of outputs that lie in the scheduler's store of files, each once, and their paths.
    fn ours(&self, outputs: &Row) -> Result<Vec<(String, Path)>> {
        if self.root.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = BTreeSet::new();
        outputs.values().iter().for_each(|v| uris(v, &mut all));
        let mut out = Vec::new();
        for uri in all {
            let local = match self.root.contains("://") {
                true => None,
                false => uri.strip_prefix("file://"),
            };
            // `/data` is no root of `/database`.
            let inner = local.unwrap_or(uri).strip_prefix(self.root);
            if inner.is_some_and(|rest| rest.starts_with('/')) {
                out.push((uri.to_owned(), path_of(self.root, local.unwrap_or(uri))?));
            }
        }
        Ok(out)
    }

    /// The files of a path, which is a file or a folder, in the order of their names; `None` if
    /// there are more than `most`. Nothing there is no file.
    async fn look(&self, path: &Path, most: usize) -> Result<Option<Vec<Found>>> {
        let bad = |e| blob_error("cache", e);
        match self.blobs.head(path).await {
            Ok(file) => {
                let found = vec![(String::new(), path.clone(), file.size)];
                return Ok((most > 0).then_some(found));
            }
            // It may be a folder.
            Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(bad(e)),
        }
        let mut found: Vec<Found> = Vec::new();
        let mut list = self.blobs.list(Some(path));
        while let Some(file) = list.try_next().await.map_err(bad)? {
            if found.len() == most {
                return Ok(None);
            }
            let name = file.location.as_ref()[path.as_ref().len()..].trim_start_matches('/');
            found.push((name.to_owned(), file.location.clone(), file.size));
        }
        found.sort();
        Ok(Some(found))
    }

    async fn digest(&self, path: &Path) -> Result<Digest> {
        let bad = |e| blob_error("cache", e);
        let file = self.blobs.get(path).await.map_err(bad)?;
        let mut bytes = file.into_stream();
        let mut hasher = blake3::Hasher::new_derive_key("flyte cached file v1");
        while let Some(chunk) = bytes.try_next().await.map_err(bad)? {
            for part in chunk.chunks(TURN_BYTES) {
                hasher.update(part);
                tokio::task::yield_now().await;
            }
        }
        Ok(Digest(*hasher.finalize().as_bytes()))
    }
}

/// The files and folders that a value points at.
fn uris<'a>(value: &'a Literal, out: &mut BTreeSet<&'a str>) {
    match value {
        Literal::Blob(b) => drop(out.insert(&b.uri)),
        Literal::Schema(s) => drop(out.insert(&s.uri)),
        Literal::StructuredDataset(d) => drop(out.insert(&d.uri)),
        Literal::Offloaded(o) => drop(out.insert(&o.uri)),
        Literal::Union(u) => uris(&u.value, out),
        Literal::Annotated(_) => uris(value.value(), out),
        Literal::Collection(items) => items.iter().for_each(|v| uris(v, out)),
        Literal::Map(entries) => entries.values().for_each(|v| uris(v, out)),
        _ => {}
    }
}
