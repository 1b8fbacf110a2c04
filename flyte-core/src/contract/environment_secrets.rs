use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::{SecretValue, Secrets};
use crate::limits::SECRET_BYTES_MAX;
use crate::template::Secret;
use crate::{Error, ErrorKind, Result};

/// Reads secrets from the environment, and then from files, where Flyte and flytekit look for them.
///
/// For group `db`, version `v2` and key `password` it looks, in this order, at the variables
/// `FLYTE_SECRET_DB_V2_PASSWORD` and `_FSEC_DB_V2_PASSWORD` and at the file
/// `<directory>/db/v2/password`. Parts that the secret does not have are left out. A secret without
/// the version is not taken for one with it.
///
/// ```
/// use flyte_core::contract::{EnvironmentSecrets, Secrets};
/// use flyte_core::template::Secret;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::create_dir_all(folder.path().join("db/v2"))?;
/// std::fs::write(folder.path().join("db/v2/password"), "hunter2")?;
/// let mut secret = Secret { group: "db".into(), key: "password".into(), ..Secret::default() };
/// let secrets = EnvironmentSecrets::new(folder.path());
/// assert!(secrets.resolve(&secret).is_err());
/// secret.group_version = "v2".into();
/// assert_eq!(secrets.resolve(&secret)?.reveal(), b"hunter2");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EnvironmentSecrets {
    directory: PathBuf,
    file_prefix: String,
}

impl EnvironmentSecrets {
    /// Files are looked for under `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            file_prefix: String::new(),
        }
    }

    fn unknown(&self, secret: &Secret) -> Error {
        let name = secret.variable("FLYTE_SECRET_");
        let file = secret.file(&self.file_prefix);
        let named = secret.parts().next().is_some() && is_shell_name(&name);
        let variable = named.then(|| format!("set {name}"));
        let file = file.map(|file| {
            format!(
                "write it to {} (the variable FLYTE_SECRETS_DEFAULT_DIR names another folder than {})",
                self.directory.join(file).display(),
                self.directory.display()
            )
        });
        let remedies: Vec<String> = variable.into_iter().chain(file).collect();
        let remedy = match remedies.is_empty() {
            true => "give it a group and a key of letters, digits, `_` and `-`".to_owned(),
            false => remedies.join(", or "),
        };
        let text = format!("there is no secret {secret}: {remedy}");
        Error::new(ErrorKind::NotFound, "resolve", text)
    }
}

impl Default for EnvironmentSecrets {
    /// Files under the folder of the variable `FLYTE_SECRETS_DEFAULT_DIR`, else `/etc/secrets`; the
    /// variable `FLYTE_SECRETS_FILE_PREFIX` says how their names begin.
    fn default() -> Self {
        let directory = std::env::var_os("FLYTE_SECRETS_DEFAULT_DIR").filter(|d| !d.is_empty());
        Self {
            directory: directory.map_or_else(|| "/etc/secrets".into(), PathBuf::from),
            file_prefix: std::env::var("FLYTE_SECRETS_FILE_PREFIX").unwrap_or_default(),
        }
    }
}

impl Secrets for EnvironmentSecrets {
    fn resolve(&self, secret: &Secret) -> Result<SecretValue> {
        if secret.parts().next().is_some() {
            for prefix in ["FLYTE_SECRET_", "_FSEC_"] {
                if let Some(value) = std::env::var_os(secret.variable(prefix)) {
                    return Ok(SecretValue::new(value.into_vec()));
                }
            }
        }
        let file = secret.file(&self.file_prefix);
        // flytekit's names of files are in lower case.
        let lower = file.as_ref().map(|f| f.to_string_lossy().to_lowercase());
        for file in file.iter().cloned().chain(lower.map(PathBuf::from)) {
            let path = self.directory.join(file);
            match read(&path) {
                Ok(value) => return Ok(SecretValue::new(value)),
                Err(e) if is_absent(&e) => {}
                Err(e) => {
                    let kind = match e.kind() {
                        io::ErrorKind::FileTooLarge => ErrorKind::Limit,
                        _ => ErrorKind::Denied,
                    };
                    let text = format!("secret {secret}: {}: {e}", path.display());
                    return Err(Error::new(kind, "resolve", text));
                }
            }
        }
        Err(self.unknown(secret))
    }
}

fn is_absent(e: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(e.kind(), NotFound | NotADirectory | IsADirectory)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut value = Vec::new();
    let bound = SECRET_BYTES_MAX as u64 + 1;
    File::open(path)?.take(bound).read_to_end(&mut value)?;
    match value.len() > SECRET_BYTES_MAX {
        true => {
            let text = format!("it has more than {SECRET_BYTES_MAX} bytes");
            Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
        }
        false => Ok(value),
    }
}

/// Whether a shell can set and pass on a variable of this name.
fn is_shell_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(group: &str, version: &str, key: &str) -> Secret {
        Secret {
            group: group.into(),
            group_version: version.into(),
            key: key.into(),
            ..Secret::default()
        }
    }

    #[test]
    fn files_are_found_by_all_parts_that_a_secret_has() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, value: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, value).unwrap();
        };
        put("db/password", "plain");
        put("db/v2/password", "second");
        put("token", "alone");
        put("my-db/password", "hyphen");
        put("lower/key", "lower");
        let secrets = EnvironmentSecrets::new(folder.path());
        for (wanted, value) in [
            (secret("db", "", "password"), "plain"),
            (secret("db", "v2", "password"), "second"),
            (secret("token", "", ""), "alone"),
            (secret("", "", "token"), "alone"),
            (secret("my-db", "", "password"), "hyphen"),
            (secret("Lower", "", "KEY"), "lower"),
        ] {
            let found = secrets.resolve(&wanted).unwrap();
            assert_eq!(found.reveal(), value.as_bytes(), "{wanted}");
        }
        put("big/key", &"x".repeat(SECRET_BYTES_MAX + 1));
        let refused = secrets.resolve(&secret("big", "", "key")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Limit);
    }

    #[test]
    fn the_remedy_can_be_followed() {
        let secrets = EnvironmentSecrets::new("/run/none");
        let told = |s: &Secret| secrets.resolve(s).unwrap_err().to_string();
        let text = told(&secret("db", "v2", "password"));
        assert!(
            text.contains("db/v2/password: set FLYTE_SECRET_DB_V2_PASSWORD, or"),
            "{text}"
        );
        assert!(text.contains("/run/none/db/v2/password"), "{text}");
        let text = told(&secret("my-db", "", "password"));
        assert!(!text.contains("FLYTE_SECRET_MY"), "{text}");
        assert!(text.contains("/run/none/my-db/password"), "{text}");
        for wrong in [
            secret("", "", ""),
            secret("..", "", "x"),
            secret("a/b", "", "x"),
        ] {
            let text = told(&wrong);
            assert!(text.contains("give it a group and a key"), "{text}");
        }
    }
}
