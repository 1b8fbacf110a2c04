use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ShardId;
use crate::id::{Digest, ExecutionId, Identifier, NodeAddr, Str};
use crate::limits::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX, VALUES_BYTES_MAX};
use crate::literal::{Literal, Row, Timestamp, infer};
use crate::{Error, ErrorKind, Result};

/// Makes a command idempotent; chosen by the caller, unique for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u128);

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({:032x})", self.0)
    }
}

/// Something that somebody wants a shard's owner to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Makes it idempotent.
    pub id: CommandId,
    /// What.
    pub body: CommandBody,
}

impl Command {
    /// Whether a store takes it: names are in order ([`ExecutionId::check`]), values have at most
    /// [`VALUES_BYTES_MAX`] bytes and texts at most [`MESSAGE_BYTES_MAX`], so that whatever follows
    /// from it fits a frame.
    ///
    /// # Errors
    /// `Invalid` for a name, `Limit` for what is too long.
    pub fn check(&self) -> Result<()> {
        let within = |what: &str, bytes: u64, max: u64| match bytes > max {
            false => Ok(()),
            true => {
                let text = format!("{what} has {bytes} bytes, the limit is {max}");
                Err(Error::new(ErrorKind::Limit, "enqueue", text))
            }
        };
        let texts = MESSAGE_BYTES_MAX as u64;
        match &self.body {
            CommandBody::Submit(s) => {
                s.id.check()?;
                let large = "the inputs (large values belong into files)";
                within(large, s.inputs.weight(), VALUES_BYTES_MAX)?;
                let o = &s.options;
                let maps = [&o.envs, &o.labels, &o.parameters];
                let pairs = maps.into_iter().flatten();
                let bytes = pairs.map(|(k, v)| (k.len() + v.len()) as u64).sum();
                within(
                    "environment, labels and parameters",
                    bytes,
                    VALUES_BYTES_MAX,
                )
            }
            CommandBody::Abort { reason, by, .. } => {
                within("the reason", reason.len() as u64, texts)?;
                within("`by`", by.len() as u64, texts)
            }
            CommandBody::Signal { signal, value, .. } => {
                within(
                    "the name of the signal",
                    signal.len() as u64,
                    NAME_BYTES_MAX as u64,
                )?;
                within("the value of the signal", value.weight(), VALUES_BYTES_MAX)
            }
            CommandBody::Release { .. } | CommandBody::ChildEnded { .. } => Ok(()),
        }
    }
}

/// What a [`Command`] asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CommandBody {
    /// Start an execution.
    Submit(Box<Submission>),
    /// End an execution for good.
    Abort {
        /// Which.
        execution: ExecutionId,
        /// Why.
        reason: String,
        /// Who asked.
        by: String,
    },
    /// Give a gate its value.
    Signal {
        /// Which execution.
        execution: ExecutionId,
        /// Which signal.
        signal: Str,
        /// The value.
        value: Literal,
    },
    /// Let a parked execution go on.
    Release {
        /// Which.
        execution: ExecutionId,
    },
    /// A child execution has ended.
    ChildEnded {
        /// The parent.
        execution: ExecutionId,
        /// The parent's node.
        addr: NodeAddr,
        /// The attempt that started the child.
        attempt: u32,
        /// The child.
        child: ExecutionId,
        /// Its outputs, or its failure.
        result: Result<Row, crate::journal::ExecutionError>,
    },
}

/// An execution to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Its name.
    pub id: ExecutionId,
    /// The plan; its bytes must have been `put_plan`.
    pub plan: Digest,
    /// What the plan was compiled from, for lists.
    pub entity: Identifier,
    /// The inputs, in interface order.
    pub inputs: Row,
    /// How it runs.
    pub options: ExecutionOptions,
    /// When it was asked for.
    pub submitted_at: Timestamp,
    /// The node that started it, for a child.
    pub parent: Option<(ExecutionId, NodeAddr, u32)>,
}

impl Submission {
    /// What two submissions of one name must agree on: plan, inputs and options.
    #[must_use]
    pub fn content(&self) -> Digest {
        let content = (&self.plan, &self.inputs, &self.options, &self.parent);
        let bytes =
            postcard::to_allocvec(&content).expect("invariant: no type that postcard refuses");
        Digest::of("flyte submission v1", &bytes)
    }

    /// What another submission of the same name wants differently, for people.
    #[must_use]
    pub fn difference(&self, other: &Self) -> String {
        let mut parts = Vec::new();
        if self.plan != other.plan {
            parts.push(format!("the plan ({} and {})", self.entity, other.entity));
        }
        parts.extend(self.input_differences(other));
        if self.options != other.options {
            parts.push("the options".into());
        }
        if self.parent != other.parent {
            parts.push("the parent".into());
        }
        parts.join(", ")
    }

    /// Each input that another submission does not have, or has with another value, with both
    /// values, for people. Their order does not count.
    #[must_use]
    pub fn input_differences(&self, other: &Self) -> Vec<String> {
        let mine = self.inputs.iter().map(|(name, _)| name);
        let theirs = other.inputs.iter().map(|(name, _)| name);
        let names: BTreeSet<&Str> = mine.chain(theirs).collect();
        let differs = |name: &&Str| self.inputs.get(name) != other.inputs.get(name);
        let names = names.into_iter().filter(differs);
        let text = |name: &Str| {
            let (there, here) = (self.inputs.get(name), other.inputs.get(name));
            format!("input `{name}` ({} and {})", shown(there), shown(here))
        };
        names.map(text).collect()
    }
}

/// A value in a sentence, cut where it is long.
fn shown(value: Option<&Literal>) -> String {
    const CHARACTERS_MAX: usize = 60;
    let text = match value {
        None => return "none".into(),
        Some(value) => match value.value() {
            Literal::None => "None".into(),
            Literal::Integer(i) => i.to_string(),
            Literal::Float(f) => f.to_string(),
            Literal::Boolean(b) => b.to_string(),
            Literal::String(s) => format!("{s:?}"),
            Literal::Datetime(t) => t.to_string(),
            Literal::Duration(d) => d.to_string(),
            // Documents and files have no short form.
            other => match infer(other) {
                Ok(t) => format!("a `{t}`"),
                Err(_) => "a value without a type".into(),
            },
        },
    };
    let mut short: String = text.chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// How an execution runs (`flyteidl.admin.ExecutionSpec`, as far as the engine acts on it).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutionOptions {
    /// Nodes with a live attempt at once; 0 has no bound.
    pub max_parallelism: u32,
    /// Overrides the workflow's default.
    pub interruptible: Option<bool>,
    /// Compute everything anew and replace what the cache has.
    pub overwrite_cache: bool,
    /// Environment of every task.
    pub envs: BTreeMap<String, String>,
    /// Where raw outputs go; empty for the scheduler's own place.
    pub output_location_prefix: String,
    /// Higher goes first where there is a queue.
    pub priority: i32,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// Values that attempts can see, such as the folder of the code (`{{name}}` in arguments).
    pub parameters: BTreeMap<String, String>,
}

/// What `enqueue` did with a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Enqueued {
    /// It is in the inbox, or it was handled before.
    Accepted,
    /// The same execution was submitted before.
    Existing {
        /// Where it lives.
        shard: ShardId,
    },
    /// The name belongs to another execution.
    Conflict {
        /// Where that lives.
        shard: ShardId,
        /// What differs, for people.
        difference: String,
        /// What was submitted there.
        existing: Box<Submission>,
    },
}

/// A command in an inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxEntry {
    /// Its place; rises within a shard.
    pub number: u64,
    /// The command.
    pub command: Command,
}
