use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flyte_core::id::Digest;

use crate::fail::{Refusal, Result};
use crate::state::State;

/// Bytes of code that one run may snapshot.
const CODE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Files that one run may snapshot.
const FILES_MAX: usize = 10_000;

/// The files under a folder, by their names inside it: without hidden ones, caches and virtual
/// environments.
pub(crate) fn files_under(root: &Path) -> Result<Vec<String>> {
    let bad = |p: &Path, e: std::io::Error| Refusal::new("Io", e.to_string()).at(p.display());
    let (mut out, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| bad(&folder, e))? {
            let entry = entry.map_err(|e| bad(&folder, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "__pycache__" || name == "node_modules" {
                continue;
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(|e| bad(&path, e))?;
            if kind.is_dir() {
                if !path.join("pyvenv.cfg").exists() {
                    folders.push(path);
                }
            } else if kind.is_file() {
                let inner = path
                    .strip_prefix(root)
                    .expect("invariant: it is below the root");
                out.push(inner.to_string_lossy().into_owned());
            }
            if out.len() > FILES_MAX {
                let text = format!("the code has more than {FILES_MAX} files");
                return Err(Refusal::new("Limit", text)
                    .at(root.display())
                    .remedy("give the folder that holds only the code with --source"));
            }
        }
    }
    out.sort();
    Ok(out)
}

/// Copies the loaded modules under the digest of their content: every attempt runs from a copy of that,
/// so that an edit between kill and resume changes nothing. Gives the folder and the version.
pub(crate) fn snapshot(state: &State, root: &Path, files: &[String]) -> Result<(PathBuf, String)> {
    let bad = |p: &Path, e: std::io::Error| Refusal::new("Io", e.to_string()).at(p.display());
    let mut content = Vec::new();
    let mut all = Vec::new();
    for name in files {
        let path = root.join(name);
        let bytes = std::fs::read(&path).map_err(|e| bad(&path, e))?;
        content.extend((name.len() as u64).to_le_bytes());
        content.extend(name.as_bytes());
        content.extend((bytes.len() as u64).to_le_bytes());
        content.extend(&bytes);
        if content.len() > CODE_BYTES_MAX {
            return Err(Refusal::new(
                "Limit",
                format!("the code has more than {CODE_BYTES_MAX} bytes"),
            )
            .at(root.display())
            .remedy("give the folder that holds only the code with --source"));
        }
        let mode = std::fs::metadata(&path)
            .map_err(|e| bad(&path, e))?
            .permissions()
            .mode();
        let runs = mode & 0o111;
        if runs != 0 {
            // Files that cannot be executed keep the digest that they had before modes counted.
            content.extend(b"\0mode");
            content.extend(runs.to_le_bytes());
        }
        all.push((name, bytes, runs));
    }
    let version = Digest::of("flyte code v1", &content).to_hex()[..32].to_owned();
    let dir = state.path("code").join(&version);
    if dir.exists() {
        // Its age says when it was used last.
        let now = std::time::SystemTime::now();
        let touched = std::fs::File::open(&dir).and_then(|d| d.set_modified(now));
        touched.map_err(|e| bad(&dir, e))?;
        return Ok((dir, version));
    }
    // Built beside and renamed, so that a half-written folder is never taken for a whole one.
    let tmp = state
        .path("code")
        .join(format!(".{version}.{}", std::process::id()));
    for (name, bytes, runs) in all {
        let path = tmp.join(name);
        let parent = path.parent().expect("invariant: it is inside of `tmp`");
        std::fs::create_dir_all(parent).map_err(|e| bad(parent, e))?;
        std::fs::write(&path, bytes).map_err(|e| bad(&path, e))?;
        // The copies that tasks run from are writable.
        let mode = std::fs::Permissions::from_mode(0o444 | runs);
        std::fs::set_permissions(&path, mode).map_err(|e| bad(&path, e))?;
    }
    std::fs::create_dir_all(&tmp).map_err(|e| bad(&tmp, e))?;
    if std::fs::rename(&tmp, &dir).is_err() && !dir.exists() {
        return Err(
            Refusal::new("Io", "the snapshot of the code cannot be kept").at(dir.display()),
        );
    }
    Ok((dir, version))
}
