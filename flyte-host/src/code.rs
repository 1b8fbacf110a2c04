use std::path::{Path, PathBuf};

use flyte_core::id::Digest;

use crate::fail::{Refusal, Result};
use crate::state::State;

/// Bytes of code that one run may snapshot.
const CODE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Copies the loaded modules under the digest of their content: every attempt runs from there, so
/// that an edit between kill and resume changes nothing. Gives the folder and the version.
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
                format!("the loaded modules have more than {CODE_BYTES_MAX} bytes"),
            )
            .at(root.display()));
        }
        all.push((name, bytes));
    }
    let version = Digest::of("flyte code v1", &content).to_hex()[..32].to_owned();
    let dir = state.path("code").join(&version);
    if dir.exists() {
        return Ok((dir, version));
    }
    // Built beside and renamed, so that a half-written folder is never taken for a whole one.
    let tmp = state
        .path("code")
        .join(format!(".{version}.{}", std::process::id()));
    for (name, bytes) in all {
        let path = tmp.join(name);
        let parent = path.parent().expect("invariant: it is inside of `tmp`");
        std::fs::create_dir_all(parent).map_err(|e| bad(parent, e))?;
        std::fs::write(&path, bytes).map_err(|e| bad(&path, e))?;
        let mut mode = std::fs::metadata(&path)
            .map_err(|e| bad(&path, e))?
            .permissions();
        mode.set_readonly(true);
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
