//! An attempt's private tree: its working directory, made from the code that the execution names.
//!
//! It lies in the attempt's folder as `tree`, beside `tree.made`, which has the boot in which it was made
//! whole. It is made beside itself and renamed under the folder's lock, and deleted when the attempt's
//! outcome is durable. After a loss of power nothing says which of its files reached the disk, but nothing
//! runs in it either: a tree of another boot is made again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::copy::{Listing, at, remove};
use crate::folder::{Folder, Seen};
use crate::leader::boot_id;

/// Which private parts an attempt gets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// What is copied; an empty folder if there is nothing.
    pub(crate) source: Option<PathBuf>,
}

impl Folder {
    /// Where the attempt's private tree is.
    pub(crate) fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    fn tree_made(&self) -> PathBuf {
        self.0.join("tree.made")
    }

    fn tree_half(&self) -> PathBuf {
        self.0.join("tree.half")
    }

    /// Whether a whole tree of this boot is there. The program of a scheduler that died before it saw the
    /// process id may be about to run in it.
    pub(crate) fn has_tree(&self) -> io::Result<bool> {
        match fs::read_to_string(self.tree_made()) {
            Ok(boot) => Ok(boot == boot_id() && self.tree().is_dir()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(at(&self.tree_made(), &e)),
        }
    }

    /// Makes the tree whole, under the folder's lock and before the program is started. A second call finds
    /// what the first one made.
    pub(crate) fn make_tree(&self, tree: &Tree) -> io::Result<()> {
        if self.has_tree()? {
            return Ok(());
        }
        self.remove_tree()?;
        let half = self.tree_half();
        let made = || {
            match &tree.source {
                None => fs::create_dir(&half)?,
                Some(source) => {
                    if !source.is_dir() {
                        let text = "the code of the execution is no folder";
                        return Err(at(source, &io::Error::new(io::ErrorKind::NotFound, text)));
                    }
                    let listing = Listing::read(source, u64::MAX)?;
                    listing.expect("invariant: there is no bound").copy(&half)?;
                }
            }
            fs::rename(&half, self.tree())?;
            fs::write(self.tree_made(), boot_id())
        };
        made().inspect_err(|_| {
            // The first error is the one to be told.
            let _stays = remove(&half);
        })
    }

    /// Deletes the tree.
    pub(crate) fn remove_tree(&self) -> io::Result<()> {
        // First what says that it is whole.
        match fs::remove_file(self.tree_made()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(&self.tree_made(), &e)),
            _ => {}
        }
        remove(&self.tree_half())?;
        remove(&self.tree())
    }

    /// Deletes what a launch left that never came to start a program. One that may have started it wrote
    /// that the tree is whole.
    pub(crate) fn remove_half_tree(&self) -> io::Result<()> {
        if !self.0.exists() {
            return Ok(());
        }
        let lock = fs::File::create(self.0.join("lock"))?;
        if lock.try_lock().is_err() {
            // It is being launched.
            return Ok(());
        }
        if self.seen()? == Seen::Prepared && !self.has_tree()? {
            self.remove_tree()?;
        }
        Ok(())
    }
}

/// Puts a folder first in the `PYTHONPATH` of an environment in which later entries win.
pub(crate) fn first_in_python_path(env: &mut Vec<(String, String)>, folder: &Path) {
    let is_path = |(name, _): &&(String, String)| name == "PYTHONPATH";
    let rest = env.iter().rfind(is_path).map(|(_, value)| value.clone());
    env.retain(|entry| !is_path(&entry));
    let mut value = folder.to_string_lossy().into_owned();
    if let Some(rest) = rest.filter(|r| !r.is_empty() && *r != value) {
        value = format!("{value}:{rest}");
    }
    env.push(("PYTHONPATH".into(), value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(dir: &Path) -> Folder {
        let folder = Folder(dir.join("attempt"));
        fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    fn source(dir: &Path) -> Tree {
        let code = dir.join("code");
        fs::create_dir_all(&code).unwrap();
        fs::write(code.join("a.py"), "a = 1\n").unwrap();
        Tree { source: Some(code) }
    }

    #[test]
    fn a_tree_is_made_once_and_again_in_another_boot() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, tree) = (folder(dir.path()), source(dir.path()));
        // A launch that died in the middle.
        fs::create_dir(folder.tree_half()).unwrap();
        fs::write(folder.tree_half().join("b.py"), "half").unwrap();
        folder.make_tree(&tree).unwrap();
        assert!(!folder.tree().join("b.py").exists());
        assert!(!folder.tree_half().exists());
        fs::write(folder.tree().join("own"), "").unwrap();
        folder.make_tree(&tree).unwrap();
        assert!(
            folder.tree().join("own").exists(),
            "a program may run in it"
        );
        // Renamed, and dead before it was noted.
        fs::remove_file(folder.tree_made()).unwrap();
        folder.make_tree(&tree).unwrap();
        assert!(!folder.tree().join("own").exists());
        fs::write(folder.tree().join("a.py"), "").unwrap();
        fs::write(folder.tree_made(), "another boot").unwrap();
        folder.make_tree(&tree).unwrap();
        let text = fs::read_to_string(folder.tree().join("a.py")).unwrap();
        assert_eq!(text, "a = 1\n", "a loss of power may have emptied it");
    }

    #[test]
    fn a_half_tree_goes_and_a_whole_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, tree) = (folder(dir.path()), source(dir.path()));
        fs::create_dir(folder.tree_half()).unwrap();
        folder.remove_half_tree().unwrap();
        assert!(!folder.tree_half().exists());
        folder.make_tree(&tree).unwrap();
        folder.remove_half_tree().unwrap();
        assert!(folder.tree().exists());
        folder.remove_tree().unwrap();
        assert!(!folder.tree().exists() && !folder.tree_made().exists());
    }

    #[test]
    fn an_attempt_without_code_gets_an_empty_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        folder.make_tree(&Tree::default()).unwrap();
        assert_eq!(fs::read_dir(folder.tree()).unwrap().count(), 0);
    }

    #[test]
    fn the_tree_comes_first_in_the_python_path() {
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        let mut env = vec![
            pair("PYTHONPATH", "/old"),
            pair("A", "b"),
            pair("PYTHONPATH", "/lib:/more"),
        ];
        first_in_python_path(&mut env, Path::new("/tree"));
        assert_eq!(
            env,
            [pair("A", "b"), pair("PYTHONPATH", "/tree:/lib:/more")]
        );
        let mut env = Vec::new();
        first_in_python_path(&mut env, Path::new("/tree"));
        assert_eq!(env, [pair("PYTHONPATH", "/tree")]);
    }
}
