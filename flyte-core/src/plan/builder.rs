use std::collections::HashMap;

use super::{Bound, BoundTree, Graph, GraphKind, NodeRecord, NodeSettings, Target, Texts};
use crate::id::{Identifier, Str};
use crate::literal::{Literal, LiteralType, Names, SimpleType, strip_type};
use crate::template::{OnFailure, PathStep, VariableMap};

/// Puts the tables of one graph together; what is said often is kept once.
///
/// It checks nothing: [`Plan::validate`](super::Plan::validate) does. Authors have
/// [`Workflow`](crate::author::Workflow) and [`compile`](crate::compile::compile()), which use it;
/// it is for graphs that no template describes, such as those of benches.
///
/// ```
/// use flyte_core::id::{Identifier, ResourceType};
/// use flyte_core::literal::{Literal, LiteralType, SimpleType};
/// use flyte_core::plan::{Bound, GraphBuilder, GraphKind, Plan, Source, Target};
/// use flyte_core::template::{TaskTemplate, TypedInterface, Variable};
///
/// let ints = |name: &str| {
///     [(name.into(), Variable::new(LiteralType::simple(SimpleType::Integer)))].into()
/// };
/// let interface = TypedInterface { inputs: ints("x"), outputs: ints("o0") };
/// let id = Identifier::new(ResourceType::Task, "double", "1");
/// let double = TaskTemplate::new(id, "sensor", interface);
///
/// // double(double(21)): a node's number is its place, and edges say the order.
/// let id = Identifier::new(ResourceType::Workflow, "twice", "1");
/// let mut graph = GraphBuilder::new(id.clone(), GraphKind::Workflow);
/// graph.interface(&[].into(), &ints("o0"));
/// let given = graph.constant(Literal::Integer(21));
/// let node = |graph: &mut GraphBuilder, id, x| {
///     let outputs = ["o0".into()].into_iter();
///     graph.node(id, Target::Task(0), vec![("x".into(), x)], outputs, Default::default())
/// };
/// let first = node(&mut graph, "n0", given);
/// let second = node(&mut graph, "n1", Bound::Source(Source::output(first, 0)));
/// graph.edge(first, second);
/// graph.output(Bound::Source(Source::output(second, 0)));
///
/// let plan = Plan {
///     id,
///     graphs: vec![graph.build()],
///     tasks: vec![double.into()],
///     launch_plans: Vec::new(),
///     children: Vec::new(),
///     branches: Vec::new(),
///     gates: Vec::new(),
///     arrays: Vec::new(),
/// };
/// plan.validate().unwrap();
/// assert_eq!(plan.root().downstream(first), [second]);
/// ```
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    edges: Vec<(u32, u32)>,
    rows: HashMap<Vec<Str>, u32>,
    output_rows: HashMap<Vec<Str>, u32>,
    last_settings: Option<u32>,
}

impl GraphBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new(id: Identifier, kind: GraphKind) -> Self {
        let graph = Graph {
            id,
            kind,
            on_failure: OnFailure::FailImmediately,
            interruptible: false,
            input_names: Names::default(),
            input_types: Vec::new(),
            output_names: Names::default(),
            output_types: Vec::new(),
            outputs: Vec::new(),
            nodes: Vec::new(),
            ids: Texts::default(),
            bindings: Vec::new(),
            input_rows: Vec::new(),
            output_rows: Vec::new(),
            downstream_ends: Vec::new(),
            downstream_nodes: Vec::new(),
            upstream_counts: Vec::new(),
            consts: Vec::new(),
            trees: Vec::new(),
            paths: Vec::new(),
            settings: Vec::new(),
            failure_node: None,
        };
        Self {
            graph,
            edges: Vec::new(),
            rows: HashMap::new(),
            output_rows: HashMap::new(),
            last_settings: None,
        }
    }

    /// Sets what a failed node means, and whether spot machines will do.
    pub fn policy(&mut self, on_failure: OnFailure, interruptible: bool) {
        self.graph.on_failure = on_failure;
        self.graph.interruptible = interruptible;
    }

    /// Sets names and types of inputs and outputs.
    pub fn interface(&mut self, inputs: &VariableMap, outputs: &VariableMap) {
        self.graph.input_names = Names::new(inputs.keys().cloned());
        self.graph.input_types = types(inputs);
        self.graph.output_names = Names::new(outputs.keys().cloned());
        self.graph.output_types = types(outputs);
    }

    /// Adds a node and gives its number; its successors are told by [`GraphBuilder::edge`].
    pub fn node(
        &mut self,
        id: &str,
        target: Target,
        inputs: Vec<(Str, Bound)>,
        outputs: impl Iterator<Item = Str>,
        settings: NodeSettings,
    ) -> u32 {
        let g = &mut self.graph;
        let (names, bounds): (Vec<Str>, Vec<Bound>) = inputs.into_iter().unzip();
        g.bindings.extend(bounds);
        let names = intern(&mut self.rows, &mut g.input_rows, names);
        let output_names = intern(&mut self.output_rows, &mut g.output_rows, outputs.collect());
        // Neighbours mostly say the same.
        let same = self
            .last_settings
            .filter(|s| g.settings[*s as usize] == settings);
        let settings = same.unwrap_or_else(|| {
            g.settings.push(settings);
            g.settings.len() as u32 - 1
        });
        self.last_settings = Some(settings);
        g.ids.push(id);
        let bindings_end = g.bindings.len() as u32;
        g.nodes.push(NodeRecord {
            target,
            bindings_end,
            settings,
            names,
            output_names,
        });
        g.nodes.len() as u32 - 1
    }

    /// Lets `to` wait for `from`.
    pub fn edge(&mut self, from: u32, to: u32) {
        self.edges.push((from, to));
    }

    /// Makes a node the failure node.
    pub fn failure_node(&mut self, node: u32) {
        self.graph.failure_node = Some(node);
    }

    /// Adds the source of the next output.
    pub fn output(&mut self, bound: Bound) {
        self.graph.outputs.push(bound);
    }

    /// Adds a constant.
    pub fn constant(&mut self, literal: Literal) -> Bound {
        self.graph.consts.push(literal);
        Bound::Const(self.graph.consts.len() as u32 - 1)
    }

    /// Adds a list or map of bindings.
    pub fn tree(&mut self, tree: BoundTree) -> Bound {
        self.graph.trees.push(tree);
        Bound::Tree(self.graph.trees.len() as u32 - 1)
    }

    /// Adds a way into a value.
    pub fn path(&mut self, path: Vec<PathStep>) -> u32 {
        self.graph.paths.push(path);
        self.graph.paths.len() as u32 - 1
    }

    /// The graph.
    #[must_use]
    pub fn build(mut self) -> Graph {
        self.edges.sort_unstable();
        self.edges.dedup();
        let g = &mut self.graph;
        let n = g.nodes.len();
        g.upstream_counts = vec![0; n];
        g.downstream_nodes = self.edges.iter().map(|e| e.1).collect();
        let mut ends = vec![0u32; n];
        for (from, to) in &self.edges {
            ends[*from as usize] += 1;
            g.upstream_counts[*to as usize] += 1;
        }
        let mut sum = 0;
        for e in &mut ends {
            sum += *e;
            *e = sum;
        }
        g.downstream_ends = ends;
        self.graph
    }
}

fn intern(seen: &mut HashMap<Vec<Str>, u32>, rows: &mut Vec<Names>, names: Vec<Str>) -> u32 {
    if let Some(i) = seen.get(&names) {
        return *i;
    }
    let i = rows.len() as u32;
    rows.push(Names::new(names.iter().cloned()));
    seen.insert(names, i);
    i
}

fn types(vars: &VariableMap) -> Vec<LiteralType> {
    let none = || LiteralType::simple(SimpleType::None);
    vars.values()
        .map(|v| v.literal_type.as_ref().map_or_else(none, strip_type))
        .collect()
}
