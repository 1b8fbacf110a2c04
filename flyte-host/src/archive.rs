//! Packages as `pyflyte package` makes them, unpacked from an archive that nobody here wrote.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

/// Files and folders of one archive.
pub const ENTRIES_MAX: usize = 10_000;
/// Bytes of one archive, unpacked.
pub const UNPACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why an archive was not unpacked, or not to its end: what is in the folder then is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// No gzip, no tar, or an end too early.
    #[error("no readable .tgz: {0}")]
    Unreadable(#[source] io::Error),
    /// The disk took no more.
    #[error("{0}")]
    DiskFull(#[source] io::Error),
    /// An entry could not be written: it comes twice, or its name is no name here.
    #[error("`{entry}`: {source}")]
    Entry {
        /// The entry's name.
        entry: String,
        /// What the system said.
        source: io::Error,
    },
    /// A path with `..`, or from the root.
    #[error("`{0}` leads out of the package")]
    Outside(String),
    /// A link, a device, a pipe.
    #[error("`{0}` is no file and no folder (links are not followed)")]
    Kind(String),
    /// More than [`ENTRIES_MAX`].
    #[error("it has more than {ENTRIES_MAX} entries")]
    Entries,
    /// More than [`UNPACKED_BYTES_MAX`].
    #[error("it unpacks to more than {} MiB", UNPACKED_BYTES_MAX >> 20)]
    Bytes,
}

impl From<io::Error> for UnpackError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull(e),
            _ => Self::Unreadable(e),
        }
    }
}

/// Unpacks a `.tgz` that somebody else made into the folder `out`, which is made: regular files
/// and folders only, nothing outside of `out`, nothing over what is there. Gives the names of the
/// files, in order.
///
/// ```
/// # use flyte_host::archive::{UnpackError, unpack};
/// let folder = tempfile::tempdir()?;
/// let refused = unpack(&b"no archive"[..], &folder.path().join("out"));
/// assert!(matches!(refused, Err(UnpackError::Unreadable(_))));
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # Errors
/// [`UnpackError`]; files that came before the fault stay in `out`.
pub fn unpack(archive: impl Read, out: &Path) -> Result<Vec<PathBuf>, UnpackError> {
    // One byte more than allowed tells a bomb from a large package.
    let mut archive = Archive::new(GzDecoder::new(archive).take(2 * UNPACKED_BYTES_MAX));
    let (mut files, mut left, mut entries) = (Vec::new(), UNPACKED_BYTES_MAX, 0);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(UnpackError::Entries);
        }
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            continue;
        }
        let Some(inner) = inside(&entry.path()?) else {
            return Err(UnpackError::Outside(shown));
        };
        let target = out.join(&inner);
        match kind {
            EntryType::Directory => fs::create_dir_all(&target)?,
            EntryType::Regular | EntryType::Continuous => {
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent)?;
                }
                let mut file = fs::File::create_new(&target).map_err(|source| {
                    let entry = shown;
                    UnpackError::Entry { entry, source }
                })?;
                let wrote = io::copy(&mut entry.by_ref().take(left + 1), &mut file)?;
                left = left.checked_sub(wrote).ok_or(UnpackError::Bytes)?;
                files.push(inner);
            }
            _ => return Err(UnpackError::Kind(shown)),
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A package with a folder, two files and a long name.
    fn package() -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let long = format!("folder/{}.py", "x".repeat(120));
        for (name, text) in [("a.pb", "bytes"), ("folder/b.py", "code"), (&*long, "more")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, name, text.as_bytes())
                .unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    /// Bytes are changed inside of the archive, and outside of it; the next number of a seed says
    /// which, so that each run changes the same.
    #[test]
    #[allow(clippy::print_stdout)] // The counts of a test.
    fn a_changed_package_is_read_or_refused_and_nothing_leaves_the_folder() {
        let plain = package();
        let whole = zipped(&plain);
        let root = tempfile::tempdir().unwrap();
        let mut state = 1_u64;
        let mut draw = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let (mut read, mut refused) = (0, 0);
        for n in 0..10_000 {
            let inside = n % 4 != 0;
            let mut bytes = if inside { plain.clone() } else { whole.clone() };
            for _ in 0..=draw(3) {
                let place = draw(bytes.len());
                match draw(3) {
                    0 => bytes[place] ^= 1 << draw(8),
                    1 => bytes[place] = [b'/', b'.', 0, 0xff, b'7'][draw(5)],
                    _ => bytes.truncate(place.max(1)),
                }
            }
            let bytes = if inside { zipped(&bytes) } else { bytes };
            let out = root.path().join("out");
            match unpack(&bytes[..], &out) {
                Ok(files) => {
                    read += 1;
                    files
                        .iter()
                        .for_each(|f| assert!(out.join(f).is_file(), "{f:?}"));
                }
                Err(_) => refused += 1,
            }
            let left: Vec<_> = fs::read_dir(root.path()).unwrap().collect();
            assert!(left.len() <= 1, "{left:?}");
            let _none = fs::remove_dir_all(&out);
        }
        println!("{read} read, {refused} refused");
        assert!(read > 100 && refused > 100);
    }
}
