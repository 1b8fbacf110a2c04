//! What an attempt has for itself: its working directory, and copies of the files that it is given.
//!
//! They lie in the attempt's folder (`tree`, `inputs`), beside `private.made`, which has the boot in which they
//! were made whole. They are made under the folder's lock before the program starts, and deleted when the
//! attempt's outcome is durable. After a loss of power nothing says which files reached the disk, but nothing
//! runs with them either: those of another boot are made again.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::copy::{at, remove};
use crate::folder::{Folder, Seen};
use crate::inputs::Inputs;
use crate::leader::boot_id;
use crate::tree::Tree;

/// What is made for an attempt.
#[derive(Debug, Default)]
pub(crate) struct Private {
    /// Its working directory, unless it works in a folder of the host.
    pub(crate) tree: Option<Tree>,
    pub(crate) inputs: Inputs,
}

impl Folder {
    pub(crate) fn private_made(&self) -> PathBuf {
        self.0.join("private.made")
    }

    /// Whether everything is there, made in this boot. The program of a scheduler that died before it saw
    /// the process id may be about to use it.
    pub(crate) fn has_private(&self) -> io::Result<bool> {
        match fs::read_to_string(self.private_made()) {
            Ok(boot) => Ok(boot == boot_id()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(at(&self.private_made(), &e)),
        }
    }

    /// Makes everything whole. A second call finds what the first one made.
    pub(crate) fn make_private(&self, private: &Private) -> io::Result<()> {
        if self.has_private()? {
            return Ok(());
        }
        self.remove_private()?;
        let made = || {
            self.make_inputs(&private.inputs)?;
            if let Some(tree) = &private.tree {
                self.make_tree(tree)?;
            }
            fs::write(self.private_made(), boot_id()).map_err(|e| at(&self.private_made(), &e))
        };
        made().inspect_err(|_| {
            // The first error is the one to be told.
            let _stays = self.remove_private();
        })
    }

    /// Deletes everything.
    pub(crate) fn remove_private(&self) -> io::Result<()> {
        // First what says that it is whole.
        match fs::remove_file(self.private_made()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(at(&self.private_made(), &e));
            }
            _ => {}
        }
        remove(&self.inputs())?;
        remove(&self.tree_half())?;
        remove(&self.tree())
    }

    /// Deletes what a launch left that never came to start a program. One that may have started it wrote
    /// that everything is whole.
    pub(crate) fn remove_half_private(&self) -> io::Result<()> {
        if !self.0.exists() {
            return Ok(());
        }
        let lock = fs::File::create(self.0.join("lock"))?;
        if lock.try_lock().is_err() {
            // It is being launched.
            return Ok(());
        }
        if self.seen()? == Seen::Prepared && !self.has_private()? {
            self.remove_private()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn folder(dir: &Path) -> Folder {
        let folder = Folder(dir.join("attempt"));
        fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    fn source(dir: &Path) -> Private {
        let code = dir.join("code");
        fs::create_dir_all(&code).unwrap();
        fs::write(code.join("a.py"), "a = 1\n").unwrap();
        Private {
            tree: Some(Tree { source: Some(code) }),
            inputs: Inputs::default(),
        }
    }

    #[test]
    fn a_tree_is_made_once_and_again_in_another_boot() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, private) = (folder(dir.path()), source(dir.path()));
        // A launch that died in the middle.
        fs::create_dir(folder.tree_half()).unwrap();
        fs::write(folder.tree_half().join("b.py"), "half").unwrap();
        folder.make_private(&private).unwrap();
        assert!(!folder.tree().join("b.py").exists());
        assert!(!folder.tree_half().exists());
        fs::write(folder.tree().join("own"), "").unwrap();
        folder.make_private(&private).unwrap();
        let own = folder.tree().join("own");
        assert!(own.exists(), "a program may run in it");
        // Renamed, and dead before it was noted.
        fs::remove_file(folder.private_made()).unwrap();
        folder.make_private(&private).unwrap();
        assert!(!own.exists());
        fs::write(folder.tree().join("a.py"), "").unwrap();
        fs::write(folder.private_made(), "another boot").unwrap();
        folder.make_private(&private).unwrap();
        let text = fs::read_to_string(folder.tree().join("a.py")).unwrap();
        assert_eq!(text, "a = 1\n", "a loss of power may have emptied it");
    }

    #[test]
    fn a_half_goes_and_a_whole_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, private) = (folder(dir.path()), source(dir.path()));
        fs::create_dir(folder.tree_half()).unwrap();
        fs::create_dir(folder.inputs()).unwrap();
        folder.remove_half_private().unwrap();
        assert!(!folder.tree_half().exists() && !folder.inputs().exists());
        folder.make_private(&private).unwrap();
        folder.remove_half_private().unwrap();
        assert!(folder.tree().exists());
        folder.remove_private().unwrap();
        assert!(!folder.tree().exists() && !folder.private_made().exists());
    }

    #[test]
    fn an_attempt_without_code_gets_an_empty_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let private = Private {
            tree: Some(Tree::default()),
            inputs: Inputs::default(),
        };
        folder.make_private(&private).unwrap();
        assert_eq!(fs::read_dir(folder.tree()).unwrap().count(), 0);
    }
}
