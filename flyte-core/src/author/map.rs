use std::marker::PhantomData;

use super::call::{CallOptions, Callee, MapParts};
use super::output::Origin;
use super::values::Refs;
use super::{
    Argument, Call, Callable, IntoInput, IntoTimeout, LiteralValue, Output, Place, TaskReturn,
    Values, builder,
};
use crate::template::SuccessCriteria;

/// What a map goes over: a list whose items are `Items`, or a tuple of lists, whose items go
/// together one by one. Each is what an input of type `Vec` takes: a handle, a constant, or a list
/// of handles.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list, so there is nothing to map over",
    label = "expected an `Output<Vec<..>>`, a `Vec`, or a tuple of them",
    note = "what is the same for every item is given to the call inside, as it is"
)]
pub trait IntoLists<Items> {
    /// The bindings, in the order of the items.
    #[doc(hidden)]
    fn into_lists(self) -> Vec<Argument>;
}

// Type by type: an implementation for whatever is an `IntoInput` would be a second one for tuples,
// and the compiler could not say which of their lists is none.
macro_rules! list {
    ($([$($generics:tt)*] $L:ty)+) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: LiteralValue, $($generics)*> IntoLists<T> for $L {
            fn into_lists(self) -> Vec<Argument> {
                vec![IntoInput::<Vec<T>>::into_input(self).erase()]
            }
        }
    )+};
}

list! {
    [] Output<Vec<T>>
    [] &Output<Vec<T>>
    [] Vec<T>
    [] Vec<Output<T>>
    [const N: usize] [Output<T>; N]
}

macro_rules! lists {
    ($(($($T:ident $L:ident $i:tt),+))+) => {$(
        impl<$($T: LiteralValue, $L: IntoInput<Vec<$T>>),+> IntoLists<($($T,)+)> for ($($L,)+) {
            fn into_lists(self) -> Vec<Argument> {
                vec![$(self.$i.into_input().erase()),+]
            }
        }
    )+};
}

lists! {
    (A P 0, B Q 1)
    (A P 0, B Q 1, C R 2)
    (A P 0, B Q 1, C R 2, D S 3)
    (A P 0, B Q 1, C R 2, D S 3, E T 4)
    (A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5)
    (A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6)
    (A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7)
}

/// A call for each item of a list, made by [`map`]. It gives the list of the results.
#[must_use = "a map does nothing by itself: give it to `wf.call(..)`"]
#[derive(Debug)]
pub struct MapCall<R> {
    parts: MapParts,
    options: CallOptions,
    place: Place,
    gives: PhantomData<fn() -> R>,
}

/// Calls what the closure gives for each item of a list. The item is a handle that goes whole into
/// one or more inputs; all other arguments, handles or constants, lists too, are the same for every
/// item.
///
/// A tuple of lists goes item by item: the closure takes a tuple of handles, and each of them goes
/// into an input. Lists of different lengths fail the node with `InvalidArrayLength`, which names
/// two inputs and their lengths.
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
///
/// let wf = Workflow::<(Vec<i64>, Vec<i64>), _>::build("products", |wf, (xs, ys)| {
///     wf.map((xs, ys), |(x, y)| scale(x, y))
/// }).unwrap();
/// assert_eq!(wf.plan().arrays[0].split.len(), 2);
/// # }
/// ```
#[track_caller]
pub fn map<Items: Values, R: TaskReturn>(
    lists: impl IntoLists<Items>,
    each: impl FnOnce(Items::Handles) -> Call<R>,
) -> MapCall<R::Values>
where
    R::Values: LiteralValue,
{
    let item = builder::next_number();
    let inner = each(Items::handles(&mut Refs::new(item, Origin::Item)));
    MapCall {
        parts: MapParts {
            inner: *inner.parts,
            item,
            lists: lists.into_lists().into_iter().map(|a| a.0).collect(),
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
