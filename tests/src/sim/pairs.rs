use std::collections::BTreeMap;
use std::fmt;

use super::fault::Fault;
use super::table::NODE_KINDS;

/// How often each fault met each kind of node.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs(BTreeMap<(Fault, &'static str), u64>);

/// A fault and a kind of node that it can meet.
type Pair = (Fault, &'static str);

impl Pairs {
    /// Seeds from which on each pair must have met 100 times in 2,000 of them, if they have
    /// [`Self::ALL_STEPS`] events with faults.
    pub(super) const ALL_SEEDS: u64 = 2_000;
    /// See there.
    pub(super) const ALL_STEPS: u64 = 10_000;
    /// In a smaller run a pair is judged if so many meetings are expected of it.
    const EXPECTED_MIN: u64 = 10;
    /// It must have this part of them: nodes of a kind are not in flight as often as another fault
    /// finds them.
    const PART: u64 = 10;

    /// Counts a seed.
    pub(super) fn add(&mut self, met: &BTreeMap<Pair, u64>) {
        for (pair, n) in met {
            *self.0.entry(*pair).or_default() += n;
        }
    }

    fn all() -> impl Iterator<Item = Pair> {
        let of = |f: &Fault| f.meets().iter().map(|kind| (*f, *kind)).collect::<Vec<_>>();
        Fault::ALL.iter().flat_map(of)
    }

    fn met(&self, pair: Pair) -> u64 {
        self.0.get(&pair).copied().unwrap_or(0)
    }

    /// How often a pair should have met in this very run, by how often the fault met other kinds,
    /// and how often other faults met this kind in proportion to those; so it grows with the
    /// seeds by itself. `came` is how often the fault came. `None` if nothing tells.
    fn expected(&self, (fault, kind): Pair, came: u64) -> Option<u64> {
        let kinds = fault.meets();
        if kinds.len() == 1 {
            return Some(came);
        }
        let others = |f: &&Fault| **f != fault && kinds.iter().all(|k| f.meets().contains(k));
        let others: Vec<Fault> = Fault::ALL.iter().filter(others).copied().collect();
        let of = |kind| others.iter().map(|f| self.met((*f, kind))).sum::<u64>();
        let rest = || kinds.iter().filter(|k| **k != kind);
        let mine: u64 = rest().map(|k| self.met((fault, *k))).sum();
        let theirs: u64 = rest().map(|k| of(*k)).sum();
        (mine * of(kind)).checked_div(theirs)
    }

    /// How often a pair must have met; `None` if it is not judged.
    fn wanted(&self, pair: Pair, run: &Run<'_>) -> Option<u64> {
        if run.seeds >= Self::ALL_SEEDS && run.steps >= Self::ALL_STEPS {
            return Some(run.seeds / 20);
        }
        let came = run.came.get(&pair.0).copied().unwrap_or(0);
        let expected = self.expected(pair, came)?;
        (expected >= Self::EXPECTED_MIN).then_some(expected / Self::PART)
    }

    /// Pairs that should have met more often, and how many of how many were judged.
    pub(super) fn gaps(&self, run: &Run<'_>) -> (Vec<String>, usize, usize) {
        let (mut gaps, mut judged, mut all) = (Vec::new(), 0, 0);
        for pair in Self::all() {
            all += 1;
            let Some(wanted) = self.wanted(pair, run) else {
                continue;
            };
            judged += 1;
            let n = self.met(pair);
            if n < wanted {
                let (fault, kind) = (pair.0.text(), pair.1);
                gaps.push(format!(
                    "`{fault}` met `{kind}` {n} times, not {wanted} times"
                ));
            }
        }
        (gaps, judged, all)
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let mut met: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for ((fault, kind), n) in &self.0 {
            met.entry(fault.text()).or_default().insert(*kind, *n);
        }
        serde_json::json!(met)
    }
}

/// How large a run was.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// How many seeds.
    pub(super) seeds: u64,
    /// Events with faults of each, at the most.
    pub(super) steps: u64,
    /// How often each fault came.
    pub(super) came: &'a BTreeMap<Fault, u64>,
}

impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults that met nodes, by kind:")?;
        for (n, kind) in NODE_KINDS.iter().enumerate() {
            writeln!(f, "  ({n}) {kind}")?;
        }
        let heads: String = (0..NODE_KINDS.len())
            .map(|n| format!("{:>8}", format!("({n})")))
            .collect();
        writeln!(f, "{heads}")?;
        for fault in Fault::ALL.iter().filter(|f| !f.meets().is_empty()) {
            for kind in NODE_KINDS {
                match fault.meets().contains(kind) {
                    true => write!(f, "{:>8}", self.met((*fault, kind)))?,
                    false => write!(f, "{:>8}", "-")?,
                }
            }
            writeln!(f, "  {}", fault.text())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair meets so often.
    fn even(n: u64) -> (Pairs, BTreeMap<Fault, u64>) {
        let pairs = Pairs(Pairs::all().map(|pair| (pair, n)).collect());
        (pairs, Fault::ALL.iter().map(|f| (*f, n)).collect())
    }

    fn run(seeds: u64, came: &BTreeMap<Fault, u64>) -> Run<'_> {
        let steps = Pairs::ALL_STEPS;
        Run { seeds, steps, came }
    }

    #[test]
    fn a_pair_that_falls_to_zero_is_seen_in_a_small_run_and_in_a_large_one() {
        let (whole, came) = even(Pairs::ALL_SEEDS / 20);
        for seeds in [60, Pairs::ALL_SEEDS] {
            let run = run(seeds, &came);
            assert_eq!(whole.gaps(&run).0, Vec::<String>::new());
            for pair in Pairs::all() {
                let mut pairs = whole.clone();
                pairs.0.remove(&pair);
                assert!(pairs.wanted(pair, &run) > Some(0), "{pair:?}");
            }
            let mut pairs = whole.clone();
            pairs.0.remove(&(Fault::Hang, "failure node"));
            let found = pairs.gaps(&run).0;
            assert_eq!(found.len(), 1, "{found:?}");
            let text = "`plugin call that hangs` met `failure node` 0 times";
            assert!(found[0].starts_with(text), "{found:?}");
        }
    }

    #[test]
    fn a_pair_of_which_little_is_expected_is_judged_in_a_large_run_only() {
        let (pairs, came) = even(3);
        assert_eq!(pairs.gaps(&run(60, &came)).1, 0);
        let large = pairs.gaps(&run(Pairs::ALL_SEEDS, &came)).0.len();
        assert_eq!(large, Pairs::all().count());
    }
}
