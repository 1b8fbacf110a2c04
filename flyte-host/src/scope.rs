use std::collections::BTreeSet;
use std::path::Path;

use ignore::{DirEntry, WalkBuilder};

use crate::fail::{Refusal, Result};
use crate::ignored::Ignored;

/// Bytes of code that one run may snapshot.
pub(crate) const CODE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Files that one run may snapshot.
pub(crate) const FILES_MAX: usize = 10_000;

/// Files and folders that are looked at to find them.
const ENTRIES_MAX: usize = 100_000;

/// Names in the line that says what was left out.
const NAMED_MAX: usize = 5;

/// Files below a root, by their names inside it.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) files: Vec<Member>,
    left: Vec<Left>,
}

/// A file of the snapshot.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// A loaded module, without which nothing runs.
    pub(crate) needed: bool,
}

/// What the snapshot lacks, and why.
#[derive(Debug)]
struct Left {
    name: String,
    size: u64,
    why: &'static str,
}

/// Which files are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// What fits into the bounds, without hidden files.
    Usual,
    /// Hidden ones, too; what does not fit is an error.
    All,
}

impl Scope {
    /// The loaded modules alone.
    pub(crate) fn loaded(files: Vec<String>) -> Self {
        let needed = |name| Member { name, needed: true };
        Self {
            files: files.into_iter().map(needed).collect(),
            left: Vec::new(),
        }
    }

    /// The loaded modules and what lies around them: of a `root` whose packages hold the code, these
    /// and the files directly in it, else all below it. `hidden` are names that would hide modules
    /// which were imported from elsewhere.
    pub(crate) fn around(
        root: &Path,
        is_flat: bool,
        loaded: Vec<String>,
        hidden: &[String],
        wish: Wish,
    ) -> Result<Self> {
        let mut out = Self::default();
        let known: BTreeSet<String> = loaded.iter().cloned().collect();
        let mut found = out.walk(root, is_flat, wish, None)?;
        if found.is_none() {
            if wish == Wish::All {
                let text = format!("below it are more than {ENTRIES_MAX} files and folders");
                return Err(too_much(root, &text));
            }
            out.left = vec![Left {
                name: "all in deeper folders".into(),
                size: 0,
                why: "more than 100,000 files and folders",
            }];
            found = out.walk(root, is_flat, wish, Some(1))?;
        }
        let mut found = found.unwrap_or_default();
        found.retain(|(name, _)| !known.contains(name));
        found.retain(|(name, size)| {
            let top = name.split('/').next().unwrap_or(name);
            let is_hidden = hidden.iter().any(|h| h == top);
            if is_hidden {
                let why = "it would hide a module of Python or of a package";
                out.leave(name, *size, why);
            }
            !is_hidden
        });
        out.files = Self::loaded(loaded).files;
        let sizes = known.iter().map(|name| {
            let meta = std::fs::metadata(root.join(name));
            meta.map_or(0, |m| m.len())
        });
        let mut bytes: u64 = sizes.sum();
        // The smaller ones first, so that one large file does not keep others out.
        found.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        for (name, size) in found {
            let fits = out.files.len() < FILES_MAX && bytes + size <= CODE_BYTES_MAX;
            if !fits && wish == Wish::All {
                let text = format!(
                    "it has more than {FILES_MAX} files, or more than {CODE_BYTES_MAX} bytes"
                );
                return Err(too_much(root, &text));
            }
            if fits {
                bytes += size;
                out.files.push(Member {
                    name,
                    needed: false,
                });
            } else {
                out.leave(&name, size, "beyond the bounds");
            }
        }
        out.files.sort();
        Ok(out)
    }

    fn leave(&mut self, name: &str, size: u64, why: &'static str) {
        let name = name.to_owned();
        self.left.push(Left { name, size, why });
    }

    /// Files below the root with their sizes; `None` if there are too many to look at.
    fn walk(
        &mut self,
        root: &Path,
        is_flat: bool,
        wish: Wish,
        depth: Option<usize>,
    ) -> Result<Option<Vec<(String, u64)>>> {
        let ignored = Ignored::read(root)?;
        let all = wish == Wish::All;
        let in_git = root.ancestors().any(|a| a.join(".git").exists());
        let is_environment = root.join("pyvenv.cfg").exists();
        let mut walk = WalkBuilder::new(root);
        walk.hidden(!all)
            .ignore(false)
            // Outside of a repository only the files below the root count.
            .parents(in_git)
            .require_git(in_git)
            .git_global(in_git)
            .git_exclude(in_git)
            .max_depth(depth)
            .sort_by_file_name(Ord::cmp);
        let top = root.to_path_buf();
        walk.filter_entry(move |e| {
            let name = e.file_name().to_string_lossy();
            let is_folder = e.file_type().is_some_and(|t| t.is_dir());
            let inner = e.path().strip_prefix(&top).unwrap_or(e.path());
            match e.depth() {
                0 => true,
                _ if ignored.ignores(inner, is_folder) => false,
                _ if !is_folder => !name.ends_with(".pyc"),
                1 if is_environment && ENVIRONMENT.contains(&&*name) => false,
                1 if !is_flat && !all && !e.path().join("__init__.py").exists() => false,
                _ => !is_no_code(e),
            }
        });
        let mut found = Vec::new();
        for (n, entry) in walk.build().enumerate() {
            if n > ENTRIES_MAX {
                return Ok(None);
            }
            // A folder that cannot be read is no part of the code; a file may just have gone.
            let Ok(entry) = entry else { continue };
            let inner = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let Some(name) = inner.to_str() else {
                let shown = inner.to_string_lossy().escape_debug().to_string();
                self.leave(&shown, 0, "its name is no UTF-8");
                continue;
            };
            let Some(kind) = entry.file_type() else {
                continue;
            };
            // A link to a file is its content; one that leads nowhere is nothing.
            let Ok(meta) = std::fs::metadata(entry.path()) else {
                continue;
            };
            if kind.is_symlink() && meta.is_dir() {
                self.leave(name, 0, "a link to a folder");
            } else if meta.is_file() {
                match std::fs::File::open(entry.path()) {
                    Ok(_) => found.push((name.to_owned(), meta.len())),
                    Err(_) => self.leave(name, meta.len(), "it cannot be read"),
                }
            }
        }
        Ok(Some(found))
    }

    /// One line that names what was left out.
    pub(crate) fn left_out(&self) -> Option<String> {
        let mut left: Vec<&Left> = self.left.iter().collect();
        if left.is_empty() {
            return None;
        }
        left.sort_by_key(|l| std::cmp::Reverse(l.size));
        let name = |l: &&Left| match l.size {
            0 => format!("{} ({})", l.name, l.why),
            size => format!("{} ({}, {size} bytes)", l.name, l.why),
        };
        let mut names: Vec<String> = left.iter().take(NAMED_MAX).map(name).collect();
        if left.len() > NAMED_MAX {
            names.push(format!("and {} more", left.len() - NAMED_MAX));
        }
        Some(format!(
            "the snapshot of the code lacks {}; a task that needs one takes it as an input",
            names.join(", ")
        ))
    }
}

/// What an environment in the root itself consists of.
const ENVIRONMENT: [&str; 5] = ["bin", "include", "lib", "lib64", "share"];

/// Environments, caches, and the state of tools.
fn is_no_code(folder: &DirEntry) -> bool {
    let name = folder.file_name().to_string_lossy();
    let has = |inner: &str| folder.path().join(inner).exists();
    matches!(
        &*name,
        "__pycache__" | "node_modules" | ".git" | ".flyte" | ".cache"
    ) || has("pyvenv.cfg")
        || has("conda-meta")
        || has("CACHEDIR.TAG")
}

fn too_much(root: &Path, text: &str) -> Refusal {
    Refusal::new("Limit", text)
        .at(root.display())
        .remedy("list in .flyteignore what is no code, or leave --copy all out")
}
