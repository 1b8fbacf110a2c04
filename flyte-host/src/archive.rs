use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::fail::{Refusal, Result};

/// Files and folders of one archive.
const ENTRIES_MAX: usize = 10_000;
/// Bytes of one archive, unpacked.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Unpacks a `.tgz` that somebody else made into the new folder `out`: regular files and folders
/// only, nothing outside of `out`, and only so much. Gives the names of the files.
pub(crate) fn unpack(path: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let bad = |m: String| Refusal::new("BadPackage", m).at(path.display());
    let io = |e: io::Error| match e.kind() {
        io::ErrorKind::StorageFull => bad(e.to_string()).remedy("make room on the disk"),
        _ => bad(format!("no readable .tgz: {e}")).remedy("make it anew with pyflyte package"),
    };
    let file = fs::File::open(path).map_err(io)?;
    // One byte more than allowed tells a bomb from a large package.
    let mut archive = Archive::new(GzDecoder::new(file).take(2 * BYTES_MAX));
    let (mut files, mut left, mut entries) = (Vec::new(), BYTES_MAX, 0);
    for entry in archive.entries().map_err(io)? {
        let mut entry = entry.map_err(io)?;
        let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(bad(format!("it has more than {ENTRIES_MAX} entries")));
        }
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            continue;
        }
        let inner = inside(&entry.path().map_err(io)?)
            .ok_or_else(|| bad(format!("`{shown}` leads out of the package")))?;
        let target = out.join(&inner);
        match kind {
            EntryType::Directory => fs::create_dir_all(&target).map_err(io)?,
            EntryType::Regular | EntryType::Continuous => {
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent).map_err(io)?;
                }
                let mut file =
                    fs::File::create_new(&target).map_err(|e| bad(format!("`{shown}`: {e}")))?;
                let wrote = io::copy(&mut entry.by_ref().take(left + 1), &mut file).map_err(io)?;
                left = left.checked_sub(wrote).ok_or_else(|| {
                    bad(format!("it unpacks to more than {} MiB", BYTES_MAX >> 20))
                })?;
                files.push(inner);
            }
            _ => {
                let text = format!("`{shown}` is no file and no folder (links are not followed)");
                return Err(bad(text));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The path without its `.` parts, if it stays where it is unpacked.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}
