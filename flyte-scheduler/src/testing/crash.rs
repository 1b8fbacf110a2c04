use std::collections::VecDeque;
use std::fmt;

/// A moment at which a process may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrashKind {
    /// A batch is made and not written.
    BeforeCommit,
    /// A batch is durable, and none of its effects has left.
    AfterCommit,
    /// An effect (a task, a job, a question after one, a cache, a child) is allowed and not done.
    BeforeEffect,
    /// It was done, and its answer is recorded nowhere.
    AfterEffect,
}

impl CrashKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeEffect,
        Self::AfterEffect,
    ];

    pub(super) fn is_commit(self) -> bool {
        matches!(self, Self::BeforeCommit | Self::AfterCommit)
    }
}

impl fmt::Display for CrashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeCommit => "before commit",
            Self::AfterCommit => "after commit",
            Self::BeforeEffect => "before effect",
            Self::AfterEffect => "after effect",
        })
    }
}

/// At which moment each life ends, and the moments that each life came to.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    /// By number from 0; of this life and those after it.
    planned: VecDeque<usize>,
    /// The last is this life's.
    lives: Vec<Vec<CrashKind>>,
}

impl Deaths {
    /// The first life ends at the first of these moments, the second at the second; the last one
    /// does not.
    pub(super) fn at(moments: &[usize]) -> Self {
        Self {
            planned: moments.iter().copied().collect(),
            lives: vec![Vec::new()],
        }
    }

    /// A moment has come; whether the process dies at it.
    pub(super) fn now(&mut self, kind: CrashKind) -> bool {
        let life = self.lives.last_mut().expect("invariant: one lives");
        life.push(kind);
        self.planned.front() == Some(&(life.len() - 1))
    }

    /// The next life begins.
    pub(super) fn reborn(&mut self) {
        self.planned.pop_front();
        self.lives.push(Vec::new());
    }

    /// The moments that the last life came to.
    pub(super) fn last_life(&self) -> &[CrashKind] {
        self.lives.last().map_or(&[], Vec::as_slice)
    }
}

/// A moment for people: `before commit 3`.
pub(super) fn describe(life: &[CrashKind], moment: usize) -> String {
    let Some(kind) = life.get(moment) else {
        return format!("at moment {moment}");
    };
    let nth = life[..=moment].iter().filter(|k| *k == kind).count();
    format!("{kind} {nth}")
}
