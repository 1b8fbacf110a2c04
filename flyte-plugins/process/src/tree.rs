use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::copy::{Bounds, Listing, at};
use crate::folder::Folder;

/// An attempt's working directory: a private copy of the code that its execution names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// What is copied; an empty folder if there is nothing.
    pub(crate) source: Option<PathBuf>,
}

impl Folder {
    /// Where the attempt's tree is.
    pub(crate) fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    pub(crate) fn tree_half(&self) -> PathBuf {
        self.0.join("tree.half")
    }

    /// Makes the tree beside itself and renames it.
    pub(crate) fn make_tree(&self, tree: &Tree) -> io::Result<()> {
        let half = self.tree_half();
        match &tree.source {
            None => fs::create_dir(&half)?,
            Some(source) => {
                if !source.is_dir() {
                    let text = "the code of the execution is no folder";
                    return Err(at(source, &io::Error::new(io::ErrorKind::NotFound, text)));
                }
                let listing = Listing::read(source, Bounds::NONE)?;
                listing.expect("invariant: there is no bound").copy(&half)?;
            }
        }
        fs::rename(&half, self.tree()).map_err(|e| at(&self.tree(), &e))
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
