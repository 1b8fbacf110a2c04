use std::marker::PhantomData;

use super::call::{CallOptions, Callee, MapParts};
use super::output::Origin;
use super::{
    Call, Callable, IntoInput, IntoTimeout, LiteralValue, Output, Place, Ref, TaskReturn, builder,
};
use crate::template::SuccessCriteria;

/// A call for each item of a list, made by [`map`]. It gives the list of the results.
#[must_use = "a map does nothing by itself: give it to `wf.call(..)`"]
#[derive(Debug)]
pub struct MapCall<R> {
    parts: MapParts,
    options: CallOptions,
    place: Place,
    gives: PhantomData<fn() -> R>,
}

/// Calls what the closure gives for each item of `list`. The item is a handle that goes whole into
/// one or more inputs; all other arguments are the same for every item.
///
/// Names, timeouts and retries of the items belong on the inner call, those of the node as a whole
/// on what this returns; `wf.map(list, |x| ..)` is the short form.
///
/// ```
/// # #[cfg(feature = "macros")] {
/// use flyte_core::author::{Workflow, map};
/// use flyte_core::task;
/// #[task]
/// fn scale(x: i64, by: i64) -> i64 { x * by }
///
/// let wf = Workflow::<Vec<i64>, _>::build("scale_all", |wf, xs| {
///     let scaled = map(xs, |x| scale(x, 2).retries(3)).concurrency(8).min_success(0.9);
///     wf.call(scaled) // Output<Vec<Option<i64>>>
/// }).unwrap();
/// assert_eq!(wf.plan().arrays.len(), 1);
/// # }
/// ```
#[track_caller]
pub fn map<T: LiteralValue, R: TaskReturn>(
    list: impl IntoInput<Vec<T>>,
    each: impl FnOnce(Output<T>) -> Call<R>,
) -> MapCall<R::Values>
where
    R::Values: LiteralValue,
{
    let item = builder::next_number();
    let inner = each(Output::of(Ref::new(item, Origin::Item, 0)));
    MapCall {
        parts: MapParts {
            inner: *inner.parts,
            item,
            list: list.into_input().wire,
            concurrency: None,
            success: None,
        },
        options: CallOptions::default(),
        place: Place::here(),
        gives: PhantomData,
    }
}

impl<R> MapCall<R> {
    /// How many items run at once; 0 has no bound.
    pub fn concurrency(mut self, items: u32) -> Self {
        self.parts.concurrency = Some(items);
        self
    }

    /// Succeeds when this share of the items has, from 0 to 1: the result of one that has not is
    /// `None`.
    pub fn min_success(self, share: f32) -> MapCall<Option<R>> {
        let wrong = !(0.0..=1.0).contains(&share);
        let mut out = self.partly(SuccessCriteria::MinSuccessRatio(share));
        if wrong {
            let text = format!("`min_success` is {share}, and must be from 0 to 1");
            out.options.wrong.push(text);
        }
        out
    }

    /// Succeeds when this many items have: the result of one that has not is `None`.
    pub fn min_successes(self, items: u32) -> MapCall<Option<R>> {
        self.partly(SuccessCriteria::MinSuccesses(items))
    }

    /// The node's id and name; `n0`, `n1`, … by default.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// How long the node as a whole may take.
    pub fn timeout(mut self, timeout: impl IntoTimeout) -> Self {
        self.options.timeout(timeout);
        self
    }

    fn partly(self, criteria: SuccessCriteria) -> MapCall<Option<R>> {
        let mut parts = self.parts;
        parts.success = Some(criteria);
        MapCall {
            parts,
            options: self.options,
            place: self.place,
            gives: PhantomData,
        }
    }
}

impl<R: LiteralValue> Callable for MapCall<R> {
    type Values = Vec<R>;

    fn into_call(self) -> Call<Vec<R>> {
        let inputs = Vec::new();
        let mut call = Call::new(Callee::Map(Box::new(self.parts)), inputs, self.place);
        call.parts.options = self.options;
        call
    }
}
