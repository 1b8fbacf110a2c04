//! Files of a root on this machine, listed and read without an object store, which leaves out
//! names such as `part#1` and knows no empty folders.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flyte_core::{Error, ErrorKind, Result};

/// What lies below a uri on this machine.
#[derive(Debug)]
pub(super) enum Entry {
    /// A file, or a symbolic link to one.
    File { path: PathBuf, bytes: u64 },
    /// A folder with nothing in it.
    EmptyFolder,
    /// A symbolic link to a folder or to nothing; what it leads to is not followed.
    Link { target: Vec<u8> },
    /// A pipe, a socket or a device.
    Special,
}

/// Bytes of a file that are read together.
const CHUNK_BYTES: usize = 256 * 1024;

/// Where a uri below `root` is on this machine; `None` if the root is no folder of it, or the uri
/// leaves the root.
pub(super) fn path_below(root: &str, uri: &str) -> Option<PathBuf> {
    if !root.starts_with('/') {
        return None;
    }
    let inner = uri.strip_prefix(root)?.trim_start_matches('/');
    let inner = Path::new(inner);
    let plain = |c: Component<'_>| matches!(c, Component::Normal(_));
    (inner.components().next().is_some() && inner.components().all(plain))
        .then(|| Path::new(root).join(inner))
}

/// What is at a path, by the names inside it, in their order: a file has the empty name, an empty
/// folder one that ends with `/`. `None` if there is more than `most`.
///
/// # Errors
/// `Invalid` for a name that is not UTF-8; `NotFound` if nothing is there.
pub(super) fn look(top: &Path, most: usize) -> Result<Option<Vec<(String, Entry)>>> {
    let failed = |path: &Path, e: io::Error| {
        let kind = match e.kind() {
            io::ErrorKind::NotFound if path == top => ErrorKind::NotFound,
            _ => ErrorKind::Unavailable,
        };
        let text = format!("`{}`: {e}", path.display());
        Error::new(kind, "files", text).with_source(e)
    };
    let meta = fs::metadata(top).map_err(|e| failed(top, e))?;
    if !meta.is_dir() {
        let entry = match meta.is_file() {
            true => Entry::File {
                path: top.to_owned(),
                bytes: meta.len(),
            },
            false => Entry::Special,
        };
        return Ok((most > 0).then(|| vec![(String::new(), entry)]));
    }
    let mut out = Vec::new();
    let mut folders = VecDeque::from([(top.to_owned(), String::new())]);
    while let Some((folder, prefix)) = folders.pop_front() {
        let mut empty = true;
        for entry in fs::read_dir(&folder).map_err(|e| failed(&folder, e))? {
            empty = false;
            let entry = entry.map_err(|e| failed(&folder, e))?;
            let path = entry.path();
            let name = entry
                .file_name()
                .into_string()
                .map_err(|name| not_utf8(&prefix, name.as_encoded_bytes()))?;
            let name = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(|e| failed(&path, e))?;
            if kind.is_dir() {
                folders.push_back((path, format!("{name}/")));
            } else if kind.is_symlink() {
                out.push((name, link(path).map_err(|(p, e)| failed(&p, e))?));
            } else if kind.is_file() {
                let bytes = entry.metadata().map_err(|e| failed(&path, e))?.len();
                out.push((name, Entry::File { path, bytes }));
            } else {
                out.push((name, Entry::Special));
            }
            // Each folder that waits has at least one entry.
            if out.len() + folders.len() > most {
                return Ok(None);
            }
        }
        if empty {
            let name = if prefix.is_empty() { "/" } else { &prefix };
            out.push((name.to_owned(), Entry::EmptyFolder));
            if out.len() + folders.len() > most {
                return Ok(None);
            }
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Some(out))
}

fn link(path: PathBuf) -> std::result::Result<Entry, (PathBuf, io::Error)> {
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(Entry::File {
            bytes: meta.len(),
            path,
        }),
        _ => match fs::read_link(&path) {
            Ok(target) => Ok(Entry::Link {
                target: target.into_os_string().into_encoded_bytes(),
            }),
            Err(e) => Err((path, e)),
        },
    }
}

pub(super) fn not_utf8(prefix: &str, name: &[u8]) -> Error {
    let text = format!(
        "the name of the file `{prefix}{}` is not UTF-8: give it another one",
        name.escape_ascii()
    );
    Error::new(ErrorKind::Invalid, "files", text)
}

/// Hashes a file's bytes; blocks.
pub(super) fn hash(path: &Path, hasher: &mut blake3::Hasher) -> Result<()> {
    let failed = |e: io::Error| {
        let text = format!("`{}`: {e}", path.display());
        Error::new(ErrorKind::Unavailable, "files", text).with_source(e)
    };
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed(e)),
        };
    }
}
