use serde::{Deserialize, Serialize};

use crate::id::Str;
use crate::literal::Timestamp;

macro_rules! flyte_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// Flyte's number.
            #[must_use]
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// Flyte's name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one with Flyte's number.
            #[must_use]
            pub const fn from_number(n: i32) -> Option<Self> {
                match n { $($number => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

flyte_enum! {
    /// `flyteidl.core.WorkflowExecution.Phase`.
    #[allow(missing_docs)] // The names say it all.
    WorkflowPhase {
        #[default] Undefined = 0 "UNDEFINED",
        Queued = 1 "QUEUED",
        Running = 2 "RUNNING",
        Succeeding = 3 "SUCCEEDING",
        Succeeded = 4 "SUCCEEDED",
        Failing = 5 "FAILING",
        Failed = 6 "FAILED",
        Aborted = 7 "ABORTED",
        TimedOut = 8 "TIMED_OUT",
        Aborting = 9 "ABORTING",
    }
}

impl WorkflowPhase {
    /// Whether it is over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Aborted | Self::TimedOut
        )
    }
}

flyte_enum! {
    /// `flyteidl.core.NodeExecution.Phase`.
    #[allow(missing_docs)] // The names say it all.
    NodePhase {
        #[default] Undefined = 0 "UNDEFINED",
        Queued = 1 "QUEUED",
        Running = 2 "RUNNING",
        Succeeded = 3 "SUCCEEDED",
        Failing = 4 "FAILING",
        Failed = 5 "FAILED",
        Aborted = 6 "ABORTED",
        Skipped = 7 "SKIPPED",
        TimedOut = 8 "TIMED_OUT",
        DynamicRunning = 9 "DYNAMIC_RUNNING",
        Recovered = 10 "RECOVERED",
    }
}

impl NodePhase {
    /// Whether it is over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::Failed
                | Self::Aborted
                | Self::Skipped
                | Self::TimedOut
                | Self::Recovered
        )
    }
}

flyte_enum! {
    /// `flyteidl.core.TaskExecution.Phase`.
    #[allow(missing_docs)] // The names say it all.
    TaskPhase {
        #[default] Undefined = 0 "UNDEFINED",
        Queued = 1 "QUEUED",
        Running = 2 "RUNNING",
        Succeeded = 3 "SUCCEEDED",
        Aborted = 4 "ABORTED",
        Failed = 5 "FAILED",
        Initializing = 6 "INITIALIZING",
        WaitingForResources = 7 "WAITING_FOR_RESOURCES",
        RetryableFailed = 8 "RETRYABLE_FAILED",
    }
}

impl TaskPhase {
    /// Whether the attempt is over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Aborted | Self::RetryableFailed
        )
    }
}

flyte_enum! {
    /// `flyteidl.core.CatalogCacheStatus`.
    #[allow(missing_docs)] // The names say it all.
    CacheStatus {
        #[default] Disabled = 0 "CACHE_DISABLED",
        Miss = 1 "CACHE_MISS",
        Hit = 2 "CACHE_HIT",
        Populated = 3 "CACHE_POPULATED",
        LookupFailure = 4 "CACHE_LOOKUP_FAILURE",
        PutFailure = 5 "CACHE_PUT_FAILURE",
        Skipped = 6 "CACHE_SKIPPED",
        Evicted = 7 "CACHE_EVICTED",
    }
}

flyte_enum! {
    /// `flyteidl.core.ExecutionError.ErrorKind`: whose fault a failure is.
    ErrorOrigin {
        /// Nobody said.
        #[default] Unknown = 0 "UNKNOWN",
        /// The author's code or data.
        User = 1 "USER",
        /// The machines.
        System = 2 "SYSTEM",
    }
}

/// Why something failed (`flyteidl.core.ExecutionError`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutionError {
    /// For programs, for instance `RetriesExhausted|USER:Recoverable`.
    pub code: Str,
    /// For people.
    pub message: Str,
    /// Where more is to be read; empty for nowhere.
    pub uri: Str,
    /// Whose fault.
    pub origin: ErrorOrigin,
    /// When it happened, if known.
    pub timestamp: Option<Timestamp>,
}

impl ExecutionError {
    /// A failure; a message beyond [`MESSAGE_BYTES_MAX`](crate::limits::MESSAGE_BYTES_MAX) is cut
    /// and says so.
    pub fn new(origin: ErrorOrigin, code: impl Into<Str>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > crate::limits::MESSAGE_BYTES_MAX {
            let whole = message.len();
            let end = message.floor_char_boundary(crate::limits::MESSAGE_BYTES_MAX);
            message.truncate(end);
            message.push_str(&format!("… [cut, {whole} bytes in all]"));
        }
        Self {
            code: code.into(),
            message: message.into(),
            uri: "".into(),
            origin,
            timestamp: None,
        }
    }
}

impl std::fmt::Display for ExecutionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}] {}: {}", self.origin, self.code, self.message)
    }
}
