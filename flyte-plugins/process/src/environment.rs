use std::path::{Path, PathBuf};

use flyte_core::Result;
use flyte_core::contract::{LaunchContext, LaunchRequest, SecretValue};
use flyte_core::template::Container;

use crate::image::image_spec_id;
use crate::options::ProcessOptions;
use crate::secrets::TaskSecrets;
use crate::taken::taken;

/// Variables of an attempt, and its files of secrets by their names.
type Environment = (Vec<(String, String)>, Vec<(PathBuf, SecretValue)>);

impl ProcessOptions {
    /// The variables of an attempt, and the files of secrets that go into `secret_folder`.
    pub(crate) fn environment(
        &self,
        cx: &LaunchContext,
        r: &LaunchRequest,
        container: &Container,
        secret_folder: &Path,
    ) -> Result<Environment> {
        let mut env: Vec<(String, String)> = Vec::new();
        let own = ["HOME", "LANG", "TMPDIR", "TZ", "USER"].map(str::to_owned);
        for name in own.iter().chain(&self.env_allow) {
            env.extend(std::env::var(name).ok().map(|v| (name.clone(), v)));
        }
        // What the execution was begun with wins over what this process has now.
        let mut taken = taken(self.environments.as_deref(), r)?;
        let path = taken.remove("PATH").or_else(|| std::env::var("PATH").ok());
        let path = path.unwrap_or_else(|| "/usr/bin:/bin".into());
        env.extend(taken);
        let own = r.parameters.get("path_prepend").cloned();
        let first = self
            .path_prepend
            .iter()
            .map(|p| p.to_string_lossy().into_owned());
        let path: Vec<String> = own.into_iter().chain(first).chain([path]).collect();
        env.push(("PATH".into(), path.join(":")));
        // Logs are read while the task runs, and the code's folder is read-only.
        env.push(("PYTHONUNBUFFERED".into(), "1".into()));
        env.push(("PYTHONDONTWRITEBYTECODE".into(), "1".into()));
        if let Some(id) = image_spec_id(&container.image) {
            env.push(("_F_IMG_ID".into(), id.into()));
        }
        env.extend(container.env.iter().cloned());
        let execution = &r.key.execution;
        let mut put = |name: &str, value: &str| env.push((name.into(), value.into()));
        put("FLYTE_INTERNAL_EXECUTION_WORKFLOW", &r.identity.workflow);
        put("FLYTE_INTERNAL_EXECUTION_ID", &execution.name);
        put(
            "FLYTE_INTERNAL_EXECUTION_PROJECT",
            &execution.tenant.project,
        );
        put("FLYTE_INTERNAL_EXECUTION_DOMAIN", &execution.tenant.domain);
        put("FLYTE_ATTEMPT_NUMBER", &r.key.attempt.to_string());
        if let Some(id) = &r.template.id {
            put("FLYTE_INTERNAL_TASK_PROJECT", &id.tenant.project);
            put("FLYTE_INTERNAL_TASK_DOMAIN", &id.tenant.domain);
            put("FLYTE_INTERNAL_TASK_NAME", &id.name);
            put("FLYTE_INTERNAL_TASK_VERSION", &id.version);
        }
        env.extend(r.envs.iter().map(|(k, v)| (k.clone(), v.clone())));
        let secrets = TaskSecrets::of(&r.template, &*cx.secrets)?;
        if !secrets.variables.is_empty() {
            env.push(("FLYTE_SECRETS_ENV_PREFIX".into(), "_FSEC_".into()));
        }
        env.extend(secrets.variables);
        if !secrets.files.is_empty() {
            let text = |path: &Path| path.to_string_lossy().into_owned();
            env.push(("FLYTE_SECRETS_DEFAULT_DIR".into(), text(secret_folder)));
            env.push(("FLYTE_SECRETS_FILE_PREFIX".into(), String::new()));
            let named = |(name, file): (String, PathBuf)| (name, text(&secret_folder.join(file)));
            env.extend(secrets.paths.into_iter().map(named));
        }
        Ok((env, secrets.files))
    }
}
