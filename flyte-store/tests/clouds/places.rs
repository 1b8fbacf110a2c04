use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use flyte_store::BlobOptions;

/// The emulator of a cloud; leaves the test where there is none.
macro_rules! place {
    ($cloud:literal) => {
        match $crate::places::Place::cloud($cloud) {
            Some(place) => place,
            None => return,
        }
    };
}
pub(crate) use place;

/// Of an account that needs no token.
const KEY: &str =
    r#"{"disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}"#;

/// Two prefixes that nobody else uses.
pub(crate) struct Place {
    cloud: &'static str,
    server: String,
    /// With a slash at its end.
    root: String,
}

impl Place {
    pub(crate) fn folder(dir: &std::path::Path) -> Self {
        for name in ["one", "two"] {
            std::fs::create_dir(dir.join(name)).unwrap();
        }
        Self {
            cloud: "",
            server: String::new(),
            root: format!("{}/", dir.display()),
        }
    }

    /// `None` where there is no emulator, which is a failure under `scripts/test`.
    pub(crate) fn cloud(cloud: &'static str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let variable = format!("FLYTE_TEST_{cloud}");
        let Ok(server) = std::env::var(&variable) else {
            let text =
                format!("{variable} is not set: scripts/with-clouds starts a server and sets it");
            assert!(std::env::var_os("FLYTE_TEST_ALL").is_none(), "{text}");
            let name = std::thread::current().name().unwrap_or("test").to_owned();
            // Past what the test harness captures.
            let text = format!("{name}: skipped, since {text}\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return None;
        };
        let scheme = match cloud {
            "S3" => "s3",
            _ => "az",
        };
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = format!("{scheme}://flyte-test/p{}-{n}/", std::process::id());
        Some(Self {
            cloud,
            server,
            root,
        })
    }

    pub(crate) fn gcs(server: String) -> Self {
        Self {
            cloud: "GCS",
            server,
            root: "gs://flyte-test/p/".into(),
        }
    }

    /// `http://HOST:PORT`.
    pub(crate) fn server(&self) -> String {
        self.server.clone()
    }

    pub(crate) fn options(&self) -> BlobOptions {
        self.options_at(&format!("{}one", self.root))
    }

    pub(crate) fn other(&self) -> BlobOptions {
        self.options_at(&format!("{}two", self.root))
    }

    pub(crate) fn options_at(&self, url: &str) -> BlobOptions {
        self.with(url, &self.server)
    }

    /// The same by another way.
    pub(crate) fn through(&self, server: &str) -> BlobOptions {
        self.with(&format!("{}one", self.root), server)
    }

    fn with(&self, url: &str, server: &str) -> BlobOptions {
        let options = BlobOptions::new(url);
        match self.cloud {
            "S3" => options
                .with_variable("AWS_ENDPOINT_URL", server)
                .with_variable("AWS_ALLOW_HTTP", "true")
                .with_variable("AWS_ACCESS_KEY_ID", "test")
                .with_variable("AWS_SECRET_ACCESS_KEY", "test"),
            "AZURE" => options
                .with_variable("AZURE_STORAGE_ENDPOINT", format!("{server}/flyte"))
                .with_variable("AZURE_ALLOW_HTTP", "true")
                .with_variable("AZURE_STORAGE_ACCOUNT_NAME", "flyte")
                .with_variable("AZURE_STORAGE_ACCOUNT_KEY", "Zmx5dGU="),
            "GCS" => options
                .with_variable("GOOGLE_BASE_URL", server)
                .with_variable("GOOGLE_ALLOW_HTTP", "true")
                .with_variable("GOOGLE_SERVICE_ACCOUNT_KEY", KEY),
            _ => options,
        }
    }
}
