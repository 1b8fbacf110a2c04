use flyte_host::telemetry::Telemetry;
use tracing_subscriber::layer::SubscriberExt;

use crate::fail::{Refusal, Result};

/// Sends spans from now on, if the environment names a collector.
pub(crate) fn begin() -> Result<Option<Telemetry>> {
    let refused = |e: String| Refusal::new("Usage", e).at("telemetry");
    let telemetry = Telemetry::from_env().map_err(|e| refused(e.message().into()))?;
    if let Some(telemetry) = &telemetry {
        let subscriber = tracing_subscriber::registry().with(telemetry.layer());
        tracing::subscriber::set_global_default(subscriber).map_err(|e| refused(e.to_string()))?;
    }
    Ok(telemetry)
}

/// Sends what is left. What cannot be sent changes nothing of how a run went.
pub(crate) fn end(telemetry: Option<Telemetry>) {
    if let Some(Err(e)) = telemetry.map(Telemetry::shutdown) {
        tell!("warning: spans were not sent: {e}");
    }
}
