use std::collections::BTreeMap;
use std::path::Path;

use flyte_core::contract::LaunchRequest;
use flyte_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// The parameter of an execution that names a file of [`ProcessOptions::environments`].
///
/// [`ProcessOptions::environments`]: crate::ProcessOptions::environments
const PARAMETER: &str = "environment";

#[derive(Deserialize)]
struct Document {
    variables: BTreeMap<String, String>,
}

/// The variables that an execution was begun with; none if their file is gone.
pub(crate) fn taken(
    folder: Option<&Path>,
    request: &LaunchRequest,
) -> Result<BTreeMap<String, String>> {
    let (Some(folder), Some(digest)) = (folder, request.parameters.get(PARAMETER)) else {
        return Ok(BTreeMap::new());
    };
    let path = folder.join(digest);
    // The file's content is in no message.
    let bad = |kind, text: String| Error::new(kind, "launch", text).with("file", path.display());
    if digest.contains(['/', '.']) {
        return Err(bad(ErrorKind::Invalid, "it is no digest".into()));
    }
    match std::fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice::<Document>(&bytes) {
            Ok(document) => Ok(document.variables),
            Err(_) => Err(bad(ErrorKind::Corrupt, "the variables are damaged".into())),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(e) => Err(bad(ErrorKind::Other, e.to_string())),
    }
}
