use std::collections::BTreeMap;
use std::fmt;

use crate::contract::{SecretValue, Secrets};
use crate::template::Secret;
use crate::{Error, ErrorKind, Result};

/// Secrets of a program's own, by group, key and version.
///
/// ```
/// use flyte_core::contract::Secrets;
/// use flyte_core::memory::MemorySecrets;
/// use flyte_core::template::Secret;
///
/// let secrets = MemorySecrets::default().with("db", "password", "", "hunter2");
/// let wanted = Secret { group: "db".into(), key: "password".into(), ..Secret::default() };
/// assert_eq!(secrets.resolve(&wanted)?.reveal(), b"hunter2");
/// assert!(!format!("{secrets:?}").contains("hunter2"));
/// # Ok::<_, flyte_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct MemorySecrets(BTreeMap<(String, String, String), SecretValue>);

impl MemorySecrets {
    /// Adds one; the version may be empty.
    #[must_use]
    pub fn with(
        mut self,
        group: impl Into<String>,
        key: impl Into<String>,
        version: impl Into<String>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        let name = (group.into(), key.into(), version.into());
        self.0.insert(name, SecretValue::new(value));
        self
    }
}

/// Names, no values.
impl fmt::Debug for MemorySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets for MemorySecrets {
    fn resolve(&self, s: &Secret) -> Result<SecretValue> {
        let name = (s.group.clone(), s.key.clone(), s.group_version.clone());
        self.0.get(&name).cloned().ok_or_else(|| {
            let text = format!(
                "no secret `{}` in group `{}`, version `{}`",
                s.key, s.group, s.group_version
            );
            Error::new(ErrorKind::NotFound, "resolve", text)
        })
    }
}
