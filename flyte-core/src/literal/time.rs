use std::time::Duration;

use serde::{Deserialize, Serialize};

const NANOS: i128 = 1_000_000_000;

/// An instant in UTC over the whole range of `google.protobuf.Timestamp`
/// (years 1 to 9999), in nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

/// A signed length of time over the whole range of `google.protobuf.Duration`
/// (about ±10,000 years), in nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SignedDuration {
    seconds: i64,
    nanos: i32,
}

/// A time outside of the range that the wire can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{seconds} s and {nanos} ns are outside of the range of a protobuf {what}")]
pub struct TimeError {
    what: &'static str,
    seconds: i64,
    nanos: i64,
}

impl Timestamp {
    /// 0001-01-01T00:00:00Z in seconds.
    pub const SECONDS_MIN: i64 = -62_135_596_800;
    /// 9999-12-31T23:59:59Z in seconds.
    pub const SECONDS_MAX: i64 = 253_402_300_799;
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self {
        seconds: 0,
        nanos: 0,
    };

    /// Seconds since 1970 and nanoseconds that count forward from there.
    pub fn new(seconds: i64, nanos: i32) -> Result<Self, TimeError> {
        let fits = (Self::SECONDS_MIN..=Self::SECONDS_MAX).contains(&seconds)
            && (0..1_000_000_000).contains(&nanos);
        match fits {
            true => Ok(Self {
                seconds,
                nanos: nanos as u32,
            }),
            false => Err(TimeError {
                what: "Timestamp",
                seconds,
                nanos: nanos.into(),
            }),
        }
    }

    /// Milliseconds since 1970, kept inside the range.
    #[must_use]
    pub fn from_unix_millis(ms: i64) -> Self {
        Self::saturating(i128::from(ms) * 1_000_000)
    }

    /// Whole milliseconds since 1970, rounded down.
    #[must_use]
    pub fn as_unix_millis(&self) -> i64 {
        self.seconds * 1000 + i64::from(self.nanos) / 1_000_000
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`Timestamp::seconds`].
    #[must_use]
    pub fn nanos(&self) -> i32 {
        self.nanos as i32
    }

    /// This instant moved by `d`, kept inside the range.
    #[must_use]
    pub fn saturating_add(&self, d: SignedDuration) -> Self {
        Self::saturating(self.total() + d.total())
    }

    /// How long after `earlier` this is; negative if before.
    #[must_use]
    pub fn since(&self, earlier: Self) -> SignedDuration {
        SignedDuration::saturating(self.total() - earlier.total())
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }

    fn saturating(total: i128) -> Self {
        let min = i128::from(Self::SECONDS_MIN) * NANOS;
        let max = i128::from(Self::SECONDS_MAX) * NANOS + NANOS - 1;
        let t = total.clamp(min, max);
        Self {
            seconds: t.div_euclid(NANOS) as i64,
            nanos: t.rem_euclid(NANOS) as u32,
        }
    }
}

impl SignedDuration {
    /// The largest number of seconds, either way.
    pub const SECONDS_MAX: i64 = 315_576_000_000;
    /// No time at all.
    pub const ZERO: Self = Self {
        seconds: 0,
        nanos: 0,
    };

    /// Seconds and nanoseconds of the same sign.
    pub fn new(seconds: i64, nanos: i32) -> Result<Self, TimeError> {
        let fits = (-Self::SECONDS_MAX..=Self::SECONDS_MAX).contains(&seconds)
            && (-999_999_999..=999_999_999).contains(&nanos)
            && (seconds == 0 || nanos == 0 || (seconds > 0) == (nanos > 0));
        match fits {
            true => Ok(Self { seconds, nanos }),
            false => Err(TimeError {
                what: "Duration",
                seconds,
                nanos: nanos.into(),
            }),
        }
    }

    /// Milliseconds.
    #[must_use]
    pub fn from_millis(ms: i64) -> Self {
        Self::saturating(i128::from(ms) * 1_000_000)
    }

    /// Nanoseconds, kept inside the range.
    #[must_use]
    pub fn from_nanos(ns: i128) -> Self {
        Self::saturating(ns)
    }

    /// All of it in nanoseconds.
    #[must_use]
    pub fn as_nanos(&self) -> i128 {
        self.total()
    }

    /// Whole milliseconds, rounded towards zero, kept inside the range.
    #[must_use]
    pub fn as_millis(&self) -> i64 {
        (self.total() / 1_000_000) as i64
    }

    /// Whole seconds, rounded towards zero.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds beside [`SignedDuration::seconds`], of the same sign.
    #[must_use]
    pub fn nanos(&self) -> i32 {
        self.nanos
    }

    /// Whether it is longer than nothing.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.total() > 0
    }

    /// `n` times as long, kept inside the range.
    #[must_use]
    pub fn saturating_mul(&self, n: i64) -> Self {
        Self::saturating(self.total().saturating_mul(n.into()))
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }

    fn saturating(total: i128) -> Self {
        let max = i128::from(Self::SECONDS_MAX) * NANOS;
        let t = total.clamp(-max, max);
        Self {
            seconds: (t / NANOS) as i64,
            nanos: (t % NANOS) as i32,
        }
    }
}

impl From<Duration> for SignedDuration {
    fn from(d: Duration) -> Self {
        Self::saturating(i128::try_from(d.as_nanos()).unwrap_or(i128::MAX))
    }
}

impl From<SignedDuration> for Duration {
    /// Negative lengths become zero.
    fn from(d: SignedDuration) -> Self {
        let t = d.total().max(0);
        Duration::new((t / NANOS) as u64, (t % NANOS) as u32)
    }
}
