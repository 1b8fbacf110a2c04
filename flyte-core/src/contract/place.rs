use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use super::read_only::ReadOnly;
use crate::author::File;

/// A folder of a task, as a store that sees what lies in it and nothing else: a [`TaskContext`]
/// gives it.
///
/// It dereferences to an [`ObjectStore`], so that `put`, `get` and `list` are called on it (with
/// `object_store::ObjectStoreExt` in scope); [`Place::store`] is the same for libraries that want
/// an `Arc`. Paths are relative to the folder. A [`Path`] has no `..` and no root of its own:
/// `Path::parse` refuses the former, and a leading `/` says nothing, so no path leaves the folder.
/// What is durable, atomic and safe to drop is as the scheduler's store makes it.
///
/// ```
/// use flyte_core::contract::TaskContext;
/// use flyte_core::object_store::ObjectStoreExt;
/// # futures::executor::block_on(async {
/// let cx = TaskContext::test();
/// let raw = cx.raw();
/// raw.put(&"parts/1".into(), "a,b\n".into()).await?;
/// let part = raw.file_at(&"parts/1".into());
/// assert_eq!(*part.uri, format!("{}/parts/1", raw.uri()));
/// assert!(cx.outputs().get(&"parts/1".into()).await.is_err());
/// # Ok::<_, flyte_core::object_store::Error>(()) }).unwrap();
/// ```
///
/// [`TaskContext`]: super::TaskContext
#[derive(Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    uri: String,
}

impl Place {
    /// What lies below `folder`, to read and to write.
    pub(super) fn new(blobs: &Arc<dyn ObjectStore>, root: &str, folder: &Path) -> Self {
        Self {
            store: Arc::new(PrefixStore::new(blobs.clone(), folder.clone())),
            uri: format!("{root}/{folder}"),
        }
    }

    /// The same, to read only.
    pub(super) fn read_only(self) -> Self {
        Self {
            store: Arc::new(ReadOnly(self.store)),
            uri: self.uri,
        }
    }

    /// Where it is: what the uris of its files begin with, without a slash at its end. On a local
    /// disk that is the folder's path.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The store that sees this folder only.
    #[must_use]
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// The value that names a file in it, for an output. It asks nobody whether the file is there.
    #[must_use]
    pub fn file_at(&self, path: &Path) -> File {
        File::at(format!("{}/{path}", self.uri))
    }
}

impl Deref for Place {
    type Target = dyn ObjectStore;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.uri).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::{StreamExt, TryStreamExt};
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    const INSIDE: &str = "tenant/mine";

    fn place() -> (Arc<dyn ObjectStore>, Place) {
        let all: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for path in ["secret", "tenant/other", "tenant/mine2/x", "etc/passwd"] {
            block_on(all.put(&path.into(), "not yours".into())).unwrap();
        }
        let place = Place::new(&all, "/data", &INSIDE.into());
        (all, place)
    }

    fn listed(store: &dyn ObjectStore) -> Vec<String> {
        let found: Vec<_> = block_on(store.list(None).try_collect()).unwrap();
        found.into_iter().map(|m| m.location.to_string()).collect()
    }

    /// Whatever can be made into a path.
    fn attempts() -> Vec<Path> {
        let texts = [
            "../other",
            "../../secret",
            "/etc/passwd",
            "//etc/passwd",
            "x/../../other",
            "%2E%2E/other",
            "..%2Fother",
            "..\\other",
            "file:///etc/passwd",
            "/data/tenant/other",
            "..",
            ".",
            "",
        ];
        let mut all: Vec<Path> = texts.iter().map(|t| Path::from(*t)).collect();
        all.extend(texts.iter().filter_map(|t| Path::parse(t).ok()));
        all.extend(texts.iter().filter_map(|t| Path::from_url_path(t).ok()));
        all.push(Path::ROOT.join("..").join("other"));
        all
    }

    #[test]
    fn no_path_leaves_the_folder() {
        for text in ["../other", "x/../../other", "..", "."] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
        for path in attempts() {
            let (all, place) = place();
            assert!(block_on(place.get(&path)).is_err(), "read by {path}");
            let before = listed(&*all);
            let _may_be_no_name = block_on(place.put(&path, "mine".into()));
            let after = listed(&*all);
            let new: Vec<_> = after.iter().filter(|p| !before.contains(p)).collect();
            let inside = |p: &&String| {
                **p == INSIDE || p.strip_prefix(INSIDE).is_some_and(|r| r.starts_with('/'))
            };
            assert!(new.iter().all(inside), "{path} wrote {new:?}");
            let _may_not_be_there = block_on(place.delete(&path));
            let _may_not_be_there = block_on(place.copy(&path, &"copied".into()));
            let _may_not_be_there = block_on(place.rename(&"copied".into(), &path));
            for old in &before {
                let bytes = block_on(async { all.get(&(**old).into()).await?.bytes().await });
                assert_eq!(bytes.unwrap(), "not yours", "{path} changed {old}");
            }
        }
    }

    #[test]
    fn lists_and_answers_show_the_folder_alone() {
        let (_, place) = place();
        assert_eq!(listed(&*place), [""; 0]);
        block_on(place.put(&"a/b".into(), "mine".into())).unwrap();
        assert_eq!(listed(&*place), ["a/b"]);
        let found = block_on(place.head(&"a/b".into())).unwrap();
        assert_eq!(found.location.as_ref(), "a/b");
        let folders = block_on(place.list_with_delimiter(None)).unwrap();
        assert_eq!(folders.common_prefixes, ["a".into()]);
        assert_eq!(*place.file_at(&"a/b".into()).uri, *"/data/tenant/mine/a/b");
    }

    #[test]
    fn what_is_to_be_read_is_not_written() {
        let (all, place) = place();
        block_on(place.put(&"a".into(), "mine".into())).unwrap();
        let read = place.read_only();
        let bytes = block_on(async { read.get(&"a".into()).await?.bytes().await });
        assert_eq!(bytes.unwrap(), "mine");
        assert_eq!(listed(&*read), ["a"]);
        let before = listed(&*all);
        let (a, b): (Path, Path) = ("a".into(), "b".into());
        let denied = |e: object_store::Error| {
            assert!(
                matches!(e, object_store::Error::PermissionDenied { .. }),
                "{e}"
            );
            assert!(e.to_string().contains("read"), "{e}");
        };
        denied(block_on(read.put(&b, "x".into())).unwrap_err());
        denied(block_on(read.put_multipart(&b)).map(drop).unwrap_err());
        denied(block_on(read.delete(&a)).unwrap_err());
        denied(block_on(read.copy(&a, &b)).unwrap_err());
        denied(block_on(read.rename(&a, &b)).unwrap_err());
        let both = futures::stream::iter([Ok(a.clone()), Ok(b)]).boxed();
        let deleted: Vec<_> = block_on(read.delete_stream(both).collect());
        assert_eq!(deleted.len(), 2);
        deleted.into_iter().for_each(|d| denied(d.unwrap_err()));
        assert_eq!(listed(&*all), before);
    }
}
