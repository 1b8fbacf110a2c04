use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::TASK_TYPE;
use crate::id::{AttemptKey, Digest};
use crate::limits::BACKOFF_SECONDS_MAX;
use crate::literal::SignedDuration;
use crate::template::{NodeMetadata, TaskTemplate};

/// The rules of the attempts of a Rust task's node: every failure is retried unless it is fatal,
/// after a back-off, and the node has no deadline but its own.
///
/// Plans of version 2 have them. A node with retries or a timeout of a plan of version 1 has none:
/// recoverable failures alone are retried, at once, and the node has twice its timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrySettings {
    /// Delays between attempts; `None` leaves them to the scheduler.
    pub backoff: Option<Backoff>,
    /// How long the node may take with all its attempts; `None` for any time.
    pub node_timeout: Option<SignedDuration>,
}

impl RetrySettings {
    /// The key of a task's or node's `config` for [`RetrySettings::backoff`].
    pub const BACKOFF: &'static str = "flyte.backoff";
    /// The same for [`RetrySettings::node_timeout`].
    pub const NODE_TIMEOUT: &'static str = "flyte.node-timeout";

    /// What a node and its task say; `None` if neither says anything.
    pub(crate) fn said(
        node: &NodeMetadata,
        task: Option<&TaskTemplate>,
    ) -> Result<Option<Self>, String> {
        let own = |key: &str| {
            let of_task = || task.and_then(|t| t.config.get(key));
            node.config.get(key).or_else(of_task)
        };
        let (backoff, node_timeout) = (own(Self::BACKOFF), own(Self::NODE_TIMEOUT));
        if backoff.is_none() && node_timeout.is_none() {
            return Ok(None);
        }
        if task.is_none_or(|t| t.task_type != TASK_TYPE) {
            return Err(
                "`backoff` and `node_timeout` are options of Rust tasks, and this is none: leave \
                 them out, or give them to the calls of the Rust tasks inside"
                    .into(),
            );
        }
        let settings = Self {
            backoff: backoff.map(|t| Backoff::parse(t)).transpose()?,
            node_timeout: node_timeout.map(|t| node_timeout_of(t)).transpose()?,
        };
        settings.check().map(|()| Some(settings))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(b) = self.backoff {
            Backoff::new(b.base, b.cap)?;
        }
        match self.node_timeout {
            Some(t) if !t.is_positive() => {
                Err("a node timeout is longer than nothing: leave it out for none".into())
            }
            _ => Ok(()),
        }
    }
}

fn node_timeout_of(text: &str) -> Result<SignedDuration, String> {
    crate::literal::parse_duration(text).map_err(|e| format!("the node timeout `{text}`: {e}"))
}

/// Delays that grow between the attempts of a node.
///
/// ```
/// use flyte_core::plan::Backoff;
///
/// let backoff = Backoff::parse("1s..5m").unwrap();
/// assert_eq!(backoff, Backoff::default());
/// assert_eq!(backoff.to_string(), "1s..300s");
/// assert!(Backoff::parse("5m..1s").unwrap_err().contains("1s..5m"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    base: SignedDuration,
    cap: SignedDuration,
}

impl Default for Backoff {
    /// From 1 s to 5 min.
    fn default() -> Self {
        Self {
            base: SignedDuration::from_millis(1_000),
            cap: SignedDuration::from_millis(300_000),
        }
    }
}

impl Backoff {
    /// Delays that double from `base` and end at `cap`.
    ///
    /// # Errors
    /// A base of nothing, a cap below it, or one above [`BACKOFF_SECONDS_MAX`].
    pub fn new(base: SignedDuration, cap: SignedDuration) -> Result<Self, String> {
        let backoff = Self { base, cap };
        let wrong = |what: &str| {
            Err(format!(
                "the back-off `{backoff}` {what}: write it as 1s..5m, from the first delay to the \
                 longest"
            ))
        };
        if !base.is_positive() {
            return wrong("begins with no delay");
        }
        if cap < base {
            return wrong("ends below its first delay");
        }
        if cap.as_nanos() > i128::from(BACKOFF_SECONDS_MAX) * 1_000_000_000 {
            return wrong(&format!(
                "passes {BACKOFF_SECONDS_MAX} s, the longest delay"
            ));
        }
        Ok(backoff)
    }

    /// Reads a text like `1s..5m`.
    ///
    /// # Errors
    /// As [`Backoff::new`], and a text that is no back-off.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |e: String| {
            format!(
                "the back-off `{text}`: {e}; write it as 1s..5m, from the first delay to the \
                 longest"
            )
        };
        let (base, cap) = text
            .split_once("..")
            .ok_or_else(|| wrong("it is no range".into()))?;
        let base = crate::literal::parse_duration(base).map_err(wrong)?;
        let cap = crate::literal::parse_duration(cap).map_err(wrong)?;
        Self::new(base, cap)
    }

    /// The delay of the retry of this number, from 0: drawn by the next attempt's key between half
    /// and all of the base times two to the power of the number, at most the cap.
    #[must_use]
    pub fn delay(&self, retry: u32, next: &AttemptKey) -> Duration {
        let nanos = |d: SignedDuration| d.as_nanos().unsigned_abs();
        let full = nanos(self.base).saturating_mul(1 << retry.min(63));
        let full = full.min(nanos(self.cap));
        let half = full / 2;
        let digest = Digest::of("flyte retry delay v1", next.to_string().as_bytes());
        let (draw, _) = digest.0.split_first_chunk().expect("invariant: 32 bytes");
        let draw = u128::from(u64::from_le_bytes(*draw));
        // Less than 2^50 nanoseconds, so that the product has room.
        let nanos = half + (((full - half) * draw) >> 64);
        Duration::from_nanos(nanos as u64)
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", seconds(self.base), seconds(self.cap))
    }
}

/// A length of time as a text that is read back as the same, such as `1.5s`.
pub(crate) fn seconds(d: SignedDuration) -> String {
    let nanos = d.as_nanos();
    let (sign, n) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let text = format!("{sign}{}.{:09}", n / 1_000_000_000, n % 1_000_000_000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ExecutionId, NodeAddr, Tenant};

    #[test]
    fn delays_lie_between_half_and_all_of_what_doubles_up_to_the_cap() {
        let backoff = Backoff::parse("1s..10s").unwrap();
        let mut drawn = std::collections::BTreeSet::new();
        for retry in 0..999 {
            let key = AttemptKey {
                execution: ExecutionId::new(Tenant::default(), "e"),
                addr: NodeAddr::default(),
                attempt: retry + 1,
            };
            let delay = backoff.delay(retry, &key);
            let full = Duration::from_secs((1u64 << retry.min(20)).min(10));
            assert!(full / 2 <= delay && delay <= full, "{retry}: {delay:?}");
            assert_eq!(delay, backoff.delay(retry, &key));
            drawn.insert(delay);
        }
        assert!(drawn.len() > 900);
    }

    #[test]
    fn texts() {
        for (text, shown) in [
            ("1s..5m", "1s..300s"),
            ("250ms .. 1h30m", "0.25s..5400s"),
            ("2s..2s", "2s..2s"),
        ] {
            let backoff = Backoff::parse(text).unwrap();
            assert_eq!(backoff.to_string(), shown);
            assert_eq!(Backoff::parse(shown), Ok(backoff));
        }
        for wrong in ["", "1s", "1s..", "0s..1s", "-1s..1s", "2s..1s", "1s..900d"] {
            let e = Backoff::parse(wrong).unwrap_err();
            assert!(e.contains("1s..5m"), "{e}");
        }
    }
}
