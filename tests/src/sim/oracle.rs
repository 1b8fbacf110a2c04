use super::spec::{
    Arm, Behaviour, Flow, Kind, NodeSpec, Place, Spec, Src, approval, signal, value,
};

/// Evaluates workflows by recursion, without order, time or attempts.
#[derive(Debug)]
pub(super) struct Oracle<'s> {
    spec: &'s Spec,
    /// Whether a deadline may decide.
    pub(super) timed: bool,
    /// Whether an array lets items fail, so that failures show in outputs.
    pub(super) lenient: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Int(i64),
    List(Vec<Option<i64>>),
    Nothing,
}

/// A node failed: then the workflow does.
#[derive(Debug)]
struct Fails;

impl<'s> Oracle<'s> {
    /// For the workflows of a seed.
    #[must_use]
    pub(super) fn new(spec: &'s Spec) -> Self {
        Self {
            spec,
            timed: false,
            lenient: false,
        }
    }

    /// What workflow `flow` gives for `x`; `None` if it fails.
    pub(super) fn flow(&mut self, flow: usize, x: i64) -> Option<i64> {
        self.run(&self.spec.flows[flow], x).ok()
    }

    fn run(&mut self, flow: &Flow, x: i64) -> Result<i64, Fails> {
        let mut values: Vec<Option<Value>> = Vec::new();
        let mut failed = false;
        for node in &flow.nodes {
            let needs = node.args.iter().chain(items(node)).filter_map(|s| match s {
                Src::Node(n) => Some(*n),
                _ => None,
            });
            let of = match node.kind {
                Kind::Sum { of, .. } => Some(of),
                _ => None,
            };
            let mut needs = needs.chain(of).chain(node.after.iter().copied());
            // What comes after a failed node never begins.
            let runs = needs.all(|n| values[n].is_some());
            let result = match runs {
                true => self.node(node, &values, x),
                false => Err(Fails),
            };
            failed |= result.is_err();
            values.push(result.ok());
        }
        match failed {
            true => Err(Fails),
            false => Ok(int(flow.output, &values, x)),
        }
    }

    fn node(&mut self, node: &NodeSpec, values: &[Option<Value>], x: i64) -> Result<Value, Fails> {
        let args: Vec<i64> = node.args.iter().map(|s| int(*s, values, x)).collect();
        self.timed |= node.timeout.is_some();
        Ok(match &node.kind {
            Kind::Task(t) => Value::Int(self.task(*t, &args, node.retries)?),
            Kind::Sub(f) | Kind::Child(f) => Value::Int(self.run(&self.spec.flows[*f], args[0])?),
            Kind::Branch {
                below,
                then,
                otherwise,
            } => {
                let arm = if args[0] < *below {
                    Some(*then)
                } else {
                    *otherwise
                };
                Value::Int(self.arm(arm.ok_or(Fails)?, args[0], node.retries)?)
            }
            Kind::Sleep(_) => Value::Nothing,
            Kind::Signal(name) => Value::Int(signal(name)),
            Kind::Approve(name) => match approval(name) {
                true => Value::Int(args[0]),
                false => return Err(Fails),
            },
            Kind::Array {
                inner, items, min, ..
            } => {
                let mut out = Vec::new();
                for item in items {
                    out.push(self.arm(*inner, int(*item, values, x), node.retries).ok());
                }
                let good = out.iter().flatten().count();
                self.lenient |= min.is_some();
                if good < min.map_or(items.len(), |m| m as usize) {
                    return Err(Fails);
                }
                Value::List(out)
            }
            Kind::Sum { task, of } => {
                let Some(Value::List(list)) = &values[*of] else {
                    unreachable!("a sum is over an array")
                };
                match self.spec.tasks[*task].fails(None, node.retries) {
                    Some(_) => return Err(Fails),
                    None => Value::Int(value(*task, list)),
                }
            }
        })
    }

    fn arm(&mut self, arm: Arm, x: i64, retries: u32) -> Result<i64, Fails> {
        match arm {
            Arm::Task(t) => self.task(t, &[x], retries),
            Arm::Sub(f) => self.run(&self.spec.flows[f], x),
        }
    }

    fn task(&mut self, task: usize, args: &[i64], retries: u32) -> Result<i64, Fails> {
        let spec = &self.spec.tasks[task];
        if spec.behaviour == Behaviour::Hangs || spec.fails(Some(args[0]), retries).is_some() {
            return Err(Fails);
        }
        match spec.place {
            Place::Dynamic(flow) => self.run(&self.spec.flows[flow], args[0]),
            _ => {
                let args: Vec<_> = args.iter().map(|a| Some(*a)).collect();
                Ok(value(task, &args))
            }
        }
    }
}

fn items(node: &NodeSpec) -> &[Src] {
    match &node.kind {
        Kind::Array { items, .. } => items,
        _ => &[],
    }
}

fn int(src: Src, values: &[Option<Value>], x: i64) -> i64 {
    match src {
        Src::Input => x,
        Src::Const(c) => c,
        Src::Node(n) => match values[n] {
            Some(Value::Int(i)) => i,
            ref other => unreachable!("{n} is bound as a number and gives {other:?}"),
        },
    }
}
