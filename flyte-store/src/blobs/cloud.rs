//! The clouds that `object_store` speaks to.

use std::sync::Arc;
use std::time::Duration;

use flyte_core::Result;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::Blobs;
use super::options::{BlobOptions, Place, invalid};

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 8,
        retry_timeout: Duration::from_secs(60),
    }
}

fn client() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(60))
}

fn at<T: ObjectStore>(place: &Place, built: object_store::Result<T>) -> Result<Blobs> {
    let store = built.map_err(|e| invalid(&place.root, e.to_string()))?;
    let store: Arc<dyn ObjectStore> = match place.prefix.as_ref() {
        "" => Arc::new(store),
        _ => Arc::new(PrefixStore::new(store, place.prefix.clone())),
    };
    let root = place.root.clone();
    Ok(Blobs { store, root })
}

/// Refuses an endpoint that every request would be refused at, much later and with other words.
fn check_http(options: &BlobOptions, place: &Place, prefix: &str) -> Result<()> {
    let find = |wanted: &[&str]| {
        let mut all = options.settings(prefix);
        all.find(|(k, _)| wanted.iter().any(|w| k.ends_with(w)))
            .map(|(_, v)| v)
    };
    let http = find(&["endpoint", "endpoint_url", "endpoint_url_s3", "base_url"])
        .is_some_and(|url| url.starts_with("http://"));
    if http && find(&["allow_http"]) != Some("true") {
        let text =
            format!("the endpoint has no TLS; if that is meant, set {prefix}ALLOW_HTTP=true");
        return Err(invalid(&place.root, text));
    }
    Ok(())
}

#[cfg(feature = "s3")]
pub(super) fn s3(options: &BlobOptions, place: &Place) -> Result<Blobs> {
    use object_store::aws::AmazonS3Builder;
    check_http(options, place, "AWS_")?;
    let has = |name: &str| options.settings("AWS_").any(|(k, _)| k == name);
    if has("aws_profile") && !has("aws_access_key_id") {
        let text = "profiles of AWS are not read; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \
                    (`aws configure export-credentials --format env`), or unset AWS_PROFILE";
        return Err(invalid(&place.root, text));
    }
    let mut builder = AmazonS3Builder::new()
        .with_url(&place.bucket)
        .with_client_options(client())
        .with_retry(retries());
    for (key, value) in options.settings("AWS_") {
        // Other programs have variables of this prefix, too.
        if let Ok(key) = key.parse() {
            builder = builder.with_config(key, value);
        }
    }
    at(place, builder.build())
}

#[cfg(feature = "gcs")]
pub(super) fn gcs(options: &BlobOptions, place: &Place) -> Result<Blobs> {
    use object_store::gcp::GoogleCloudStorageBuilder;
    check_http(options, place, "GOOGLE_")?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_url(&place.bucket)
        .with_client_options(client())
        .with_retry(retries());
    for (key, value) in options.settings("GOOGLE_") {
        if let Ok(key) = key.parse() {
            builder = builder.with_config(key, value);
        }
    }
    at(place, builder.build())
}

#[cfg(feature = "azure")]
pub(super) fn azure(options: &BlobOptions, place: &Place) -> Result<Blobs> {
    use object_store::azure::MicrosoftAzureBuilder;
    check_http(options, place, "AZURE_")?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_url(&place.bucket)
        .with_client_options(client())
        .with_retry(retries());
    for (key, value) in options.settings("AZURE_") {
        if let Ok(key) = key.parse() {
            builder = builder.with_config(key, value);
        }
    }
    at(place, builder.build())
}
