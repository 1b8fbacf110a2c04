use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flyte_core::id::Digest;

use super::digest_of;
use super::progress::Progress;
use super::tree::{Tree, failed};
use crate::fail::{Refusal, Result};

/// Bytes that are copied or digested together.
const CHUNK_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of a stored input up to which it is read again before it is used again.
const CHECKED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A private copy of a source, and its digest.
#[derive(Debug)]
pub(super) struct Copy {
    folder: tempfile::TempDir,
    name: String,
    pub(super) digest: Digest,
    bytes: u64,
}

impl Copy {
    /// Copies a source into a new folder in `at`, and digests the copy; blocks.
    pub(super) fn make(
        at: &Path,
        source: &Path,
        name: &str,
        tree: &Tree,
        progress: &Progress,
    ) -> Result<Self> {
        fs::create_dir_all(at).map_err(|e| failed(at, &e))?;
        let folder = tempfile::Builder::new().prefix(".tmp-").tempdir_in(at);
        let folder = folder.map_err(|e| failed(at, &e))?;
        let top = folder.path().join(name);
        for entry in &tree.entries {
            let to = join(&top, &entry.path);
            if entry.is_folder() {
                fs::create_dir_all(&to).map_err(|e| failed(&to, &e))?;
                continue;
            }
            let parent = to.parent().expect("invariant: it is in the folder");
            fs::create_dir_all(parent).map_err(|e| failed(parent, &e))?;
            let from = join(source, &entry.path);
            copy(&from, &to, progress).map_err(|e| full(&to, &e))?;
        }
        let digest = digest(&top, name, tree)?;
        Ok(Self {
            folder,
            name: name.to_owned(),
            digest,
            bytes: tree.bytes(),
        })
    }

    /// Where the copy is.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Renames the copy to its place in `inputs`, unless it is there; a place whose content is
    /// another is replaced.
    pub(super) fn keep(&self, inputs: &Path) -> Result<()> {
        let place = inputs.join(self.digest.to_hex());
        if place.exists() {
            if self.is_at(&place)? {
                // Its age says when it was used last.
                let now = SystemTime::now();
                let touched = File::open(&place).and_then(|f| f.set_modified(now));
                return touched.map_err(|e| failed(&place, &e));
            }
            let aside = tempfile::Builder::new().prefix(".tmp-").tempdir_in(inputs);
            let aside = aside.map_err(|e| failed(inputs, &e))?;
            let moved = fs::rename(&place, aside.path().join("damaged"));
            moved.map_err(|e| failed(&place, &e))?;
        }
        let renamed = fs::rename(self.folder.path(), &place);
        if let Err(e) = renamed {
            // Another run was quicker.
            if !place.exists() {
                return Err(failed(&place, &e));
            }
            return Ok(());
        }
        let mode = fs::Permissions::from_mode(0o755);
        let opened = fs::set_permissions(&place, mode);
        let synced = opened.and_then(|()| File::open(inputs)?.sync_all());
        synced.map_err(|e| failed(&place, &e))
    }

    /// Whether a place has this content.
    fn is_at(&self, place: &Path) -> Result<bool> {
        let there = place.join(&self.name);
        if !there.exists() {
            return Ok(false);
        }
        let tree = Tree::read(&there)?;
        if tree.bytes() != self.bytes {
            return Ok(false);
        }
        if self.bytes > CHECKED_BYTES_MAX {
            return Ok(true);
        }
        Ok(digest(&there, &self.name, &tree)? == self.digest)
    }
}

/// The digest of a file or a folder, by its name and its content.
fn digest(top: &Path, name: &str, tree: &Tree) -> Result<Digest> {
    let mut parts = Vec::with_capacity(tree.entries.len());
    for entry in &tree.entries {
        let digest = match entry.is_folder() {
            true => None,
            false => {
                let path = join(top, &entry.path);
                Some(hash(&path).map_err(|e| failed(&path, &e))?)
            }
        };
        parts.push((entry.path.clone(), digest));
    }
    Ok(digest_of(name, &parts))
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new_derive_key("flyte stored file v1");
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest(*hasher.finalize().as_bytes())),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
    }
}

/// The path of an entry.
pub(super) fn join(top: &Path, entry: &str) -> PathBuf {
    match entry.trim_end_matches('/') {
        "" => top.to_owned(),
        inner => top.join(inner),
    }
}

/// Copies a file; the kernel shares its blocks where the file system can.
fn copy(from: &Path, to: &Path, progress: &Progress) -> io::Result<()> {
    let source = File::open(from)?;
    let mut target = File::create_new(to)?;
    loop {
        let copied = io::copy(&mut (&source).take(CHUNK_BYTES), &mut target)?;
        if copied == 0 {
            break;
        }
        progress.add(copied);
    }
    let executable = source.metadata()?.permissions().mode() & 0o111 != 0;
    if executable {
        target.set_permissions(fs::Permissions::from_mode(0o755))?;
    }
    target.sync_all()
}

fn full(path: &Path, e: &io::Error) -> Refusal {
    let refusal = failed(path, e);
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            refusal.remedy("make room on the disk, or give --input-by-reference")
        }
        _ => refusal,
    }
}
