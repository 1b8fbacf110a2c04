use super::draw::Draw;
use super::spec::{
    Arm, Behaviour, Flow, Kind, NodeSpec, Place, Spec, Src, TaskSpec, VALUES, approval,
};

/// Writes the workflows of a seed.
#[derive(Debug)]
pub(super) struct Author {
    draw: Draw,
    spec: Spec,
    /// Kinds that this seed likes.
    palette: Vec<u64>,
    names: u64,
}

/// What a flow may refer to, and how it may fail.
#[derive(Clone, Debug, Default)]
struct Shelf {
    good: Vec<usize>,
    bad: Vec<usize>,
}

const KINDS: u64 = 10;

impl Author {
    /// The workflows of this seed.
    #[must_use]
    pub(super) fn write(seed: u64) -> Spec {
        let mut draw = Draw::new(seed, 1);
        let palette = (0..5).map(|_| draw.below(KINDS)).collect();
        let mut author = Self {
            draw,
            spec: Spec::default(),
            palette,
            names: 0,
        };
        author.tasks();
        let mut shelf = Shelf::default();
        for depth in 0..3 {
            for bad in [false, false, true] {
                let size = author.draw.range(1, 5);
                let flow = author.flow(size, &shelf, bad, depth);
                let place = author.spec.flows.len();
                author.spec.flows.push(flow);
                if bad { &mut shelf.bad } else { &mut shelf.good }.push(place);
            }
            if author.draw.chance(500) {
                author.dynamic(&shelf);
            }
        }
        for _ in 0..author.draw.range(1, 2) {
            let size = match author.draw.below(100) {
                0..50 => author.draw.range(1, 15),
                50..80 => author.draw.range(16, 60),
                80..86 => author.draw.range(61, 100),
                _ => author.draw.range(101, 200),
            };
            let bad = author.draw.chance(300);
            let flow = author.flow(size, &shelf, bad, 3);
            author.spec.roots.push(author.spec.flows.len());
            author.spec.flows.push(flow);
        }
        author.spec
    }

    fn tasks(&mut self) {
        for i in 0..14 {
            let behaviour = match i {
                10 => Behaviour::Bad,
                11 => Behaviour::BadOn(self.draw.below(VALUES as u64) as i64),
                12 => Behaviour::Hangs,
                1.. if self.draw.chance(300) => Behaviour::Flaky(self.draw.range(1, 2) as u32),
                _ => Behaviour::Good,
            };
            let arity = match i {
                0 | 11 => 1,
                8 | 9 => 0,
                _ => self.draw.range(1, 2) as usize,
            };
            let place = match self.draw.below(10) {
                0..5 => Place::Here,
                5..8 => Place::Inline,
                _ => Place::Files,
            };
            let cached = behaviour != Behaviour::Hangs && self.draw.chance(350);
            let serial = cached && self.draw.chance(600);
            let takes = *self.draw.pick(&[0, 5, 200, 3_000, 60_000]);
            let gaps = i == 9;
            self.spec.tasks.push(TaskSpec {
                place,
                arity,
                gaps,
                behaviour,
                cached,
                serial,
                takes,
            });
        }
    }

    /// A task that answers with a workflow.
    fn dynamic(&mut self, shelf: &Shelf) {
        let flow = *self.draw.pick(&shelf.good);
        let behaviour = match self.draw.chance(200) {
            true => Behaviour::Flaky(1),
            false => Behaviour::Good,
        };
        let cached = self.draw.chance(300);
        self.spec.tasks.push(TaskSpec {
            place: Place::Dynamic(flow),
            arity: 1,
            gaps: false,
            behaviour,
            cached,
            serial: cached && self.draw.chance(500),
            takes: 100,
        });
    }

    fn flow(&mut self, size: u64, shelf: &Shelf, bad: bool, depth: u64) -> Flow {
        let mut nodes: Vec<NodeSpec> = Vec::new();
        // Where it goes wrong, if it does.
        let wrong = bad.then(|| self.draw.below(size));
        let shape = self.draw.below(3);
        while (nodes.len() as u64) < size {
            let n = nodes.len();
            let wrong = wrong == Some(n as u64);
            self.node(&mut nodes, shelf, wrong, depth, shape);
        }
        let output = self.number(&nodes, 2);
        let failure = self.draw.chance(if bad { 800 } else { 250 });
        let failure = failure.then(|| self.task(false, |t| t.arity == 1));
        Flow {
            nodes,
            output,
            complete: self.draw.chance(400),
            failure,
        }
    }

    /// A number that is there: of one of the last nodes in a chain, of any in a random graph, of
    /// an early one in a fan-out.
    fn number(&mut self, nodes: &[NodeSpec], shape: u64) -> Src {
        let gives = |n: &usize| !matches!(nodes[*n].kind, Kind::Sleep(_) | Kind::Array { .. });
        let all: Vec<usize> = (0..nodes.len()).filter(gives).collect();
        if all.is_empty() || self.draw.chance(80) {
            return match self.draw.chance(600) {
                true => Src::Input,
                false => Src::Const(self.draw.below(VALUES as u64) as i64),
            };
        }
        let reach = match shape {
            0 => &all[all.len().saturating_sub(2)..],
            1 => &all[..all.len().min(3)],
            _ => &all,
        };
        Src::Node(*self.draw.pick(reach))
    }

    fn task(&mut self, hangs: bool, fits: impl Fn(&TaskSpec) -> bool) -> usize {
        let good = |t: &TaskSpec| match t.behaviour {
            Behaviour::Good | Behaviour::Flaky(_) => !hangs,
            Behaviour::Hangs => hangs,
            _ => false,
        };
        self.task_of(|t| good(t) && fits(t)).unwrap_or(0)
    }

    fn task_of(&mut self, fits: impl Fn(&TaskSpec) -> bool) -> Option<usize> {
        let fits = |t: &usize| fits(&self.spec.tasks[*t]);
        let all: Vec<usize> = (0..self.spec.tasks.len()).filter(fits).collect();
        (!all.is_empty()).then(|| *self.draw.pick(&all))
    }

    fn bad_task(&mut self) -> usize {
        self.task_of(|t| t.arity > 0 && matches!(t.behaviour, Behaviour::Bad | Behaviour::BadOn(_)))
            .unwrap_or(0)
    }

    fn name(&mut self, wanted: bool) -> String {
        loop {
            self.names += 1;
            let name = format!("s{}", self.names);
            if approval(&name) == wanted {
                return name;
            }
        }
    }

    fn arm(&mut self, shelf: &Shelf, wrong: bool) -> Arm {
        let flows = if wrong { &shelf.bad } else { &shelf.good };
        if !flows.is_empty() && self.draw.chance(400) {
            return Arm::Sub(*self.draw.pick(flows));
        }
        match wrong {
            true => Arm::Task(
                self.task_of(|t| t.arity == 1 && matches!(t.behaviour, Behaviour::BadOn(_)))
                    .unwrap_or(0),
            ),
            false => Arm::Task(self.task(false, |t| t.arity == 1)),
        }
    }

    fn node(
        &mut self,
        nodes: &mut Vec<NodeSpec>,
        shelf: &Shelf,
        wrong: bool,
        depth: u64,
        shape: u64,
    ) {
        let kind = match self.draw.chance(550) {
            true => 0,
            false => *self.draw.pick(&self.palette.clone()),
        };
        let nested = depth > 0;
        let flows = if wrong {
            shelf.bad.clone()
        } else {
            shelf.good.clone()
        };
        let mut timeout = self
            .draw
            .chance(30)
            .then(|| self.draw.range(20_000, 900_000));
        let kind = match kind {
            1 | 2 if nested => Kind::Sub(*self.draw.pick(&flows)),
            3 if self.starts(depth) => Kind::Child(*self.draw.pick(&flows)),
            4 => Kind::Branch {
                below: self.draw.range(1, VALUES as u64) as i64,
                then: self.arm(shelf, wrong),
                otherwise: match wrong {
                    true => None,
                    false => Some(self.arm(shelf, false)),
                },
            },
            5 => Kind::Sleep(*self.draw.pick(&[0, 1_000, 60_000, 86_400_000])),
            6 => Kind::Signal(self.name(true)),
            7 => Kind::Approve(self.name(!wrong)),
            8 if self.array(nodes, shelf, wrong, shape) => return,
            9 if !wrong => {
                let dynamic = self.task_of(|t| matches!(t.place, Place::Dynamic(_)));
                Kind::Task(dynamic.unwrap_or_else(|| self.task(false, |t| t.arity > 0)))
            }
            _ if wrong && self.draw.chance(300) => {
                timeout = Some(self.draw.range(5_000, 60_000));
                Kind::Task(self.task(true, |t| t.arity > 0))
            }
            _ if wrong => Kind::Task(self.bad_task()),
            _ => Kind::Task(self.task(false, |t| t.arity > 0)),
        };
        if matches!(kind, Kind::Sub(_)) && self.draw.chance(120) {
            timeout = Some(self.draw.range(3_000, 40_000));
        }
        let args = match &kind {
            Kind::Task(t) => self.spec.tasks[*t].arity,
            Kind::Sleep(_) | Kind::Signal(_) => 0,
            _ => 1,
        };
        let args = (0..args).map(|_| self.number(nodes, shape)).collect();
        self.push(nodes, kind, args, timeout);
    }

    fn push(
        &mut self,
        nodes: &mut Vec<NodeSpec>,
        kind: Kind,
        args: Vec<Src>,
        timeout: Option<u64>,
    ) {
        let mut after = Vec::new();
        if !nodes.is_empty() && self.draw.chance(150) {
            after.push(self.draw.below(nodes.len() as u64) as usize);
        }
        let flaky = |t: usize| match self.spec.tasks[t].behaviour {
            Behaviour::Flaky(n) => n,
            _ => 0,
        };
        let arm = |a: &Arm| match a {
            Arm::Task(t) => flaky(*t),
            Arm::Sub(_) => 0,
        };
        // Enough for those that fail a few times, and often not one more.
        let needed = match &kind {
            Kind::Task(t) | Kind::Sum { task: t, .. } => flaky(*t),
            Kind::Branch {
                then, otherwise, ..
            } => arm(then).max(otherwise.as_ref().map_or(0, arm)),
            Kind::Array { inner, .. } => arm(inner),
            _ => 0,
        };
        // A workflow inside is tried again only if it ran out of time.
        let again = matches!(kind, Kind::Sub(_)) && timeout.is_some() || self.draw.chance(250);
        let retries = needed + u32::from(again);
        nodes.push(NodeSpec {
            kind,
            args,
            after,
            retries,
            timeout,
        });
    }

    /// Whether a workflow of this depth starts another as an execution: the largest rarely do.
    fn starts(&mut self, depth: u64) -> bool {
        match depth {
            1 | 2 => true,
            _ => self.draw.chance(300) && depth > 0,
        }
    }

    /// An array, and mostly a sum over it.
    fn array(&mut self, nodes: &mut Vec<NodeSpec>, shelf: &Shelf, wrong: bool, shape: u64) -> bool {
        let size = self.draw.below(8);
        let items: Vec<Src> = (0..size).map(|_| self.number(nodes, shape)).collect();
        if items.is_empty() {
            return false;
        }
        let min = self.draw.chance(350).then(|| self.draw.below(2) as u32);
        let inner = self.arm(shelf, wrong || min.is_some());
        let parallelism = match self.draw.below(3) {
            0 => None,
            n => Some(self.draw.below(3) as u32 * n as u32),
        };
        let gaps = min.is_some();
        let of = nodes.len();
        let kind = Kind::Array {
            inner,
            items,
            parallelism,
            min,
        };
        self.push(nodes, kind, Vec::new(), None);
        if self.draw.chance(800) {
            let task = self
                .task_of(|t| t.arity == 0 && t.gaps == gaps)
                .expect("there is one of each");
            self.push(nodes, Kind::Sum { task, of }, Vec::new(), None);
        }
        true
    }
}
