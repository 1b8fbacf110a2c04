use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::journal::ErrorOrigin;

/// Why a task failed. Any error, and any text, converts into it by `?`.
pub struct TaskError(Box<TaskErrorParts>);

struct TaskErrorParts {
    code: String,
    message: String,
    origin: ErrorOrigin,
    advice: Advice,
    retry_after: Option<Duration>,
}

/// What an error says about another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advice {
    Nothing,
    Recoverable,
    Fatal,
}

impl TaskError {
    /// A USER failure, code `USER:Error`. It is retried as often as the task's `retries` say.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(TaskErrorParts {
            code: "USER:Error".into(),
            message: message.into(),
            origin: ErrorOrigin::User,
            advice: Advice::Nothing,
            retry_after: None,
        }))
    }

    /// With a code of its own.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = code.into();
        self
    }

    /// With another origin: SYSTEM failures have a retry budget of their own.
    #[must_use]
    pub fn with_origin(mut self, origin: ErrorOrigin) -> Self {
        self.0.origin = origin;
        self
    }

    /// Another attempt may do better. A Rust task needs no such word: all its errors but fatal ones
    /// are retried. It is what Flyte calls a recoverable error.
    #[must_use]
    pub fn recoverable(mut self) -> Self {
        self.0.advice = Advice::Recoverable;
        self
    }

    /// No other attempt would do better: the node fails at once.
    ///
    /// ```
    /// use flyte_core::contract::TaskError;
    ///
    /// fn pieces(order: i64) -> Result<u64, TaskError> {
    ///     u64::try_from(order).map_err(|_| TaskError::new("less than nothing").fatal())
    /// }
    /// assert!(pieces(-1).unwrap_err().is_fatal());
    /// ```
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.0.advice = Advice::Fatal;
        self.0.retry_after = None;
        self
    }

    /// Another attempt may do better, after `d` instead of the task's back-off.
    #[must_use]
    pub fn retry_after(mut self, d: Duration) -> Self {
        self.0.advice = Advice::Recoverable;
        self.0.retry_after = Some(d);
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The text, sources included.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whose fault.
    #[must_use]
    pub fn origin(&self) -> ErrorOrigin {
        self.0.origin
    }

    /// Whether it was marked by [`TaskError::recoverable`] or [`TaskError::retry_after`].
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        self.0.advice == Advice::Recoverable
    }

    /// Whether it was marked by [`TaskError::fatal`].
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.0.advice == Advice::Fatal
    }

    /// How long to wait before it.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

// `TaskError` is no `std::error::Error` itself: else this impl would collide with the identity.
impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for TaskError {
    fn from(e: E) -> Self {
        let e: Box<dyn StdError + Send + Sync> = e.into();
        let mut message = e.to_string();
        let mut source = e.source();
        while let Some(s) = source {
            message.push_str(": ");
            message.push_str(&s.to_string());
            source = s.source();
        }
        Self::new(message)
    }
}

/// Retry advice on any `Result`.
///
/// ```
/// use flyte_core::contract::{TaskError, TaskResultExt};
/// fn read(name: &str) -> Result<i64, TaskError> {
///     let text = std::fs::read_to_string(name)?; // retried
///     Ok(text.parse::<i64>().fatal()?)
/// }
/// assert!(!read("/does/not/exist").unwrap_err().is_fatal());
/// ```
pub trait TaskResultExt<T>: Sized {
    /// Another attempt may do better; see [`TaskError::recoverable`].
    fn recoverable(self) -> Result<T, TaskError>;
    /// No other attempt would do better: `text.parse::<i64>().fatal()?`.
    fn fatal(self) -> Result<T, TaskError>;
    /// Another attempt may do better, after `d`.
    fn retry_after(self, d: Duration) -> Result<T, TaskError>;
}

impl<T, E: Into<TaskError>> TaskResultExt<T> for Result<T, E> {
    fn recoverable(self) -> Result<T, TaskError> {
        self.map_err(|e| e.into().recoverable())
    }

    fn fatal(self) -> Result<T, TaskError> {
        self.map_err(|e| e.into().fatal())
    }

    fn retry_after(self, d: Duration) -> Result<T, TaskError> {
        self.map_err(|e| e.into().retry_after(d))
    }
}
