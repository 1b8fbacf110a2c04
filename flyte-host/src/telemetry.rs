//! Spans to an OpenTelemetry collector, as the standard variables say.
//!
//! A scheduler makes `tracing` spans of executions, their nodes and attempts. This module gives a
//! layer that sends them by OTLP over http; the subscriber stays the host's own:
//!
//! ```no_run
//! use flyte_host::telemetry::Telemetry;
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = Telemetry::from_env()?;
//! let layer = telemetry.as_ref().map(Telemetry::layer);
//! tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))?;
//! // ... schedulers live here, and are shut down ...
//! if let Some(telemetry) = telemetry {
//!     telemetry.shutdown()?;
//! }
//! # Ok(()) }
//! ```
//!
//! | variable | meaning |
//! |---|---|
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | where the collector is; without one, nothing is sent |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf`, the only one |
//! | `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT` | headers as `k=v,k=v`; ms that a request may take, 10,000 by default |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who sends; `flyte` by default |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `always_on`, `always_off`, `traceidratio` and each with `parentbased_` before it; `parentbased_always_on` by default |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, … | the bounds of the queue: 2,048 spans, beyond which new ones are dropped |
//! | `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER` | `true`, or `none`: nothing is sent |

use std::env;

use flyte_core::{Error, ErrorKind, Result};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Sends spans from a thread of its own, in batches; what is left goes when it is shut down or
/// dropped.
///
/// Spans are sent when they end: that of an execution ends with the execution, or with the life of
/// the scheduler that ran it. So shut schedulers down first.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// What the environment asks for; `None` if it names no collector. Neither connects nor
    /// installs anything.
    ///
    /// # Errors
    /// `Invalid` if a variable has a value that would otherwise be ignored.
    pub fn from_env() -> Result<Option<Self>> {
        if set("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match set("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(_) => return Err(wrong("OTEL_TRACES_EXPORTER", "`otlp` or `none`")),
        }
        let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let shared = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let (name, endpoint) = match (set(own), set(shared)) {
            (Some(endpoint), _) => (own, endpoint),
            (None, Some(endpoint)) => (shared, endpoint),
            (None, None) => return Ok(None),
        };
        check(name, &endpoint)?;
        let exporter = SpanExporter::builder().with_http().build();
        let exporter = exporter.map_err(|e| {
            Error::new(ErrorKind::Invalid, "telemetry", e.to_string()).with(name, &endpoint)
        })?;
        let named = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"]
            .iter()
            .any(|n| {
                set(n).is_some_and(|v| *n == "OTEL_SERVICE_NAME" || v.contains("service.name="))
            });
        let resource = match named {
            true => Resource::builder(),
            false => Resource::builder().with_service_name("flyte"),
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self { provider }))
    }

    /// The layer that takes spans and events of level `INFO` and above, without those of what
    /// carries them away.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        const CARRIERS: [&str; 5] = ["opentelemetry", "reqwest", "hyper", "h2", "rustls"];
        let tracer = self.provider.tracer("flyte");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_filter(filter_fn(|m| {
                let root = m.target().split([':', '_']).next().unwrap_or_default();
                *m.level() <= Level::INFO && !CARRIERS.contains(&root)
            }))
    }

    /// Sends what is left and ends the thread. Blocks for 5 s at most.
    ///
    /// # Errors
    /// `Unavailable` if the collector could not be given everything.
    pub fn shutdown(self) -> Result<()> {
        self.end()
    }

    fn end(&self) -> Result<()> {
        use opentelemetry_sdk::error::OTelSdkError;
        match self.provider.shutdown() {
            Ok(()) | Err(OTelSdkError::AlreadyShutdown) => Ok(()),
            Err(e) => Err(Error::new(
                ErrorKind::Unavailable,
                "telemetry",
                e.to_string(),
            )),
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Err(e) = self.end() {
            tracing::warn!(error = %e, "spans were not sent");
        }
    }
}

/// The value of a variable; an empty one is as good as none.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|v| !v.is_empty())
}

/// Refuses what the exporter would ignore, or fail at with every batch.
fn check(name: &'static str, endpoint: &str) -> Result<()> {
    match endpoint.split_once("://") {
        Some(("http", _)) => {}
        Some(("https", _)) if cfg!(feature = "otel-tls") => {}
        Some(("https", _)) => {
            return Err(wrong(
                name,
                "http://...; for https build with the feature `otel-tls`",
            ));
        }
        _ => return Err(wrong(name, "a url such as http://localhost:4318")),
    }
    for protocol in [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ] {
        if set(protocol).is_some_and(|p| p != "http/protobuf") {
            return Err(wrong(
                protocol,
                "`http/protobuf`, on port 4318 of most collectors",
            ));
        }
    }
    let sampler = set("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "always_on".into());
    match sampler.strip_prefix("parentbased_").unwrap_or(&sampler) {
        "always_on" | "always_off" => Ok(()),
        "traceidratio" => {
            let ratio = set("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1".into());
            match ratio.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
                _ => Err(wrong("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1")),
            }
        }
        _ => {
            let known = "`always_on`, `always_off`, `traceidratio`, or one of them with `parentbased_` before it";
            Err(wrong("OTEL_TRACES_SAMPLER", known))
        }
    }
}

fn wrong(name: &'static str, remedy: &str) -> Error {
    let value = set(name).unwrap_or_default();
    let text = format!("{name} is `{value}`; give {remedy}");
    Error::new(ErrorKind::Invalid, "telemetry", text)
}
