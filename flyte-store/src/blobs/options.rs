use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use flyte_core::contract::Durability;
use flyte_core::{Error, ErrorKind, Result};
use object_store::local::LocalFileSystem;

use super::Blobs;

/// Where blobs are, and what is needed to get at them.
///
/// | url | what | feature |
/// |---|---|---|
/// | `/folder`, `file:///folder` | a folder of this machine, which must exist | |
/// | `s3://BUCKET/PREFIX` | S3 and what speaks like it | `s3` |
/// | `gs://BUCKET/PREFIX` | Google Cloud Storage | `gcs` |
/// | `az://CONTAINER/PREFIX`, `abfs://CONTAINER/PREFIX`, `abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX` | Azure Blob Storage | `azure` |
///
/// Credentials come from the usual variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, or those of a role (web identity,
/// container, instance); `GOOGLE_APPLICATION_CREDENTIALS` or the instance; `AZURE_STORAGE_ACCOUNT_NAME`
/// with `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_CLIENT_ID` and its like. Files with profiles
/// (`~/.aws`) are not read. An endpoint by http needs `AWS_ALLOW_HTTP=true`, or `GOOGLE_`, `AZURE_`.
///
/// A request to a cloud is tried 8 more times, with growing pauses, for 60 s at most; each try may
/// take 60 s, connecting 5 s. A file is there when it was written whole: an upload that is cut is
/// no result. Parts of one that nobody ended cost room in S3 until a rule of the bucket sweeps them.
///
/// ```
/// use flyte_store::BlobOptions;
///
/// let folder = tempfile::tempdir().unwrap();
/// let blobs = BlobOptions::new(folder.path().to_string_lossy()).open().unwrap();
/// assert_eq!(blobs.root, folder.path().to_string_lossy());
/// ```
#[derive(Clone)]
pub struct BlobOptions {
    url: String,
    variables: BTreeMap<String, String>,
    durability: Durability,
}

/// Prefixes of the variables that say how to get at a cloud.
const PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

impl BlobOptions {
    /// Blobs at this url; nothing is taken from the environment.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            variables: BTreeMap::new(),
            durability: Durability::Power,
        }
    }

    /// Blobs at this url, with the credentials of this process's environment.
    pub fn from_env(url: impl Into<String>) -> Self {
        let mut options = Self::new(url);
        // What is no text is no setting of a cloud.
        let all = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let ours = |name: &str| PREFIXES.iter().any(|p| name.starts_with(p));
        options.variables.extend(all.filter(|(k, _)| ours(k)));
        options
    }

    /// Sets one of the variables.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// What a file in a folder survives once it is acknowledged. Default `Power`, which syncs file
    /// and folder. A cloud does not ask.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Opens them; connects to nothing.
    ///
    /// # Errors
    /// `Invalid` if the url is none of the above, the folder is not there, or a setting is missing
    /// or wrong; `Unsupported` if this program was built without the cloud, by the feature's name.
    pub fn open(&self) -> Result<Blobs> {
        let (scheme, rest) = match self.url.split_once("://") {
            None => ("file", self.url.as_str()),
            Some(parts) => parts,
        };
        match scheme {
            "file" => self.folder(rest),
            #[cfg(feature = "s3")]
            "s3" => super::cloud::s3(self, &Place::parse(&self.url, rest)?),
            #[cfg(not(feature = "s3"))]
            "s3" => Err(without(&self.url, "S3", "s3")),
            #[cfg(feature = "gcs")]
            "gs" => super::cloud::gcs(self, &Place::parse(&self.url, rest)?),
            #[cfg(not(feature = "gcs"))]
            "gs" => Err(without(&self.url, "Google Cloud Storage", "gcs")),
            #[cfg(feature = "azure")]
            "az" | "abfs" | "abfss" => super::cloud::azure(self, &Place::parse(&self.url, rest)?),
            #[cfg(not(feature = "azure"))]
            "az" | "abfs" | "abfss" => Err(without(&self.url, "Azure", "azure")),
            _ => Err(invalid(
                &self.url,
                "it is no place for blobs; give a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX \
                 or az://CONTAINER/PREFIX",
            )),
        }
    }

    fn folder(&self, path: &str) -> Result<Blobs> {
        let path = Path::new(path);
        if !path.is_absolute() {
            return Err(invalid(&self.url, "give the folder as an absolute path"));
        }
        let store = LocalFileSystem::new_with_prefix(path)
            .map_err(|e| invalid(&self.url, e.to_string()))?;
        let store = store.with_fsync(self.durability == Durability::Power);
        Ok(Blobs {
            store: Arc::new(store),
            root: path.to_string_lossy().trim_end_matches('/').to_owned(),
        })
    }

    /// The variables that begin with `prefix`, in small letters.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    pub(super) fn settings(&self, prefix: &str) -> impl Iterator<Item = (String, &str)> {
        let fit = self
            .variables
            .iter()
            .filter(move |(k, _)| k.starts_with(prefix));
        fit.map(|(k, v)| (k.to_ascii_lowercase(), v.as_str()))
    }
}

impl fmt::Debug for BlobOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are secrets.
        f.debug_struct("BlobOptions")
            .field("url", &self.url)
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("durability", &self.durability)
            .finish()
    }
}

/// A bucket, and the prefix in it.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
#[derive(Debug)]
pub(super) struct Place {
    /// The url without prefix.
    pub(super) bucket: String,
    pub(super) prefix: object_store::path::Path,
    /// The url without a slash at its end.
    pub(super) root: String,
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
impl Place {
    fn parse(url: &str, rest: &str) -> Result<Self> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(invalid(url, "the bucket is missing"));
        }
        if rest.contains(['?', '#']) {
            return Err(invalid(url, "`?` and `#` have no meaning here"));
        }
        let prefix = object_store::path::Path::parse(prefix.trim_end_matches('/'))
            .map_err(|e| invalid(url, format!("the prefix is no path: {e}")))?;
        Ok(Self {
            bucket: url[..url.len() - rest.len() + bucket.len()].to_owned(),
            prefix,
            root: url.trim_end_matches('/').to_owned(),
        })
    }
}

pub(super) fn invalid(url: &str, text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "blobs", text.into()).with("url", url)
}

#[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
fn without(url: &str, what: &str, feature: &str) -> Error {
    let text =
        format!("this program was built without {what}; build it with the feature `{feature}`");
    Error::new(ErrorKind::Unsupported, "blobs", text).with("url", url)
}
