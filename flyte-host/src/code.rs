use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flyte_core::id::Digest;

use crate::fail::{Refusal, Result};
use crate::scope::{CODE_BYTES_MAX, Member, Scope};
use crate::state::State;

/// Copies the code under the digest of its content: every attempt runs from a copy of that,
/// so that an edit between kill and resume changes nothing. Gives the folder and the version.
pub(crate) fn snapshot(state: &State, root: &Path, scope: &Scope) -> Result<(PathBuf, String)> {
    let bad = |p: &Path, e: std::io::Error| Refusal::new("Io", e.to_string()).at(p.display());
    if let Some(line) = scope.left_out() {
        tell!("warning: {line}");
    }
    let mut content = Vec::new();
    let mut all = Vec::new();
    let mut sum = 0;
    for Member { name, needed } in &scope.files {
        let path = root.join(name);
        let read = std::fs::metadata(&path).and_then(|m| Ok((m, std::fs::read(&path)?)));
        let (runs, bytes) = match read {
            Ok((meta, bytes)) => (meta.permissions().mode() & 0o111, bytes),
            // It went since the folder was listed.
            Err(e) if e.kind() == ErrorKind::NotFound && !needed => continue,
            Err(e) => return Err(bad(&path, e)),
        };
        content.extend((name.len() as u64).to_le_bytes());
        content.extend(name.as_bytes());
        content.extend((bytes.len() as u64).to_le_bytes());
        content.extend(&bytes);
        sum += bytes.len() as u64;
        if sum > CODE_BYTES_MAX {
            return Err(Refusal::new(
                "Limit",
                format!("the code has more than {CODE_BYTES_MAX} bytes"),
            )
            .at(root.display())
            .remedy("give the folder that holds only the code with --source"));
        }
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
        let mode = Permissions::from_mode(0o444 | runs);
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
