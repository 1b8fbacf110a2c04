use super::{Bound, BoundTree, Graph, GraphKind, Plan, Source, Target};

impl Plan {
    /// Checks that every index points at something and that no graph has a circle; what
    /// [`Plan::from_bytes`] reads may have been written by anybody.
    ///
    /// # Errors
    /// A sentence that names the first thing that is wrong.
    pub fn validate(&self) -> Result<(), String> {
        if self.graphs.is_empty() {
            return Err("the plan has no graph".into());
        }
        for (i, g) in self.graphs.iter().enumerate() {
            self.graph(g)
                .map_err(|e| format!("graph {i} (`{}`): {e}", g.id.name))?;
        }
        let graph = |i: &u32| (*i as usize) < self.graphs.len();
        let arms = self.branches.iter().all(|b| graph(&b.arms));
        if self.children.len() != self.launch_plans.len() {
            return Err("launch plans and child plans have different lengths".into());
        }
        let items = self.arrays.iter().all(|a| graph(&a.item));
        if !arms || !items {
            return Err("an arm or item is not there".into());
        }
        for retry in self.retries() {
            retry.2.check()?;
        }
        self.nesting()
    }

    /// No graph contains itself, not even inside of others: frames would be opened for ever.
    fn nesting(&self) -> Result<(), String> {
        let inner = |g: &Graph| -> Vec<u32> {
            let graph = |n: &super::NodeRecord| match n.target {
                Target::SubWorkflow(g) => Some(g),
                Target::Branch(b) => Some(self.branches[b as usize].arms),
                Target::Array(a) => Some(self.arrays[a as usize].item),
                Target::Task(_) | Target::LaunchPlan(_) | Target::Gate(_) => None,
            };
            g.nodes.iter().filter_map(graph).collect()
        };
        // Those on the way are open; a stack of our own, since whoever wrote this may nest deeply.
        let (mut open, mut done) = (
            vec![false; self.graphs.len()],
            vec![false; self.graphs.len()],
        );
        for first in 0..self.graphs.len() {
            let mut way = vec![(first, Vec::new(), false)];
            while let Some((at, inside, begun)) = way.last_mut() {
                let at = *at;
                if !*begun {
                    if done[at] {
                        way.pop();
                        continue;
                    }
                    if std::mem::replace(&mut open[at], true) {
                        let name = &self.graphs[at].id.name;
                        return Err(format!("graph {at} (`{name}`) contains itself"));
                    }
                    (*inside, *begun) = (inner(&self.graphs[at]), true);
                }
                match inside.pop() {
                    Some(next) => way.push((next as usize, Vec::new(), false)),
                    None => {
                        (open[at], done[at]) = (false, true);
                        way.pop();
                    }
                }
            }
        }
        Ok(())
    }

    fn graph(&self, g: &Graph) -> Result<(), String> {
        let n = g.nodes.len();
        let fits = g.ids.len() == n
            && g.downstream_ends.len() == n
            && g.upstream_counts.len() == n
            && g.input_types.len() == g.input_names.len()
            && g.output_types.len() == g.output_names.len()
            && g.outputs.len() == g.output_names.len()
            && g.failure_node.is_none_or(|f| (f as usize) < n);
        if !fits {
            return Err("the tables have different lengths".into());
        }
        if !g.ids.is_whole() {
            return Err("the ids of nodes are cut wrongly".into());
        }
        let mut start = 0;
        for (i, node) in g.nodes.iter().enumerate() {
            let (table, at) = match node.target {
                Target::Task(t) => (self.tasks.len(), t),
                Target::SubWorkflow(t) => (self.graphs.len(), t),
                Target::LaunchPlan(t) => (self.launch_plans.len(), t),
                Target::Branch(t) => (self.branches.len(), t),
                Target::Gate(t) => (self.gates.len(), t),
                Target::Array(t) => (self.arrays.len(), t),
            };
            let names = g
                .input_rows
                .get(node.names as usize)
                .map_or(usize::MAX, |r| r.len());
            let count = node.bindings_end.checked_sub(start).map(|c| c as usize);
            let fits = (at as usize) < table
                && count == Some(names)
                && node.bindings_end as usize <= g.bindings.len()
                && (node.settings as usize) < g.settings.len()
                && (node.output_names as usize) < g.output_rows.len();
            if !fits {
                return Err(format!("node {i} points at something that is not there"));
            }
            start = node.bindings_end;
        }
        g.bindings
            .iter()
            .chain(&g.outputs)
            .try_for_each(|b| bound(g, b, u32::MAX))?;
        for (i, tree) in g.trees.iter().enumerate() {
            let each = |b: &Bound| bound(g, b, i as u32);
            match tree {
                BoundTree::Collection(items) => items.iter().try_for_each(each)?,
                BoundTree::Map(m) => m.iter().try_for_each(|(_, b)| each(b))?,
                BoundTree::Nothing => {}
            }
        }
        edges(g)
    }
}

/// A tree points at earlier trees only, so that none contains itself.
fn bound(g: &Graph, b: &Bound, before: u32) -> Result<(), String> {
    let fits = match *b {
        Bound::Const(i) => (i as usize) < g.consts.len(),
        Bound::Tree(i) => i < before && (i as usize) < g.trees.len(),
        Bound::Source(s) => {
            let path = s.path == Source::WHOLE || (s.path as usize) < g.paths.len();
            let var = usize::from(s.var);
            let place = if s.up > 0 {
                // The enclosing graph is not known here; arms are made by the compiler only.
                g.kind != GraphKind::Workflow
            } else if s.node == Source::INPUTS {
                var < g.input_names.len()
            } else {
                let node = g.nodes.get(s.node as usize);
                node.and_then(|n| g.output_rows.get(n.output_names as usize))
                    .is_some_and(|r| var < r.len())
            };
            path && place
        }
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{b:?} points at something that is not there"))
    }
}

fn edges(g: &Graph) -> Result<(), String> {
    let n = g.nodes.len();
    let sorted = g.downstream_ends.is_sorted()
        && g.downstream_ends
            .last()
            .is_none_or(|e| *e as usize == g.downstream_nodes.len())
        && (n > 0 || g.downstream_nodes.is_empty());
    if !sorted || g.downstream_nodes.iter().any(|d| *d as usize >= n) {
        return Err("the edges are out of order".into());
    }
    let mut missing = vec![0u32; n];
    for i in 0..n as u32 {
        let next = g.downstream(i);
        if !next.is_sorted_by(|a, b| a < b) {
            return Err(format!("the successors of node {i} are out of order"));
        }
        next.iter().for_each(|d| missing[*d as usize] += 1);
    }
    if missing != g.upstream_counts {
        return Err("the counts of predecessors do not fit the edges".into());
    }
    let mut ready: Vec<u32> = (0..n as u32)
        .filter(|i| missing[*i as usize] == 0)
        .collect();
    let mut done = 0;
    while let Some(i) = ready.pop() {
        done += 1;
        for d in g.downstream(i) {
            missing[*d as usize] -= 1;
            if missing[*d as usize] == 0 {
                ready.push(*d);
            }
        }
    }
    if done == n {
        Ok(())
    } else {
        Err("nodes wait for each other".into())
    }
}
