//! Conformance cases for the contracts: one for each `MUST [id]` of their documentation.
//!
//! Whoever writes a store, a cache or a plugin writes a small harness that makes one, and calls
//! `check`. The report names what is broken by the id of the obligation. Nothing here needs a
//! runtime: time passes through the harness.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use flyte_core::contract::{Clock, ManualClock};
//! use flyte_core::testkit::clock::{ClockHarness, check};
//!
//! #[derive(Debug)]
//! struct Mine(Arc<ManualClock>);
//!
//! #[async_trait::async_trait]
//! impl ClockHarness for Mine {
//!     fn clock(&self) -> Arc<dyn Clock> { self.0.clone() }
//!     async fn pass(&self, d: Duration) { self.0.advance(d); }
//!     fn jump(&self, seconds: i64) -> bool {
//!         self.0.jump(flyte_core::literal::SignedDuration::from_millis(seconds * 1000));
//!         true
//!     }
//! }
//! let report = futures::executor::block_on(check(&Mine(Arc::default())));
//! report.assert_conforms();
//! ```

// Cases have one signature, whether they wait for something or not.
#![allow(clippy::unused_async)]

macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::testkit::Failure::Broken(format!($($text)+)));
        }
    };
}

macro_rules! cases {
    ($harness:ident: $($id:literal => $case:ident,)+) => {
        /// The cases, in the order of the contract's documentation.
        #[must_use]
        pub fn cases() -> Vec<Case<dyn $harness>> {
            vec![$(Case { id: $id, run: |h| Box::pin($case(h)) },)+]
        }

        /// Runs all cases.
        pub async fn check(harness: &(dyn $harness + 'static)) -> Report {
            run(&cases(), harness).await
        }
    };
}

pub mod cache;
pub mod clock;
pub mod event;
pub mod host;
pub mod plugin;
pub mod policy;
pub mod registry;
pub mod scripted;
pub mod secrets;
pub mod store;
pub mod task;

use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::BoxFuture;

/// MUSTs of [`Plugin`](crate::contract::Plugin) without a case, and why.
pub const WITHOUT_CASE: &[(&str, &str)] = &[];

/// One obligation as a test.
#[derive(Debug)]
pub struct Case<H: ?Sized + 'static> {
    /// The id of the MUST.
    pub id: &'static str,
    run: for<'h> fn(&'h H) -> BoxFuture<'h, Outcome>,
}

/// What a case found.
pub type Outcome = Result<(), Failure>;

/// Why a case did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The obligation is broken.
    Broken(String),
    /// The implementation does not offer what the case is about.
    NotApplicable(String),
}

impl From<crate::Error> for Failure {
    fn from(e: crate::Error) -> Self {
        Self::Broken(e.to_string())
    }
}

/// What all cases found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Obligations that hold.
    pub held: Vec<&'static str>,
    /// Obligations that are broken, and how.
    pub broken: Vec<(&'static str, String)>,
    /// Obligations that were not asked for, and why.
    pub not_applicable: Vec<(&'static str, String)>,
}

impl Report {
    /// # Panics
    /// If an obligation is broken; the text names each.
    pub fn assert_conforms(&self) {
        assert!(self.broken.is_empty(), "{self}");
    }

    /// Whether this obligation was found broken.
    #[must_use]
    pub fn caught(&self, id: &str) -> bool {
        self.broken.iter().any(|(b, _)| *b == id)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} hold, {} are broken, {} were not asked for",
            self.held.len(),
            self.broken.len(),
            self.not_applicable.len()
        )?;
        for (id, why) in &self.broken {
            writeln!(f, "BROKEN [{id}]: {why}")?;
        }
        for (id, why) in &self.not_applicable {
            writeln!(f, "not asked for [{id}]: {why}")?;
        }
        Ok(())
    }
}

/// Runs cases one after the other; a panic breaks its case.
pub(crate) async fn run<H: ?Sized>(cases: &[Case<H>], harness: &H) -> Report {
    let mut report = Report::default();
    for case in cases {
        let outcome = AssertUnwindSafe((case.run)(harness)).catch_unwind().await;
        match outcome {
            Ok(Ok(())) => report.held.push(case.id),
            Ok(Err(Failure::Broken(why))) => report.broken.push((case.id, why)),
            Ok(Err(Failure::NotApplicable(why))) => report.not_applicable.push((case.id, why)),
            Err(_) => report.broken.push((case.id, "it panicked".into())),
        }
    }
    report
}

/// Polls a call once, and drops it wherever it stands.
fn begin<T>(call: impl Future<Output = T>) {
    let mut call = std::pin::pin!(call);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    // Whether it is done makes no difference to who drops it.
    let _maybe_done = call.as_mut().poll(&mut cx);
}

fn not_applicable(why: &str) -> Failure {
    Failure::NotApplicable(why.into())
}
