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
    fn a_changed_package_is_read_or_refused_and_nothing_leaves_the_folder() {
        let plain = package();
        let whole = zipped(&plain);
        let root = tempfile::tempdir().unwrap();
        let (file, mut state) = (root.path().join("p.tgz"), 1_u64);
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
            fs::write(&file, bytes).unwrap();
            let out = root.path().join("out");
            match unpack(&file, &out) {
                Ok(files) => {
                    read += 1;
                    files
                        .iter()
                        .for_each(|f| assert!(out.join(f).is_file(), "{f:?}"));
                }
                Err(_) => refused += 1,
            }
            let left: Vec<_> = fs::read_dir(root.path()).unwrap().collect();
            assert!(left.len() <= 2, "{left:?}");
            let _none = fs::remove_dir_all(&out);
        }
        println!("{read} read, {refused} refused");
        assert!(read > 100 && refused > 100);
    }
}
