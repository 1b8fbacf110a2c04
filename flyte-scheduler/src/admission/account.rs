use std::time::Duration;

use flyte_core::Error;
use flyte_core::contract::Credit;
use flyte_core::id::Str;
use flyte_core::literal::{SignedDuration, Timestamp};

/// A pool that is used up is asked for again.
const AGAIN: Duration = Duration::from_millis(200);
/// What is held without need goes back.
const KEEP: Duration = Duration::from_secs(1);
/// A shard that has used up a pool for so long lets others have some of what becomes free.
const TENURE: Duration = Duration::from_secs(5);
/// For how long an answer about a rate key counts.
const FRESH: Duration = Duration::from_secs(1);

/// What a shard holds of one limit, and for whom.
#[derive(Debug)]
pub(super) struct Account {
    name: Str,
    /// `None` for a rate key, of which nobody holds units: whoever closed it holds its only one.
    capacity: Option<u64>,
    /// Units of attempts.
    used: u64,
    /// Units from the store.
    held: u64,
    /// Nodes that wait for a unit.
    waiting: u64,
    /// Whether the store is being asked.
    asking: bool,
    /// Not asked again before.
    not_before: Option<Timestamp>,
    /// Since when there is more than needed.
    idle_since: Option<Timestamp>,
    /// Since when others may be kept waiting.
    saturated_since: Option<Timestamp>,
    /// While others are let in: no unit beyond these is used.
    ceiling: Option<u64>,
    /// A rate key: until when it is closed from here.
    closed_until: Option<Timestamp>,
    /// A rate key: until when the store's answer counts that nobody else has closed it.
    open_until: Option<Timestamp>,
}

/// What the store is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) pool: Str,
    pub(crate) capacity: u64,
    pub(crate) want: u64,
}

impl Account {
    pub(super) fn new(name: Str, capacity: Option<u64>) -> Self {
        Self {
            name,
            capacity,
            used: 0,
            held: 0,
            waiting: 0,
            asking: false,
            not_before: None,
            idle_since: None,
            saturated_since: None,
            ceiling: None,
            closed_until: None,
            open_until: None,
        }
    }

    pub(super) fn has_unit(&self, now: Timestamp) -> bool {
        match self.capacity {
            Some(_) => self.used < self.held.min(self.ceiling.unwrap_or(u64::MAX)),
            None => !self.is_closed(now) && self.open_until.is_some_and(|t| t > now),
        }
    }

    pub(super) fn waits(&mut self, more: i64) {
        self.waiting = self.waiting.saturating_add_signed(more);
    }

    pub(super) fn occupy(&mut self) {
        self.used += 1;
    }

    pub(super) fn vacate(&mut self) {
        self.used -= 1;
    }

    /// Closes a rate key; of other limits nothing changes.
    pub(super) fn close(&mut self, until: Timestamp) {
        if self.capacity.is_none() && self.closed_until.is_none_or(|t| t < until) {
            self.closed_until = Some(until);
            self.not_before = None;
        }
    }

    fn is_closed(&self, now: Timestamp) -> bool {
        self.closed_until.is_some_and(|t| t > now)
    }

    /// What is to be asked now.
    pub(super) fn wish(&mut self, now: Timestamp) -> Option<Wish> {
        if self.asking || self.not_before.is_some_and(|t| t > now) {
            return None;
        }
        let want = match self.capacity {
            Some(capacity) => self.units(capacity, now)?,
            None => self.key(now)?,
        };
        self.asking = true;
        // What is given back is gone, also if the answer is lost.
        self.held = self.held.min(want);
        Some(Wish {
            pool: self.name.clone(),
            capacity: self.capacity.unwrap_or(1),
            want,
        })
    }

    fn units(&mut self, capacity: u64, now: Timestamp) -> Option<u64> {
        let need = (self.used + self.waiting).min(capacity);
        if need >= self.held {
            self.idle_since = None;
        }
        if self.waiting == 0 {
            (self.saturated_since, self.ceiling) = (None, None);
        }
        let tired = self.saturated_since.is_some_and(|t| passed(t, TENURE, now));
        if tired && self.ceiling.is_none() && self.held > 0 {
            self.ceiling = Some(self.held - (self.held / 4).max(1));
        }
        if let Some(ceiling) = self.ceiling {
            // As much as became free goes to the others.
            let want = self.used.max(ceiling);
            return (want < self.held).then_some(want);
        }
        match need {
            _ if need > self.held => Some(need),
            _ if need == self.held => None,
            _ => {
                let since = *self.idle_since.get_or_insert(now);
                passed(since, KEEP, now).then_some(need)
            }
        }
    }

    fn key(&mut self, now: Timestamp) -> Option<u64> {
        let closed = self.is_closed(now);
        match (closed, self.held) {
            (true, 0) => Some(1),
            (false, 1) => Some(0),
            (false, _) if self.waiting > 0 && self.open_until.is_none_or(|t| t <= now) => Some(0),
            _ => None,
        }
    }

    /// The store's answer to the last wish.
    pub(super) fn credited(&mut self, result: &Result<Credit, Error>, now: Timestamp) {
        self.asking = false;
        let later = |d: Duration| Some(now.saturating_add(span(d)));
        let Ok(credit) = result else {
            self.not_before = later(KEEP);
            self.let_others_in();
            return;
        };
        self.held = credit.held;
        if self.capacity.is_none() {
            let elsewhere = credit.held == 0 && credit.free == 0;
            self.open_until = if elsewhere { None } else { later(FRESH) };
            // One that somebody else closed is asked after again.
            self.not_before = elsewhere.then(|| now.saturating_add(span(AGAIN)));
            return;
        }
        if self.let_others_in() {
            self.not_before = later(AGAIN * 2);
        } else if self.used + self.waiting > self.held {
            self.not_before = later(AGAIN);
        }
        match self.held {
            0 => self.saturated_since = None,
            _ if credit.free == 0 && self.waiting > 0 => {
                self.saturated_since.get_or_insert(now);
            }
            _ => {}
        }
    }

    /// Whether what was meant for others has been given back.
    fn let_others_in(&mut self) -> bool {
        let done = self.ceiling.is_some_and(|c| self.held <= c);
        if done {
            (self.ceiling, self.saturated_since) = (None, None);
        }
        done
    }

    /// When something is to be asked that need not be asked now.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if self.asking {
            return None;
        }
        let after = |t: Option<Timestamp>, d| t.map(|t| t.saturating_add(span(d)));
        let wanted = match self.capacity {
            None => (self.waiting > 0).then_some(self.open_until).flatten(),
            Some(_) if self.used + self.waiting > self.held => self.not_before,
            Some(_) => after(self.idle_since, KEEP),
        };
        let tenure = after(
            self.saturated_since.filter(|_| self.ceiling.is_none()),
            TENURE,
        );
        let times = [wanted, tenure, self.closed_until, self.not_before];
        times.into_iter().flatten().filter(|t| *t > now).min()
    }

    pub(super) fn describe(&self) -> (Str, Option<u64>, Option<Timestamp>) {
        (self.name.clone(), self.capacity, self.closed_until)
    }
}

fn passed(since: Timestamp, d: Duration, now: Timestamp) -> bool {
    now.since(since) >= span(d)
}

fn span(d: Duration) -> SignedDuration {
    SignedDuration::from_nanos(d.as_nanos() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool as a store keeps it, and the accounts of two shards.
    struct Fleet {
        capacity: u64,
        accounts: [Account; 2],
        now: Timestamp,
    }

    impl Fleet {
        fn new(capacity: Option<u64>) -> Self {
            let account = || Account::new("pool/p".into(), capacity);
            Self {
                capacity: capacity.unwrap_or(1),
                accounts: [account(), account()],
                now: Timestamp::UNIX_EPOCH,
            }
        }

        /// Asks what is to be asked; whether anything was.
        fn ask(&mut self, i: usize) -> bool {
            let Some(wish) = self.accounts[i].wish(self.now) else {
                return false;
            };
            let others = self.accounts[1 - i].held;
            let held = wish.want.min(self.capacity - others);
            let free = self.capacity - others - held;
            self.accounts[i].credited(&Ok(Credit { held, free }), self.now);
            true
        }

        /// Lets every waiting node begin that may.
        fn begin(&mut self, i: usize) -> u64 {
            let mut begun = 0;
            let account = &mut self.accounts[i];
            while account.waiting > 0 && account.has_unit(self.now) {
                account.waits(-1);
                account.occupy();
                begun += 1;
            }
            begun
        }

        fn pass(&mut self, d: Duration) {
            self.now = self.now.saturating_add(span(d));
        }
    }

    #[test]
    fn units_are_taken_for_need_and_go_back_when_there_is_none() {
        let mut fleet = Fleet::new(Some(3));
        assert!(!fleet.ask(0), "nobody needs any");
        fleet.accounts[0].waits(2);
        assert!(!fleet.accounts[0].has_unit(fleet.now));
        assert!(fleet.ask(0) && !fleet.ask(0));
        assert_eq!(fleet.begin(0), 2);
        fleet.accounts[1].waits(2);
        assert!(fleet.ask(1));
        assert_eq!(fleet.begin(1), 1, "one is left");
        assert!(!fleet.ask(1), "not again at once");
        fleet.accounts[0].vacate();
        assert!(!fleet.ask(0), "it may be needed again soon");
        assert_eq!(
            fleet.accounts[0].next(fleet.now),
            Some(fleet.now.saturating_add(span(KEEP)))
        );
        fleet.pass(KEEP);
        assert!(fleet.ask(0));
        assert!(fleet.ask(1));
        assert_eq!(fleet.begin(1), 1);
    }

    #[test]
    fn a_shard_that_never_has_enough_lets_others_in() {
        let mut fleet = Fleet::new(Some(4));
        fleet.accounts[0].waits(1_000_000);
        fleet.accounts[1].waits(1_000_000);
        let mut served = [0, 0];
        for _ in 0..600 {
            for i in [0, 1] {
                fleet.ask(i);
                served[i] += fleet.begin(i);
                let used = fleet.accounts[0].used + fleet.accounts[1].used;
                assert!(used <= 4, "{used}");
            }
            fleet.pass(Duration::from_millis(100));
            for account in &mut fleet.accounts {
                while account.used > 0 {
                    account.vacate();
                }
            }
        }
        let total = served[0] + served[1];
        assert!(served.iter().all(|n| *n > total / 5), "{served:?}");
        assert!(total > 4 * 600 * 8 / 10, "{served:?}");
    }

    #[test]
    fn more_than_the_limit_after_a_change_of_owner_begins_nothing() {
        let mut fleet = Fleet::new(Some(2));
        // Jobs that outlived their owner.
        (0..3).for_each(|_| fleet.accounts[0].occupy());
        fleet.accounts[0].waits(1);
        assert!(fleet.ask(0));
        assert_eq!((fleet.accounts[0].held, fleet.begin(0)), (2, 0));
        fleet.accounts[0].vacate();
        assert_eq!(fleet.begin(0), 0, "two still run");
        fleet.accounts[0].vacate();
        assert_eq!(fleet.begin(0), 1);
    }

    #[test]
    fn a_rate_key_is_closed_for_all_until_its_time() {
        let mut fleet = Fleet::new(None);
        let until = fleet.now.saturating_add(span(Duration::from_secs(10)));
        for i in [0, 1] {
            fleet.accounts[i].waits(1);
            assert!(fleet.ask(i));
            assert_eq!(fleet.begin(i), 1, "any number");
            fleet.accounts[i].waits(1);
        }
        fleet.accounts[0].close(until);
        assert!(fleet.ask(0), "it holds the key");
        assert_eq!(fleet.begin(0), 0);
        fleet.pass(FRESH);
        assert!(fleet.ask(1));
        assert_eq!(fleet.begin(1), 0, "it noticed");
        while fleet.now < until {
            fleet.ask(1);
            assert_eq!((fleet.begin(0), fleet.begin(1)), (0, 0));
            let next = fleet.accounts[1].next(fleet.now).expect("it comes again");
            fleet.now = fleet.now.max(next).min(until);
        }
        assert!(fleet.ask(0), "it gives the key back");
        assert_eq!(fleet.begin(0), 1);
        fleet.pass(AGAIN);
        assert!(fleet.ask(1));
        assert_eq!(fleet.begin(1), 1);
    }

    #[test]
    fn what_was_given_back_is_gone_also_if_the_answer_is_lost() {
        let mut fleet = Fleet::new(Some(2));
        fleet.accounts[0].waits(2);
        assert!(fleet.ask(0) && fleet.begin(0) == 2);
        fleet.accounts[0].vacate();
        assert!(!fleet.ask(0));
        fleet.pass(KEEP);
        let wish = fleet.accounts[0].wish(fleet.now).expect("one is idle");
        assert_eq!(wish.want, 1);
        fleet.accounts[0].waits(1);
        assert_eq!(fleet.begin(0), 0, "somebody else may have it");
        let e = Error::new(flyte_core::ErrorKind::Timeout, "credits", "as told");
        fleet.accounts[0].credited(&Err(e), fleet.now);
        assert_eq!(fleet.begin(0), 0);
        fleet.now = fleet.accounts[0].next(fleet.now).expect("it comes again");
        assert!(fleet.ask(0) && fleet.begin(0) == 1);
    }

    #[test]
    fn a_store_that_fails_is_asked_again() {
        let mut fleet = Fleet::new(Some(1));
        fleet.accounts[0].waits(1);
        fleet.accounts[0].wish(fleet.now).expect("it needs one");
        let e = Error::new(flyte_core::ErrorKind::Unavailable, "credits", "as told");
        fleet.accounts[0].credited(&Err(e), fleet.now);
        assert!(!fleet.ask(0));
        let next = fleet.accounts[0].next(fleet.now).expect("it comes again");
        fleet.now = next;
        assert!(fleet.ask(0));
    }
}
