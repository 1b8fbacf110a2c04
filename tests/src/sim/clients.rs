//! What clients do, and what they are told.

use flyte_core::Error;
use flyte_core::contract::{
    Command, CommandBody, CommandId, Enqueued, ExecutionOptions, ShardId, Submission,
};
use flyte_core::id::{ExecutionId, Tenant};
use flyte_core::literal::{Literal, Row};

use super::draw::hash;
use super::event::Event;
use super::fault::Fault;
use super::history::News;
use super::spec::{VALUES, approval, signal};
use super::world::World;

impl World {
    /// What the clients are going to do.
    pub(super) fn clients(&mut self) {
        let count = self.draw.range(2, 6);
        for n in 0..count {
            let flow = *self.draw.pick(&self.spec.roots.clone());
            let plan = self.compiled.plan(flow);
            let id = ExecutionId::new(Tenant::default(), format!("e{n}").as_str());
            let shard = ShardId(self.draw.below(u64::from(self.shards)) as u32);
            let x = self.draw.below(VALUES as u64) as i64;
            let options = ExecutionOptions {
                max_parallelism: *self.draw.pick(&[0, 0, 1, 2, 3, 8]),
                overwrite_cache: self.draw.chance(50),
                priority: self.draw.below(3) as i32,
                ..ExecutionOptions::default()
            };
            let submission = Submission {
                id: id.clone(),
                plan: plan.digest,
                entity: plan.plan.id.clone(),
                inputs: Row::from_pairs([("x", Literal::Integer(x))]),
                options,
                submitted_at: self.wall(0),
                parent: None,
            };
            let body = CommandBody::Submit(Box::new(submission));
            self.unacknowledged += 1;
            let when = self.draw.below(3_000);
            self.command(when, Some(shard), &id, body);
            if self.draw.chance(120) {
                let when = when + *self.draw.pick(&[1, 50, 5_000, 100_000]);
                self.aborts(when, &id);
            }
        }
        self.keep_plans();
    }

    pub(super) fn aborts(&mut self, when: u64, id: &ExecutionId) {
        let body = CommandBody::Abort {
            execution: id.clone(),
            reason: "enough".into(),
            by: "a client".into(),
        };
        self.command(when, None, id, body);
    }

    /// A client gives a command, sometimes twice, as the same or as another one.
    pub(super) fn command(
        &mut self,
        when: u64,
        shard: Option<ShardId>,
        id: &ExecutionId,
        body: CommandBody,
    ) {
        let submits = matches!(body, CommandBody::Submit(_));
        let again = self.faults.strikes(Fault::CommandTwice);
        for n in 0..1 + u64::from(again) {
            if n == 0 || !submits {
                self.commands += 1;
            }
            let id_of = CommandId(u128::from(self.commands));
            let command = Box::new(Command {
                id: id_of,
                body: body.clone(),
            });
            let when = when + n * self.draw.range(1, 20_000);
            let execution = id.clone();
            self.at(
                when,
                Event::Command {
                    shard,
                    execution,
                    command,
                },
            );
        }
    }

    /// An abort that comes just when something ends; whether it does.
    pub(super) fn races(&mut self, id: &ExecutionId, rare: bool) -> bool {
        // Every fifth execution is one that somebody may abort, and every third with a node of a
        // kind of which there are few.
        let of = if rare { 3 } else { 5 };
        let abortable = hash(&id.name, self.salt()).is_multiple_of(of);
        let races = abortable && self.faults.strikes(Fault::AbortRace);
        if races {
            self.aborts(self.now, id);
        }
        races
    }

    /// A number of the seed that does not change.
    pub(super) fn salt(&self) -> u64 {
        self.spec.tasks.len() as u64 + self.spec.flows.len() as u64 * 31
    }

    /// A command reaches the store, or the client tries again.
    pub(super) fn give(
        &mut self,
        shard: Option<ShardId>,
        execution: ExecutionId,
        command: Box<Command>,
    ) {
        let to = match shard {
            Some(s) => Ok(Some(s)),
            None => self.store.locate(self.now, &execution),
        };
        match to {
            Ok(Some(to)) => {
                let submit = matches!(command.body, CommandBody::Submit(_));
                match self.enqueue(to, Command::clone(&command)) {
                    Ok(Enqueued::Accepted | Enqueued::Existing { .. }) => {
                        if submit && self.history.acknowledged.insert(execution) {
                            self.unacknowledged -= 1;
                        }
                        return;
                    }
                    Ok(Enqueued::Conflict { .. }) => {
                        return self.breaks(Err(format!("{execution}: a conflict with itself")));
                    }
                    Err(_) => {}
                }
            }
            Ok(None) if self.history.is_pruned(&execution) => return,
            // It was not submitted yet.
            Ok(None) => {}
            Err(_) => {}
        }
        let when = self.now + 500;
        self.at(
            when,
            Event::Command {
                shard,
                execution,
                command,
            },
        );
    }

    pub(super) fn enqueue(&mut self, to: ShardId, command: Command) -> Result<Enqueued, Error> {
        let answer = self.store.enqueue(self.now, to, command)?;
        let owners: Vec<u64> = self
            .owners
            .values()
            .filter(|o| o.lease.shard == to)
            .map(|o| o.id)
            .collect();
        owners
            .into_iter()
            .for_each(|o| self.soon(4, Event::Poll(o)));
        Ok(answer)
    }

    /// Clients answer what executions ask for.
    pub(super) fn hear(&mut self) {
        for news in std::mem::take(&mut self.history.news) {
            match news {
                News::Asks(id, signals) => {
                    for name in signals {
                        let when = self.now + *self.draw.pick(&[1, 500, 20_000, 100_000]);
                        self.tell_signal(when, &id, &name);
                    }
                }
                News::Parked(id) => self.soon(60_000, Event::Release(id)),
            }
        }
    }

    /// The name decides the value; a gate asks for a number or for a yes or no.
    pub(super) fn tell_signal(&mut self, when: u64, id: &ExecutionId, name: &str) {
        let value = match self.spec.approves(name) {
            true => Literal::Boolean(approval(name)),
            false => Literal::Integer(signal(name)),
        };
        let body = CommandBody::Signal {
            execution: id.clone(),
            signal: name.into(),
            value,
        };
        self.command(when, None, id, body);
    }

    pub(super) fn early_signal(&mut self) {
        let asked = self.queue.iter().find_map(|(k, e)| match e {
            Event::Command { command, .. } => {
                matches!(command.body, CommandBody::Signal { .. }).then_some(*k)
            }
            _ => None,
        });
        if let Some(key) = asked
            && self.faults.strikes(Fault::SignalRace)
        {
            let event = self.queue.remove(&key).expect("it was just seen");
            if let Event::Command { command, .. } = &event
                && let CommandBody::Signal { signal, .. } = &command.body
            {
                let kind = match self.spec.approves(signal) {
                    true => "gate: approve",
                    false => "gate: signal",
                };
                let kinds = [kind].into_iter().collect();
                self.faults.meets(Fault::SignalRace, &kinds);
            }
            self.at(self.now, event);
        }
    }
}
