use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_core::contract::{InboxEntry, Lease};
use flyte_core::id::{ExecutionId, Str};

use super::blame::{Blame, said};
use super::leave::Leaving;
use super::{Shared, past::claim};
use crate::mail::{Message, Reader};
use crate::shell::{Driver, End};

/// Owns a shard over many leases: when one is lost, or the engine panics, it claims the shard
/// again and loads it anew.
pub(crate) struct Owner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) mail: Reader,
    blame: Blame,
    /// What the next life parks.
    quarantine: Vec<(ExecutionId, Str)>,
    /// Lives in a row that were short.
    short: u32,
}

impl Owner {
    /// A life that is shorter lets the next claim wait longer.
    const SHORT: Duration = Duration::from_secs(10);
    const PAUSE_MIN: Duration = Duration::from_millis(50);
    const PAUSE_MAX: Duration = Duration::from_secs(5);

    pub(crate) fn new(shared: Arc<Shared>, mail: Reader) -> Self {
        Self {
            shared,
            mail,
            blame: Blame::default(),
            quarantine: Vec::new(),
            short: 0,
        }
    }

    /// Runs the shard until it is told to leave; returns what is to be answered.
    pub(crate) fn serve(&mut self, driver: Driver, inbox: Vec<InboxEntry>) -> Option<Leaving> {
        let mut next = Some((driver, inbox));
        while let Some((driver, inbox)) = next.take() {
            let begun = Instant::now();
            let epoch = driver.lease.epoch;
            let leaving = match self.live(driver, inbox) {
                Ok(leaving) => return leaving,
                Err(leaving) => leaving,
            };
            if leaving.is_some() {
                return leaving;
            }
            self.short = match begun.elapsed() < Self::SHORT {
                true => self.short + 1,
                false => 0,
            };
            next = match self.claim_again() {
                Ok((mut driver, inbox)) => {
                    driver.shard.owned_before(epoch);
                    Some((driver, inbox))
                }
                Err(leaving) => return leaving,
            };
        }
        None
    }

    /// One life; `Err` if it ended against its will, perhaps while it was leaving.
    fn live(
        &mut self,
        mut driver: Driver,
        inbox: Vec<InboxEntry>,
    ) -> Result<Option<Leaving>, Option<Leaving>> {
        self.mail.begin(driver.lease.epoch);
        let end = catch_unwind(AssertUnwindSafe(|| driver.live(&self.mail, inbox)));
        self.mail.end();
        let mut leaving = driver.leaving.take();
        let cancelled = driver.runs.cancel_all();
        if let Some(attendants) = driver.attendants.take() {
            self.shared.side.block_on(attendants.end());
        }
        let why = match end {
            Ok(End::Left) => {
                self.release(&driver.lease);
                if let Some(leaving) = &mut leaving {
                    leaving.report.complete = true;
                }
                return Ok(leaving);
            }
            Ok(End::Lost(e)) => e.to_string(),
            Err(panic) => self.panicked(&driver, panic.as_ref()),
        };
        if let Some(leaving) = &mut leaving {
            leaving.report.cancelled += cancelled;
        }
        self.shared.client.waits.elsewhere();
        self.shared.lost(&why);
        // A lease that is still held would only keep others, and this one, from claiming.
        self.release(&driver.lease);
        Err(leaving)
    }

    fn panicked(&mut self, driver: &Driver, panic: &(dyn std::any::Any + Send)) -> String {
        self.shared.meters.panicked();
        let said = said(panic).unwrap_or_else(|| "no text".into());
        let suspect = driver.shard.suspect();
        if self.blame.takes(suspect, Instant::now())
            && let Some(id) = suspect
        {
            tracing::error!(execution = %id, "the execution is quarantined");
            self.quarantine.push((id.clone(), Blame::words(&said)));
        }
        let of = suspect.map_or_else(String::new, |id| format!(" on {id}"));
        format!("the engine panicked{of}: {said}")
    }

    fn release(&self, lease: &Lease) {
        let release = self.shared.client.store.release(lease);
        if let Err(e) = self.shared.side.block_on(release) {
            tracing::warn!(error = %e, "the shard was not given back");
        }
    }

    /// Claims and loads until that succeeds; `Err` if it is told to leave meanwhile.
    fn claim_again(&mut self) -> Result<(Driver, Vec<InboxEntry>), Option<Leaving>> {
        let mut tries = self.short;
        loop {
            let pause = match tries {
                0 => Duration::ZERO,
                n => Self::PAUSE_MIN
                    .saturating_mul(1 << n.min(16))
                    .min(Self::PAUSE_MAX),
            };
            self.pause(pause)?;
            match self.shared.side.block_on(claim(&self.shared)) {
                Ok((mut driver, inbox)) => {
                    for (id, message) in self.quarantine.drain(..) {
                        driver.shard.quarantine(id, message);
                    }
                    return Ok((driver, inbox));
                }
                Err(e) => {
                    tracing::warn!(error = %e, "the shard cannot be claimed again yet");
                    self.shared.tried_in_vain();
                    tries += 1;
                }
            }
        }
    }

    /// Waits; `Err` if it is told to leave. Questions have no answer meanwhile.
    fn pause(&mut self, pause: Duration) -> Result<(), Option<Leaving>> {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.mail.wait(Some(left)) {
                Ok(Some(Message::Leave(leave))) => {
                    let mut leaving = None;
                    Leaving::begin(&mut leaving, leave);
                    if let Some(l) = &mut leaving {
                        // There is nothing to give back.
                        l.report.complete = true;
                    }
                    return Err(leaving);
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(_) => return Err(None),
            }
        }
    }
}
