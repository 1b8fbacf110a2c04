use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path};

use crate::fail::{Refusal, Result};

/// Bytes of the names and values that a run takes.
const BYTES_MAX: usize = 1024 * 1024;

/// Variables of the shell that started the run, and of its terminal.
const OF_THE_SHELL: [&str; 20] = [
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "SHELLOPTS",
    "BASHOPTS",
    "TERM",
    "TERMCAP",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "LS_COLORS",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "WINDOW",
    "WINDOWID",
    "GPG_TTY",
    "VTE_VERSION",
    "WT_SESSION",
];

/// The same by how names begin; and secrets, which tasks get that ask for them.
const PREFIXES: [&str; 7] = [
    "SSH_",
    "TERM_",
    "BASH_FUNC_",
    "KITTY_",
    "WEZTERM_",
    "FLYTE_SECRET",
    "_FSEC_",
];

/// Variables that flyte-rs sets for tasks, or reads itself.
const OWN: [&str; 7] = [
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "FLYTE_ATTEMPT_NUMBER",
    "FLYTE_STORE",
    "FLYTE_BLOBS",
    "FLYTE_OFFLOAD_ABOVE",
    "_F_IMG_ID",
];

/// The variables that tasks get from the run that read their file. Their values may be secret:
/// nothing shows them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// The variables of this process: those that are named, and without `only_named` all that concern
    /// tasks.
    pub(crate) fn taken(only_named: bool, named: &[String]) -> Result<Self> {
        let mut all = BTreeMap::new();
        for (name, value) in std::env::vars_os().filter(|_| !only_named) {
            match (name.to_str(), value.to_str()) {
                (Some(name), _) if is_left_out(name) => {}
                (Some(name), Some(value)) => drop(all.insert(name.to_owned(), value.to_owned())),
                _ => {
                    let name = name.to_string_lossy();
                    tell!("warning: tasks do not get the variable {name:?}, which is no UTF-8");
                }
            }
        }
        for name in named {
            let wrong = |text: String, remedy: &str| {
                Err(Refusal::new("Usage", text).at("--env-from").remedy(remedy))
            };
            if is_own(name) {
                return wrong(format!("`{name}` is set for each task"), "leave it out");
            }
            match std::env::var(name) {
                Ok(value) => drop(all.insert(name.clone(), value)),
                Err(e) => {
                    let text = format!("the variable `{name}`: {e}");
                    return wrong(text, "set it, or give its value with --env NAME=VALUE");
                }
            }
        }
        if let Some(path) = all.remove("PYTHONPATH") {
            let path = absolute(&path)?;
            all.extend((!path.is_empty()).then(|| ("PYTHONPATH".to_owned(), path)));
        }
        let bytes: usize = all.iter().map(|(k, v)| k.len() + v.len()).sum();
        if bytes > BYTES_MAX {
            let text = format!("its variables have {bytes} bytes, the limit is {BYTES_MAX}");
            return Err(Refusal::new("Limit", text)
                .at("the environment")
                .remedy("give --clean-env, and --env-from NAME for what tasks need"));
        }
        Ok(Self(all))
    }

    /// All variables of a process that gets nothing else from this one: `bin` has the interpreter, and
    /// `names` are variables that each task gets.
    pub(crate) fn alone(&self, bin: &Path, names: &[String]) -> BTreeMap<String, String> {
        let always = ["HOME", "LANG", "TMPDIR", "TZ", "USER"].map(str::to_owned);
        let mut all = BTreeMap::new();
        for name in always.iter().chain(names) {
            all.extend(std::env::var(name).ok().map(|v| (name.clone(), v)));
        }
        all.extend(self.0.clone());
        let path = all.remove("PATH").or_else(|| std::env::var("PATH").ok());
        let path = path.unwrap_or_else(|| "/usr/bin:/bin".into());
        all.insert("PATH".into(), format!("{}:{path}", bin.display()));
        all
    }

    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

fn is_own(name: &str) -> bool {
    OWN.contains(&name) || name.starts_with("FLYTE_INTERNAL_")
}

fn is_left_out(name: &str) -> bool {
    is_own(name) || OF_THE_SHELL.contains(&name) || PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Entries of `PYTHONPATH` count from the folder of the command, an empty one is that folder.
fn absolute(path: &str) -> Result<String> {
    let mut all = Vec::new();
    for entry in path.split(':').filter(|_| !path.is_empty()) {
        let whole = match entry {
            "" => std::env::current_dir(),
            entry => std::path::absolute(entry),
        };
        let whole = whole.map_err(|e| Refusal::new("Io", e.to_string()).at("PYTHONPATH"))?;
        // `lib/.` is `lib`; `..` stays, since links may lie before it.
        let plain: std::path::PathBuf = Path::new(&whole)
            .components()
            .filter(|c| *c != Component::CurDir)
            .collect();
        all.push(plain.to_string_lossy().into_owned());
    }
    Ok(all.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_shell_and_secrets_are_left_out() {
        for name in [
            "PWD",
            "_",
            "SSH_AUTH_SOCK",
            "TERM",
            "FLYTE_SECRET_A_B",
            "_FSEC_A_B",
        ] {
            assert!(is_left_out(name), "{name}");
        }
        for name in [
            "PATH",
            "PYTHONPATH",
            "SSHKEY",
            "MY_TERM",
            "FLYTE_AWS_ENDPOINT",
            "FSEC",
        ] {
            assert!(!is_left_out(name), "{name}");
        }
    }

    #[test]
    fn relative_entries_of_the_path_become_absolute() {
        let here = std::env::current_dir().unwrap();
        let here = here.display();
        let found = absolute("lib:/opt/x::./a/../b").unwrap();
        assert_eq!(found, format!("{here}/lib:/opt/x:{here}:{here}/a/../b"));
        assert_eq!(absolute("").unwrap(), "");
    }

    #[test]
    fn values_are_not_printed() {
        let one = Environment([("TOKEN".to_owned(), "marker".to_owned())].into());
        assert_eq!(format!("{one:?}"), r#"{"TOKEN"}"#);
    }
}
