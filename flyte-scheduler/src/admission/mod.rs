//! Limits that all schedulers of a store share: what they are, and who holds how much of them; and
//! what becomes of a host's policy that fails.
//!
//! A shard takes units of a limit from the store under its lease's epoch (`Store::credits`) and
//! shares them out among its nodes. What it holds without need goes back after a moment. With no
//! limit configured nothing here is touched.

mod account;
mod guarded;
mod limit;

use std::collections::{BTreeMap, HashMap};

use flyte_core::Error;
use flyte_core::contract::Credit;
use flyte_core::id::{NodeAddr, Str, Tenant};
use flyte_core::literal::Timestamp;
use flyte_core::template::TaskTemplate;

use crate::engine::AttemptRef;
use account::Account;
pub(crate) use account::Wish;
pub use guarded::PolicyFailed;
pub(crate) use guarded::{Guard, PolicyFactory};
pub use limit::{Limit, POOLS, RATE_KEYS};

/// Who holds how much of which limit.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    limits: Vec<Limit>,
    accounts: Vec<Account>,
    by_name: HashMap<Str, u32>,
    /// What attempts hold.
    units: BTreeMap<AttemptRef, Vec<u32>>,
}

impl Admission {
    pub(crate) fn new(limits: Vec<Limit>) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.limits.is_empty()
    }

    /// The accounts that an attempt of a task needs a unit of.
    pub(crate) fn accounts_of(&mut self, tenant: &Tenant, task: &TaskTemplate) -> Vec<u32> {
        let names = self
            .limits
            .iter()
            .filter_map(|l| Some((l.name_for(tenant, task)?, l)));
        let mut out = Vec::new();
        for (name, limit) in names {
            let next = self.accounts.len() as u32;
            let place = *self.by_name.entry(name.clone()).or_insert(next);
            if place == next {
                self.accounts.push(Account::new(name, limit.capacity()));
            }
            out.push(place);
        }
        out
    }

    /// The first of these accounts that has no unit.
    pub(crate) fn lacking(&mut self, accounts: &[u32], now: Timestamp) -> Option<u32> {
        accounts.iter().copied().find(|a| !self.has_unit(*a, now))
    }

    pub(crate) fn has_unit(&self, account: u32, now: Timestamp) -> bool {
        self.accounts[account as usize].has_unit(now)
    }

    /// A node waits for a unit, or does not any more.
    pub(crate) fn waits(&mut self, account: u32, more: i64) {
        self.accounts[account as usize].waits(more);
    }

    /// An attempt takes a unit of each.
    pub(crate) fn occupy(&mut self, at: AttemptRef, accounts: Vec<u32>) {
        for &a in &accounts {
            self.accounts[a as usize].occupy();
        }
        if !accounts.is_empty() {
            self.units.insert(at, accounts);
        }
    }

    /// The attempts of a node that hold something.
    pub(crate) fn holders(&self, execution: u64, addr: Option<NodeAddr>) -> Vec<AttemptRef> {
        let at = |addr, attempt| AttemptRef {
            execution,
            addr,
            attempt,
        };
        let (first, last) = match addr {
            Some(addr) => (addr, addr),
            None => (NodeAddr::default(), NodeAddr::new(u32::MAX, u32::MAX)),
        };
        let range = self.units.range(at(first, 0)..=at(last, u32::MAX));
        range.map(|(at, _)| *at).collect()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.units.is_empty()
    }

    /// An attempt is over, and so is its job.
    pub(crate) fn vacate(&mut self, at: AttemptRef) {
        for a in self.units.remove(&at).unwrap_or_default() {
            self.accounts[a as usize].vacate();
        }
    }

    /// A task wants its rate keys closed for a while.
    pub(crate) fn close(&mut self, at: AttemptRef, until: Timestamp) {
        for &a in self.units.get(&at).into_iter().flatten() {
            self.accounts[a as usize].close(until);
        }
    }

    /// What is to be asked of the store now, and when to come again.
    pub(crate) fn wishes(&mut self, now: Timestamp) -> (Vec<Wish>, Option<Timestamp>) {
        let wishes = self
            .accounts
            .iter_mut()
            .filter_map(|a| a.wish(now))
            .collect();
        let next = self.accounts.iter().filter_map(|a| a.next(now)).min();
        (wishes, next)
    }

    /// The store's answer.
    pub(crate) fn credited(&mut self, pool: &str, result: &Result<Credit, Error>, now: Timestamp) {
        if let Some(&a) = self.by_name.get(pool) {
            self.accounts[a as usize].credited(result, now);
        }
    }

    /// The name of an account and what it has in all; `None` for a rate key.
    pub(crate) fn describe(&self, account: u32) -> (Str, Option<u64>, Option<Timestamp>) {
        self.accounts[account as usize].describe()
    }
}
