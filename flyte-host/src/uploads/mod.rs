//! Stores the files and folders of inputs under their content before a run, as an upload to a
//! cluster does: `inputs/DIGEST/NAME` below the root of the store of files.
//!
//! Invariant: what lies there is whole, and has the digest that its folder is named by.

mod cloud;
mod disk;
mod options;
mod package;
mod progress;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use flyte_core::id::{Digest, Str};
use flyte_core::literal::{Literal, NewUri, UriAt, UriKind, map_uris};
use flyte_store::Blobs;

use crate::fail::{Refusal, Result};
use crate::package::{Chosen, Package};
use crate::state::State;
pub(crate) use options::InputOptions;
use progress::Progress;
use tree::Tree;

/// Bytes of all inputs above which a run asks whether to copy them.
pub(crate) const UNASKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The folder of stored inputs below the root of the store of files.
pub(crate) const FOLDER: &str = "inputs";

/// How often a source that changes meanwhile is read.
const TRIES: u32 = 3;

/// Stores the files of one run.
#[derive(Debug)]
pub(crate) struct Uploads {
    blobs: Blobs,
    options: InputOptions,
    quiet: bool,
    /// Where copies are made before they go to a cloud.
    scratch: PathBuf,
    /// Bytes that were found so far.
    bytes: u64,
    stored: HashMap<Source, NewUri>,
}

/// A file or folder of this machine that a value names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    path: PathBuf,
    /// What stands for its name: flytekit gives the folders of defaults random names.
    name: String,
    /// Whether a path of its own identifies it.
    by_reference: bool,
}

impl Uploads {
    pub(crate) fn new(blobs: &Blobs, state: &State, options: &InputOptions, quiet: bool) -> Self {
        Self {
            blobs: blobs.clone(),
            options: options.clone(),
            quiet,
            scratch: state.root().to_owned(),
            bytes: 0,
            stored: HashMap::new(),
        }
    }

    /// Stores what defaults and constants of a package name; whether there was anything.
    pub(crate) async fn package(&mut self, package: &mut Package) -> Result<bool> {
        let mut wanted = Vec::new();
        package::map(package, &mut |at: UriAt<'_>| {
            // What is not there may not be needed.
            let source = self.source(at.uri).filter(|s| s.path.exists());
            wanted.extend(source.map(|s| (s, String::from("a default"))));
            Ok(None)
        })?;
        if wanted.is_empty() {
            return Ok(false);
        }
        self.store(wanted).await?;
        package::map(package, &mut |at: UriAt<'_>| Ok(self.replacement(at.uri)))?;
        package.close()?;
        Ok(true)
    }

    /// Stores what the inputs of an execution name; the same inputs, with what was stored.
    pub(crate) async fn inputs(
        &mut self,
        chosen: &Chosen,
        inputs: BTreeMap<Str, Literal>,
    ) -> Result<BTreeMap<Str, Literal>> {
        let mut wanted = Vec::new();
        map(chosen, &inputs, &mut |name, at| {
            let Some(source) = self.source(at.uri) else {
                return Ok(None);
            };
            let place = match at.place {
                "" => format!("--{name}"),
                place if place.starts_with('[') => format!("--{name}{place}"),
                place => format!("--{name}.{place}"),
            };
            check(&source.path, at.kind, &place)?;
            wanted.push((source, place));
            Ok(None)
        })?;
        self.store(wanted).await?;
        map(chosen, &inputs, &mut |_, at| Ok(self.replacement(at.uri)))
    }

    /// What a uri names on this machine; `None` if it lies elsewhere or is stored already.
    fn source(&self, uri: &str) -> Option<Source> {
        let local = uri.strip_prefix("file://").unwrap_or(uri);
        if local.is_empty() || local.contains("://") {
            return None;
        }
        let path = std::path::absolute(local).ok()?;
        let is_stored = path.strip_prefix(&self.blobs.root).is_ok_and(|inner| {
            let mut parts = inner.components().map(|c| c.as_os_str());
            parts.next().is_some_and(|first| first == FOLDER)
                && parts.next().is_some_and(|digest| is_hex(digest, 64))
        });
        if is_stored && path.exists() {
            return None;
        }
        let made = is_made(&path);
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| "data".into());
        Some(Source {
            name: match made && is_hex(name.as_ref(), 32) {
                true => "data".into(),
                false => name,
            },
            // A copy that flytekit has made has a path that changes.
            by_reference: self.options.input_by_reference && !made,
            path,
        })
    }

    fn replacement(&self, uri: &str) -> Option<NewUri> {
        self.stored.get(&self.source(uri)?).cloned()
    }

    async fn store(&mut self, wanted: Vec<(Source, String)>) -> Result<()> {
        let mut trees: Vec<(Source, String, Tree)> = Vec::new();
        for (source, place) in wanted {
            let known = trees.iter().any(|(s, ..)| *s == source);
            if !known && !self.stored.contains_key(&source) {
                let tree = Tree::read(&source.path).map_err(|e| e.at(&place))?;
                trees.push((source, place, tree));
            }
        }
        let copied = trees.iter().filter(|(s, ..)| !s.by_reference);
        let bytes: u64 = copied.map(|(.., tree)| tree.bytes()).sum();
        self.bytes += bytes;
        if self.bytes > UNASKED_BYTES_MAX && !self.options.copy_inputs {
            let text = format!(
                "the files and folders of the inputs have {} together ({} bytes)",
                gib(self.bytes),
                self.bytes
            );
            let places: Vec<&str> = trees.iter().map(|(_, place, _)| &**place).collect();
            return Err(Refusal::new("LargeInputs", text)
                .at(places.join(", "))
                .remedy(
                    "give --copy-inputs to store them, or --input-by-reference to leave them \
                     where they are: cached results then depend on path, size and time of change",
                ));
        }
        let progress = Progress::new(bytes, self.quiet);
        for (source, place, tree) in trees {
            let new = match source.by_reference {
                true => NewUri {
                    uri: text(&source.path, &place)?.into(),
                    hash: tree.reference(&source.path),
                },
                false => NewUri {
                    uri: self.copy(&source, &place, tree, &progress).await?.into(),
                    hash: String::new(),
                },
            };
            self.stored.insert(source, new);
        }
        progress.finish();
        Ok(())
    }

    /// Copies a source, digests the copy and keeps it; its uri.
    async fn copy(
        &self,
        source: &Source,
        place: &str,
        mut tree: Tree,
        progress: &Progress,
    ) -> Result<String> {
        let root = &self.blobs.root;
        let is_cloud = root.contains("://");
        let folder = match is_cloud {
            true => self.scratch.clone(),
            false => Path::new(root).join(FOLDER),
        };
        for _ in 0..TRIES {
            let (from, name, at) = (source.path.clone(), source.name.clone(), folder.clone());
            let (own, shown) = (tree.clone(), progress.clone());
            let work = move || disk::Copy::make(&at, &from, &name, &own, &shown);
            let copied = tokio::task::spawn_blocking(work).await;
            let copied = copied.expect("invariant: the copy does not panic");
            let now = Tree::read(&source.path).map_err(|e| e.at(place))?;
            let copied = match copied {
                Ok(copied) if now == tree => copied,
                // What was read may have been there no more.
                Ok(_) => {
                    tree = now;
                    continue;
                }
                Err(_) if now != tree => {
                    tree = now;
                    continue;
                }
                Err(e) => return Err(e.at(place)),
            };
            match is_cloud {
                true => cloud::keep(&self.blobs, &copied, &tree, &source.name)
                    .await
                    .map_err(|e| e.at(place))?,
                false => copied.keep(&folder).map_err(|e| e.at(place))?,
            }
            let digest = copied.digest.to_hex();
            return Ok(format!("{root}/{FOLDER}/{digest}/{}", source.name));
        }
        let text = format!("`{}` changes while it is stored", source.path.display());
        Err(Refusal::new("InputChanged", text)
            .at(place)
            .remedy("wait until it is written, or give a copy of it"))
    }
}

/// Shows `change` each uri of the inputs, with the name of the input.
fn map(
    chosen: &Chosen,
    inputs: &BTreeMap<Str, Literal>,
    change: &mut impl FnMut(&str, UriAt<'_>) -> Result<Option<NewUri>>,
) -> Result<BTreeMap<Str, Literal>> {
    let mut out = BTreeMap::new();
    for (name, value) in inputs {
        let declared = chosen.inputs.get(&**name);
        let t = declared.and_then(|v| v.literal_type.as_ref());
        let none = package::no_documents();
        let t = t.unwrap_or(&none);
        let value = map_uris(value, Some(t), &mut |at| change(name, at))?;
        out.insert(name.clone(), value);
    }
    Ok(out)
}

/// Refuses what is not there, or is no file or folder as it should be.
fn check(path: &Path, kind: UriKind, place: &str) -> Result<()> {
    let shown = path.display();
    let refuse = |code, text: String| Err(Refusal::new(code, text).at(place));
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            refuse("FileNotFound", format!("there is no `{shown}`"))
        }
        Err(e) => refuse("Io", format!("`{shown}`: {e}")),
        Ok(meta) => match (kind, meta.is_dir()) {
            (UriKind::File, true) => refuse(
                "BadInput",
                format!("`{shown}` is a folder; a file is wanted"),
            ),
            (UriKind::Folder, false) => refuse(
                "BadInput",
                format!("`{shown}` is a file; a folder is wanted"),
            ),
            _ => Ok(()),
        },
    }
}

/// Whether flytekit made this copy when it read the code: `flyte-…/raw/HEX/…`.
fn is_made(path: &Path) -> bool {
    let parts: Vec<_> = path.components().map(|c| c.as_os_str()).collect();
    parts.windows(2).any(|w| w[0] == "raw" && is_hex(w[1], 32))
        && parts
            .iter()
            .any(|p| p.to_string_lossy().starts_with("flyte-"))
}

fn is_hex(text: &std::ffi::OsStr, len: usize) -> bool {
    let bytes = text.as_encoded_bytes();
    let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    bytes.len() == len && bytes.iter().all(hex)
}

fn text(path: &Path, place: &str) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| tree::not_utf8(path.as_os_str()).at(place))
}

#[allow(clippy::cast_precision_loss)] // It is shown with two digits.
fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / (1024.0 * 1024.0 * 1024.0))
}

/// The digest that names a stored file or folder.
fn digest_of(name: &str, parts: &[(String, Option<Digest>)]) -> Digest {
    let mut all = Vec::new();
    let mut put = |bytes: &[u8]| {
        all.extend((bytes.len() as u64).to_le_bytes());
        all.extend(bytes);
    };
    put(name.as_bytes());
    for (path, digest) in parts {
        put(path.as_bytes());
        put(digest.map(|d| d.0).as_ref().map_or(&[], |d| &d[..]));
    }
    Digest::of("flyte stored input v1", &all)
}
