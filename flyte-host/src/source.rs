use std::path::{Path, PathBuf};

use flyte_core::id::{Digest, Tenant};
use flyte_host::archive::{self, UnpackError};

use crate::code::{files_under, snapshot};
use crate::fail::{Refusal, Result};
use crate::layout::{Layout, project_root};
use crate::package::Package;
use crate::python::Python;
use crate::state::State;

/// Entities, and the code that their tasks run from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) package: Package,
    /// A read-only copy of the code.
    pub(crate) code: PathBuf,
    /// The digest of the interpreter and its packages, where flytekit was asked.
    pub(crate) environment: Option<String>,
}

/// What FILE is, told by its content.
enum Kind {
    Module,
    Archive,
    Entities,
    Folder,
}

/// Finds an interpreter, and reads FILE with it; `code` is what `--source` says.
pub(crate) fn open(
    state: &State,
    file: &Path,
    install: bool,
    python: Option<&Path>,
    code: Option<&Path>,
    tenant: &Tenant,
) -> Result<(Python, Source)> {
    if !file.exists() {
        let text = "there is no such file or folder";
        return Err(Refusal::new("FileNotFound", text).at(file.display()));
    }
    let file = std::path::absolute(file).unwrap_or_else(|_| file.into());
    let python = match install {
        true => Python::install(state, &file, python)?,
        false => Python::find(state, python)?,
    };
    let source = load(state, &python, &file, code, tenant)?;
    Ok((python, source))
}

fn load(
    state: &State,
    python: &Python,
    file: &Path,
    code: Option<&Path>,
    tenant: &Tenant,
) -> Result<Source> {
    let kind = kind(file)?;
    if let (Some(code), Kind::Module | Kind::Folder) = (code, &kind) {
        let text = "a Python file brings its own code";
        return Err(Refusal::new("Usage", text)
            .at(code.display())
            .remedy("leave --source out"));
    }
    match kind {
        Kind::Module => written(state, python, &Layout::of_file(file)?, tenant),
        Kind::Folder => written(state, python, &Layout::of_folder(file)?, tenant),
        Kind::Entities => {
            let (code, version) = own_code(state, code)?;
            Ok(Source {
                package: Package::read(file, tenant, &version)?,
                code,
                environment: None,
            })
        }
        Kind::Archive => packaged(state, file, code, tenant),
    }
}

fn kind(file: &Path) -> Result<Kind> {
    let wrong = |text: &str| {
        let known = "a Python file, a package made by `pyflyte package` (.tgz), a folder of .pb \
                     files, or a folder of Python code";
        Err(Refusal::new("Usage", text)
            .at(file.display())
            .remedy(format!("give {known}")))
    };
    let has = |suffix: &str| file.to_string_lossy().ends_with(suffix);
    if file.is_dir() {
        let names = names(file)?;
        let any = |suffix: &str| names.iter().any(|n| n.ends_with(suffix));
        return match (any(".pb"), any(".py")) {
            (true, _) => Ok(Kind::Entities),
            (_, true) => Ok(Kind::Folder),
            _ => wrong("the folder has neither .pb files nor Python code"),
        };
    }
    match () {
        () if has(".py") => Ok(Kind::Module),
        () if has(".tgz") || has(".tar.gz") => Ok(Kind::Archive),
        () => wrong("it is neither a Python file nor a package"),
    }
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let bad = |e: std::io::Error| Refusal::new("Io", e.to_string()).at(folder.display());
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(bad)? {
        out.push(
            entry
                .map_err(bad)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    out.sort();
    Ok(out)
}

/// Asks flytekit to write the entities of modules.
fn written(state: &State, python: &Python, layout: &Layout, tenant: &Tenant) -> Result<Source> {
    let out = state.temporary()?;
    let made = python.serialise(layout, out.path())?;
    let (code, version) = snapshot(state, &layout.root, &made.files)?;
    let version = format!("{version}-{}", made.flytekit);
    Ok(Source {
        package: Package::read(out.path(), tenant, &version)?,
        code,
        environment: Some(made.environment),
    })
}

/// A package that `pyflyte package` made; with `--copy` it holds its code as `fast….tar.gz`.
fn packaged(state: &State, file: &Path, code: Option<&Path>, tenant: &Tenant) -> Result<Source> {
    let out = state.temporary()?;
    let files = unpack(file, out.path())?;
    let fast = files.iter().find(|f| {
        let name = f.to_string_lossy();
        name.starts_with("fast") && name.ends_with(".tar.gz")
    });
    let (code, version) = match (fast, code) {
        (Some(_), Some(code)) => {
            return Err(Refusal::new("Usage", "the package brings its own code")
                .at(code.display())
                .remedy("leave --source out"));
        }
        (Some(fast), None) => {
            let inner = state.temporary()?;
            let names: Vec<String> = unpack(&out.path().join(fast), inner.path())?
                .iter()
                .map(|f| f.to_string_lossy().into_owned())
                .collect();
            snapshot(state, inner.path(), &names)?
        }
        (None, code) => own_code(state, code)?,
    };
    let bytes =
        std::fs::read(file).map_err(|e| Refusal::new("Io", e.to_string()).at(file.display()))?;
    let digest = Digest::of("flyte package v1", &bytes).to_hex();
    let version = format!("{}-{version}", &digest[..16]);
    Ok(Source {
        package: Package::read(out.path(), tenant, &version)?,
        code,
        environment: None,
    })
}

/// Unpacks an archive into the new folder `out`; the names of its files.
fn unpack(file: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let bad = |m: String| Refusal::new("BadPackage", m).at(file.display());
    let archive = std::fs::File::open(file).map_err(|e| bad(e.to_string()))?;
    archive::unpack(archive, out).map_err(|e| match e {
        UnpackError::DiskFull(_) => bad(e.to_string()).remedy("make room on the disk"),
        _ => bad(e.to_string()),
    })
}

/// The code of a package that brings none: `--source`, or the working directory.
fn own_code(state: &State, code: Option<&Path>) -> Result<(PathBuf, String)> {
    let here = std::env::current_dir().unwrap_or_default();
    let root = code.map_or(here, |c| {
        std::path::absolute(c).unwrap_or_else(|_| c.into())
    });
    if !root.is_dir() {
        let text = "there is no such folder";
        return Err(Refusal::new("FileNotFound", text).at(root.display()));
    }
    // Inside a package, modules are named from its root.
    let root = match root.join("__init__.py").exists() {
        true => project_root(&root),
        false => root,
    };
    snapshot(state, &root, &files_under(&root)?)
}
