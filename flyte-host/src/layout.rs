use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::fail::{Refusal, Result};
use crate::scope::{Scope, Wish};

/// How Python finds the code of FILE.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The folder that modules are imported from.
    pub(crate) root: PathBuf,
    /// Dotted names below the root.
    pub(crate) modules: Vec<String>,
    /// The file or folder that was given.
    given: PathBuf,
}

impl Layout {
    /// Whether the code lies directly in the root, and not in packages of it.
    pub(crate) fn is_flat(&self) -> bool {
        self.given == self.root || self.given.parent() == Some(&self.root) && !self.given.is_dir()
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.given.display().fmt(f)
    }
}

impl Layout {
    /// A file is a module of the packages that it lies in.
    pub(crate) fn of_file(file: &Path) -> Result<Self> {
        let file = real(file)?;
        let root = project_root(&file);
        let inner = file.strip_prefix(&root).unwrap_or(&file).with_extension("");
        let mut parts = Vec::new();
        for part in &inner {
            parts.push(module_name(part, &file)?);
        }
        if parts.len() > 1 && parts.last().is_some_and(|p| p == "__init__") {
            parts.pop();
        }
        Ok(Self {
            modules: vec![parts.join(".")],
            root,
            given: file,
        })
    }

    /// All modules of a folder. One that is a package is imported by its whole name, else its files
    /// are modules of their own.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self> {
        let folder = real(folder)?;
        let root = match folder.join("__init__.py").exists() {
            true => project_root(&folder),
            false => folder.clone(),
        };
        let mut modules = Vec::new();
        let found = Scope::around(&folder, true, Vec::new(), &[], Wish::Usual)?;
        for member in found.files {
            let Some(module) = member.name.strip_suffix(".py") else {
                continue;
            };
            let path = folder.join(module);
            let inner = path.strip_prefix(&root).unwrap_or(&path);
            let dotted = inner.to_string_lossy().replace('/', ".");
            let dotted = dotted.strip_suffix(".__init__").unwrap_or(&dotted);
            // What is no name is a script, such as `run-it.py`, and is run by its own path.
            let is_name = |part: &str| part.chars().all(|c| c.is_alphanumeric() || c == '_');
            if dotted.split('.').all(is_name) && dotted != "setup" {
                modules.push(dotted.to_owned());
            }
        }
        Ok(Self {
            root,
            modules,
            given: folder,
        })
    }
}

/// The first folder above `path` that is no package, as flytekit finds it.
pub(crate) fn project_root(path: &Path) -> PathBuf {
    let mut above = path.ancestors().skip(1);
    let root = above.find(|folder| !folder.join("__init__.py").exists());
    root.unwrap_or(Path::new("/")).to_path_buf()
}

/// A link to code is that code, as for flytekit.
fn real(path: &Path) -> Result<PathBuf> {
    let real = std::fs::canonicalize(path);
    real.map_err(|e| Refusal::new("Io", e.to_string()).at(path.display()))
}

/// A file or folder as a part of a module's name. Python imports what is no identifier, too, such as
/// `run-it`.
fn module_name(part: &OsStr, file: &Path) -> Result<String> {
    let shown = part.to_string_lossy();
    match part.to_str() {
        Some(name) if !name.contains('.') => Ok(name.to_owned()),
        Some(name) => {
            let text = format!("Python cannot import `{name}`: the name of a module has no dots");
            Err(Refusal::new("BadModuleName", text)
                .at(file.display())
                .remedy(format!("rename it to `{}`", name.replace('.', "_"))))
        }
        None => {
            let text = format!(
                "Python cannot import `{}`: it is no UTF-8",
                shown.escape_debug()
            );
            Err(Refusal::new("BadModuleName", text)
                .at(file.display())
                .remedy("rename it"))
        }
    }
}
