use flyte_core::contract::PluginInfo;
use flyte_core::plan::Backoff;

use crate::admission::Limit;

/// What an operator sets for an engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Attempts of a node whose retries say nothing (Flyte's `default-max-attempts`). Default 1.
    pub attempts_default: u32,
    /// SYSTEM failures of a node that are retried (`max-node-retries-system-failures`). Default 3.
    pub system_retries_max: u32,
    /// Delays between the attempts of Rust tasks that have none of their own. Default 1 s to 5 min.
    pub backoff: Backoff,
    /// Unclean ends of a host that a node's in-process attempts may be in flight at before the
    /// execution is parked. Default 5.
    pub host_losses_max: u32,
    /// Bounds that all schedulers of the store share.
    pub limits: Vec<Limit>,
    /// Local jobs at once; `None` has no bound.
    pub slots: Option<u32>,
    /// Whether there is a cache.
    pub cache: bool,
    /// How long a cache reservation lasts without being prolonged, in milliseconds.
    /// Default 30,000 (Flyte's heartbeat of 10 s, three times).
    pub reservation_ttl_ms: u64,
    /// What the plugins are, by place.
    pub plugins: Vec<PluginInfo>,
    /// Where the files of executions are (Flyte's metadata prefix), without a slash at the end.
    pub metadata_prefix: String,
    /// Where raw outputs are, without a slash at the end.
    pub raw_prefix: String,
    /// The fencing token of the shard's lease.
    pub epoch: u64,
    /// Values of outputs that are larger are stored out of band; `None` keeps all inline. What
    /// counts is [`Literal::weight`](flyte_core::literal::Literal::weight).
    pub offload_above: Option<u64>,
    /// Bytes of frames after which the shard asks for a snapshot; `None` asks for none. Default
    /// [`SNAPSHOT_AFTER_BYTES`](flyte_core::limits::SNAPSHOT_AFTER_BYTES).
    pub snapshot_after_bytes: Option<u64>,
}

impl EngineConfig {
    /// Whether jobs of a plugin take a local slot.
    pub(crate) fn is_local(&self, plugin: u16) -> bool {
        let info = self.plugins.get(usize::from(plugin));
        info.is_some_and(|p| p.capabilities.local)
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            attempts_default: 1,
            system_retries_max: 3,
            backoff: Backoff::default(),
            host_losses_max: 5,
            limits: Vec::new(),
            slots: None,
            cache: false,
            reservation_ttl_ms: 30_000,
            plugins: Vec::new(),
            metadata_prefix: "metadata/propeller".into(),
            raw_prefix: "raw".into(),
            epoch: 0,
            offload_above: None,
            snapshot_after_bytes: Some(flyte_core::limits::SNAPSHOT_AFTER_BYTES),
        }
    }
}
