//! Private copies of the files that an attempt is given.
//!
//! flytekit reads a file of this machine in place. So the attempt gets an `inputs.pb` of its own, whose uris
//! name copies in the attempt's folder (`inputs/N/NAME`); outputs that name a copy are put back to the
//! original (see `settle`). Inputs above the bound are read from where they are (see `originals`).

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flyte_core::contract::LaunchRequest;
use flyte_core::literal::{Literal, Row};
use flyte_idl::convert::encode_literal_map;
use serde::{Deserialize, Serialize};

use crate::copy::{Bounds, Listing, at};
use crate::folder::Folder;
use crate::options::ProcessOptions;
use crate::originals::{Original, may_mount, read_only};
use crate::uris::{Text, replace};

/// Files and folders of one input above which none of them is copied.
const ENTRIES_MAX: usize = 100_000;

/// What an attempt is given.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// The inputs with the uris of copies; `None` if there are no copies.
    pub(crate) row: Option<Row>,
    copies: Vec<(Listing, PathBuf)>,
    pub(crate) given: Given,
}

/// What is noted beside the copies.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Given {
    /// Copies, and what they were copied from.
    pub(crate) copies: Vec<(PathBuf, PathBuf)>,
    /// What is read from where it is.
    pub(crate) originals: Vec<Original>,
}

impl Inputs {
    /// Looks at what the inputs of an attempt name. `folder` is where copies are to be.
    pub(crate) fn look(inputs: &Row, folder: &Path, options: &ProcessOptions) -> io::Result<Self> {
        let mut out = Self::default();
        let mut values: Vec<Literal> = inputs.values().to_vec();
        for ((name, value), new) in inputs.iter().zip(&mut values) {
            let paths = local_paths(value, &options.file_roots);
            if paths.is_empty() {
                continue;
            }
            let Some(mut listings) = list(&paths, options)? else {
                for path in paths {
                    out.given
                        .originals
                        .push(Original::new(name, path, &options.file_roots));
                }
                continue;
            };
            let replaced = replace(value, &mut |text, kind| {
                let path = local_path(text, kind, &options.file_roots)?;
                // What has gone meanwhile has none.
                let listing = listings.pop_front_if(|l| l.root() == path)?;
                let name = path.file_name().unwrap_or("root".as_ref());
                let copy = folder.join(out.copies.len().to_string()).join(name);
                out.copies.push((listing, copy.clone()));
                let end = if text.ends_with('/') { "/" } else { "" };
                let uri = format!("{}{end}", copy.to_string_lossy());
                out.given.copies.push((copy, path));
                Some(match text.starts_with(FILE) {
                    true => format!("{FILE}{uri}"),
                    false => uri,
                })
            });
            if let Some(replaced) = replaced {
                *new = replaced;
            }
        }
        if !out.copies.is_empty() {
            let names = inputs.names().clone();
            out.row = Row::new(names, values);
        }
        Ok(out)
    }

    /// The request as the program sees it: with the private `inputs.pb`.
    pub(crate) fn request(&self, request: &LaunchRequest, folder: &Folder) -> LaunchRequest {
        let mut own = request.clone();
        if let Some(row) = &self.row {
            own.inputs = row.clone();
            own.locations.inputs = folder.inputs_pb().to_string_lossy().into_owned();
        }
        own
    }

    /// The program with what it reads from where it is made read-only, except for folders that contain the
    /// attempt's outputs.
    pub(crate) fn read_only(
        &self,
        program: Vec<String>,
        outputs: &Path,
        roots: &[PathBuf],
    ) -> io::Result<Vec<String>> {
        let originals = self.given.originals.iter();
        let originals: Vec<_> = originals
            .filter(|o| !outputs.starts_with(o.path()))
            .collect();
        if originals.is_empty() {
            return Ok(program);
        }
        if may_mount(&std::env::temp_dir()) {
            let paths: Vec<PathBuf> = originals.iter().map(|o| o.path().to_path_buf()).collect();
            return Ok(read_only(&paths, program));
        }
        originals.iter().try_for_each(|o| o.protect(roots))?;
        Ok(program)
    }

    /// Whether there is nothing to be kept apart.
    fn is_empty(&self) -> bool {
        self.copies.is_empty() && self.given.originals.is_empty()
    }
}

/// How uris of files of this machine may begin.
pub(crate) const FILE: &str = "file://";

/// The existing file or folder of this machine that a text names.
fn local_path(text: &str, kind: Text, roots: &[PathBuf]) -> Option<PathBuf> {
    let path = Path::new(text.strip_prefix(FILE).unwrap_or(text));
    let named = match kind {
        Text::Uri => true,
        Text::Document => roots
            .iter()
            .any(|root| path != root && path.starts_with(root)),
        Text::Plain => false,
    };
    if !named || !path.is_absolute() {
        return None;
    }
    let meta = fs::metadata(path).ok()?;
    (meta.is_file() || meta.is_dir()).then(|| path.components().collect())
}

fn local_paths(value: &Literal, roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let unchanged = replace(value, &mut |text, kind| {
        all.extend(local_path(text, kind, roots));
        None
    });
    debug_assert!(unchanged.is_none(), "nothing was replaced");
    all
}

/// What is at the paths of one input; `None` if that is more than is copied.
fn list(paths: &[PathBuf], options: &ProcessOptions) -> io::Result<Option<VecDeque<Listing>>> {
    let mut bounds = Bounds {
        follow: true,
        bytes_max: options.input_copy_bytes_max,
        entries_max: ENTRIES_MAX,
        skip: &options.file_roots,
    };
    let mut out = VecDeque::new();
    for path in paths {
        let Some(listing) = Listing::read(path, bounds)? else {
            return Ok(None);
        };
        bounds.bytes_max -= listing.bytes;
        bounds.entries_max -= listing.len();
        out.push_back(listing);
    }
    Ok(Some(out))
}

impl Folder {
    /// Where the attempt's private inputs are.
    pub(crate) fn inputs(&self) -> PathBuf {
        self.0.join("inputs")
    }

    fn given_path(&self) -> PathBuf {
        self.0.join("given.json")
    }

    /// Copies what the attempt is given, and notes what is not copied.
    pub(crate) fn make_inputs(&self, inputs: &Inputs) -> io::Result<()> {
        if inputs.is_empty() {
            return Ok(());
        }
        fs::create_dir(self.inputs()).map_err(|e| at(&self.inputs(), &e))?;
        for (listing, copy) in &inputs.copies {
            let own = copy.parent().expect("invariant: it is below the folder");
            fs::create_dir(own).map_err(|e| at(own, &e))?;
            listing.copy(copy)?;
        }
        if let Some(row) = &inputs.row {
            let path = self.inputs_pb();
            fs::write(&path, encode_literal_map(row)).map_err(|e| at(&path, &e))?;
        }
        let originals = inputs.given.originals.iter();
        let given = Given {
            copies: inputs.given.copies.clone(),
            originals: originals
                .map(Original::stamped)
                .collect::<io::Result<_>>()?,
        };
        let given = serde_json::to_vec(&given)?;
        fs::write(self.given_path(), given).map_err(|e| at(&self.given_path(), &e))
    }

    /// The private `inputs.pb`.
    pub(crate) fn inputs_pb(&self) -> PathBuf {
        self.inputs().join("inputs.pb")
    }

    /// What the attempt was given, if anything of this machine.
    pub(crate) fn given(&self) -> io::Result<Option<Given>> {
        match fs::read(self.given_path()) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(at(&self.given_path(), &e)),
        }
    }
}
