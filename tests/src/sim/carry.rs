//! What an execution tells another.

use flyte_core::compile::{check_inputs, launch_plan_inputs};
use flyte_core::contract::{Command, CommandBody, CommandId, Enqueued, Submission};
use flyte_core::id::Digest;
use flyte_core::journal::{Change, JournalFrame};
use flyte_scheduler::engine::{AttemptRef, ChildRequest, Effect, Input, child_result};

use super::effects::of;
use super::event::Event;
use super::owner::{Owner, What};
use super::world::World;

impl World {
    /// Tells another execution what concerns it, one after the other.
    pub(super) fn carry(&mut self, o: &mut Owner) {
        let Some(effect) = o.children.pop_front() else {
            o.carrying = false;
            return;
        };
        if self.store.reach(self.now).is_err() {
            o.children.push_front(effect);
            return self.at(self.now + 200, Event::Carry(o.id));
        }
        if self.verbose {
            println!(
                "{:>9} ms   carries {:.240}",
                self.now,
                format!("{effect:?}")
            );
        }
        match effect {
            Effect::StartChild { at, request }
                if request.again && self.told_before(o, at, &request) => {}
            Effect::StartChild { at, request } => {
                let plan = self.plans[&request.plan].clone();
                let inputs = launch_plan_inputs(&request.launch_plan, request.inputs.clone())
                    .and_then(|inputs| check_inputs(plan.plan.root(), &inputs));
                let submission = Submission {
                    id: request.id.clone(),
                    plan: request.plan,
                    entity: request.launch_plan.id.clone(),
                    inputs: inputs.expect("a child's inputs fit"),
                    options: request.options.clone(),
                    submitted_at: self.wall(o.process),
                    parent: Some(request.parent.clone()),
                };
                let id = command_id("start", &request.id.to_string());
                let body = CommandBody::Submit(Box::new(submission));
                let answer = self.enqueue(o.lease.shard, Command { id, body });
                if let Ok(Enqueued::Conflict { .. }) = answer {
                    self.breaks(Err(format!("{at:?}: a child conflicts with itself")));
                }
            }
            Effect::EndChild { at, child, reason } => {
                let verdict = self.history.unwanted(&child);
                self.breaks(verdict);
                if let Ok(Some(shard)) = self.store.locate(self.now, &child) {
                    let id = command_id("end", &child.to_string());
                    let by = "its parent".into();
                    let body = CommandBody::Abort {
                        execution: child,
                        reason,
                        by,
                    };
                    self.enqueue(shard, Command { id, body })
                        .expect("the store is there");
                }
                self.answer(o, 5, (What::EndChild, at), Input::Finalized { at });
            }
            Effect::TellParent { number, untold } => {
                if let Ok(Some(shard)) = self.store.locate(self.now, &untold.parent) {
                    let id = command_id("ended", &untold.child.to_string());
                    let body = CommandBody::ChildEnded {
                        execution: untold.parent.clone(),
                        addr: untold.addr,
                        attempt: untold.attempt,
                        child: untold.child.clone(),
                        result: untold.result,
                    };
                    self.enqueue(shard, Command { id, body })
                        .expect("the store is there");
                }
                let told = (What::TellParent, of(number));
                self.answer(o, 5, told, Input::ParentTold { number });
            }
            other => unreachable!("{other:?} concerns no other execution"),
        }
        // This owner is not among those that an enqueue wakes while it is at work.
        self.soon(4, Event::Poll(o.id));
        self.soon(4, Event::Carry(o.id));
    }
}

impl World {
    /// A child that is started again may be over, and have said so while its parent's plan could
    /// not be read: then it is answered for it.
    fn told_before(&mut self, o: &mut Owner, at: AttemptRef, request: &ChildRequest) -> bool {
        let Ok(Some(shard)) = self.store.locate(self.now, &request.id) else {
            return false;
        };
        let (mut number, mut result) = (None, None);
        for bytes in self.store.frames(shard) {
            // The medium may have spoiled some.
            let records = JournalFrame::decode(bytes).map_or_else(|_| Vec::new(), |f| f.records);
            for record in records {
                match record.change {
                    Change::Opened(o) if o.submission.id == request.id => {
                        number = Some(record.execution);
                    }
                    Change::Ended {
                        phase,
                        outputs,
                        error,
                    } if number == Some(record.execution) => {
                        let (outputs, error) = (outputs.as_ref(), error.as_deref());
                        result = Some(child_result(&request.id, phase, outputs, error));
                    }
                    _ => {}
                }
            }
        }
        let Some(result) = result else {
            return false;
        };
        o.asked(What::TellParent, at);
        let told = (What::TellParent, at);
        self.answer(o, 5, told, Input::ChildAnswered { at, result });
        true
    }
}

fn command_id(what: &str, who: &str) -> CommandId {
    let digest = Digest::of(
        "flyte simulation command v1",
        format!("{what} {who}").as_bytes(),
    );
    CommandId(u128::from_le_bytes(
        *digest.0.first_chunk().expect("a digest has 32 bytes"),
    ))
}
