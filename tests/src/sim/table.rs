//! Which fault can meet which kind of node: a run of many seeds must have seen each pair.

use super::fault::Fault;

/// The kinds of nodes that a fault can meet.
pub const NODE_KINDS: &[&str] = &[
    "task in process",
    "plugin task",
    "plugin task with files",
    "sub-workflow",
    "branch",
    "gate: sleep",
    "gate: signal",
    "gate: approve",
    "array over tasks",
    "array over sub-workflows",
    "dynamic expansion",
    "failure node",
    "child execution",
    "cached task",
    "serialised cached task",
];

/// Nodes with a job at a plugin; a cached task, an item and a failure node may have one.
const JOBS: &[&str] = &[
    "plugin task",
    "plugin task with files",
    "array over tasks",
    "failure node",
    "cached task",
    "serialised cached task",
];

/// Nodes whose plugin leaves files.
const FILES: &[&str] = &[
    "plugin task with files",
    "array over tasks",
    "failure node",
    "cached task",
    "serialised cached task",
];

/// Nodes that ask the cache.
const CACHED: &[&str] = &[
    "task in process",
    "plugin task",
    "plugin task with files",
    "array over tasks",
    "failure node",
    "cached task",
    "serialised cached task",
];

/// Nodes that reserve what they compute.
const SERIAL: &[&str] = &["serialised cached task"];

/// Nodes that run a task: each may be cached.
const TASKS: &[&str] = CACHED;

/// Nodes that wait for a person.
const SIGNALS: &[&str] = &["gate: signal", "gate: approve"];

impl Fault {
    /// The kinds of nodes that it can meet, each of which it must meet in a run of many seeds.
    ///
    /// A fault of a commit meets the nodes of its records and those that are in flight in its
    /// shard; one of a process or of the store, those in flight in the shards concerned; one of a
    /// plugin, of files or of the cache, the node whose attempt it is.
    #[must_use]
    pub const fn meets(self) -> &'static [&'static str] {
        match self {
            Self::CrashBeforeCommit
            | Self::CrashAfterCommit
            | Self::CrashInEffects
            | Self::CrashInRecovery
            | Self::FailedSync
            | Self::DiskFull
            | Self::SlowDisk
            | Self::AmbiguousDone
            | Self::AmbiguousLost
            | Self::TornWrite
            | Self::LostWrite
            | Self::ReorderedWrite
            | Self::FlippedWrite
            | Self::TornRead
            | Self::LostRead
            | Self::ReorderedRead
            | Self::FlippedRead
            | Self::CrashBeforeSnapshot
            | Self::CrashBeforeTrim
            | Self::SnapshotFlipped
            | Self::WrongDigest
            | Self::PlanSpoiled
            | Self::StoreOutage
            | Self::LeaseLost
            | Self::TwoOwners
            | Self::ClockForward
            | Self::ClockBack
            | Self::Pause
            | Self::HandOver
            | Self::NewerShard
            | Self::EntryTwice => NODE_KINDS,
            Self::ReplyLost
            | Self::LaunchRefused
            | Self::Duplicate
            | Self::Late
            | Self::Reordered
            | Self::Unknown
            | Self::Hang
            | Self::Forgets
            | Self::NoOutputs => JOBS,
            Self::BlobMissing => FILES,
            Self::CacheDown | Self::CacheBlobGone => CACHED,
            Self::HolderSilent => SERIAL,
            Self::AbortRace => TASKS,
            Self::SignalRace => SIGNALS,
            Self::TaskChanged => &["task in process"],
            Self::LacksPlugin => &["plugin task with files"],
            // Not only attempts read values: branches, arrays and the ends of workflows do.
            Self::ValueUnstored | Self::ValueGone | Self::ValueChanged | Self::ValueLate => &[],
            // No node is concerned: a process begins again, a limit is asked for, a client is
            // impatient, what goes is over.
            Self::Upgraded
            | Self::SetBack
            | Self::CreditLost
            | Self::CommandTwice
            | Self::CrashInPrune => &[],
        }
    }
}
