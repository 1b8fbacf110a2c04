use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flyte_core::contract::ExecutionOptions;
use flyte_core::id::Digest;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::fail::{Refusal, Result};
use crate::machine::Machine;
use crate::state::State;
use crate::store_address::StoreAddress;

/// The file of the key, beside the files of environments.
const KEY: &str = ".key";

/// The folder of the environments that executions name, `.flyte/env`.
///
/// A file is named by its digest under a random key of this folder: the digest, which records hold,
/// tells nothing of short values to those who have a copy of the records, and equal environments
/// share a file all the same.
#[derive(Debug)]
pub(crate) struct Environments(PathBuf);

/// A file of the folder; the process plugin reads its variables.
#[derive(Debug, Deserialize, Serialize)]
struct Document {
    /// The store whose executions may name it.
    store: String,
    variables: BTreeMap<String, String>,
}

/// A file of the folder that this process needs: it is locked, so that nothing deletes it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) digest: String,
    _locked: File,
}

impl Environments {
    /// The execution parameter that holds the digest.
    pub(crate) const PARAMETER: &str = "environment";

    pub(crate) fn of(state: &State) -> Self {
        Self(state.path("env"))
    }

    fn bad(&self, e: &io::Error) -> Refusal {
        Refusal::new("Io", e.to_string()).at(self.0.display())
    }

    /// Stores the variables for executions of a store; none need no file.
    pub(crate) fn keep(
        &self,
        environment: &Environment,
        store: &StoreAddress,
    ) -> Result<Option<Held>> {
        if environment.variables().is_empty() {
            return Ok(None);
        }
        let document = Document {
            store: of_store(store),
            variables: environment.variables().clone(),
        };
        let bytes = serde_json::to_vec(&document).expect("invariant: texts are JSON");
        self.keep_bytes(&bytes).map(Some).map_err(|e| self.bad(&e))
    }

    fn keep_bytes(&self, bytes: &[u8]) -> io::Result<Held> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let keyed = [&self.key()?[..], bytes].concat();
        let digest = Digest::of("flyte environment v1", &keyed).to_hex();
        let path = self.0.join(&digest);
        loop {
            if let Some(held) = self.hold(&digest)? {
                return Ok(held);
            }
            write_new(&path, bytes)?;
        }
    }

    /// A random key, made once.
    fn key(&self) -> io::Result<Vec<u8>> {
        let path = self.0.join(KEY);
        loop {
            match std::fs::read(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                read => return read,
            }
            let mut key = [0; 32];
            File::open("/dev/urandom")?.read_exact(&mut key)?;
            write_new(&path, &key)?;
        }
    }

    /// Locks a file against its deletion; `None` if it is not there.
    fn hold(&self, digest: &str) -> io::Result<Option<Held>> {
        let path = self.0.join(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        file.lock_shared()?;
        Ok(is_at(&file, &path)?.then(|| Held {
            digest: digest.to_owned(),
            _locked: file,
        }))
    }

    /// What an execution that goes on was begun with; says so if it is gone.
    pub(crate) fn again(&self, name: &str, options: &ExecutionOptions) -> Result<Option<Held>> {
        let Some(digest) = options.parameters.get(Self::PARAMETER) else {
            return Ok(None);
        };
        let held = self.hold(digest).map_err(|e| self.bad(&e))?;
        if held.is_none() {
            let path = self.0.join(digest);
            tell!(
                "warning: {name}: the variables that it began with are gone ({}); its tasks get \
                 none of them",
                path.display()
            );
        }
        Ok(held)
    }

    /// Deletes files that no open execution of this store names, and no process holds.
    pub(crate) async fn sweep(machine: &Machine) {
        if let Err(e) = Self::of(&machine.state).swept(machine).await {
            tell!("warning: {}", e.line());
        }
    }

    async fn swept(&self, machine: &Machine) -> Result<()> {
        let idle = self.idle(&of_store(&machine.address));
        let idle = idle.map_err(|e| self.bad(&e))?;
        if idle.is_empty() {
            return Ok(());
        }
        // This question comes after the locks: a run that begins an execution holds its file.
        let open = machine.executions(true).await?;
        let named: BTreeSet<&String> = open
            .iter()
            .filter_map(|e| e.options.parameters.get(Self::PARAMETER))
            .collect();
        for (digest, _locked) in &idle {
            if !named.contains(digest) {
                std::fs::remove_file(self.0.join(digest)).map_err(|e| self.bad(&e))?;
            }
        }
        Ok(())
    }

    /// The files of a store that no process holds, locked.
    fn idle(&self, store: &str) -> io::Result<Vec<(String, File)>> {
        let mut out = Vec::new();
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(out),
            Err(e) => return Err(e),
        };
        for entry in entries {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            if name == KEY {
                continue;
            }
            let Ok(file) = File::open(&path) else {
                continue;
            };
            if file.try_lock().is_err() || !is_at(&file, &path)? {
                continue;
            }
            // A writer that died left it.
            if name.starts_with('.') {
                std::fs::remove_file(&path)?;
                continue;
            }
            let document: Option<Document> = match serde_json::from_reader(&file) {
                Ok(document) => Some(document),
                // The file may be whole: it stays.
                Err(e) if e.is_io() => return Err(e.into()),
                // A damaged file is of no use to any store.
                Err(_) => None,
            };
            // Executions in memory end with their process.
            let of_a_process = of_store(&StoreAddress::Memory);
            if document.is_none_or(|d| d.store == store || d.store == of_a_process) {
                out.push((name.to_owned(), file));
            }
        }
        Ok(out)
    }
}

/// A store as files of environments name it: a url may have a password.
fn of_store(address: &StoreAddress) -> String {
    Digest::of("flyte store name v1", address.whole().as_bytes()).to_hex()
}

/// Whether an open file is still the one of its name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(there) => Ok(there.ino() == file.metadata()?.ino()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Writes a whole file that only its owner reads. Another process may be faster, or delete what this one
/// has not finished: the caller looks again.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let tmp = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let _left_by_a_crash = std::fs::remove_file(&tmp);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&tmp)?;
    file.lock()?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| std::fs::hard_link(&tmp, path));
    let _deleted_by_another = std::fs::remove_file(&tmp);
    match linked {
        Ok(()) => File::open(path.parent().unwrap_or(path))?.sync_all(),
        Err(e) if [io::ErrorKind::AlreadyExists, io::ErrorKind::NotFound].contains(&e.kind()) => {
            Ok(())
        }
        Err(e) => Err(e),
    }
}
