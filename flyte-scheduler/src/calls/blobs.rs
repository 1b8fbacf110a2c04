//! What results of the cache point at: noted when they are stored, compared when they are used.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use flyte_core::contract::{Artifact, ArtifactBlob, ArtifactFile};
use flyte_core::id::Digest;
use flyte_core::limits::{CACHE_DIGEST_BYTES_MAX, CACHE_DIGEST_SUM_BYTES_MAX, CACHE_FILES_MAX};
use flyte_core::literal::{Dimensionality, Literal, Row};
use flyte_core::object_store::path::Path;
use flyte_core::object_store::{self, ObjectStore, ObjectStoreExt};
use flyte_core::{Error, ErrorKind, Result};
use futures::{StreamExt, TryStreamExt, stream};

use super::disk::{self, Entry};
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

/// What is there: its path inside the uri's folder, its length, and where its bytes are.
#[derive(Debug)]
struct Found {
    name: String,
    bytes: u64,
    at: At,
}

/// Where the bytes of a [`Found`] are.
#[derive(Clone, Debug)]
enum At {
    Store(Path),
    Disk(PathBuf),
    Link(Vec<u8>),
    /// It has none.
    Nowhere,
}

/// A uri of the outputs that lies in the scheduler's store of files.
#[derive(Debug)]
struct Ours {
    uri: String,
    /// The same without `file://`.
    plain: String,
    /// Whether its type says that it is a folder.
    folder: bool,
}

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
        for ours in self.ours(outputs) {
            let Some(found) = self.look(&ours, self.bounds.files_max - files).await? else {
                continue;
            };
            files += found.len();
            let wanted = found.into_iter().map(|found| {
                let (b, size) = (&self.bounds, found.bytes);
                let digest = size <= b.digest_bytes_max && bytes + size <= b.digest_sum_bytes_max;
                bytes += if digest { size } else { 0 };
                (found, digest)
            });
            let noted = stream::iter(wanted).map(|(found, wanted)| async move {
                let digest = match wanted {
                    true => self.digest(&found.at).await?,
                    false => None,
                };
                Ok::<_, Error>(ArtifactFile {
                    path: found.name.into(),
                    bytes: found.bytes,
                    digest,
                })
            });
            out.push(ArtifactBlob {
                uri: ours.uri.into(),
                files: noted.buffered(READERS).try_collect().await?,
            });
        }
        Ok(out)
    }

    /// What is wrong with the files of a stored result, for people; `None` if they are whole.
    pub(super) async fn lost(&self, artifact: &Artifact) -> Result<Option<String>> {
        for ours in self.ours(&artifact.outputs) {
            let noted = artifact.blobs.iter().find(|b| *b.uri == *ours.uri);
            let wrong = match noted {
                Some(blob) => self.compare(blob, &ours).await?,
                // Anything at all is more than none.
                None => self.look(&ours, 0).await?.map(|_| GONE.to_owned()),
            };
            if let Some(wrong) = wrong {
                return Ok(Some(format!("`{}` {wrong}", ours.uri)));
            }
        }
        Ok(None)
    }

    async fn compare(&self, blob: &ArtifactBlob, ours: &Ours) -> Result<Option<String>> {
        let Some(found) = self.look(ours, self.bounds.files_max).await? else {
            return Ok(Some("has more files than it had".into()));
        };
        if found.is_empty() {
            return Ok(Some(GONE.into()));
        }
        // A file by itself has no path.
        let alone = found[0].name.is_empty();
        let was = blob.files.first().map(|f| f.path.is_empty());
        match was {
            None => return Ok(Some("was not there when it was stored".into())),
            Some(true) if !alone => return Ok(Some("was a file, and is a folder".into())),
            Some(false) if alone => return Ok(Some("was a folder, and is a file".into())),
            Some(_) => {}
        }
        let names: BTreeSet<&str> = blob.files.iter().map(|f| &*f.path).collect();
        let mut new = found.iter().filter(|f| !names.contains(&*f.name));
        if let Some(new) = new.find(|f| !is_folder(&f.name)) {
            return Ok(Some(format!("has a new file `{}`", new.name)));
        }
        let by_name: BTreeMap<&str, &Found> = found.iter().map(|f| (&*f.name, f)).collect();
        let mut pairs = Vec::with_capacity(found.len());
        for file in &blob.files {
            let inside = match &*file.path {
                "" => String::new(),
                name => format!("has a file `{name}` that "),
            };
            let Some(now) = by_name.get(&*file.path) else {
                let what = match is_folder(&file.path) {
                    true => "empty folder",
                    false => "file",
                };
                return Ok(Some(format!("lost its {what} `{}`", file.path)));
            };
            if now.bytes != file.bytes {
                let (has, had) = (now.bytes, file.bytes);
                return Ok(Some(format!("{inside}has {has} bytes, and had {had}")));
            }
            pairs.extend(file.digest.map(|digest| (inside, &now.at, digest)));
        }
        // An empty folder may be what is left of files that were named above.
        if let Some(new) = found.iter().find(|f| !names.contains(&*f.name)) {
            return Ok(Some(format!("has a new empty folder `{}`", new.name)));
        }
        let looks = stream::iter(pairs).map(|(inside, at, digest)| async move {
            let same = self.digest(at).await? == Some(digest);
            Ok::<_, Error>((!same).then(|| format!("{inside}has other bytes than it had")))
        });
        let mut wrong = looks
            .buffered(READERS)
            .try_filter_map(|w| async move { Ok(w) })
            .boxed();
        wrong.try_next().await
    }

    /// The uris of outputs that lie in the scheduler's store of files, each once.
    fn ours(&self, outputs: &Row) -> Vec<Ours> {
        let mut all = BTreeMap::new();
        if !self.root.is_empty() {
            outputs.values().iter().for_each(|v| uris(v, &mut all));
        }
        let mut out = Vec::new();
        for (uri, folder) in all {
            if let Some(plain) = below(self.root, uri) {
                out.push(Ours {
                    uri: uri.to_owned(),
                    plain: plain.to_owned(),
                    folder,
                });
            }
        }
        out
    }

    /// What is at a uri, in the order of names; `None` if there is more than `most`. Nothing there
    /// is no file.
    async fn look(&self, ours: &Ours, most: usize) -> Result<Option<Vec<Found>>> {
        let local = disk::path_below(self.root, &ours.plain);
        let is_local = local.is_some();
        if let Some(path) = local {
            let found = elsewhere(move || disk::look(&path, most)).await?;
            match found {
                Ok(found) => return Ok(found.map(|all| all.into_iter().map(Found::from).collect())),
                // The store of files may be in memory in spite of its root.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e.with("uri", &ours.uri)),
            }
        }
        let bad = |e| blob_error("cache", e);
        let path = match path_of(self.root, &ours.plain) {
            Ok(path) => path,
            Err(_) if is_local => return Ok(Some(Vec::new())),
            Err(e) => return Err(e),
        };
        match self.blobs.head(&path).await {
            Ok(file) => {
                let found = Found {
                    name: String::new(),
                    bytes: file.size,
                    at: At::Store(path),
                };
                return Ok((most > 0).then(|| vec![found]));
            }
            // It may be a folder.
            Err(object_store::Error::NotFound { .. }) => {}
            // A name that the store does not take.
            Err(object_store::Error::Generic { .. }) if is_local => return Ok(Some(Vec::new())),
            Err(e) => return Err(bad(e)),
        }
        let mut found: Vec<Found> = Vec::new();
        let mut list = self.blobs.list(Some(&path));
        while let Some(file) = list.try_next().await.map_err(bad)? {
            if found.len() == most {
                return Ok(None);
            }
            let name = file.location.as_ref()[path.as_ref().len()..].trim_start_matches('/');
            found.push(Found {
                name: name.to_owned(),
                bytes: file.size,
                at: At::Store(file.location),
            });
        }
        if found.is_empty() && ours.folder && most > 0 && self.root.contains("://") {
            // A cloud has no folders: an empty one is nothing.
            found.push(Found {
                name: "/".into(),
                bytes: 0,
                at: At::Nowhere,
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(found))
    }

    /// The digest of what is there; `None` of what has no bytes.
    async fn digest(&self, at: &At) -> Result<Option<Digest>> {
        let mut hasher = blake3::Hasher::new_derive_key("flyte cached file v1");
        match at {
            At::Nowhere => return Ok(None),
            At::Link(target) => {
                hasher = blake3::Hasher::new_derive_key("flyte cached link v1");
                hasher.update(target);
            }
            At::Disk(path) => {
                let path = path.clone();
                let read = move || disk::hash(&path, &mut hasher).map(|()| hasher);
                hasher = elsewhere(read).await??;
            }
            At::Store(path) => {
                let bad = |e| blob_error("cache", e);
                let file = self.blobs.get(path).await.map_err(bad)?;
                let mut bytes = file.into_stream();
                while let Some(chunk) = bytes.try_next().await.map_err(bad)? {
                    for part in chunk.chunks(TURN_BYTES) {
                        hasher.update(part);
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
        Ok(Some(Digest(*hasher.finalize().as_bytes())))
    }
}

impl From<(String, Entry)> for Found {
    fn from((name, entry): (String, Entry)) -> Self {
        let (bytes, at) = match entry {
            Entry::File { path, bytes } => (bytes, At::Disk(path)),
            Entry::Link { target } => (target.len() as u64, At::Link(target)),
            Entry::EmptyFolder | Entry::Special => (0, At::Nowhere),
        };
        Self { name, bytes, at }
    }
}

/// Whether a path of an [`ArtifactFile`] is that of an empty folder.
fn is_folder(path: &str) -> bool {
    path.ends_with('/')
}

/// A uri that lies below the root of a store of files, without `file://`.
pub(super) fn below<'a>(root: &str, uri: &'a str) -> Option<&'a str> {
    let local = match root.contains("://") {
        true => None,
        false => uri.strip_prefix("file://"),
    };
    let plain = local.unwrap_or(uri);
    // `/data` is no root of `/database`.
    let rest = plain.strip_prefix(root)?;
    rest.starts_with('/').then_some(plain)
}

/// Does what blocks on another thread: the asking one may keep a lease.
pub(super) async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::new(ErrorKind::Other, "files", e.to_string()).with_source(e))
}

/// The files and folders that a value points at, and whether each is a folder.
fn uris<'a>(value: &'a Literal, out: &mut BTreeMap<&'a str, bool>) {
    match value {
        Literal::Blob(b) => {
            let kind = b.blob_type.as_ref().map(|t| t.dimensionality);
            out.insert(&b.uri, kind == Some(Dimensionality::Multipart));
        }
        Literal::Schema(s) => drop(out.insert(&s.uri, true)),
        Literal::StructuredDataset(d) => drop(out.insert(&d.uri, true)),
        Literal::Offloaded(o) => drop(out.insert(&o.uri, false)),
        Literal::Union(u) => uris(&u.value, out),
        Literal::Annotated(_) => uris(value.value(), out),
        Literal::Collection(items) => items.iter().for_each(|v| uris(v, out)),
        Literal::Map(entries) => entries.values().for_each(|v| uris(v, out)),
        _ => {}
    }
}
