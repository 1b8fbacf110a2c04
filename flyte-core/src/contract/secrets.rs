use std::fmt;

use crate::Result;
use crate::template::Secret;

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
