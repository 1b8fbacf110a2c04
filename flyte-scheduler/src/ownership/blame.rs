use std::collections::HashMap;
use std::time::{Duration, Instant};

use flyte_core::id::{ExecutionId, Str};

/// Which executions the engine panicked on.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    in_a_row: HashMap<ExecutionId, u32>,
    last: Option<Instant>,
}

impl Blame {
    /// The panic in a row that quarantines.
    const PANICS: u32 = 3;
    /// Panics that are further apart are not in a row.
    const ROW: Duration = Duration::from_secs(600);

    /// Takes a panic; the execution is to be quarantined if this was one too many.
    pub(crate) fn takes(&mut self, suspect: Option<&ExecutionId>, now: Instant) -> bool {
        if self.last.is_some_and(|last| now - last > Self::ROW) {
            self.in_a_row.clear();
        }
        self.last = Some(now);
        let Some(id) = suspect else { return false };
        let n = self.in_a_row.entry(id.clone()).or_default();
        *n += 1;
        let enough = *n >= Self::PANICS;
        if enough {
            self.in_a_row.remove(id);
        }
        enough
    }

    /// What a person reads of it.
    pub(crate) fn words(panic: &str) -> Str {
        let n = Self::PANICS;
        format!("the engine failed on it {n} times in a row, last: {panic}; release or abort it")
            .into()
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::id::Tenant;

    #[test]
    fn the_third_in_a_row_is_too_many() {
        let id = |n: &str| ExecutionId::new(Tenant::default(), n);
        let (a, b) = (id("a"), id("b"));
        let mut blame = Blame::default();
        let t = Instant::now();
        assert!(!blame.takes(Some(&a), t));
        assert!(!blame.takes(Some(&b), t));
        assert!(!blame.takes(None, t));
        assert!(!blame.takes(Some(&a), t));
        assert!(blame.takes(Some(&a), t));
        assert!(!blame.takes(Some(&a), t), "it is counted anew");
        let later = t + Blame::ROW * 2;
        assert!(!blame.takes(Some(&b), later));
        assert!(!blame.takes(Some(&b), later));
        assert!(blame.takes(Some(&b), later));
    }
}
