use std::sync::Arc;
use std::time::Duration;

use flyte_core::compile::{check_inputs, launch_plan_inputs};
use flyte_core::contract::{Command, CommandBody, CommandId, Enqueued, ShardId, Submission};
use flyte_core::id::{Digest, ExecutionId};
use flyte_core::journal::{ErrorOrigin, ExecutionError};
use flyte_core::literal::Row;
use flyte_core::{ErrorKind, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::{AttemptRef, ChildRequest, Effect, Input, child_result};
use crate::mail::{Mailbox, Message};
use crate::ownership::Shared;

/// Child executions that are started by one call of the store.
const AT_ONCE: usize = 256;

/// Carries what concerns other executions to their inboxes, in the order that it came: a child
/// that is started and ended at once must be ended after it was started.
pub(crate) struct Children {
    shared: Arc<Shared>,
    send: Mailbox,
}

impl Children {
    pub(crate) fn new(shared: Arc<Shared>, send: Mailbox) -> Self {
        Self { shared, send }
    }

    /// Works until the driver is gone.
    pub(crate) async fn run(self, mut effects: UnboundedReceiver<Effect>) {
        let mut batch = Vec::new();
        while effects.recv_many(&mut batch, AT_ONCE).await > 0 {
            let mut starts = Vec::new();
            for effect in batch.drain(..) {
                if let Effect::StartChild { at, request } = effect {
                    starts.push((at, request));
                    continue;
                }
                self.start(std::mem::take(&mut starts)).await;
                match effect {
                    Effect::EndChild { at, child, reason } => self.end(at, child, reason).await,
                    Effect::TellParent { number, untold } => {
                        let body = CommandBody::ChildEnded {
                            execution: untold.parent.clone(),
                            addr: untold.addr,
                            attempt: untold.attempt,
                            child: untold.child.clone(),
                            result: untold.result,
                        };
                        let id = command_id("ended", &untold.child.to_string());
                        self.tell(&untold.parent, Command { id, body }).await;
                        self.answer(Input::ParentTold { number });
                    }
                    other => unreachable!("invariant: {other:?} concerns no other execution"),
                }
            }
            self.start(starts).await;
        }
    }

    fn answer(&self, input: Input) {
        // A driver that is gone needs no answer.
        let _gone = self.send.send(Message::Input(input));
    }

    async fn start(&self, starts: Vec<(AttemptRef, Box<ChildRequest>)>) {
        let (mut ats, mut commands) = (Vec::new(), Vec::new());
        for (at, request) in starts {
            match self.submission(&request).await {
                Ok(submission) => {
                    if request.again
                        && let Some(result) = self.over(&request.id).await
                    {
                        self.answer(Input::ChildAnswered { at, result });
                        continue;
                    }
                    let id = command_id("start", &request.id.to_string());
                    let body = CommandBody::Submit(Box::new(submission));
                    ats.push(at);
                    commands.push(Command { id, body });
                }
                Err(error) => self.answer(Input::ChildAnswered {
                    at,
                    result: Err(error),
                }),
            }
        }
        if commands.is_empty() {
            return;
        }
        let Some(answers) = self.enqueue(self.shared.client.shard, commands).await else {
            return;
        };
        for (at, answer) in ats.into_iter().zip(answers) {
            // The same child, started before a crash, says itself when it is over.
            if let Enqueued::Conflict { difference, .. } = answer {
                let text = format!("another execution has the child's name: {difference} differ");
                let result = Err(not_started(&text));
                self.answer(Input::ChildAnswered { at, result });
            }
        }
    }

    /// How a child ended, if it is over.
    async fn over(&self, child: &ExecutionId) -> Option<Result<Row, ExecutionError>> {
        while !self.send.is_closed() {
            match self.shared.client.row(child).await {
                Ok((row, _)) => {
                    let row = row.filter(|r| r.phase.is_terminal())?;
                    let (outputs, error) = (row.outputs.as_ref(), row.error.as_ref());
                    return Some(child_result(child, row.phase, outputs, error));
                }
                Err(e) => self.pause(&e).await,
            }
        }
        None
    }

    async fn submission(&self, request: &ChildRequest) -> Result<Submission, ExecutionError> {
        let lp = &request.launch_plan;
        let plan = self.shared.plans.load(request.plan).await;
        let plan = plan.map_err(|e| not_started(&e.to_string()))?;
        let inputs = launch_plan_inputs(lp, request.inputs.clone())
            .and_then(|inputs| check_inputs(plan.plan.root(), &inputs))
            .map_err(|e| not_started(&e.to_string()))?;
        Ok(Submission {
            id: request.id.clone(),
            plan: request.plan,
            entity: lp.id.clone(),
            inputs,
            options: request.options.clone(),
            submitted_at: self.shared.builder.clock.now(),
            parent: Some(request.parent.clone()),
        })
    }

    async fn end(&self, at: AttemptRef, child: ExecutionId, reason: String) {
        let id = command_id("end", &child.to_string());
        let body = CommandBody::Abort {
            execution: child.clone(),
            reason,
            by: "its parent".into(),
        };
        self.tell(&child, Command { id, body }).await;
        self.answer(Input::Finalized { at });
    }

    /// Puts a command into the inbox of an execution; one that is not there needs none.
    async fn tell(&self, execution: &ExecutionId, command: Command) {
        while !self.send.is_closed() {
            match self.shared.client.store.locate(execution).await {
                Ok(shard) => {
                    self.enqueue(shard, vec![command]).await;
                    return;
                }
                Err(e) if e.kind() == ErrorKind::NotFound => return,
                Err(e) => self.pause(&e).await,
            }
        }
    }

    /// Until it is durable; `None` if the scheduler ends before.
    async fn enqueue(&self, shard: ShardId, commands: Vec<Command>) -> Option<Vec<Enqueued>> {
        while !self.send.is_closed() {
            match self
                .shared
                .client
                .store
                .enqueue(shard, commands.clone())
                .await
            {
                Ok(answers) => return Some(answers),
                // Each command has an id: asking again is safe.
                Err(e) => self.pause(&e).await,
            }
        }
        None
    }

    async fn pause(&self, e: &flyte_core::Error) {
        tracing::warn!(error = %e, "another execution was not told yet");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn command_id(what: &str, who: &str) -> CommandId {
    let digest = Digest::of("flyte child command v1", format!("{what} {who}").as_bytes());
    let bytes = digest
        .0
        .first_chunk()
        .expect("invariant: a digest has 32 bytes");
    CommandId(u128::from_le_bytes(*bytes))
}

fn not_started(text: &str) -> ExecutionError {
    let code = "RuntimeExecutionError";
    ExecutionError::new(
        ErrorOrigin::User,
        code,
        format!("the child execution cannot be started: {text}"),
    )
}
