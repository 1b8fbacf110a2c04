//! Commands, plans and frames for the cases.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::Result;
use crate::contract::{
    Command, CommandBody, CommandId, CommitBatch, Durability, ExecutionOptions, Lease, Snapshot,
    Store, Submission,
};
use crate::id::{Digest, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use crate::journal::{
    CacheStatus, Change, ErrorOrigin, ExecutionError, JournalFrame, Opened, Record, SnapshotHead,
    SnapshotWriter, WorkflowPhase,
};
use crate::literal::{Literal, LiteralType, Row, SimpleType, Timestamp};
use crate::plan::Plan;
use crate::template::{TaskTemplate, TypedInterface, Variable};

pub(super) fn id(name: &str) -> ExecutionId {
    ExecutionId::new(Tenant::default(), name)
}

/// A plan of one task.
pub(super) fn plan() -> (Digest, Bytes) {
    let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
    let interface = TypedInterface {
        inputs: [("x".into(), int())].into(),
        outputs: [("o0".into(), int())].into(),
    };
    let id = Identifier::new(ResourceType::Task, "testkit", "1");
    let task = TaskTemplate::new(id, "testkit", interface);
    let workflow = crate::compile::single_task_workflow(&task)
        .expect("invariant: the task has id and interface");
    let tasks = [task];
    let sources = crate::compile::Sources::new(&workflow, &tasks);
    let plan: Arc<Plan> =
        crate::compile::compile(&sources).expect("invariant: a workflow of one task compiles");
    let bytes = Bytes::from(plan.to_bytes());
    (Plan::digest_of(&bytes), bytes)
}

pub(super) fn submission(name: &str, x: i64) -> Submission {
    Submission {
        id: id(name),
        plan: plan().0,
        entity: Identifier::new(ResourceType::Workflow, "testkit", "1"),
        inputs: Row::from_pairs([("x", Literal::Integer(x))]),
        options: ExecutionOptions::default(),
        submitted_at: Timestamp::UNIX_EPOCH,
        parent: None,
    }
}

pub(super) fn submit(id: u128, name: &str, x: i64) -> Command {
    Command {
        id: CommandId(id),
        body: CommandBody::Submit(Box::new(submission(name, x))),
    }
}

/// A command of each kind.
pub(super) fn every_kind() -> Vec<Command> {
    let execution = || id("a");
    let bodies = [
        CommandBody::Submit(Box::new(submission("a", 1))),
        CommandBody::Abort {
            execution: execution(),
            reason: "ü".into(),
            by: "somebody".into(),
        },
        CommandBody::Signal {
            execution: execution(),
            signal: "go".into(),
            value: Literal::Boolean(true),
        },
        CommandBody::Release {
            execution: execution(),
        },
        CommandBody::ChildEnded {
            execution: execution(),
            addr: NodeAddr::new(1, 2),
            attempt: 3,
            child: id("b"),
            result: Ok(Row::from_pairs([("o0", Literal::Integer(1))])),
        },
        CommandBody::ChildEnded {
            execution: execution(),
            addr: NodeAddr::new(1, 2),
            attempt: 3,
            child: id("c"),
            result: Err(ExecutionError::new(ErrorOrigin::User, "No", "as told")),
        },
    ];
    let one = |(i, body)| Command {
        id: CommandId(i as u128),
        body,
    };
    bodies.into_iter().enumerate().map(one).collect()
}

pub(super) fn frame(sequence: u64, epoch: u64, records: Vec<Record>) -> Bytes {
    let at = Timestamp::from_unix_millis(sequence as i64);
    let frame = JournalFrame {
        sequence,
        epoch,
        at,
        records,
    };
    frame.encode().expect("invariant: a small frame")
}

pub(super) fn batch(number: u64, frames: Vec<Bytes>, consumed: u64) -> CommitBatch {
    CommitBatch {
        number,
        frames,
        consumed,
        durability: Durability::Power,
    }
}

/// An owner that numbers as it should.
pub(super) struct Writer {
    pub(super) lease: Lease,
    number: u64,
    pub(super) written: Vec<Bytes>,
}

impl Writer {
    pub(super) fn new(lease: &Lease) -> Self {
        Self {
            lease: lease.clone(),
            number: 0,
            written: Vec::new(),
        }
    }

    /// The next frame; the text makes it another one.
    pub(super) fn peek(&self, text: &str) -> Bytes {
        let parked = Change::Aborted {
            addr: NodeAddr::default(),
            reason: text.into(),
        };
        // Nobody has opened this execution: it means nothing to an index.
        let record = Record {
            execution: u64::MAX,
            change: parked,
        };
        frame(
            self.written.len() as u64 + 1,
            self.lease.epoch,
            vec![record],
        )
    }

    pub(super) async fn commit(
        &mut self,
        store: &Arc<dyn Store>,
        texts: &[&str],
        consumed: u64,
    ) -> Result<()> {
        let before = self.written.len();
        for text in texts {
            self.written.push(self.peek(text));
        }
        let frames = self.written[before..].to_vec();
        let done = store
            .commit(&self.lease, batch(self.number + 1, frames, consumed))
            .await;
        match &done {
            Ok(()) => self.number += 1,
            Err(_) => self.written.truncate(before),
        }
        done
    }

    /// What is kept of the frames up to one.
    pub(super) fn snapshot(&self, through: u64) -> Result<Snapshot> {
        let frames: Vec<JournalFrame> = self.written[..through as usize]
            .iter()
            .map(|bytes| JournalFrame::decode(bytes))
            .collect::<std::result::Result<_, _>>()?;
        let (mut open, mut executions) = (BTreeSet::new(), 0);
        for record in frames.iter().flat_map(|f| &f.records) {
            match &record.change {
                Change::Opened(_) => {
                    open.insert(record.execution);
                    executions = record.execution;
                }
                Change::Ended { .. } => drop(open.remove(&record.execution)),
                _ => {}
            }
        }
        let last = frames.last().expect("invariant: the caller wrote frames");
        let head = SnapshotHead {
            through,
            epoch: last.epoch,
            at: last.at,
            executions,
            left: false,
        };
        let mut writer = SnapshotWriter::new(head, open);
        for frame in frames {
            writer.tail(frame)?;
        }
        let bytes = writer.finish()?;
        Ok(Snapshot { through, bytes })
    }

    async fn records(&mut self, store: &Arc<dyn Store>, records: Vec<Record>) -> Result<()> {
        let sequence = self.written.len() as u64 + 1;
        let frame = frame(sequence, self.lease.epoch, records);
        let one = batch(self.number + 1, vec![frame.clone()], 0);
        store.commit(&self.lease, one).await?;
        self.number += 1;
        self.written.push(frame);
        Ok(())
    }

    /// An execution `e<number>` of one node, in two or three frames.
    pub(super) async fn execution(
        &mut self,
        store: &Arc<dyn Store>,
        number: u64,
        foreign: bool,
        ends: bool,
    ) -> Result<()> {
        let parent = None;
        self.child(store, number, parent, foreign, ends).await
    }

    /// The same, started by a node of another.
    pub(super) async fn child(
        &mut self,
        store: &Arc<dyn Store>,
        number: u64,
        parent: Option<&str>,
        foreign: bool,
        ends: bool,
    ) -> Result<()> {
        let mut submission = submission(&format!("e{number}"), number as i64);
        submission.parent = parent.map(|p| (id(p), NodeAddr::default(), 0));
        submission.submitted_at = Timestamp::from_unix_millis(number as i64);
        if foreign {
            submission.id.tenant = Tenant::new("other", "development");
        }
        let command = Command {
            id: CommandId(u128::from(number) + 1000),
            body: CommandBody::Submit(Box::new(submission.clone())),
        };
        store.enqueue(self.lease.shard, vec![command]).await?;
        let of = |change| Record {
            execution: number,
            change,
        };
        let (addr, attempt) = (NodeAddr::default(), 0);
        let opened = Change::Opened(Box::new(Opened { submission }));
        self.records(store, vec![of(opened)]).await?;
        self.records(store, vec![of(Change::Started { addr, attempt })])
            .await?;
        match ends {
            true => self.ends(store, number).await,
            false => Ok(()),
        }
    }

    /// Ends an execution.
    pub(super) async fn ends(&mut self, store: &Arc<dyn Store>, number: u64) -> Result<()> {
        let of = |change| Record {
            execution: number,
            change,
        };
        let (addr, attempt) = (NodeAddr::default(), 0);
        let value = Literal::Integer(number as i64);
        let succeeded = Change::Succeeded {
            addr,
            attempt,
            outputs: [Some(value.clone())].into_iter().collect(),
            cache: CacheStatus::Disabled,
            producer: None,
        };
        let ended = Change::Ended {
            phase: WorkflowPhase::Succeeded,
            outputs: Some(Row::from_pairs([("o0", value)])),
            error: None,
        };
        self.records(store, vec![of(succeeded), of(ended)]).await
    }
}
