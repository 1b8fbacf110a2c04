use std::collections::BTreeMap;
use std::sync::Arc;

use flyte_host::core::author::Values;
use flyte_host::core::journal::WorkflowPhase;
use flyte_host::core::literal::Row;
use flyte_host::core::plan::Plan;
use flyte_host::core::template::WorkflowTemplate;
use flyte_host::prelude::*;
use flyte_host::scheduler::testing::{CrashKind, Harness, Run};
use flyte_host::tokio;

/// A workflow of the table.
#[derive(Debug)]
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// `SUCCEEDED`, or how it ends otherwise.
    ends: WorkflowPhase,
    harness: Harness,
    pub(super) plan: Arc<Plan>,
    pub(super) template: WorkflowTemplate,
    inputs: Row,
}

/// How many moments were visited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visited {
    /// Moments of the run at which the process died.
    pub once: BTreeMap<CrashKind, u32>,
    /// Moments of the recovery at which it died again.
    pub again: BTreeMap<CrashKind, u32>,
}

impl Visited {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.once, &other.once),
            (&mut self.again, &other.again),
        ] {
            for (kind, n) in theirs {
                *mine.entry(*kind).or_default() += n;
            }
        }
    }
}

impl Case {
    pub(super) fn new<In: Values, Out: Values>(
        name: &'static str,
        ends: WorkflowPhase,
        wf: &Workflow<In, Out>,
        args: In,
        with: impl FnOnce(Harness) -> Harness,
    ) -> Self {
        let children = wf.children();
        let harness = children.iter().fold(Harness::new(), |h, c| h.child(c));
        Self {
            name,
            ends,
            harness: with(harness),
            plan: wf.plan().clone(),
            template: wf.template().clone(),
            inputs: Row::from_pairs(wf.encode(args)),
        }
    }

    fn live(&self, harness: &Harness) -> Result<Run, String> {
        // Nothing outside answers here: real time is skipped, too.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|e| e.to_string())?;
        let run = runtime.block_on(harness.run(&self.plan, &self.inputs));
        let run = run.map_err(|e| format!("{}: {e}", self.name))?;
        match run.outcome().phase == self.ends {
            true => Ok(run),
            false => Err(format!("{}: it came to {:?}", self.name, run.outcome())),
        }
    }

    /// Runs it, then with a crash at each moment, and again at each `every`-th of the recovery.
    ///
    /// # Errors
    /// What a crash changed, and where it was.
    pub fn visit(&self, every: u32, seed: u64) -> Result<Visited, String> {
        let harness = self.harness.clone().seed(seed).crash_at_every_commit();
        let run = self.live(&harness.crash_at_every_effect().crash_again(every))?;
        Ok(Visited {
            once: run.crash_points_by_kind().clone(),
            again: run.crashes_again_by_kind().clone(),
        })
    }
}
