use std::collections::BTreeMap;

use super::draw::Draw;
use super::struck::Kinds;

macro_rules! faults {
    ($($name:ident $text:literal $rate:literal,)*) => {
        /// What goes wrong in the first phase.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)] // The texts say it all.
        pub enum Fault { $($name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            /// Its name.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Fault::$name => $text,)* }
            }

            /// In how many of 1000 cases it comes, where it can.
            pub(super) const fn rate(self) -> u64 {
                match self { $(Fault::$name => $rate,)* }
            }
        }
    };
}

faults! {
    CrashBeforeCommit "crash before a commit" 8,
    CrashAfterCommit "crash after a commit" 8,
    CrashInEffects "crash between commit and effect" 6,
    CrashInRecovery "crash during recovery" 40,
    FailedSync "failed sync" 8,
    DiskFull "disk full" 8,
    SlowDisk "slow disk" 10,
    AmbiguousDone "ambiguous commit that happened" 8,
    AmbiguousLost "ambiguous commit that did not" 8,
    TornWrite "torn write" 7,
    LostWrite "lost write" 7,
    ReorderedWrite "reordered write" 7,
    FlippedWrite "flipped bit in a write" 7,
    TornRead "torn frame on reading" 60,
    LostRead "lost frame on reading" 60,
    ReorderedRead "reordered frames on reading" 65,
    FlippedRead "flipped bit on reading" 70,
    CrashBeforeSnapshot "crash before a snapshot is kept" 120,
    CrashBeforeTrim "crash between snapshot and trim" 150,
    SnapshotFlipped "flipped bit in a snapshot on reading" 80,
    CrashInPrune "crash while files are deleted" 150,
    StoreOutage "store outage" 60,
    LeaseLost "lease lost while working" 0,
    TwoOwners "two owners" 0,
    ClockForward "clock jump forward" 60,
    ClockBack "clock jump back" 60,
    Pause "process paused" 60,
    HandOver "graceful hand-over" 60,
    LacksPlugin "host without a plugin, later upgraded" 60,
    TaskChanged "host whose tasks have other interfaces, later set back" 200,
    Upgraded "process that begins again with a newer version" 250,
    SetBack "process that begins again with an older version" 250,
    NewerShard "shard of a newer version than its process reads" 0,
    CreditLost "answer about a limit that is lost" 60,
    ReplyLost "reply lost after the launch happened" 60,
    LaunchRefused "launch that failed" 25,
    Duplicate "duplicate status" 60,
    Late "late status, after the end" 60,
    Reordered "reordered status" 60,
    Unknown "backend that cannot be asked" 40,
    Hang "plugin call that hangs" 20,
    Forgets "plugin that forgets a job" 24,
    NoOutputs "success without outputs" 36,
    BlobMissing "blob missing" 120,
    WrongDigest "blob with a wrong digest" 60,
    PlanSpoiled "plan that cannot be read for a while" 90,
    ValueUnstored "value that cannot be stored out of band" 20,
    ValueGone "value out of band that cannot be read" 20,
    ValueChanged "value out of band with another digest" 30,
    ValueLate "value out of band that comes late" 20,
    CacheDown "cache that cannot be asked" 20,
    CacheBlobGone "cache entry without its blob" 80,
    HolderSilent "reservation holder silent past its ttl" 0,
    AbortRace "abort racing with success" 450,
    SignalRace "signal racing with a timeout or an abort" 100,
    EntryTwice "inbox entry delivered twice" 80,
    CommandTwice "command given twice" 100,
}

/// Counts what went wrong and says when something shall.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    draw: Draw,
    /// Which programs begin: of its own, so that seeds without deploys live as before.
    programs: Draw,
    /// Whether programs whose tasks differ follow each other: in a part of the seeds.
    deploys: bool,
    /// Whether anything goes wrong at all.
    pub(super) on: bool,
    /// How often each did.
    pub(super) counts: BTreeMap<Fault, u64>,
    /// How often each met which kind of node.
    pub(super) met: BTreeMap<(Fault, &'static str), u64>,
}

impl Faults {
    /// For a seed.
    #[must_use]
    pub(super) fn new(seed: u64) -> Self {
        let mut programs = Draw::new(seed, 9);
        Self {
            draw: Draw::new(seed, 2),
            deploys: programs.chance(100),
            programs,
            on: true,
            counts: BTreeMap::new(),
            met: BTreeMap::new(),
        }
    }

    /// Whether it comes here; then it is counted.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        self.strikes_more(fault, 1)
    }

    /// The same, so many times as often.
    pub(super) fn strikes_more(&mut self, fault: Fault, times: u64) -> bool {
        let strikes = self.on && self.draw.chance((fault.rate() * times).min(500));
        if strikes {
            self.count(fault);
        }
        strikes
    }

    /// Which tasks of the program that begins have other interfaces than in the plans: a bit for
    /// each half of them.
    pub(super) fn deployed(&mut self) -> u8 {
        let rate = Fault::TaskChanged.rate();
        match self.on && self.deploys && self.programs.chance(rate) {
            true => self.programs.range(1, 3) as u8,
            false => 0,
        }
    }

    /// Counts one that came by itself.
    pub(super) fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
    }

    /// Counts the kinds of nodes that one met.
    pub(super) fn meets(&mut self, fault: Fault, kinds: &Kinds) {
        for kind in kinds.iter().filter(|k| fault.meets().contains(k)) {
            *self.met.entry((fault, kind)).or_default() += 1;
        }
    }
}

macro_rules! mutations {
    ($($name:ident $text:literal,)*) => {
        /// A bug that is put back on purpose, at the seams of the engine, to prove the checker.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // The texts say it all.
        pub enum Mutation { $($name,)* }

        impl Mutation {
            /// All of them.
            pub const ALL: &'static [Mutation] = &[$(Mutation::$name,)*];

            /// Its name, for the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Mutation::$name => stringify!($name),)* }
            }

            /// What is wrong.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Mutation::$name => $text,)* }
            }
        }
    };
}

mutations! {
    EffectsFirst "effects leave before their commit",
    NoFence "the store takes a commit under a stale lease",
    LostWakeUp "an inbox entry is lost now and then",
    DoubleCharge "a failed attempt is charged twice when it is read back",
    LostTimers "timers that recovery armed never fire",
    StalePublisher "the cache takes a result under a stale token",
    CommitTwice "a repeated commit is appended again",
    RunsAgain "an attempt that succeeded is begun once more by the next owner",
    NoVersionCheck "the store gives a shard of a newer version to an older process",
    SnapshotForgets "a snapshot lacks the records of the last frame that it includes",
    PrunesChildren "the store prunes a child whose parent is known",
    HoldsNothing "the cache says of no file that a stored result needs it",
    PublishesLater "a node succeeds before the cache is told of its result",
    NeedsNothing "nobody looks who has got files of another execution from the cache",
}
