use std::fmt;

use flyte_core::id::Str;
use flyte_core::journal::ParkCause;

/// Why an execution waits for a person, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// What kind of cause.
    pub kind: ParkKind,
    /// The cause in words.
    pub message: Str,
}

/// The kinds of [`Parked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParkKind {
    /// The program does not know the type of a task object; it goes on when the type is back.
    UnknownTask,
    /// No plugin takes a task's type; it goes on when a plugin does.
    MissingPlugin,
    /// A task was in flight at five unclean ends of its host.
    PoisonSuspect,
    /// The engine failed on the execution three times in a row.
    Quarantined,
    /// The plan cannot be read.
    PlanUnreadable,
    /// The program has tasks of another interface than the plan; it goes on with one that fits.
    TaskChanged,
    /// A cause that this version does not know.
    Other,
}

impl From<&ParkCause> for Parked {
    fn from(cause: &ParkCause) -> Self {
        let kind = match cause {
            ParkCause::UnknownTask { .. } => ParkKind::UnknownTask,
            ParkCause::MissingPlugin { .. } => ParkKind::MissingPlugin,
            ParkCause::PoisonSuspect { .. } => ParkKind::PoisonSuspect,
            ParkCause::Quarantined { .. } => ParkKind::Quarantined,
            ParkCause::PlanUnreadable { .. } => ParkKind::PlanUnreadable,
            ParkCause::TaskChanged { .. } => ParkKind::TaskChanged,
        };
        let message = cause.to_string().into();
        Self { kind, message }
    }
}

impl Parked {
    /// From the index, which keeps the words: they begin with the kind.
    pub(crate) fn from_index(message: &Str) -> Self {
        let kind = match message.split(':').next().unwrap_or_default() {
            "UnknownTask" => ParkKind::UnknownTask,
            "MissingPlugin" => ParkKind::MissingPlugin,
            "PoisonSuspect" => ParkKind::PoisonSuspect,
            "Quarantined" => ParkKind::Quarantined,
            "PlanUnreadable" => ParkKind::PlanUnreadable,
            "TaskChanged" => ParkKind::TaskChanged,
            _ => ParkKind::Other,
        };
        let message = message.clone();
        Self { kind, message }
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyte_core::id::NodeAddr;

    #[test]
    fn the_index_says_the_same_as_the_record() {
        let addr = NodeAddr::default();
        let (message, task_type) = (Str::from("m: n"), Str::from("t"));
        for cause in [
            ParkCause::UnknownTask {
                addr,
                message: message.clone(),
            },
            ParkCause::MissingPlugin { addr, task_type },
            ParkCause::PoisonSuspect { addr },
            ParkCause::Quarantined {
                message: message.clone(),
            },
            ParkCause::PlanUnreadable { message },
            ParkCause::TaskChanged {
                addr,
                changes: Vec::new(),
            },
        ] {
            let said = Parked::from(&cause);
            assert_eq!(said, Parked::from_index(&cause.to_string().into()));
        }
        assert_eq!(Parked::from_index(&"else".into()).kind, ParkKind::Other);
    }
}
