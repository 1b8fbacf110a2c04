//! Private copies of files and folders: by reflink where the file system has it, else by bytes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The owner may write what is copied: a copy belongs to one attempt.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// About the space that a file takes beside its bytes.
const BLOCK_BYTES: u64 = 4096;

/// One thing below the root of a [`Listing`].
#[derive(Debug)]
struct Entry {
    /// Its path below the root; empty for a root that is a file.
    path: PathBuf,
    kind: Kind,
    mode: u32,
}

#[derive(Debug)]
enum Kind {
    Folder,
    File(u64),
    Link(PathBuf),
}

/// How a [`Listing`] is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    /// Lists what links name, as an upload does, instead of the links.
    pub(crate) follow: bool,
    pub(crate) bytes_max: u64,
    pub(crate) entries_max: usize,
    /// Folders that are left out.
    pub(crate) skip: &'a [PathBuf],
}

impl Bounds<'_> {
    /// Everything, links as links.
    pub(crate) const NONE: Self = Self {
        follow: false,
        bytes_max: u64::MAX,
        entries_max: usize::MAX,
        skip: &[],
    };
}

/// The files, folders and symbolic links below a root, which may be a single file. Other things, such
/// as sockets, are left out.
#[derive(Debug)]
pub(crate) struct Listing {
    root: PathBuf,
    entries: Vec<Entry>,
    /// Bytes of all files.
    pub(crate) bytes: u64,
    files: u64,
}

impl Listing {
    /// Lists; a `root` that is a link is followed. Stops with `None` beyond the bounds.
    pub(crate) fn read(root: &Path, bounds: Bounds<'_>) -> io::Result<Option<Self>> {
        let mut listing = Self {
            root: root.to_path_buf(),
            entries: Vec::new(),
            bytes: 0,
            files: 0,
        };
        let meta = fs::metadata(root).map_err(|e| at(root, &e))?;
        if meta.is_dir() {
            listing.folder(PathBuf::new(), meta.mode());
        } else {
            listing.file(PathBuf::new(), &meta);
        }
        // The vector is the queue of folders, too: a folder comes before what is in it.
        let mut next = 0;
        while next < listing.entries.len() && listing.is_within(bounds) {
            let entry = &listing.entries[next];
            next += 1;
            if matches!(entry.kind, Kind::Folder) {
                let inner = entry.path.clone();
                listing.read_folder(&inner, bounds)?;
            }
        }
        Ok(listing.is_within(bounds).then_some(listing))
    }

    fn is_within(&self, bounds: Bounds<'_>) -> bool {
        self.bytes <= bounds.bytes_max && self.entries.len() <= bounds.entries_max
    }

    /// How many files, folders and links there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The paths of the files below the root.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let files = self.entries.iter();
        files.filter_map(|e| matches!(e.kind, Kind::File(_)).then_some(&*e.path))
    }

    fn read_folder(&mut self, inner: &Path, bounds: Bounds<'_>) -> io::Result<()> {
        let folder = self.root.join(inner);
        for entry in fs::read_dir(&folder).map_err(|e| at(&folder, &e))? {
            let entry = entry.map_err(|e| at(&folder, &e))?;
            let path = inner.join(entry.file_name());
            let mut meta = entry.metadata().map_err(|e| at(&entry.path(), &e))?;
            if bounds.follow
                && meta.is_symlink()
                // A link to nothing, or to itself, stays a link.
                && let Ok(named) = fs::metadata(entry.path())
            {
                meta = named;
            }
            let kind = meta.file_type();
            if kind.is_dir() {
                if !bounds.skip.contains(&entry.path()) {
                    self.folder(path, meta.mode());
                }
            } else if kind.is_file() {
                self.file(path, &meta);
            } else if kind.is_symlink() {
                let to = fs::read_link(entry.path()).map_err(|e| at(&entry.path(), &e))?;
                self.entries.push(Entry {
                    path,
                    kind: Kind::Link(to),
                    mode: 0,
                });
            }
        }
        Ok(())
    }

    fn folder(&mut self, path: PathBuf, mode: u32) {
        self.entries.push(Entry {
            path,
            kind: Kind::Folder,
            mode,
        });
    }

    fn file(&mut self, path: PathBuf, meta: &fs::Metadata) {
        self.bytes += meta.len();
        self.files += 1;
        self.entries.push(Entry {
            path,
            kind: Kind::File(meta.len()),
            mode: meta.mode(),
        });
    }

    /// Bytes that a copy takes on the disk, about.
    fn needed(&self) -> u64 {
        let blocks = self.entries.iter().map(|e| match e.kind {
            Kind::File(bytes) => bytes.div_ceil(BLOCK_BYTES).max(1) * BLOCK_BYTES,
            Kind::Folder | Kind::Link(_) => BLOCK_BYTES,
        });
        blocks.sum()
    }

    /// Copies everything to `to`, which must not exist. Modes stay, and the owner may write.
    ///
    /// # Errors
    /// `StorageFull` with both sizes if the disk cannot hold it; nothing is judged where the file system
    /// shares the blocks.
    pub(crate) fn copy(&self, to: &Path) -> io::Result<()> {
        let mut share = Share::Untried;
        for entry in &self.entries {
            let target = match entry.path.as_os_str().is_empty() {
                true => to.to_path_buf(),
                false => to.join(&entry.path),
            };
            let mode = entry.mode & 0o777;
            let done = match &entry.kind {
                Kind::Folder => make_folder(&target, mode | FOLDER_MODE),
                Kind::Link(inner) => symlink(inner, &target),
                Kind::File(_) => {
                    let from = self.root.join(&entry.path);
                    // A path that ends with `/` is no file.
                    let from = if entry.path.as_os_str().is_empty() {
                        self.root.clone()
                    } else {
                        from
                    };
                    self.copy_file(&from, &target, mode | FILE_MODE, &mut share)
                }
            };
            done.map_err(|e| match e.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.full(to, &e),
                _ => at(&target, &e),
            })?;
        }
        Ok(())
    }

    fn copy_file(&self, from: &Path, to: &Path, mode: u32, share: &mut Share) -> io::Result<()> {
        let mut source = File::open(from)?;
        let mut options = OpenOptions::new();
        let mut target = options.write(true).create_new(true).mode(mode).open(to)?;
        // What the process's mask took away is given back: the original had it.
        if target.metadata()?.mode() & 0o777 != mode {
            target.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        if source.metadata()?.len() == 0 {
            return Ok(());
        }
        if *share != Share::No {
            match clone(&source, &target) {
                true => {
                    *share = Share::Yes;
                    return Ok(());
                }
                false if *share == Share::Untried => {
                    *share = Share::No;
                    self.check_space(to)?;
                }
                // One file of many: it lies on another file system.
                false => {}
            }
        }
        io::copy(&mut source, &mut target)?;
        Ok(())
    }

    fn check_space(&self, to: &Path) -> io::Result<()> {
        match free_bytes(to)? < self.needed() {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn full(&self, to: &Path, e: &io::Error) -> io::Error {
        let parent = to.parent().unwrap_or(to);
        let free = match free_bytes(parent) {
            Ok(bytes) => format!("{bytes} bytes"),
            Err(e) => format!("an unknown number of bytes ({e})"),
        };
        let text = format!(
            "the private copy of {} needs about {} bytes for {} files, and the disk of {} has {free} free: \
             make room on it",
            self.root.display(),
            self.needed(),
            self.files,
            parent.display(),
        );
        io::Error::new(e.kind(), text)
    }
}

/// Whether files can share their blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    Untried,
    Yes,
    No,
}

#[cfg(target_os = "linux")]
fn clone(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn clone(_: &File, _: &File) -> bool {
    false
}

/// What an unprivileged process may still write.
fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)?;
    if fs::metadata(path)?.mode() & 0o777 != mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Deletes a folder with all that is in it, also where a task has taken its own right to do so. That
/// nothing is there is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let gone = |done: io::Result<()>| match done {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match gone(fs::remove_dir_all(path)) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            gone(fs::remove_dir_all(path)).map_err(|e| at(path, &e))
        }
        other => other.map_err(|e| at(path, &e)),
    }
}

/// Gives the owner all rights on a folder and the folders in it.
fn open_up(path: &Path) -> io::Result<()> {
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let mode = fs::symlink_metadata(&folder)?.mode();
        if mode & FOLDER_MODE != FOLDER_MODE {
            let mode = fs::Permissions::from_mode(mode & 0o777 | FOLDER_MODE);
            fs::set_permissions(&folder, mode).map_err(|e| at(&folder, &e))?;
        }
        for entry in fs::read_dir(&folder).map_err(|e| at(&folder, &e))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

/// The error with its place.
pub(crate) fn at(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_copy_has_the_bytes_links_and_modes_and_its_owner_may_write() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("deep/er")).unwrap();
        fs::create_dir(from.join("empty")).unwrap();
        fs::write(from.join("deep/er/data.csv"), "1,2\n").unwrap();
        fs::write(from.join("none"), "").unwrap();
        symlink("deep/er/data.csv", from.join("link")).unwrap();
        symlink("/no/such/file", from.join("dangling")).unwrap();
        let chmod = |name: &str, mode| {
            fs::set_permissions(from.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        chmod("deep/er/data.csv", 0o555);
        chmod("none", 0o446);
        chmod("deep", 0o555);
        let to = dir.path().join("to");
        let listing = Listing::read(&from, Bounds::NONE).unwrap().unwrap();
        assert_eq!((listing.bytes, listing.files), (4, 2));
        listing.copy(&to).unwrap();
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "1,2\n");
        assert_eq!(
            fs::read_link(to.join("dangling")).unwrap(),
            Path::new("/no/such/file")
        );
        assert!(to.join("empty").is_dir());
        assert_eq!(mode(&to.join("deep/er/data.csv")), 0o755);
        assert_eq!(mode(&to.join("none")), 0o646);
        assert_eq!(mode(&to.join("deep")), 0o755);
        fs::write(to.join("deep/er/data.csv"), "3\n").unwrap();
        assert_eq!(
            fs::read_to_string(from.join("deep/er/data.csv")).unwrap(),
            "1,2\n"
        );
        // A file by itself.
        let bytes = |bytes_max| Bounds {
            bytes_max,
            ..Bounds::NONE
        };
        let file = Listing::read(&from.join("deep/er/data.csv"), bytes(4)).unwrap();
        file.unwrap().copy(&dir.path().join("one")).unwrap();
        assert_eq!(fs::read(dir.path().join("one")).unwrap(), b"1,2\n");
        // More than the bound.
        assert!(Listing::read(&from, bytes(3)).unwrap().is_none());
        // What links name, without a folder that is left out.
        let skip = [from.join("empty")];
        let bounds = Bounds {
            follow: true,
            skip: &skip,
            ..Bounds::NONE
        };
        let followed = Listing::read(&from, bounds).unwrap().unwrap();
        followed.copy(&dir.path().join("followed")).unwrap();
        let is_file = |name: &str| {
            let meta = fs::symlink_metadata(dir.path().join("followed").join(name));
            meta.is_ok_and(|m| m.is_file())
        };
        assert!(is_file("link") && !is_file("dangling"));
        assert!(!dir.path().join("followed/empty").exists());
        chmod("deep", 0o755);
    }

    #[test]
    fn what_a_task_closed_is_deleted_and_nothing_behind_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        let kept = dir.path().join("kept");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "").unwrap();
        symlink(&kept, tree.join("a/b/out")).unwrap();
        for inner in ["a/b", "a"] {
            fs::set_permissions(tree.join(inner), fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(kept.join("file").exists());
        remove(&tree).unwrap();
    }
}
