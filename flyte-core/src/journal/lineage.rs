use std::collections::HashMap;
use std::sync::Arc;

use super::open_frame::OpenFrame;
use super::{Change, JournalFrame};
use crate::contract::{JournalPosition, Query, Store};
use crate::id::{AttemptKey, ExecutionId, FrameIx, NodeAddr, Str};
use crate::journal::IndexRow;
use crate::plan::{Bound, BoundTree, Graph, Plan, Source, Target};
use crate::template::PathStep;
use crate::{Error, ErrorKind, Result};

/// Where the values of one execution came from.
///
/// Bindings are fixed by the plan and attempts by the journal; both together name the producer of
/// every output and of every bound input, through attribute paths, lists and maps, sub-workflows
/// and cache hits (a hit keeps the attempt that made it, mostly of another execution).
#[derive(Debug)]
pub struct Lineage {
    execution: ExecutionId,
    frames: Vec<OpenFrame>,
    /// The frame that a node opened.
    opened: HashMap<NodeAddr, FrameIx>,
    made: HashMap<NodeAddr, AttemptKey>,
}

/// Where a value, or a part of it, came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An attempt made it.
    Attempt {
        /// The attempt, perhaps of another execution.
        key: AttemptKey,
        /// Its output.
        output: Str,
        /// The way into the output that was taken.
        path: Vec<PathStep>,
    },
    /// It was given to the execution.
    Input {
        /// The input.
        name: Str,
        /// The way into the input that was taken.
        path: Vec<PathStep>,
    },
    /// It stands in the plan.
    Constant,
}

impl Lineage {
    /// Reads what a store knows of an execution, over or not: its plan, and its events from the
    /// first on. It takes no lease and changes nothing; it may be dropped and called again.
    ///
    /// ```no_run
    /// # async fn f(store: &dyn flyte_core::contract::Store) -> flyte_core::Result<()> {
    /// use flyte_core::id::{ExecutionId, Tenant};
    /// use flyte_core::journal::{Lineage, Origin};
    ///
    /// let id = ExecutionId::new(Tenant::default(), "order-7");
    /// let lineage = Lineage::read(store, &id).await?; // with a scheduler: `&**scheduler.store()`
    /// for origin in lineage.output("o0")? {
    ///     match origin {
    ///         // Of another execution where the cache had it.
    ///         Origin::Attempt { key, output, .. } => println!("`{output}` of {key}"),
    ///         Origin::Input { name, .. } => println!("the input `{name}`"),
    ///         Origin::Constant => println!("written in the workflow"),
    ///     }
    /// }
    /// println!("{:?}", lineage.input("ship/n0", "address")?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `NotFound` if there is no such execution; `Corrupt` and whatever else the store says.
    pub async fn read(store: &dyn Store, execution: &ExecutionId) -> Result<Self> {
        const CHUNK: usize = 64;
        let query = Query::Execution {
            execution: execution.clone(),
        };
        let page = store.query(&query).await?;
        let Some(IndexRow::Execution(row)) = page.items.into_iter().next() else {
            let text = format!("no execution {execution}");
            return Err(Error::new(ErrorKind::NotFound, "Lineage::read", text));
        };
        let bytes = store.get_plan(row.plan).await?;
        let mut lineage = Self {
            execution: execution.clone(),
            frames: Vec::new(),
            opened: HashMap::new(),
            made: HashMap::new(),
        };
        lineage.open(Arc::new(Plan::read(row.plan, &bytes)?), 0, None, None);
        let mut next = JournalPosition {
            shard: row.shard,
            sequence: row.first_sequence,
        };
        loop {
            let frames = store.frames(next, CHUNK).await?;
            if frames.is_empty() {
                return Ok(lineage);
            }
            for stored in frames {
                next.sequence = stored.position.sequence + 1;
                let frame = JournalFrame::decode(&stored.bytes)?;
                if lineage.fold(store, row.number, &frame).await? {
                    return Ok(lineage);
                }
            }
        }
    }

    /// Takes a frame; whether the execution ended in it.
    async fn fold(&mut self, store: &dyn Store, number: u64, frame: &JournalFrame) -> Result<bool> {
        for record in frame.records.iter().filter(|r| r.execution == number) {
            match &record.change {
                Change::FrameOpened {
                    parent,
                    graph,
                    plan,
                    items,
                    ..
                } => {
                    let plan = match plan {
                        Some(d) => Arc::new(Plan::read(*d, &store.get_plan(*d).await?)?),
                        None => self.frames[parent.frame.0 as usize].plan.clone(),
                    };
                    self.open(plan, *graph, Some(*parent), *items);
                }
                Change::Succeeded {
                    addr,
                    attempt,
                    producer,
                    ..
                } => {
                    let own = || AttemptKey {
                        execution: self.execution.clone(),
                        addr: *addr,
                        attempt: *attempt,
                    };
                    let key = producer.as_ref().map_or_else(own, |p| p.key.clone());
                    self.made.insert(*addr, key);
                }
                Change::Computed { addr, attempt, .. } => {
                    let key = AttemptKey {
                        execution: self.execution.clone(),
                        addr: *addr,
                        attempt: *attempt,
                    };
                    self.made.insert(*addr, key);
                }
                Change::Ended { .. } => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }

    fn open(&mut self, plan: Arc<Plan>, graph: u32, parent: Option<NodeAddr>, items: Option<u32>) {
        if let Some(parent) = parent {
            let ix = FrameIx(self.frames.len() as u32);
            self.opened.insert(parent, ix);
        }
        self.frames.push(OpenFrame {
            plan,
            graph,
            parent,
            items,
        });
    }

    /// The origins of an output of the execution.
    ///
    /// # Errors
    /// `NotFound` if it has no such output, or the output was not made (yet).
    pub fn output(&self, name: &str) -> Result<Vec<Origin>> {
        let graph = self.graph(FrameIx(0));
        let place = graph.output_names.iter().position(|n| **n == *name);
        let place = place.ok_or_else(|| missing(format!("no output `{name}`")))?;
        self.origins(FrameIx(0), &graph.outputs[place])
    }

    /// The origins of an input of a node, such as `n0/n1`, or of an item, such as `n0[7]`.
    ///
    /// # Errors
    /// `NotFound` if there is no such node or input, or a producer has not made its output yet.
    pub fn input(&self, node: &str, name: &str) -> Result<Vec<Origin>> {
        let mut addr = self.find(node)?;
        let mut rest = Vec::new();
        let frame = &self.frames[addr.frame.0 as usize];
        if let (Some(_), Some(array)) = (frame.items, frame.parent) {
            // An item takes its part of what the array node got.
            rest.push(PathStep::Index(addr.node.0 as i32));
            addr = array;
        }
        let graph = self.graph(addr.frame);
        let names = graph.input_names_of(addr.node.0);
        let place = names.iter().position(|n| **n == *name);
        let place =
            place.ok_or_else(|| missing(format!("node `{node}` binds no input `{name}`")))?;
        if !self.splits(addr, place) {
            rest.clear();
        }
        let mut out = Vec::new();
        self.trace(
            addr.frame,
            &graph.bindings(addr.node.0)[place],
            &rest,
            &mut out,
        )?;
        Ok(out)
    }

    /// Whether an array node gives each item its part of an input.
    fn splits(&self, addr: NodeAddr, input: usize) -> bool {
        let frame = &self.frames[addr.frame.0 as usize];
        match frame.record(addr.node.0).target {
            Target::Array(a) => frame.plan.arrays[a as usize]
                .split
                .contains(&(input as u32)),
            _ => false,
        }
    }

    fn find(&self, path: &str) -> Result<NodeAddr> {
        let mut frame = FrameIx(0);
        let mut found = None;
        for part in path.split('/').flat_map(|p| p.split_inclusive('[')) {
            // `n0[7]` comes as `n0[` and `7]`.
            let id = part.trim_end_matches('[');
            if let Some(addr) = found {
                let opened = self.opened.get(&addr);
                frame = *opened.ok_or_else(|| missing(format!("nothing runs inside `{path}`")))?;
            }
            let open = &self.frames[frame.0 as usize];
            let node = match (open.items, id.strip_suffix(']')) {
                (Some(n), Some(item)) => item.parse().ok().filter(|i: &u32| *i < n),
                (None, None) => (0..open.len()).find(|n| open.id(*n) == id),
                _ => None,
            };
            let node = node.ok_or_else(|| missing(format!("no node `{path}`")))?;
            found = Some(NodeAddr::new(frame.0, node));
        }
        found.ok_or_else(|| missing("no node is named".into()))
    }

    fn graph(&self, ix: FrameIx) -> &Graph {
        self.frames[ix.0 as usize].graph()
    }

    fn origins(&self, ix: FrameIx, bound: &Bound) -> Result<Vec<Origin>> {
        let mut out = Vec::new();
        self.trace(ix, bound, &[], &mut out)?;
        Ok(out)
    }

    /// Follows a binding; `rest` is the way that is taken into its value afterwards.
    fn trace(
        &self,
        ix: FrameIx,
        bound: &Bound,
        rest: &[PathStep],
        out: &mut Vec<Origin>,
    ) -> Result<()> {
        match *bound {
            Bound::Const(_) => push(out, Origin::Constant),
            Bound::Source(source) => self.source(ix, source, rest, out)?,
            Bound::Tree(t) => self.tree(ix, &self.graph(ix).trees[t as usize], rest, out)?,
        }
        Ok(())
    }

    /// Only the part that the way leads to counts.
    fn tree(
        &self,
        ix: FrameIx,
        tree: &BoundTree,
        rest: &[PathStep],
        out: &mut Vec<Origin>,
    ) -> Result<()> {
        let parts: Vec<&Bound> = match (tree, rest.first()) {
            (BoundTree::Collection(items), Some(PathStep::Index(i))) => {
                let item = usize::try_from(*i).ok().and_then(|i| items.get(i));
                item.into_iter().collect()
            }
            (BoundTree::Map(entries), Some(PathStep::Key(k))) => {
                let entry = entries.iter().find(|(name, _)| name == k);
                entry.map(|(_, b)| b).into_iter().collect()
            }
            (BoundTree::Collection(items), _) => items.iter().collect(),
            (BoundTree::Map(entries), _) => entries.iter().map(|(_, b)| b).collect(),
            (BoundTree::Nothing, _) => Vec::new(),
        };
        let rest = rest.get(1..).unwrap_or_default();
        parts
            .into_iter()
            .try_for_each(|part| self.trace(ix, part, rest, out))
    }

    fn source(
        &self,
        ix: FrameIx,
        source: Source,
        rest: &[PathStep],
        out: &mut Vec<Origin>,
    ) -> Result<()> {
        let mut path = match source.path {
            Source::WHOLE => Vec::new(),
            p => self.graph(ix).paths[p as usize].clone(),
        };
        path.extend_from_slice(rest);
        let mut at = ix;
        for _ in 0..source.up {
            let parent = self.frames[at.0 as usize].parent;
            at = parent
                .expect("invariant: an arm has an enclosing frame")
                .frame;
        }
        if source.node == Source::INPUTS {
            return self.frame_input(at, source.var as usize, path, out);
        }
        self.output_of(
            NodeAddr::new(at.0, source.node),
            source.var as usize,
            path,
            out,
        )
    }

    /// Follows an output of a node to who made it, perhaps inside the node's own frame.
    fn output_of(
        &self,
        addr: NodeAddr,
        var: usize,
        path: Vec<PathStep>,
        out: &mut Vec<Origin>,
    ) -> Result<()> {
        let frame = &self.frames[addr.frame.0 as usize];
        let name = frame.output_names(addr.node.0).iter().nth(var);
        let name = name.cloned().unwrap_or_else(|| "".into());
        let key = self.made.get(&addr).ok_or_else(|| self.not_made(addr))?;
        let inner = self.opened.get(&addr).copied();
        match (frame.record(addr.node.0).target, inner) {
            (Target::SubWorkflow(_) | Target::Task(_), Some(inner)) => {
                let bound = &self.graph(inner).outputs[var];
                return self.trace(inner, bound, &path, out);
            }
            (Target::Branch(_), Some(inner)) => {
                // The arm that ran; the others made nothing.
                let arms = &self.frames[inner.0 as usize];
                let ran = |n: &u32| self.made.contains_key(&NodeAddr::new(inner.0, *n));
                let arm = (0..arms.len())
                    .find(ran)
                    .ok_or_else(|| self.not_made(addr))?;
                let place = arms.output_names(arm).iter().position(|n| *n == name);
                let place = place.ok_or_else(|| self.not_made(addr))?;
                return self.output_of(NodeAddr::new(inner.0, arm), place, path, out);
            }
            (Target::Array(_), Some(inner)) => {
                let all = 0..self.frames[inner.0 as usize].len();
                let (items, rest) = match path.split_first() {
                    Some((PathStep::Index(i), rest)) => {
                        let i = u32::try_from(*i).unwrap_or(u32::MAX);
                        (i..i.saturating_add(1).min(all.end), rest.to_vec())
                    }
                    _ => (all, Vec::new()),
                };
                for item in items.map(|i| NodeAddr::new(inner.0, i)) {
                    // An item that failed made nothing.
                    if self.made.contains_key(&item) {
                        self.output_of(item, var, rest.clone(), out)?;
                    }
                }
                return Ok(());
            }
            (Target::Gate(_), _) => {
                // An approval passes its inputs on; a signal's value is the gate's own.
                let graph = frame.graph();
                let node = frame.place(addr.node.0);
                let names = graph.input_names_of(node);
                if let Some(i) = names.iter().position(|n| *n == name) {
                    return self.trace(addr.frame, &graph.bindings(node)[i], &path, out);
                }
            }
            _ => {}
        }
        let origin = Origin::Attempt {
            key: key.clone(),
            output: name,
            path,
        };
        push(out, origin);
        Ok(())
    }

    /// What a frame got from the node that opened it, or the execution from its caller.
    fn frame_input(
        &self,
        ix: FrameIx,
        var: usize,
        path: Vec<PathStep>,
        out: &mut Vec<Origin>,
    ) -> Result<()> {
        let name = self.graph(ix).input_names.iter().nth(var).cloned();
        let name = name.unwrap_or_else(|| "".into());
        let Some(parent) = self.frames[ix.0 as usize].parent else {
            push(out, Origin::Input { name, path });
            return Ok(());
        };
        let outer = self.graph(parent.frame);
        let names = outer.input_names_of(parent.node.0);
        match names.iter().position(|n| *n == name) {
            Some(i) => self.trace(parent.frame, &outer.bindings(parent.node.0)[i], &path, out),
            // An optional input that nobody bound.
            None => {
                push(out, Origin::Constant);
                Ok(())
            }
        }
    }

    fn not_made(&self, addr: NodeAddr) -> Error {
        let id = self.frames[addr.frame.0 as usize].id(addr.node.0);
        missing(format!("node `{id}` has made nothing yet"))
    }
}

fn push(out: &mut Vec<Origin>, origin: Origin) {
    if !out.contains(&origin) {
        out.push(origin);
    }
}

fn missing(text: String) -> Error {
    Error::new(ErrorKind::NotFound, "Lineage", text)
}
