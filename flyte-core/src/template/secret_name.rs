use std::fmt;
use std::path::PathBuf;

use super::Secret;

impl Secret {
    /// The parts of its name that it has: group, version of the group, key.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        [&self.group, &self.group_version, &self.key]
            .into_iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
    }

    /// The variable that may hold it: `prefix`, then its parts in upper case, joined by `_`. After
    /// `_FSEC_` flytekit looks for it there.
    ///
    /// ```
    /// use flyte_core::template::Secret;
    /// let s = Secret { group: "db".into(), key: "password".into(), ..Secret::default() };
    /// assert_eq!(s.variable("_FSEC_"), "_FSEC_DB_PASSWORD");
    /// ```
    #[must_use]
    pub fn variable(&self, prefix: &str) -> String {
        let parts: Vec<String> = self.parts().map(str::to_uppercase).collect();
        format!("{prefix}{}", parts.join("_"))
    }

    /// The file that may hold it, in a folder of secrets: a folder for each part but the last, whose
    /// name begins with `prefix`. `None` if a part cannot be the name of a file.
    #[must_use]
    pub fn file(&self, prefix: &str) -> Option<PathBuf> {
        let mut parts: Vec<&str> = self.parts().collect();
        let last = format!("{prefix}{}", parts.pop()?);
        parts.push(&last);
        let plain = |part: &&str| {
            !matches!(*part, "" | "." | "..") && !part.contains('/') && !part.contains('\0')
        };
        parts.iter().all(plain).then(|| parts.iter().collect())
    }
}

/// Its parts, such as `db/v2/password`.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.parts().collect();
        f.write_str(if parts.is_empty() {
            "without a name"
        } else {
            ""
        })?;
        f.write_str(&parts.join("/"))
    }
}
