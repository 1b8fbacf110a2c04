//! Inputs that are too large for a copy: the attempt reads them from where they are. They are read-only by a
//! mount where the attempt can have a mount namespace, else by mode; a change fails the attempt.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::copy::{Bounds, Listing, at};

/// A file or folder that an attempt reads from where it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Original {
    /// The input.
    variable: String,
    path: PathBuf,
    /// Folders in it that belong to executions.
    skip: Vec<PathBuf>,
    /// Each file as it was when the attempt began, by its path in the folder.
    files: BTreeMap<PathBuf, Stamp>,
}

/// What changes with a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Original {
    pub(crate) fn new(variable: &str, path: PathBuf, skip: &[PathBuf]) -> Self {
        Self {
            variable: variable.into(),
            path,
            skip: skip.to_vec(),
            files: BTreeMap::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The same with how its files are now.
    pub(crate) fn stamped(&self) -> io::Result<Self> {
        Ok(Self {
            variable: self.variable.clone(),
            path: self.path.clone(),
            skip: self.skip.clone(),
            files: self.now()?,
        })
    }

    fn list(&self) -> io::Result<Listing> {
        let bounds = Bounds {
            follow: true,
            skip: &self.skip,
            ..Bounds::NONE
        };
        let listing = Listing::read(&self.path, bounds)?;
        Ok(listing.expect("invariant: there is no bound"))
    }

    fn now(&self) -> io::Result<BTreeMap<PathBuf, Stamp>> {
        let listing = self.list()?;
        let mut out = BTreeMap::new();
        for file in listing.files() {
            let path = self.path_of(file);
            let meta = fs::metadata(&path).map_err(|e| at(&path, &e))?;
            let stamp = Stamp {
                bytes: meta.len(),
                modified: (meta.mtime(), meta.mtime_nsec()),
                changed: (meta.ctime(), meta.ctime_nsec()),
            };
            out.insert(file.to_path_buf(), stamp);
        }
        Ok(out)
    }

    fn path_of(&self, file: &Path) -> PathBuf {
        match file.as_os_str().is_empty() {
            true => self.path.clone(),
            false => self.path.join(file),
        }
    }

    /// What happened to it since it was stamped, for people.
    pub(crate) fn change(&self) -> io::Result<Option<String>> {
        let now = match self.now() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            now => now?,
        };
        let is = |file: &PathBuf, what: &str| {
            format!(
                "{what} {}, of the input `{}`; the input is too large for a private copy, so that its files \
                 must not be changed: change a copy of them",
                self.path_of(file).display(),
                self.variable
            )
        };
        for (file, was) in &self.files {
            match now.get(file) {
                None => return Ok(Some(is(file, "the task removed"))),
                Some(stamp) if stamp != was => return Ok(Some(is(file, "the task changed"))),
                Some(_) => {}
            }
        }
        let added = now.keys().find(|file| !self.files.contains_key(*file));
        Ok(added.map(|file| is(file, "the task added")))
    }

    /// Takes the right to write from the modes of the files, if they lie below one of `roots`: others are
    /// not ours. The lock keeps another attempt from noting a file in between, since a new mode counts as
    /// a change.
    pub(crate) fn protect(&self, roots: &[PathBuf]) -> io::Result<()> {
        if !roots.iter().any(|root| self.path.starts_with(root)) {
            return Ok(());
        }
        for file in self.list()?.files() {
            let path = self.path_of(file);
            let protected = || {
                let open = fs::File::open(&path)?;
                open.lock()?;
                let mode = open.metadata()?.mode() & 0o7777;
                match mode & 0o222 {
                    0 => Ok(()),
                    _ => open.set_permissions(fs::Permissions::from_mode(mode & !0o222)),
                }
            };
            protected().map_err(|e: io::Error| at(&path, &e))?;
        }
        Ok(())
    }
}

/// Mounts the first `$1` paths read-only over themselves, and becomes the program.
const MOUNT: &str = r#"
n=$1; shift
while [ "$n" -gt 0 ]; do
  mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || {
    echo "the input $1 cannot be mounted read-only" >&2; exit 71
  }
  shift; n=$((n-1))
done
exec "$@"
"#;

/// The program in a mount namespace in which these paths are read-only.
pub(crate) fn read_only(paths: &[PathBuf], program: Vec<String>) -> Vec<String> {
    let words = ["unshare", "--mount", "/bin/sh", "-c", MOUNT, "flyte-mount"];
    let mut out: Vec<String> = words.map(str::to_owned).into();
    out.push(paths.len().to_string());
    out.extend(paths.iter().map(|p| p.to_string_lossy().into_owned()));
    out.extend(program);
    out
}

/// Whether this process may give a program a mount namespace; tried once, with a mount of `folder`.
pub(crate) fn may_mount(folder: &Path) -> bool {
    static MAY: OnceLock<bool> = OnceLock::new();
    *MAY.get_or_init(|| {
        let line = read_only(&[folder.to_path_buf()], vec!["true".into()]);
        let tried = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_seen_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("input");
        fs::create_dir_all(root.join("inner")).unwrap();
        let fresh = || {
            fs::write(root.join("inner/a"), "a").unwrap();
            let original = Original::new("raw", root.clone(), &[]).stamped().unwrap();
            assert_eq!(original.change().unwrap(), None);
            original
        };
        let change = |original: &Original| original.change().unwrap().unwrap();
        let original = fresh();
        fs::write(root.join("inner/a"), "bb").unwrap();
        let text = change(&original);
        assert!(
            text.contains("the task changed") && text.contains("inner/a"),
            "{text}"
        );
        assert!(text.contains("`raw`"), "{text}");
        let original = fresh();
        fs::write(root.join("new"), "").unwrap();
        assert!(change(&original).contains("the task added"));
        fs::remove_file(root.join("new")).unwrap();
        let original = fresh();
        fs::remove_file(root.join("inner/a")).unwrap();
        assert!(change(&original).contains("the task removed"));
        // One file, of which only the mode changes.
        fresh();
        let one = Original::new("raw", root.join("inner/a"), &[]);
        let one = one.stamped().unwrap();
        fs::set_permissions(root.join("inner/a"), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(change(&one).contains("the task changed"));
    }

    #[test]
    fn modes_protect_what_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("raw/file");
        fs::create_dir(dir.path().join("raw")).unwrap();
        fs::write(&file, "a").unwrap();
        let mode = || fs::metadata(&file).unwrap().mode() & 0o222;
        let original = Original::new("raw", dir.path().join("raw"), &[]);
        original.protect(&[dir.path().join("other")]).unwrap();
        assert_ne!(mode(), 0);
        original.protect(&[dir.path().to_path_buf()]).unwrap();
        assert_eq!(mode(), 0);
    }
}
