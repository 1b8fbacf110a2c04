use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flyte_core::id::Digest;

use crate::fail::{Refusal, Result};

/// Files and empty folders of one input.
const ENTRIES_MAX: usize = 100_000;

/// A file, or a folder with all that is in it, at one moment. Symbolic links are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    /// By the path inside the folder, in order: empty for a file by itself.
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Empty for the source itself; that of an empty folder ends with `/`.
    pub(super) path: String,
    pub(super) stamp: Stamp,
}

/// What changes when a file is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    file: (u64, u64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            file: (meta.dev(), meta.ino()),
        }
    }
}

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        self.path.ends_with('/')
    }
}

impl Tree {
    /// Lists a source.
    pub(super) fn read(source: &Path) -> Result<Self> {
        let meta = fs::metadata(source).map_err(|e| failed(source, &e))?;
        let mut entries = Vec::new();
        if meta.is_dir() {
            let top = fs::canonicalize(source).map_err(|e| failed(source, &e))?;
            folder(source, "", &mut vec![top], &mut entries)?;
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        } else {
            entries.push(file(source, String::new(), &meta)?);
        }
        Ok(Self { entries })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.entries.iter().map(|e| e.stamp.bytes).sum()
    }

    /// A hash of what it is without reading it: path, sizes and times of change.
    pub(super) fn reference(&self, source: &Path) -> String {
        let mut all = source.as_os_str().as_encoded_bytes().to_vec();
        for entry in &self.entries {
            let (seconds, nanos) = entry.stamp.modified;
            let path = entry.path.as_bytes();
            all.extend((path.len() as u64).to_le_bytes());
            all.extend(path);
            all.extend(entry.stamp.bytes.to_le_bytes());
            all.extend(seconds.to_le_bytes());
            all.extend(nanos.to_le_bytes());
        }
        Digest::of("flyte input by reference v1", &all).to_hex()
    }
}

/// Lists a folder; `around` are the folders that lead to it, without links.
fn folder(
    path: &Path,
    prefix: &str,
    around: &mut Vec<PathBuf>,
    out: &mut Vec<Entry>,
) -> Result<()> {
    let mut is_empty = true;
    for entry in fs::read_dir(path).map_err(|e| failed(path, &e))? {
        is_empty = false;
        let entry = entry.map_err(|e| failed(path, &e))?;
        let (at, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str() else {
            return Err(not_utf8(at.as_os_str()));
        };
        let name = format!("{prefix}{name}");
        let meta = fs::metadata(&at).map_err(|e| failed(&at, &e))?;
        if meta.is_dir() {
            let own = fs::canonicalize(&at).map_err(|e| failed(&at, &e))?;
            if around.contains(&own) {
                let text = format!("`{}` leads back to a folder around it", at.display());
                return Err(Refusal::new("BadInput", text).remedy("remove the link"));
            }
            around.push(own);
            folder(&at, &format!("{name}/"), around, out)?;
            around.pop();
        } else {
            out.push(file(&at, name, &meta)?);
        }
        if out.len() > ENTRIES_MAX {
            return Err(too_many(path));
        }
    }
    if is_empty {
        let path = if prefix.is_empty() { "/" } else { prefix };
        out.push(Entry {
            path: path.to_owned(),
            stamp: Stamp::default(),
        });
    }
    Ok(())
}

fn file(at: &Path, path: String, meta: &Metadata) -> Result<Entry> {
    if !meta.is_file() {
        let text = format!("`{}` is neither a file nor a folder", at.display());
        return Err(Refusal::new("BadInput", text).remedy("give files and folders"));
    }
    Ok(Entry {
        path,
        stamp: Stamp::of(meta),
    })
}

fn too_many(path: &Path) -> Refusal {
    let text = format!(
        "`{}` is in a folder of more than {ENTRIES_MAX} files",
        path.display()
    );
    Refusal::new("Limit", text).remedy("pack them into one file")
}

pub(super) fn failed(path: &Path, e: &std::io::Error) -> Refusal {
    let code = match e.kind() {
        std::io::ErrorKind::NotFound => "FileNotFound",
        _ => "Io",
    };
    Refusal::new(code, format!("`{}`: {e}", path.display()))
}

/// A name that no uri can hold.
pub(super) fn not_utf8(name: &OsStr) -> Refusal {
    let shown = name.as_encoded_bytes().escape_ascii();
    let text = format!("the name of the file `{shown}` is not UTF-8");
    Refusal::new("BadFileName", text).remedy("give the file another name")
}
