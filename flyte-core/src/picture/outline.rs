//! What there is to draw: a plan as boxes in frames, without any place yet.

use super::condition::condition;
use crate::id::Identifier;
use crate::plan::{Graph, Plan, Target};
use crate::template::{BooleanExpression, GateCondition, IfBlock, Otherwise, SuccessCriteria};

/// Boxes of one picture; workflows inside of it are drawn closed beyond that.
const BOXES_MAX: usize = 5_000;

/// The content of the picture, or of a frame.
#[derive(Debug, Default)]
pub(super) struct Diagram {
    pub(super) items: Vec<Item>,
    pub(super) links: Vec<Link>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The condition, on the way to an arm of a branch.
    pub(super) label: Option<String>,
}

#[derive(Debug)]
pub(super) struct Item {
    /// The ids on the way to it, such as `n0/n1`.
    pub(super) path: String,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) look: Look,
    /// A frame has something inside.
    pub(super) inner: Option<Diagram>,
}

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Where the workflow begins.
    Start,
    /// Where it ends.
    End,
    /// Where the edges into a frame go on.
    In,
    /// Where the edges out of a frame come from.
    Out,
    /// The place where a branch decides.
    Choice,
    /// A branch that ends in an error.
    Fail,
    /// A task node.
    Task,
    /// A workflow inside this one.
    SubWorkflow,
    /// An execution of its own.
    LaunchPlan,
    /// A branch.
    Branch,
    /// A wait.
    Gate,
    /// A node for each item of a list.
    Array,
    /// What runs when the workflow has failed.
    FailureNode,
}

pub(super) fn outline(plan: &Plan) -> Diagram {
    let mut o = Outline {
        plan,
        left: BOXES_MAX.max(plan.root().len()),
    };
    o.graph(0, "", [Look::Start, Look::End])
}

struct Outline<'p> {
    plan: &'p Plan,
    left: usize,
}

impl Outline<'_> {
    fn graph(&mut self, graph: u32, path: &str, ends: [Look; 2]) -> Diagram {
        let g = &self.plan.graphs[graph as usize];
        self.left = self.left.saturating_sub(g.len());
        let mut d = Diagram::default();
        let n = g.len();
        d.items.push(Item::end(ends[0]));
        for i in 0..n as u32 {
            let mut item = self.node(graph, i, path);
            if g.failure_node == Some(i) {
                item.look = Look::FailureNode;
                item.detail = format!("{} · on failure", g.id_of(i));
            }
            d.items.push(item);
        }
        d.items.push(Item::end(ends[1]));
        for i in (0..n as u32).filter(|i| g.failure_node != Some(*i)) {
            let at = i as usize + 1;
            if g.upstream_counts[i as usize] == 0 {
                d.link(0, at);
            }
            for next in g.downstream(i) {
                d.link(at, *next as usize + 1);
            }
            if g.downstream(i).is_empty() {
                d.link(at, n + 1);
            }
        }
        d
    }

    fn node(&mut self, graph: u32, node: u32, path: &str) -> Item {
        let g = &self.plan.graphs[graph as usize];
        let id = g.id_of(node);
        let path = match path {
            "" => id.to_owned(),
            outer => format!("{outer}/{id}"),
        };
        match g.nodes[node as usize].target {
            Target::Task(t) => {
                let task = &self.plan.tasks[t as usize];
                let settings = g.settings_of(node);
                let cached = settings.cacheable.unwrap_or(task.metadata.discoverable);
                let cached = if cached { " · cached" } else { "" };
                let name = task.id.as_ref().map_or(id, short);
                let detail = format!("{id} · {}{cached}", task.task_type);
                Item::leaf(path, name, detail, Look::Task)
            }
            Target::LaunchPlan(l) => {
                let name = short(&self.plan.launch_plans[l as usize].id);
                Item::leaf(path, name, format!("{id} · launch plan"), Look::LaunchPlan)
            }
            Target::SubWorkflow(w) => {
                let inner = &self.plan.graphs[w as usize];
                let detail = format!("{id} · sub-workflow");
                let mut item = Item::leaf(path, short(&inner.id), detail, Look::SubWorkflow);
                if inner.len() <= self.left {
                    item.inner = Some(self.graph(w, &item.path, [Look::In, Look::Out]));
                }
                item
            }
            Target::Gate(w) => gate(path, id, &self.plan.gates[w as usize]),
            Target::Branch(b) => self.branch(path, g, node, b),
            Target::Array(a) => {
                let array = &self.plan.arrays[a as usize];
                let mut detail = format!("{id} · map");
                if let Some(p) = array.template.parallelism.filter(|p| *p > 0) {
                    detail.push_str(&format!(" · {p} at once"));
                }
                match array.template.success {
                    Some(SuccessCriteria::MinSuccesses(m)) => {
                        detail.push_str(&format!(" · {m} must succeed"));
                    }
                    Some(SuccessCriteria::MinSuccessRatio(r)) if r < 1.0 => {
                        detail.push_str(&format!(" · {} % must succeed", r * 100.0));
                    }
                    _ => {}
                }
                let mut inner = self.graph(array.item, &path, [Look::In, Look::Out]);
                inner.items.iter_mut().for_each(Item::unmap);
                let mut item = Item::leaf(path, "for each item", detail, Look::Array);
                item.inner = Some(inner);
                item
            }
        }
    }

    fn branch(&mut self, path: String, g: &Graph, node: u32, branch: u32) -> Item {
        let plan = &self.plan.branches[branch as usize];
        let mut d = Diagram::default();
        d.items.push(Item::end(Look::In));
        d.items.push(Item::end(Look::Choice));
        d.link(0, 1);
        let if_else = plan.template.if_else.as_ref();
        let cases: Vec<&IfBlock> = if_else
            .into_iter()
            .flat_map(|i| i.case.iter().chain(&i.other))
            .collect();
        let arms = self.plan.graphs[plan.arms as usize].len() as u32;
        for arm in 0..arms {
            let label = match cases.get(arm as usize) {
                Some(c) => condition(c.condition.as_ref().unwrap_or(&BooleanExpression::Unset)),
                None => "else".to_owned(),
            };
            let item = self.node(plan.arms, arm, &path);
            d.arm(item, label);
        }
        if let Some(Otherwise::Error(e)) = if_else.and_then(|i| i.otherwise.as_ref()) {
            let item = Item::leaf(
                format!("{path}/error"),
                &e.message,
                "fails".into(),
                Look::Fail,
            );
            d.arm(item, "else".to_owned());
        }
        let out = d.items.len();
        d.items.push(Item::end(Look::Out));
        for i in 2..out {
            if d.items[i].look != Look::Fail {
                d.link(i, out);
            }
        }
        let name = &*g.settings_of(node).name;
        let name = if name.is_empty() { "branch" } else { name };
        let detail = format!("{} · branch", g.id_of(node));
        let mut item = Item::leaf(path, name, detail, Look::Branch);
        item.inner = Some(d);
        item
    }
}

fn gate(path: String, id: &str, gate: &GateCondition) -> Item {
    let (title, what) = match gate {
        GateCondition::Approve { signal_id } => (signal_id.to_string(), "approval".to_owned()),
        GateCondition::Signal {
            signal_id,
            literal_type,
            ..
        } => {
            let of = literal_type.as_ref().map(|t| format!(": {t}"));
            (
                signal_id.to_string(),
                format!("signal{}", of.unwrap_or_default()),
            )
        }
        GateCondition::Sleep { duration } => {
            let long = duration.map(|d| format!(" {d}")).unwrap_or_default();
            (format!("sleep{long}"), "gate".to_owned())
        }
    };
    Item::leaf(path, &title, format!("{id} · {what}"), Look::Gate)
}

/// The last part of a dotted name.
fn short(id: &Identifier) -> &str {
    id.name.rsplit('.').next().unwrap_or(&id.name)
}

impl Diagram {
    fn link(&mut self, from: usize, to: usize) {
        let label = None;
        self.links.push(Link { from, to, label });
    }

    /// Something that the choice, which is the second item, may lead to.
    fn arm(&mut self, item: Item, label: String) {
        self.items.push(item);
        self.links.push(Link {
            from: 1,
            to: self.items.len() - 1,
            label: Some(label),
        });
    }
}

impl Item {
    fn leaf(path: String, title: &str, detail: String, look: Look) -> Self {
        Self {
            path,
            title: title.to_owned(),
            detail,
            look,
            inner: None,
        }
    }

    /// flytekit calls the task of a map `map_NAME_HASH-arraynode`, and its node likewise.
    fn unmap(&mut self) {
        let whole = self.title.strip_suffix("-arraynode");
        let parts = whole.and_then(|t| t.strip_prefix("map_")?.rsplit_once('_'));
        let is_hash = |h: &str| h.len() == 32 && h.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some((name, _)) = parts.filter(|(_, hash)| is_hash(hash)) {
            self.title = name.to_owned();
            if let Some((_, kind)) = self.detail.split_once(" · ") {
                self.detail = kind.to_owned();
            }
        }
    }

    fn end(look: Look) -> Self {
        let title = match look {
            Look::Start => "start",
            Look::End => "end",
            _ => "",
        };
        Self::leaf(String::new(), title, String::new(), look)
    }
}
