use std::path::{Path, PathBuf};

/// The interpreter with flytekit that `scripts/test-env` installs, or the one that
/// `FLYTE_TEST_PYTHON` names.
///
/// # Errors
/// There is none; the text says what to run first.
pub fn python() -> Result<PathBuf, String> {
    let named = std::env::var_os("FLYTE_TEST_PYTHON").map(PathBuf::from);
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    let python = named.clone().unwrap_or(installed);
    match (python.exists(), named) {
        (true, _) => Ok(python),
        (false, None) => Err(format!(
            "{} is missing: run scripts/test-env first",
            python.display()
        )),
        (false, Some(_)) => Err(format!(
            "FLYTE_TEST_PYTHON names {}, which does not exist: unset it and run scripts/test-env \
             first",
            python.display()
        )),
    }
}
