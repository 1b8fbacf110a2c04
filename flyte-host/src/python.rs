use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use flyte_core::contract::ExecutionOptions;
use flyte_core::id::Digest;
use flyte_core::journal::ExecutionRow;
use serde::Deserialize;

use crate::choose::Variable;
use crate::fail::{Refusal, Result};
use crate::layout::Layout;
use crate::source::{Copy, Reading};
use crate::state::State;

/// What `--install` puts beside the file's own requirements.
const FLYTEKIT: &str = "flytekit==1.16.31";
const SERIALISE: &str = include_str!("python/serialise.py");

/// The interpreter that serialises and runs tasks.
#[derive(Debug)]
pub(crate) struct Python(pub(crate) PathBuf);

/// A program of the `PATH`.
fn searched(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|d| d.join(name));
    found.find(|p| p.exists())
}

/// What flytekit found in modules: `read.json` of `serialise.py`.
#[derive(Debug, Deserialize)]
pub(crate) struct Serialised {
    /// The files of the loaded modules, below the root.
    pub(crate) files: Vec<String>,
    /// What in the root would hide modules that were imported from elsewhere.
    pub(crate) hidden: Vec<String>,
    /// The entities of the modules, by their variables.
    pub(crate) entities: Vec<Variable>,
    /// Files with the defaults of tasks.
    pub(crate) defaults: BTreeMap<String, String>,
    pub(crate) flytekit: String,
    /// The digest of the interpreter and its packages.
    pub(crate) environment: String,
}

impl Python {
    /// `--python`, else `.flyte/venv`, else `python3` of the `PATH`.
    pub(crate) fn find(state: &State, wish: Option<&Path>) -> Result<Self> {
        if let Some(path) = wish {
            return match path.exists() {
                true => Ok(Self(
                    std::path::absolute(path).unwrap_or_else(|_| path.into()),
                )),
                false => {
                    Err(Refusal::new("FileNotFound", "there is no such interpreter")
                        .at(path.display()))
                }
            };
        }
        let own = state.path("venv/bin/python");
        if own.exists() {
            return Ok(Self(own));
        }
        Self::on_path().map(Self)
    }

    fn on_path() -> Result<PathBuf> {
        searched("python3").ok_or_else(|| {
            Refusal::new("PythonNotFound", "there is no python3 on the PATH")
                .remedy("install Python 3.10 or later, or give --python PATH")
        })
    }

    /// The program by which tasks are run: beside the interpreter, else on the `PATH`.
    pub(crate) fn execute(&self) -> Result<PathBuf> {
        let name = "pyflyte-execute";
        let beside = Some(self.bin().join(name)).filter(|p| p.exists());
        beside.or_else(|| searched(name)).ok_or_else(|| {
            Refusal::new("FlytekitNotFound", format!("there is no {name} beside it"))
                .at(self.0.display())
                .remedy("run with --install, or give --python PATH")
        })
    }

    /// Puts flytekit, and the requirements beside the file, into `.flyte/venv`; does nothing when
    /// that is up to date. The environment is made from `base`, and anew if it was made from
    /// another one; without `base` any will do.
    pub(crate) fn install(state: &State, file: &Path, base: Option<&Path>) -> Result<Self> {
        let requirements = file
            .parent()
            .map(|d| d.join("requirements.txt"))
            .filter(|p| p.exists());
        let text = requirements
            .as_ref()
            .and_then(|p| std::fs::read(p).ok())
            .unwrap_or_default();
        let wanted = Digest::of("flyte venv v1", &[FLYTEKIT.as_bytes(), &text].concat()).to_hex();
        let venv = state.path("venv");
        let stamp = venv.join(".stamp");
        let python = venv.join("bin/python");
        let base = match base {
            // It cannot be made from itself.
            Some(_) => Some(Self::find(state, base)?).filter(|b| b.0 != python),
            None => None,
        };
        let have = std::fs::read_to_string(&stamp).unwrap_or_default();
        let (have, made_from) = have.split_once('\n').unwrap_or((&have, ""));
        let other = base.as_ref().is_some_and(|b| b.0.as_os_str() != made_from);
        if have == wanted && !other {
            return Ok(Self(python));
        }
        let step = |what: &str, command: &mut Command| {
            tell!("{what} …");
            let output = command.output();
            match output {
                Ok(o) if o.status.success() => Ok(()),
                Ok(o) => {
                    Err(Refusal::new("Install", String::from_utf8_lossy(&o.stderr).trim()).at(what))
                }
                Err(e) => Err(Refusal::new("Install", e.to_string()).at(what)),
            }
        };
        let mut made_from = made_from.to_owned();
        if other || !python.exists() {
            let base = match base {
                Some(base) => base.0,
                None => Self::on_path()?,
            };
            made_from = base.to_string_lossy().into_owned();
            // A stamp of what is no more would be believed.
            let _none = std::fs::remove_file(&stamp);
            step(
                &format!("making .flyte/venv with {made_from}"),
                Command::new(base)
                    .args(["-m", "venv", "--clear"])
                    .arg(&venv),
            )?;
        }
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            FLYTEKIT,
        ]);
        if let Some(r) = &requirements {
            pip.arg("-r").arg(r);
        }
        step("installing flytekit and the requirements", &mut pip)?;
        std::fs::write(stamp, format!("{wanted}\n{made_from}"))
            .map_err(|e| Refusal::new("Io", e.to_string()).at(venv.display()))?;
        Ok(Self(python))
    }

    /// The folder whose programs tasks call, `pyflyte-execute` among them.
    pub(crate) fn bin(&self) -> PathBuf {
        self.0.parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// The execution parameter that holds the interpreter.
    pub(crate) const PATH: &str = "python";
    /// The execution parameter that holds the digest of the interpreter and its packages.
    pub(crate) const DIGEST: &str = "python_digest";

    fn ask(&self, word: &str) -> Result<String> {
        let run = Command::new(&self.0).args(["-c", SERIALISE, word]).output();
        let run = run.map_err(|e| Refusal::new("Python", e.to_string()).at(self.0.display()))?;
        match run.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&run.stdout).trim().to_owned()),
            _ => Err(self.no_flytekit()),
        }
    }

    fn no_flytekit(&self) -> Refusal {
        Refusal::new("FlytekitNotFound", "this Python has no usable flytekit")
            .at(self.0.display())
            .remedy("run again with --install, or give --python PATH")
    }

    /// The versions of Python and flytekit, for people.
    pub(crate) fn versions(&self) -> Result<String> {
        self.ask("--versions")
    }

    /// Refuses an interpreter that is named for an execution which started with another one.
    pub(crate) fn refuse_other(named: Option<&Path>, row: &ExecutionRow) -> Result<()> {
        let (Some(named), Some(own)) = (named, row.options.parameters.get(Self::PATH)) else {
            return Ok(());
        };
        let named = std::path::absolute(named).unwrap_or_else(|_| named.into());
        if named == Path::new(own) {
            return Ok(());
        }
        let text = format!(
            "`{}` started with the interpreter {own} and keeps it",
            row.id.name
        );
        Err(Refusal::new("OtherPython", text)
            .at("--python")
            .remedy("leave out --python, or run the workflow again with the other interpreter"))
    }

    /// Warns if an execution goes on with another interpreter, or other packages, than it began
    /// with.
    pub(crate) fn compare(options: &ExecutionOptions) {
        let (Some(path), Some(digest)) = (
            options.parameters.get(Self::PATH),
            options.parameters.get(Self::DIGEST),
        ) else {
            return;
        };
        match Self(path.into()).ask("--environment") {
            Ok(now) if now == *digest => {}
            Ok(_) => tell!("warning: {path} or its packages changed since the run began"),
            Err(e) => tell!("warning: {}", e.line()),
        }
    }

    /// Writes the entities of modules into `out`.
    pub(crate) fn serialise(
        &self,
        layout: &Layout,
        reading: &Reading<'_>,
        out: &Path,
    ) -> Result<Serialised> {
        let mut command = Command::new(&self.0);
        if let Some((environment, names)) = &reading.alone {
            let all = environment.alone(&self.bin(), names);
            command.env_clear().envs(all);
        }
        let installed = (reading.copy == Some(Copy::None)).then_some("--installed");
        let run = command
            .args(["-c", SERIALISE])
            .args(installed)
            .args([layout.root.as_path(), out])
            .args(&layout.modules)
            .envs(reading.envs.iter().map(|(k, v)| (k, v)))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("FLYTE_SDK_LOGGING_LEVEL", "40")
            .output()
            .map_err(|e| Refusal::new("Python", e.to_string()).at(self.0.display()))?;
        let stderr = String::from_utf8_lossy(&run.stderr).trim().to_owned();
        match run.status.code() {
            Some(0) => {}
            Some(4) => {
                return Err(self.no_flytekit());
            }
            Some(5) => {
                let text = format!("another module has the name of this one: {stderr}");
                return Err(Refusal::new("HiddenModule", text)
                    .at(layout)
                    .remedy("rename the file"));
            }
            _ => {
                return Err(Refusal::new("PythonError", stderr)
                    .at(layout)
                    .remedy("the file must import without errors"));
            }
        }
        let path = out.join("read.json");
        let bad = |e: String| Refusal::new("Python", e).at(path.display());
        let read = std::fs::read(&path).map_err(|e| bad(e.to_string()))?;
        serde_json::from_slice(&read).map_err(|e| bad(e.to_string()))
    }
}
