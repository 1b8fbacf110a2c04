use std::path::{Path, PathBuf};
use std::process::Command;

use flyte_core::contract::ExecutionOptions;
use flyte_core::id::Digest;
use serde::Deserialize;

use crate::fail::{Refusal, Result};
use crate::state::State;

/// What `--install` puts beside the file's own requirements.
const FLYTEKIT: &str = "flytekit==1.16.31";
const SERIALISE: &str = include_str!("python/serialise.py");

/// The interpreter that serialises and runs tasks.
#[derive(Debug)]
pub(crate) struct Python(pub(crate) PathBuf);

#[derive(Debug, Deserialize)]
pub(crate) struct Serialised {
    pub(crate) files: Vec<String>,
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
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .map(|d| d.join("python3"))
            .find(|p| p.exists());
        found.map(Self).ok_or_else(|| {
            Refusal::new("PythonNotFound", "there is no python3 on the PATH")
                .remedy("install Python 3.10 or later, or give --python PATH")
        })
    }

    /// Puts flytekit, and the requirements beside the file, into `.flyte/venv`; does nothing when
    /// that is up to date.
    pub(crate) fn install(state: &State, file: &Path) -> Result<Self> {
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
        if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
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
        if !python.exists() {
            let base = Self::find(state, None)?;
            step(
                "making .flyte/venv",
                Command::new(base.0).args(["-m", "venv"]).arg(&venv),
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
        std::fs::write(stamp, wanted)
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
        root: &Path,
        modules: &[String],
        out: &Path,
    ) -> Result<Serialised> {
        let module = modules.join(",");
        let run = Command::new(&self.0)
            .args(["-c", SERIALISE])
            .args([root.as_os_str(), module.as_str().as_ref(), out.as_os_str()])
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
            _ => {
                return Err(Refusal::new("PythonError", stderr)
                    .at(format!("{}: {module}", root.display()))
                    .remedy("the file must import without errors"));
            }
        }
        let text = String::from_utf8_lossy(&run.stdout);
        let last = text.lines().last().unwrap_or("");
        serde_json::from_str(last).map_err(|e| {
            Refusal::new("Python", format!("flytekit answered {last:?}: {e}")).at(self.0.display())
        })
    }
}
