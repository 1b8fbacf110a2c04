use std::collections::BTreeMap;
use std::sync::Arc;

use flyte_core::id::FrameIx;
use flyte_core::literal::{Literal, Resolved, Row, resolve_path};
use flyte_core::plan::{Bound, BoundTree, Graph, Source, Target};
use flyte_core::template::PathStep;
use smallvec::SmallVec;

use super::state::{Execution, Frame};
use super::values::Unseen;

/// Why a binding has no value (Flyte's `BindingResolutionFailure`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The producer left the output out.
    #[error("OutputsNotFoundError: node `{node}` gave no value for its output `{var}`")]
    Missing {
        /// The producer.
        node: String,
        /// The output.
        var: String,
    },
    /// The way into the value leads nowhere.
    #[error("PromiseAttributeResolveError: {0}")]
    Path(String),
    /// The binding holds nothing.
    #[error("the binding has no value")]
    Nothing,
    /// The way goes on inside a value that is out of band and was not read.
    #[error("the value is stored out of band at `{}` and was not read", .0.uri)]
    Unseen(Box<Unseen>),
}

/// The value of a binding of `frame`.
///
/// # Errors
/// [`ResolveError`] if there is none.
pub fn resolve(ex: &Execution, ix: FrameIx, bound: &Bound) -> Result<Literal, ResolveError> {
    let frame = ex.frame(ix);
    let graph = frame.graph();
    match *bound {
        Bound::Const(i) => Ok(graph.consts[i as usize].clone()),
        Bound::Source(source) => resolve_source(ex, frame, graph, source),
        Bound::Tree(i) => match &graph.trees[i as usize] {
            BoundTree::Collection(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|b| resolve(ex, ix, b)).collect();
                Ok(Literal::Collection(Arc::new(items?)))
            }
            BoundTree::Map(entries) => {
                let entries: Result<BTreeMap<_, _>, _> = entries
                    .iter()
                    .map(|(k, b)| Ok((k.clone(), resolve(ex, ix, b)?)))
                    .collect();
                Ok(Literal::Map(Arc::new(entries?)))
            }
            BoundTree::Nothing => Err(ResolveError::Nothing),
        },
    }
}

fn resolve_source(
    ex: &Execution,
    frame: &Frame,
    graph: &Graph,
    source: Source,
) -> Result<Literal, ResolveError> {
    let mut at = frame;
    for _ in 0..source.up {
        let parent = at.parent.expect("invariant: an arm has an enclosing frame");
        at = ex.frame(parent.frame);
    }
    let value = if source.node == Source::INPUTS {
        at.inputs.get(source.var as usize)
    } else {
        at.outputs_of(source.node).get(source.var as usize)
    };
    let Some(Some(value)) = value else {
        let g = at.graph();
        let (node, names) = match source.node {
            Source::INPUTS => ("start-node", &g.input_names),
            n => (g.id_of(n), g.output_names_of(n)),
        };
        let var = names.iter().nth(source.var as usize).map_or("?", |n| n);
        return Err(ResolveError::Missing {
            node: node.into(),
            var: var.into(),
        });
    };
    if source.path == Source::WHOLE {
        return Ok(value.clone());
    }
    walk(frame, value, &graph.paths[source.path as usize])
}

/// Goes a way into a value; what is out of band was read for `frame`, or is to be.
fn walk(frame: &Frame, value: &Literal, path: &[PathStep]) -> Result<Literal, ResolveError> {
    match resolve_path(value, path) {
        Ok(Resolved::Value(v)) => Ok(v),
        Ok(Resolved::NeedsFetch { offloaded, taken }) => {
            let rest = Some(path[taken..].to_vec());
            frame.read(&offloaded, rest).map_err(ResolveError::Unseen)
        }
        Err(e) => Err(ResolveError::Path(e.to_string())),
    }
}

/// The inputs of a node, or which of them has no value.
pub(super) fn inputs_of(
    ex: &Execution,
    addr: flyte_core::id::NodeAddr,
) -> Result<Row, (String, ResolveError)> {
    let frame = ex.frame(addr.frame);
    if frame.items.is_some() {
        return Ok(item_inputs(ex, frame, addr.node.0));
    }
    let graph = frame.graph();
    let names = graph.input_names_of(addr.node.0);
    let mut values: SmallVec<[Literal; 2]> = SmallVec::with_capacity(names.len());
    for (i, bound) in graph.bindings(addr.node.0).iter().enumerate() {
        values.push(resolve(ex, addr.frame, bound).map_err(|e| {
            let name = names.iter().nth(i).map_or("?", |n| n);
            (name.to_owned(), e)
        })?);
    }
    let row = Row::with_values(names.clone(), values);
    let row = row.expect("invariant: one binding for each name");
    if graph.failure_node == Some(addr.node.0) {
        return Ok(ex.with_error(addr, row));
    }
    Ok(row)
}

/// What an item of an array gets: its part of each list that is split, everything else whole.
fn item_inputs(ex: &Execution, frame: &Frame, item: u32) -> Row {
    let parent = frame.parent.expect("invariant: items have a node");
    let outer = ex.frame(parent.frame);
    let names = outer.graph().input_names_of(outer.place(parent.node.0));
    let split: &[u32] = match outer.target(parent.node.0) {
        Target::Array(a) => &outer.loaded.plan.arrays[a as usize].split,
        _ => &[],
    };
    let values = frame.inputs.iter().enumerate().map(|(i, value)| {
        let value = value
            .as_ref()
            .expect("invariant: an array's inputs are all there");
        if !split.contains(&(i as u32)) {
            return value.clone();
        }
        // A list that is out of band was read before the items began.
        match outer.seen(value).unwrap_or(value).value() {
            Literal::Collection(items) => items[item as usize].clone(),
            _ => value.clone(),
        }
    });
    Row::new(names.clone(), values).expect("invariant: one value for each name")
}
