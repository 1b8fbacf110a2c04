//! Cases for [`Secrets`].

use std::fmt;
use std::sync::Arc;

use super::{Case, Outcome, Report, run};
use crate::ErrorKind;
use crate::contract::Secrets;
use crate::template::Secret;

/// Makes a source that has at least one secret.
///
/// ```
/// use flyte_core::contract::{EnvironmentSecrets, Secrets};
/// use flyte_core::template::Secret;
/// use flyte_core::testkit::secrets::{SecretsHarness, check};
/// use std::sync::Arc;
///
/// #[derive(Debug)]
/// struct Folder(tempfile::TempDir);
///
/// impl SecretsHarness for Folder {
///     fn secrets(&self) -> Arc<dyn Secrets> { Arc::new(EnvironmentSecrets::new(self.0.path())) }
///     fn known(&self) -> Vec<(Secret, Vec<u8>)> {
///         let secret = Secret { group: "db".into(), key: "password".into(), ..Secret::default() };
///         vec![(secret, b"hunter2".to_vec())]
///     }
/// }
///
/// let folder = tempfile::tempdir()?;
/// std::fs::create_dir(folder.path().join("db"))?;
/// std::fs::write(folder.path().join("db/password"), "hunter2")?;
/// futures::executor::block_on(check(&Folder(folder))).assert_conforms();
/// # Ok::<_, std::io::Error>(())
/// ```
pub trait SecretsHarness: fmt::Debug + Send + Sync {
    /// The source.
    fn secrets(&self) -> Arc<dyn Secrets>;
    /// Secrets that are there, and their values.
    fn known(&self) -> Vec<(Secret, Vec<u8>)>;
}

cases! { SecretsHarness:
    "secrets.found" => found,
    "secrets.version" => version,
    "secrets.missing" => missing,
    "secrets.silent" => silent,
}

async fn found(h: &dyn SecretsHarness) -> Outcome {
    let known = h.known();
    ensure!(!known.is_empty(), "the harness knows no secret");
    for (secret, value) in known {
        let have = h.secrets().resolve(&secret)?;
        ensure!(
            have.reveal() == value,
            "{}/{} is not returned whole",
            secret.group,
            secret.key
        );
    }
    Ok(())
}

async fn version(h: &dyn SecretsHarness) -> Outcome {
    for (secret, value) in h.known() {
        let other = Secret {
            group_version: "no-such-version".into(),
            ..secret.clone()
        };
        match h.secrets().resolve(&other) {
            Ok(found) => {
                let same = found.reveal() == value && secret.group_version.is_empty();
                ensure!(same, "a version that is not there was returned");
            }
            Err(e) => ensure!(e.kind() == ErrorKind::NotFound, "it is {:?}", e.kind()),
        }
    }
    Ok(())
}

fn unknown() -> Secret {
    Secret {
        group: "no-such-group".into(),
        key: "no-such-key".into(),
        ..Secret::default()
    }
}

async fn missing(h: &dyn SecretsHarness) -> Outcome {
    match h.secrets().resolve(&unknown()) {
        Ok(_) => ensure!(false, "a secret that is not there was returned"),
        Err(e) => {
            ensure!(e.kind() == ErrorKind::NotFound, "it is {:?}", e.kind());
            let text = e.to_string().to_lowercase();
            let names = text.contains("no-such-group") && text.contains("no-such-key");
            ensure!(names, "the error does not name group and key: {e}");
        }
    }
    Ok(())
}

async fn silent(h: &dyn SecretsHarness) -> Outcome {
    let secrets = h.secrets();
    let mut shown = format!("{secrets:?} {secrets:#?}");
    let mut wrong: Vec<Secret> = vec![unknown()];
    for (secret, _) in h.known() {
        if let Ok(value) = secrets.resolve(&secret) {
            shown += &format!("{value:?}");
        }
        // Near misses are the ones whose errors may tell too much.
        let near = |key: String| Secret {
            key,
            ..secret.clone()
        };
        wrong.push(near(format!("{}x", secret.key)));
        wrong.push(near(String::new()));
    }
    for secret in wrong {
        if let Err(e) = secrets.resolve(&secret) {
            shown += &format!("{e} {e:?}");
        }
    }
    for (secret, value) in h.known() {
        let value = String::from_utf8_lossy(&value).into_owned();
        ensure!(
            value.is_empty() || !shown.contains(&value),
            "the value of {}/{} is shown",
            secret.group,
            secret.key
        );
    }
    Ok(())
}
