use flyte_core::contract::ShardId;
use flyte_core::id::ExecutionId;

use crate::cli::Common;
use crate::fail::{Refusal, Result, nearest};
use crate::machine::{Machine, shown};
use crate::state::State;

/// The stores that a command reads: the one that is named, else all that runs of this folder used.
pub(crate) struct Machines {
    pub(crate) all: Vec<Machine>,
    /// Why others cannot be read.
    closed: Vec<Refusal>,
}

impl Machines {
    pub(crate) async fn open(common: &Common) -> Result<Self> {
        let state = State::open()?;
        let blobs = state.blobs(common.blobs.as_deref())?;
        if let Some((place, address)) = State::named_store(common.store.as_deref())? {
            address.refuse_empty(place)?;
            let one = Machine::open(state, common, address, place, blobs).await?;
            return Ok(Self {
                all: vec![one],
                closed: Vec::new(),
            });
        }
        let own = state.own_store();
        let mut addresses = state.stores().read()?;
        // A file that is gone has no executions.
        addresses.retain(|a| !a.is_new_file());
        if addresses.is_empty() || !own.is_new_file() {
            addresses.insert(0, own);
        }
        let (mut all, mut closed) = (Vec::new(), Vec::new());
        for address in addresses {
            let shown = address.to_string();
            let (state, blobs) = (state.clone(), blobs.clone());
            match Machine::open(state, common, address, "stores.json", blobs).await {
                Ok(machine) => all.push(machine),
                Err(refusal) => closed.push(refusal.about(&shown)),
            }
        }
        if all.is_empty() {
            return Err(closed.swap_remove(0));
        }
        Ok(Self { all, closed })
    }

    /// Warns of stores that cannot be read; 1 if there are any, for what is shown is not all.
    pub(crate) fn warn(&self) -> u8 {
        for refusal in &self.closed {
            tell!("warning: {}", refusal.line());
        }
        u8::from(!self.closed.is_empty())
    }

    /// The execution of this name that the options select, and the store that has it.
    pub(crate) async fn find(
        self,
        name: &str,
        common: &Common,
    ) -> Result<(Machine, ExecutionId, ShardId)> {
        let mut found = Vec::new();
        for machine in &self.all {
            for (id, shard) in machine.named(name, common).await? {
                found.push((machine.clone(), id, shard));
            }
        }
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            0 => Err(self.unknown(name).await?),
            _ => {
                let place = |(machine, id, _): &(Machine, ExecutionId, ShardId)| {
                    format!("{} in {}", shown(&id.tenant), machine.address)
                };
                let places: Vec<String> = found.iter().map(place).collect();
                let text = format!("`{name}` is an execution of {}", places.join(" and of "));
                Err(Refusal::new("AmbiguousExecution", text)
                    .at("EXECUTION")
                    .remedy("give --project and --domain, or --store"))
            }
        }
    }

    async fn unknown(&self, name: &str) -> Result<Refusal> {
        self.warn();
        let mut all = Vec::new();
        for machine in &self.all {
            all.extend(machine.executions(false).await?);
        }
        let near = nearest(name, all.iter().map(|e| &*e.id.name));
        let hint = near
            .map(|n| format!("did you mean `{n}`? "))
            .unwrap_or_default();
        let text = format!("there is no execution `{name}`");
        Ok(Refusal::new("NotFound", text)
            .at("EXECUTION")
            .remedy(format!("{hint}flyte-rs get executions lists what there is")))
    }
}
