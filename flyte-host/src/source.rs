use std::path::{Path, PathBuf};

use clap::ValueEnum;
use flyte_core::id::{Digest, Tenant};
use flyte_host::archive::{self, UnpackError};

use crate::choose::read_defaults;
use crate::code::snapshot;
use crate::environment::Environment;
use crate::fail::{Refusal, Result};
use crate::layout::{Layout, project_root};
use crate::package::Package;
use crate::python::Python;
use crate::scope::{Scope, Wish};
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

/// How FILE is read.
#[derive(Debug, Default)]
pub(crate) struct Reading<'a> {
    pub(crate) install: bool,
    pub(crate) python: Option<&'a Path>,
    /// What `--source` says.
    pub(crate) code: Option<&'a Path>,
    pub(crate) copy: Option<Copy>,
    /// Whether nothing but what is named comes from this process.
    pub(crate) alone: Option<(&'a Environment, Vec<String>)>,
    /// What `--env` says.
    pub(crate) envs: &'a [(String, String)],
}

/// Which files tasks find around the modules that were loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Copy {
    /// All files below the root that are not ignored, also hidden ones.
    All,
    /// The loaded modules only.
    Auto,
    /// None: modules are imported from what is installed.
    None,
}

/// Finds an interpreter, and reads FILE with it.
pub(crate) fn open(
    state: &State,
    file: &Path,
    reading: &Reading<'_>,
    tenant: &Tenant,
) -> Result<(Python, Source)> {
    if !file.exists() {
        let text = "there is no such file or folder";
        return Err(Refusal::new("FileNotFound", text).at(file.display()));
    }
    let file = std::path::absolute(file).unwrap_or_else(|_| file.into());
    let python = match reading.install {
        true => Python::install(state, &file, reading.python)?,
        false => Python::find(state, reading.python)?,
    };
    let source = load(state, &python, &file, reading, tenant)?;
    Ok((python, source))
}

fn load(
    state: &State,
    python: &Python,
    file: &Path,
    reading: &Reading<'_>,
    tenant: &Tenant,
) -> Result<Source> {
    let kind = kind(file)?;
    if let (Some(code), Kind::Module | Kind::Folder) = (reading.code, &kind) {
        let text = "a Python file brings its own code";
        return Err(Refusal::new("Usage", text)
            .at(code.display())
            .remedy("leave --source out"));
    }
    match kind {
        Kind::Module => written(state, python, &Layout::of_file(file)?, reading, tenant),
        Kind::Folder => written(state, python, &Layout::of_folder(file)?, reading, tenant),
        Kind::Entities => {
            let (code, version) = own_code(state, reading)?;
            Ok(Source {
                package: Package::read(file, tenant, &version)?,
                code,
                environment: None,
            })
        }
        Kind::Archive => packaged(state, file, reading, tenant),
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
fn written(
    state: &State,
    python: &Python,
    layout: &Layout,
    reading: &Reading<'_>,
    tenant: &Tenant,
) -> Result<Source> {
    let out = state.temporary()?;
    let made = python.serialise(layout, reading, out.path())?;
    let root = &layout.root;
    let around = |wish| {
        let flat = layout.is_flat() || wish == Wish::All;
        Scope::around(root, flat, made.files.clone(), &made.hidden, wish)
    };
    let scope = match reading.copy {
        None => around(Wish::Usual)?,
        Some(Copy::All) => around(Wish::All)?,
        Some(Copy::Auto) => Scope::loaded(made.files.clone()),
        Some(Copy::None) => Scope::default(),
    };
    let (code, version) = snapshot(state, root, &scope)?;
    let version = format!("{version}-{}", made.flytekit);
    let mut package = Package::read(out.path(), tenant, &version)?;
    package.defaults = read_defaults(out.path(), &made.defaults)?;
    package.variables = made.entities;
    Ok(Source {
        package,
        code,
        environment: Some(made.environment),
    })
}

/// A package that `pyflyte package` made; with `--copy` it holds its code as `fast….tar.gz`.
fn packaged(state: &State, file: &Path, reading: &Reading<'_>, tenant: &Tenant) -> Result<Source> {
    let out = state.temporary()?;
    let files = unpack(file, out.path())?;
    let fast = files.iter().find(|f| {
        let name = f.to_string_lossy();
        name.starts_with("fast") && name.ends_with(".tar.gz")
    });
    let (code, version) = match fast {
        Some(_) if reading.code.is_some() || reading.copy.is_some() => {
            return Err(Refusal::new("Usage", "the package brings its own code")
                .at(file.display())
                .remedy("leave --source and --copy out"));
        }
        Some(fast) => {
            let inner = state.temporary()?;
            let names: Vec<String> = unpack(&out.path().join(fast), inner.path())?
                .iter()
                .map(|f| f.to_string_lossy().into_owned())
                .collect();
            snapshot(state, inner.path(), &Scope::loaded(names))?
        }
        None => own_code(state, reading)?,
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
fn own_code(state: &State, reading: &Reading<'_>) -> Result<(PathBuf, String)> {
    let here = std::env::current_dir().unwrap_or_default();
    let given = reading.code.map_or(here, |c| {
        std::path::absolute(c).unwrap_or_else(|_| c.into())
    });
    if !given.is_dir() {
        let text = "there is no such folder";
        return Err(Refusal::new("FileNotFound", text).at(given.display()));
    }
    // Inside a package, modules are named from its root.
    let root = match given.join("__init__.py").exists() {
        true => project_root(&given),
        false => given.clone(),
    };
    let around = |wish| Scope::around(&root, root == given, Vec::new(), &[], wish);
    let scope = match reading.copy {
        None => around(Wish::Usual)?,
        Some(Copy::All) => around(Wish::All)?,
        Some(Copy::None) => Scope::default(),
        Some(Copy::Auto) => {
            let text = "of a package it is not known which modules it loads";
            return Err(Refusal::new("Usage", text)
                .at("--copy")
                .remedy("give `all` or `none`, or leave it out"));
        }
    };
    snapshot(state, &root, &scope)
}
