use std::path::PathBuf;

use flyte_core::contract::{SecretValue, Secrets};
use flyte_core::template::{MountRequirement, Secret, TaskTemplate};
use flyte_core::{Error, ErrorKind, Result};

/// Bytes of a variable with its name: Linux starts no program with a longer one.
const VARIABLE_BYTES_MAX: usize = 128 * 1024 - 2;

/// How the secrets of a task reach it: as variables, and as files where it asks for them, or where
/// a variable cannot hold the value or be passed on by a shell.
#[derive(Debug, Default)]
pub(crate) struct TaskSecrets {
    pub(crate) variables: Vec<(String, String)>,
    /// Names in the folder of secrets.
    pub(crate) files: Vec<(PathBuf, SecretValue)>,
    /// Variables that name such a file.
    pub(crate) paths: Vec<(String, PathBuf)>,
}

impl TaskSecrets {
    /// Resolves the secrets that a task asks for.
    pub(crate) fn of(template: &TaskTemplate, secrets: &dyn Secrets) -> Result<Self> {
        let mut out = Self::default();
        for secret in template.security_context.iter().flat_map(|s| &s.secrets) {
            out.add(secret, secrets.resolve(secret)?)?;
        }
        Ok(out)
    }

    fn add(&mut self, secret: &Secret, value: SecretValue) -> Result<()> {
        let name = secret.variable("_FSEC_");
        let own = (!secret.env_var.is_empty()).then(|| secret.env_var.clone());
        let as_file = secret.mount_requirement == MountRequirement::File;
        if let (false, Some(text)) = (as_file, text_for(&name, &value)) {
            let names = own.into_iter().chain([name]);
            self.variables
                .extend(names.map(|name| (name, text.clone())));
            return Ok(());
        }
        let refused = |text: String| Err(Error::new(ErrorKind::Invalid, "launch", text));
        // flytekit looks for files by names in lower case.
        let file = secret.file("").map(|f| f.to_string_lossy().to_lowercase());
        let Some(file) = file.map(PathBuf::from) else {
            return refused(format!(
                "secret {secret} cannot be given as a file: its parts must be names of files"
            ));
        };
        match own {
            Some(own) if as_file => self.paths.push((own, file.clone())),
            Some(own) => match text_for(&own, &value) {
                Some(text) => self.variables.push((own, text)),
                None => {
                    return refused(format!(
                        "secret {secret} cannot be given as the variable {own}: it must be text of \
                         less than 128 KiB without zero bytes; ask for it with \
                         `mount_requirement=Secret.MountType.FILE`"
                    ));
                }
            },
            None => {}
        }
        self.files.push((file, value));
        Ok(())
    }
}

/// The value as the text of a variable, if one of this name can have it.
fn text_for(name: &str, value: &SecretValue) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = name.chars().all(plain)
        && name.len() + value.reveal().len() < VARIABLE_BYTES_MAX
        && !value.reveal().contains(&0);
    let text = std::str::from_utf8(value.reveal()).ok()?;
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use flyte_core::id::{Identifier, ResourceType};
    use flyte_core::memory::MemorySecrets;
    use flyte_core::template::SecurityContext;

    use super::*;

    fn of(secret: Secret, value: &[u8]) -> Result<TaskSecrets> {
        let id = Identifier::new(ResourceType::Task, "t", "1");
        let mut template = TaskTemplate::new(id, "container", Default::default());
        let all = MemorySecrets::default().with(
            secret.group.as_str(),
            secret.key.as_str(),
            secret.group_version.as_str(),
            value,
        );
        template.security_context = Some(SecurityContext {
            run_as: None,
            secrets: vec![secret],
            tokens: Vec::new(),
        });
        TaskSecrets::of(&template, &all)
    }

    fn secret(group: &str, version: &str, key: &str) -> Secret {
        Secret {
            group: group.into(),
            group_version: version.into(),
            key: key.into(),
            ..Secret::default()
        }
    }

    #[test]
    fn variables_have_the_names_that_flytekit_looks_for() {
        for (wanted, name) in [
            (secret("db", "", "password"), "_FSEC_DB_PASSWORD"),
            (secret("db", "v2", "password"), "_FSEC_DB_V2_PASSWORD"),
            (secret("token", "", ""), "_FSEC_TOKEN"),
        ] {
            let given = of(wanted, b"hunter2").unwrap();
            assert_eq!(given.variables, [(name.to_owned(), "hunter2".to_owned())]);
            assert!(given.files.is_empty());
        }
        let mut own = secret("db", "", "password");
        own.env_var = "PGPASSWORD".into();
        let given = of(own, b"hunter2").unwrap();
        assert_eq!(given.variables[0], ("PGPASSWORD".into(), "hunter2".into()));
    }

    #[test]
    fn what_a_variable_cannot_carry_is_a_file() {
        let mut as_file = secret("DB", "v2", "Password");
        as_file.mount_requirement = MountRequirement::File;
        as_file.env_var = "DB_FILE".into();
        let given = of(as_file, b"hunter2").unwrap();
        let path = PathBuf::from("db/v2/password");
        assert_eq!(given.paths, [("DB_FILE".to_owned(), path.clone())]);
        assert_eq!(given.files, [(path, SecretValue::new("hunter2"))]);
        let long = vec![b'x'; 200 * 1024];
        for (group, value) in [("my-db", &b"x"[..]), ("db", b"\xff\xfe"), ("db", &long)] {
            let given = of(secret(group, "", "key"), value).unwrap();
            assert!(given.variables.is_empty(), "{group}");
            assert_eq!(given.files[0].0, PathBuf::from(group).join("key"));
        }
        let mut own = secret("db", "", "key");
        own.env_var = "KEY".into();
        let refused = of(own, b"\xff\xfe").unwrap_err().to_string();
        assert!(refused.contains("MountType.FILE"), "{refused}");
        assert!(of(secret("a/b", "", "-"), b"x").is_err());
    }
}
