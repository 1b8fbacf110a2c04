use std::fmt;
use std::path::PathBuf;

use crate::template::Secret;
use crate::{Error, ErrorKind, Result};

/// Where secrets come from. Only [`LaunchContext`](super::LaunchContext) holds them, so that
/// nothing but a plugin's `launch` can ask.
///
/// - MUST [secrets.found]: a secret that exists is returned whole.
/// - MUST [secrets.version]: a source that keeps versions gives the one that `group_version`
///   names, or `NotFound`; one that keeps none does not look at it.
/// - MUST [secrets.missing]: one that does not is `NotFound`, and the error names group and key.
/// - MUST [secrets.silent]: no error, `Debug` form or log holds a secret's value.
///
/// ```
/// use flyte_core::contract::{SecretValue, Secrets};
/// use flyte_core::template::Secret;
/// use flyte_core::{Error, ErrorKind, Result};
/// #[derive(Debug)]
/// struct One;
/// impl Secrets for One {
///     fn resolve(&self, s: &Secret) -> Result<SecretValue> {
///         match (&*s.group, &*s.key) {
///             ("db", "password") => Ok(SecretValue::new("hunter2")),
///             (g, k) => Err(Error::new(ErrorKind::NotFound, "resolve", format!("no secret {g}/{k}"))),
///         }
///     }
/// }
/// let s = Secret { group: "db".into(), key: "password".into(), ..Default::default() };
/// assert_eq!(One.resolve(&s)?.reveal(), b"hunter2");
/// # Ok::<_, Error>(())
/// ```
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The value of `secret` (`group`, `key`, `group_version`).
    fn resolve(&self, secret: &Secret) -> Result<SecretValue>;
}

/// A secret's bytes, which print as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Vec<u8>);

impl SecretValue {
    /// Wraps the bytes.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(value.into())
    }

    /// The bytes.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads secrets from the environment (`FLYTE_SECRET_<GROUP>_<KEY>`, upper-case) and then from
/// files (`<directory>/<group>/<key>`), as Flyte's global manager does.
#[derive(Debug)]
pub struct EnvironmentSecrets {
    directory: PathBuf,
}

impl EnvironmentSecrets {
    /// Files are looked for under `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }
}

impl Default for EnvironmentSecrets {
    /// Files under `/etc/secrets`.
    fn default() -> Self {
        Self::new("/etc/secrets")
    }
}

impl Secrets for EnvironmentSecrets {
    fn resolve(&self, s: &Secret) -> Result<SecretValue> {
        let variable = format!(
            "FLYTE_SECRET_{}_{}",
            s.group.to_uppercase(),
            s.key.to_uppercase()
        );
        if let Ok(v) = std::env::var(&variable) {
            return Ok(SecretValue::new(v));
        }
        let plain =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('/');
        if plain(&s.group)
            && plain(&s.key)
            && let Ok(v) = std::fs::read(self.directory.join(&s.group).join(&s.key))
        {
            return Ok(SecretValue::new(v));
        }
        Err(Error::new(
            ErrorKind::NotFound,
            "resolve",
            format!(
                "no secret `{}` in group `{}`: set {variable} or write {}/{}/{}",
                s.key,
                s.group,
                self.directory.display(),
                s.group,
                s.key
            ),
        ))
    }
}
