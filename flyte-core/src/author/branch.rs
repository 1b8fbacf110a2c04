use super::builder::{Kind, NodeDraft};
use super::call::CallOptions;
use super::cond::Test;
use super::input::Wire;
use super::{Handles, IntoCond, Place, Values, WorkflowBuilder};
use crate::id::Str;

/// What runs in one case of a branch.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) scope: u32,
    pub(super) outlets: Vec<Wire>,
    pub(super) place: Place,
}

/// A branch that is being written: `H` is what each of its arms gives.
#[must_use = "a branch needs `.otherwise(..)` or `.or_fail(..)`"]
#[derive(Debug)]
pub struct Branch<'w, H> {
    wf: &'w mut WorkflowBuilder,
    cases: Vec<(Test, Arm)>,
    place: Place,
    gives: std::marker::PhantomData<fn() -> H>,
}

impl WorkflowBuilder {
    /// Begins a branch: the first case whose condition holds runs. All arms give handles of the
    /// same types; an arm may give handles that were there before.
    ///
    /// ```
    /// # #[cfg(feature = "macros")] {
    /// use flyte_core::author::Workflow;
    /// use flyte_core::task;
    /// #[task]
    /// fn half(n: i64) -> i64 { n / 2 }
    ///
    /// let wf = Workflow::<i64, _>::build("halve", |wf, n| {
    ///     wf.when(n.gt(100), |wf| wf.call(half(n)))
    ///         .elif(n.lt(0), |wf| wf.constant(0))
    ///         .otherwise(|_| n)
    /// }).unwrap();
    /// assert_eq!(wf.plan().branches.len(), 1);
    /// # }
    /// ```
    #[track_caller]
    pub fn when<H: Handles>(
        &mut self,
        condition: impl IntoCond,
        then: impl FnOnce(&mut WorkflowBuilder) -> H,
    ) -> Branch<'_, H> {
        let place = Place::here();
        let arm = self.scoped(place, then);
        Branch {
            wf: self,
            cases: vec![(condition.into_cond().0, arm)],
            place,
            gives: std::marker::PhantomData,
        }
    }
}

impl<H: Handles> Branch<'_, H> {
    /// Another case, asked when none before it holds.
    #[track_caller]
    pub fn elif(
        mut self,
        condition: impl IntoCond,
        then: impl FnOnce(&mut WorkflowBuilder) -> H,
    ) -> Self {
        let arm = self.wf.scoped(Place::here(), then);
        self.cases.push((condition.into_cond().0, arm));
        self
    }

    /// What runs when no case holds.
    #[track_caller]
    pub fn otherwise(
        self,
        then: impl FnOnce(&mut WorkflowBuilder) -> H,
    ) -> <H::Values as Values>::Handles {
        let arm = self.wf.scoped(Place::here(), then);
        self.finish(Ok(arm))
    }

    /// The execution fails with this text when no case holds.
    pub fn or_fail(self, message: impl Into<String>) -> <H::Values as Values>::Handles {
        self.finish(Err(message.into()))
    }

    fn finish(self, otherwise: Result<Arm, String>) -> <H::Values as Values>::Handles {
        let names = H::Values::NAMES.iter().map(|n| Str::from(*n));
        let draft = NodeDraft {
            scope: self.wf.scope(),
            id: "".into(),
            place: self.place,
            options: CallOptions::default(),
            inputs: Vec::new(),
            kind: Kind::Branch(self.cases, otherwise),
            after: Vec::new(),
            outputs: names.zip(H::Values::types()).collect(),
        };
        let node = self.wf.add(draft);
        self.wf.handles::<H::Values>(node)
    }
}
