//! `#[task]`, `#[dynamic]` and the derives of flyte-core's module `author`, where they are
//! re-exported and described. They work for whoever depends on `flyte-core` or on `flyte-host`.
//!
//! Invariant: what a macro adds to a function is a struct of the same name, which has the function
//! as `run`; the function itself is not changed.

mod choice;
mod dependency;
mod duration;
mod function;
mod options;
mod record;
mod row;
mod task;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Makes a function, async or not, a task.
///
/// `fn fit(train: Vec<i64>, lr: f64) -> Result<Model, E>` becomes three things: a function `fit`
/// whose arguments take handles or constants and which gives a `Call`; a type `fit`, which is the
/// task, with `fit::run` (the function itself, for unit tests), `fit::TAG` and `fit::TASK`; and
/// the link-time registration of that type.
///
/// Parameters are inputs, except `Res<T>` (a value of the host) and `Cx<fit>` (the attempt's
/// context). It returns a literal, a tuple of literals, nothing, a struct with
/// `#[derive(Outputs)]`, or a `Result` of one of these with any error.
///
/// Options: `retries = 3`, `backoff = "1s..5m"` (delays between attempts), `timeout = "10m"` (of an
/// attempt), `node_timeout = "1h"` (of all attempts together), `cache = "1"` (the cache version),
/// `cache_serialize`, `cache_ignore(lr)`, `interruptible`, `resources(Db, Http)`,
/// `version = ".."` (instead of the digest), `name = ".."`, `tag = ".."` (what persisted objects
/// are called: keep the old one when you rename the function; by default
/// `crate::path::function`), `crate = "path::to::flyte_core"`.
///
/// ```
/// use flyte_core::author::{Res, Workflow};
/// use flyte_core::task;
///
/// #[derive(Debug)]
/// struct Prices(i64);
///
/// /// What an order costs.
/// #[task(retries = 3, timeout = "10s", cache = "1")]
/// async fn price(prices: Res<Prices>, pieces: i64) -> anyhow::Result<i64> {
///     anyhow::ensure!(pieces > 0, "an order of nothing");
///     Ok(prices.0 * pieces)
/// }
///
/// let wf = Workflow::<i64, _>::build("order", |wf, pieces| wf.call(price(pieces))).unwrap();
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert_eq!(price::run(Res::new(Prices(2)), 3).await.unwrap(), 6);
/// # });
/// ```
#[proc_macro_attribute]
pub fn task(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    task::expand(args.into(), function, false)
        .unwrap_or_else(|e| e.to_compile_error())
        .into()
}

/// Makes a function a task whose result is a graph: it is given values and a builder, and gives
/// handles. What it builds runs in its place.
///
/// The first parameter is `&mut WorkflowBuilder`; the others, the options and what is generated
/// are those of [`macro@task`]. It returns handles, or a `Result` of them. Where there is nothing
/// to run, `wf.constant(..)` gives a value as it is, so that a recursion can end.
///
/// ```
/// use flyte_core::author::{Output, WorkflowBuilder};
/// use flyte_core::{dynamic, task};
///
/// #[task]
/// fn add(a: i64, b: i64) -> i64 { a + b }
///
/// /// The sum of a list, as a chain of tasks.
/// #[dynamic]
/// fn sum(wf: &mut WorkflowBuilder, items: Vec<i64>) -> Output<i64> {
///     let zero = wf.constant(0);
///     items.into_iter().fold(zero, |sum, item| wf.call(add(sum, item)))
/// }
/// ```
#[proc_macro_attribute]
pub fn dynamic(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    task::expand(args.into(), function, true)
        .unwrap_or_else(|e| e.to_compile_error())
        .into()
}

/// Makes a struct a literal: the MessagePack form of a flytekit dataclass, with its type and JSON
/// schema.
///
/// Fields may be literals of any kind, other structs included. A handle of the struct has a method
/// for each field that gives the field's handle.
///
/// On the struct: `#[literal(name = "Model")]` (the dataclass's name), `#[literal(crate = "..")]`.
/// On a field: `#[literal(rename = "w")]`, `#[literal(default)]` or `#[literal(default = expr)]`
/// for a field that may be left out.
///
/// ```
/// use flyte_core::author::{LiteralValue, LiteralStruct, Workflow};
/// use flyte_core::task;
///
/// #[derive(Debug, PartialEq, LiteralStruct)]
/// struct Model { weights: Vec<f64>, bias: f64 }
///
/// #[task]
/// fn fit(rate: f64) -> Model { Model { weights: vec![rate], bias: 0.5 } }
/// #[task]
/// fn shift(x: f64, by: f64) -> f64 { x + by }
///
/// let wf = Workflow::<f64, _>::build("bias", |wf, rate| {
///     let model = wf.call(fit(rate));
///     wf.call(shift(model.bias(), 1.0))
/// }).unwrap();
/// let back = Model::from_literal(&fit::run(0.1).into_literal()).unwrap();
/// assert_eq!(back, fit::run(0.1));
/// ```
#[proc_macro_derive(LiteralStruct, attributes(literal))]
pub fn literal_struct(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    record::expand(&input)
        .unwrap_or_else(|e| e.to_compile_error())
        .into()
}

/// Makes an enum without fields a literal: one of a list of texts, as a Python `Enum` of texts.
///
/// The texts are the variants' names; `#[literal(rename_all = "snake_case")]` on the enum
/// (`lowercase`, `UPPERCASE`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`) or
/// `#[literal(rename = "..")]` on a variant changes them.
///
/// ```
/// use flyte_core::author::{LiteralValue, LiteralEnum};
/// use flyte_core::literal::Literal;
///
/// #[derive(Debug, PartialEq, LiteralEnum)]
/// #[literal(rename_all = "snake_case")]
/// enum Color { Red, DarkBlue }
///
/// assert_eq!(Color::DarkBlue.into_literal(), Literal::string("dark_blue"));
/// assert!(Color::from_literal(&Literal::string("green")).is_err());
/// ```
#[proc_macro_derive(LiteralEnum, attributes(literal))]
pub fn literal_enum(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    choice::expand(&input)
        .unwrap_or_else(|e| e.to_compile_error())
        .into()
}

/// Makes the fields of a struct the named outputs of a task or workflow. The handles are a struct
/// of the name with `Handles` behind it. [`macro@Inputs`] is the same derive.
///
/// ```
/// use flyte_core::author::{Outputs, Workflow};
/// use flyte_core::task;
///
/// #[derive(Outputs)]
/// struct Split { train: Vec<i64>, test: Vec<i64> }
///
/// #[task]
/// fn split(items: Vec<i64>) -> Split {
///     let (a, b) = items.split_at(items.len() / 2);
///     Split { train: a.to_vec(), test: b.to_vec() }
/// }
///
/// let wf = Workflow::<Vec<i64>, _>::build("split", |wf, items| {
///     let parts = wf.call(split(items)); // SplitHandles
///     (parts.train, parts.test)
/// }).unwrap();
/// ```
#[proc_macro_derive(Outputs, attributes(literal))]
pub fn outputs(item: TokenStream) -> TokenStream {
    inputs(item)
}

/// Makes the fields of a struct the named inputs of a workflow; see [`macro@Outputs`].
#[proc_macro_derive(Inputs, attributes(literal))]
pub fn inputs(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    row::expand(&input)
        .unwrap_or_else(|e| e.to_compile_error())
        .into()
}
