use std::error::Error as StdError;
use std::fmt;

/// What a contract's call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of every contract: kind, retry advice, operation, context and source in one pointer.
///
/// ```
/// use flyte_core::{Error, ErrorKind, Retry};
/// let e = Error::new(ErrorKind::StaleLease, "commit", "shard 3 is owned by epoch 9")
///     .with("shard", 3)
///     .with("epoch", 8);
/// assert_eq!(e.kind(), ErrorKind::StaleLease);
/// assert_eq!(e.retry(), Retry::Never);
/// assert_eq!(e.to_string(), "commit: shard 3 is owned by epoch 9 (StaleLease; shard: 3, epoch: 8)");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    operation: &'static str,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Whether asking again is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing happened; the same call may be made again.
    Safe,
    /// It is unknown whether the call took effect: look before you act again.
    Ambiguous,
    /// Asking again gives the same answer.
    Never,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's argument is wrong.
    Invalid,
    /// The thing does not exist.
    NotFound,
    /// The name is taken by something else.
    AlreadyExists,
    /// The lease is not, or no longer, the caller's.
    StaleLease,
    /// Somebody else holds what was asked for.
    Held,
    /// A bound of the system was reached.
    Limit,
    /// Stored bytes are damaged.
    Corrupt,
    /// Stored by a newer version than this one can read.
    NewerVersion,
    /// The other side could not be reached or is overloaded.
    Unavailable,
    /// The other side did not answer in time.
    Timeout,
    /// The disk, or a quota, is full.
    Full,
    /// The caller may not do this.
    Denied,
    /// The implementation does not offer this; see its capabilities.
    Unsupported,
    /// Anything else; read the message.
    Other,
}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

impl Error {
    /// An error of `kind` in `operation` (the name of the called method), with the retry advice
    /// that is usual for the kind.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        let retry = match kind {
            ErrorKind::Unavailable | ErrorKind::Held | ErrorKind::Full => Retry::Safe,
            ErrorKind::Timeout => Retry::Ambiguous,
            _ => Retry::Never,
        };
        Self(Box::new(Inner {
            kind,
            retry,
            operation,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// Replaces the retry advice.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Adds a fact that helps to find the place.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether asking again is safe.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The method that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The sentence without kind and context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The facts added by [`Error::with`].
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(k, v)| (*k, v.as_str()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({:?}",
            self.0.operation, self.0.message, self.0.kind
        )?;
        for (i, (k, v)) in self.context().enumerate() {
            write!(f, "{} {k}: {v}", if i == 0 { ";" } else { "," })?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Some(s) = &self.0.source {
            write!(f, ": {s:?}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}
