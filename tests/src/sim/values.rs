//! Values out of band, in files that outlive every process: storing and reading them, with the
//! retries of the real calls on virtual time.

use std::sync::Arc;

use flyte_core::id::{Digest, NodeAddr};
use flyte_core::journal::{ErrorOrigin, ExecutionError, OutputValues};
use flyte_core::literal::{
    Literal, Names, Offloaded, Resolved, Row, content_hash, infer, resolve_rest,
};
use flyte_idl::convert::{decode_literal, encode_literal};
use flyte_scheduler::engine::{
    AttemptRef, Input, READ_FAILURE, ReadRef, STORE_FAILURE, VALUE_FOLDER, is_heavy, value_digest,
};

use super::event::Call;
use super::fault::Fault;
use super::owner::{Owner, What};
use super::world::World;

const TRIES: u32 = 5;

/// Above how many bytes values are out of band in a world that has such: all are.
pub(super) const ABOVE: u64 = 0;

/// Why a value was not read.
enum Bad {
    /// Ask again.
    Now,
    /// It is gone for good.
    Ever,
}

/// Stands for what is read for a frame.
pub(super) fn of(read: &ReadRef) -> AttemptRef {
    let text = format!("{:?}", read.wanted);
    let digest = Digest::of("flyte simulated read v1", text.as_bytes());
    let [a, b, c, d, ..] = digest.0;
    AttemptRef {
        execution: read.execution,
        addr: NodeAddr::new(read.frame.0, u32::from_le_bytes([a, b, c, d])),
        attempt: 0,
    }
}

/// A value with everything inline, by what the files hold.
pub(super) fn inline(
    value: &Literal,
    get: &mut impl FnMut(&Offloaded) -> Option<Literal>,
) -> Option<Literal> {
    Some(match value.value() {
        Literal::Offloaded(o) => {
            let found = get(o)?;
            inline(&found, get)?
        }
        Literal::Collection(items) => {
            let items: Option<Vec<_>> = items.iter().map(|i| inline(i, get)).collect();
            Literal::Collection(Arc::new(items?))
        }
        _ => value.clone(),
    })
}

impl World {
    /// Stores outputs.
    pub(super) fn stores(
        &mut self,
        o: &mut Owner,
        at: AttemptRef,
        prefix: String,
        names: Names,
        mut outputs: OutputValues,
        tries: u32,
    ) {
        let failed = self.faults.strikes(Fault::ValueUnstored);
        if failed && tries + 1 < TRIES && self.draw.chance(800) {
            let tries = tries + 1;
            let call = Call::Offload {
                at,
                prefix,
                names,
                outputs,
                tries,
            };
            return self.call_soon(o, 300, call);
        }
        if failed {
            self.taint(o, at);
            let error = ExecutionError::new(ErrorOrigin::System, STORE_FAILURE, "the simulation");
            let result = Err(error);
            return self.answer(o, 5, (What::Offload, at), Input::Offloaded { at, result });
        }
        for (name, output) in names.iter().zip(&mut outputs) {
            if let Some(value) = output.take_if(|v| is_heavy(v, ABOVE)) {
                *output = Some(self.put_value(&prefix, name, &value));
            }
        }
        self.race(o, at);
        let within = self.delay(20);
        let result = Ok(outputs);
        self.answer(
            o,
            within,
            (What::Offload, at),
            Input::Offloaded { at, result },
        );
    }

    fn put_value(&mut self, prefix: &str, name: &str, value: &Literal) -> Literal {
        let bytes = encode_literal(value);
        let uri = format!("{prefix}/{VALUE_FOLDER}{}/{name}", digest(&bytes));
        let offloaded = Offloaded {
            uri: uri.as_str().into(),
            size_bytes: bytes.len() as u64,
            inferred_type: infer(value).ok(),
        };
        let hash = value.hash().map_or_else(|| content_hash(value), Into::into);
        let before = self.history.values.insert(uri, value.clone());
        if before.is_some_and(|b| b != *value) {
            self.breaks(Err("a value out of band is written over".into()));
        }
        Literal::Offloaded(Arc::new(offloaded)).annotated(hash, Default::default())
    }

    /// A value, as one try gets it.
    fn try_value(&mut self, offloaded: &Offloaded) -> Result<Literal, Bad> {
        let Some(value) = self.history.values.get(&*offloaded.uri) else {
            self.breaks(Err(format!("{} was never stored", offloaded.uri)));
            return Err(Bad::Ever);
        };
        let mut bytes = encode_literal(value);
        if self.faults.strikes(Fault::ValueGone) {
            return Err(match self.draw.chance(700) {
                true => Bad::Now,
                false => Bad::Ever,
            });
        }
        if self.faults.strikes(Fault::ValueChanged) {
            let bit = self.draw.below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let Some(wanted) = value_digest(&offloaded.uri) else {
            self.breaks(Err(format!("{} names no digest", offloaded.uri)));
            return Err(Bad::Ever);
        };
        if digest(&bytes) != wanted || bytes.len() as u64 != offloaded.size_bytes {
            return Err(Bad::Now);
        }
        decode_literal(&bytes).map_err(|_| Bad::Ever)
    }

    /// Reads what the engine decides by.
    pub(super) fn reads_value(
        &mut self,
        o: &mut Owner,
        read: ReadRef,
        offloaded: Arc<Offloaded>,
        prefix: String,
        tries: u32,
    ) {
        let what = (What::ReadValue, of(&read));
        let result = match self.see(&read, &offloaded, &prefix) {
            Ok(result) => result,
            Err(Bad::Now) if tries + 1 < TRIES => {
                let tries = tries + 1;
                let call = Call::ReadValue {
                    read,
                    offloaded,
                    prefix,
                    tries,
                };
                return self.call_soon(o, 300, call);
            }
            Err(_) => {
                self.taint(o, of(&read));
                Err(unread())
            }
        };
        let within = self.delay(20);
        let read = Box::new(read);
        self.answer(o, within, what, Input::ValueRead { read, result });
    }

    fn see(
        &mut self,
        read: &ReadRef,
        offloaded: &Offloaded,
        prefix: &str,
    ) -> Result<Result<Literal, ExecutionError>, Bad> {
        let mut value = self.try_value(offloaded)?;
        let Some(path) = &read.wanted.path else {
            return Ok(Ok(value));
        };
        let mut rest = &path[..];
        loop {
            match resolve_rest(&value, rest) {
                Ok(Resolved::Value(found)) if is_heavy(&found, ABOVE) => {
                    return Ok(Ok(self.put_value(prefix, "value", &found)));
                }
                Ok(Resolved::Value(found)) => return Ok(Ok(found)),
                Ok(Resolved::NeedsFetch { offloaded, taken }) => {
                    rest = &rest[taken..];
                    value = self.try_value(&offloaded)?;
                }
                Err(e) => {
                    let code = "BindingResolutionFailure";
                    let text = e.to_string();
                    return Ok(Err(ExecutionError::new(ErrorOrigin::System, code, text)));
                }
            }
        }
    }

    /// Reads what an attempt is given.
    pub(super) fn reads_inputs(&mut self, o: &mut Owner, at: AttemptRef, inputs: Row, tries: u32) {
        let mut bad = None;
        let mut get = |offloaded: &Offloaded| match self.try_value(offloaded) {
            Ok(value) => Some(value),
            Err(e) => {
                bad = Some(e);
                None
            }
        };
        let values: Option<Vec<_>> = inputs
            .values()
            .iter()
            .map(|v| inline(v, &mut get))
            .collect();
        let result = match (values, bad) {
            (Some(values), _) => {
                let row = Row::new(inputs.names().clone(), values).expect("as many as before");
                assert!(!row.has_offloaded(), "all were read");
                Ok(row)
            }
            (None, Some(Bad::Now)) if tries + 1 < TRIES => {
                let tries = tries + 1;
                return self.call_soon(o, 300, Call::ReadInputs { at, inputs, tries });
            }
            (None, _) => {
                self.taint(o, at);
                Err(unread())
            }
        };
        let within = self.delay(20);
        self.answer(
            o,
            within,
            (What::ReadInputs, at),
            Input::InputsRead { at, result },
        );
    }

    fn delay(&mut self, within: u64) -> u64 {
        match self.faults.strikes(Fault::ValueLate) {
            true => 30_000,
            false => within,
        }
    }
}

fn unread() -> ExecutionError {
    ExecutionError::new(ErrorOrigin::System, READ_FAILURE, "the simulation")
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of("flyte simulated value v1", bytes)
}
