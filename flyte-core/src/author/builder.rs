use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::branch::Arm;
use super::call::{CallOptions, CallParts, Callee, MapDraft};
use super::cond::Test;
use super::emit::Emit;
use super::input::Wire;
use super::output::Origin;
use super::values::{Outlets, Refs};
use super::workflow::Built;
use super::{
    BuildError, BuildErrors, Call, Callable, Handles, IntoInputs, IntoLists, LiteralValue, Output,
    Place, Ref, TaskReturn, Values, Workflow,
};
use crate::compile::CompileErrorCode as Code;
use crate::contract::RawTask;
use crate::id::Str;
use crate::literal::{Literal, LiteralType};
use crate::template::{GateCondition, OnFailure, TaskTarget, TaskTemplate};

/// A number that no other builder, and no item of a map, has in this process.
pub(super) fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Puts a workflow together: each method adds a node, and gives handles of what it will give.
///
/// Nothing runs while it builds. What is wrong is kept with its place, and reported all at once
/// by [`Workflow::build`].
#[derive(Debug)]
pub struct WorkflowBuilder {
    pub(super) number: u32,
    pub(super) name: Str,
    pub(super) version: Option<Str>,
    pub(super) inputs: Vec<InputDraft>,
    /// The nodes of all scopes.
    pub(super) nodes: Vec<NodeDraft>,
    pub(super) constants: Vec<Literal>,
    /// How many nodes each scope has; the workflow itself is the first.
    pub(super) scopes: Vec<u32>,
    /// The scopes that are open, innermost last.
    open: Vec<u32>,
    pub(super) failure: Option<NodeDraft>,
    pub(super) on_failure: OnFailure,
    pub(super) interruptible: bool,
    /// Templates of tasks by their tag.
    tasks: HashMap<&'static str, Arc<TaskTemplate>>,
    pub(super) errors: Vec<BuildError>,
}

#[derive(Debug)]
pub(super) struct InputDraft {
    pub(super) name: Str,
    pub(super) literal_type: LiteralType,
    pub(super) default: Option<Literal>,
}

#[derive(Debug)]
pub(super) struct NodeDraft {
    pub(super) scope: u32,
    pub(super) id: Str,
    pub(super) place: Place,
    pub(super) options: CallOptions,
    pub(super) inputs: Vec<(Str, Wire)>,
    pub(super) kind: Kind,
    /// Nodes that come before, beside those whose values it takes.
    pub(super) after: Vec<u32>,
    /// What it gives, in the order of its handles.
    pub(super) outputs: Vec<(Str, LiteralType)>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Task(Arc<TaskTemplate>),
    Workflow(Arc<Built>),
    Launch(Arc<Built>),
    Gate(GateCondition),
    Map(Box<MapDraft>, Box<Kind>),
    Branch(Vec<(Test, Arm)>, Result<Arm, String>),
}

impl WorkflowBuilder {
    pub(super) fn new(name: &str, inputs: Vec<InputDraft>) -> Self {
        Self {
            number: next_number(),
            name: name.into(),
            version: None,
            inputs,
            nodes: Vec::new(),
            constants: Vec::new(),
            scopes: vec![0],
            open: vec![0],
            failure: None,
            on_failure: OnFailure::default(),
            interruptible: false,
            tasks: HashMap::new(),
            errors: Vec::new(),
        }
    }

    /// The builder of what a dynamic task expands into, for generated code and for tests.
    #[must_use]
    pub fn dynamic(name: &str) -> Self {
        Self::new(name, Vec::new())
    }

    /// Adds a node that calls a task or a workflow.
    #[track_caller]
    pub fn call<C: Callable>(&mut self, call: C) -> <C::Values as Values>::Handles {
        let parts = *call.into_call().parts;
        let node = self.add_call(parts, C::Values::NAMES, C::Values::types);
        self.handles::<C::Values>(node)
    }

    /// Adds a node that calls what `each` gives for each item of a list, or for the items of a
    /// tuple of lists together; see [`map`](super::map) for its options.
    #[track_caller]
    pub fn map<Items: Values, R: TaskReturn>(
        &mut self,
        lists: impl IntoLists<Items>,
        each: impl FnOnce(Items::Handles) -> Call<R>,
    ) -> Output<Vec<R::Values>>
    where
        R::Values: LiteralValue,
    {
        self.call(super::map(lists, each))
    }

    /// Adds a node that runs another workflow inside this execution; `other.call(args)` takes
    /// options.
    #[track_caller]
    pub fn sub<In: Values, Out: Values>(
        &mut self,
        other: &Workflow<In, Out>,
        args: impl IntoInputs<In>,
    ) -> Out::Handles {
        self.call(other.call(args))
    }

    /// Adds a node that starts another workflow as an execution of its own, and waits for it;
    /// `other.launch(args)` takes options.
    #[track_caller]
    pub fn launch<In: Values, Out: Values>(
        &mut self,
        other: &Workflow<In, Out>,
        args: impl IntoInputs<In>,
    ) -> Out::Handles {
        self.call(other.launch(args))
    }

    /// A handle of a constant, for an output or an arm of a branch. Inputs take constants as they
    /// are.
    pub fn constant<T: LiteralValue>(&mut self, value: T) -> Output<T> {
        self.constants.push(value.into_literal());
        let origin = Origin::Constant(self.constants.len() as u32 - 1);
        Output::of(Ref::new(self.number, origin, 0))
    }

    /// Lets the node of `then` wait for the node of `first`, though it takes none of its values.
    ///
    /// ```
    /// # #[cfg(feature = "macros")] {
    /// # use flyte_core::{author::Workflow, task};
    /// #[task]
    /// fn migrate() {}
    /// #[task]
    /// fn serve(port: i64) -> i64 { port }
    ///
    /// let wf = Workflow::<i64, _>::build("deploy", |wf, port| {
    ///     let migrated = wf.call(migrate());
    ///     let served = wf.call(serve(port));
    ///     wf.after(served, migrated); // or a sleep, or an approval
    ///     served
    /// }).unwrap();
    /// assert_eq!(wf.plan().root().downstream(0), [1]);
    /// # }
    /// ```
    #[track_caller]
    pub fn after(&mut self, then: impl Handles, first: impl Handles) {
        let place = Place::here();
        match (self.node_of(&then), self.node_of(&first)) {
            (Some(then), Some(first)) => {
                if self.nodes[then as usize].scope == self.nodes[first as usize].scope {
                    return self.nodes[then as usize].after.push(first);
                }
                let text = "the two nodes are in different arms of a branch";
                self.wrong(Code::NodeReferenceNotFound, place, text);
            }
            _ => {
                let text = "only nodes of this workflow have an order: an input, a constant and \
                            another workflow's value have none";
                self.wrong(Code::NodeReferenceNotFound, place, text);
            }
        }
    }

    /// What is called when the workflow has failed. It may take the workflow's inputs and
    /// constants, and is told what happened by an input `err: Option<FlyteError>` (bind `None`);
    /// it rescues nothing.
    ///
    /// ```
    /// # #[cfg(feature = "macros")] {
    /// # use flyte_core::{author::Workflow, literal::FlyteError, task};
    /// #[task]
    /// fn ship(order: i64) -> i64 { order }
    /// #[task]
    /// fn apologise(order: i64, err: Option<FlyteError>) {
    ///     println!("order {order}: {}", err.map_or("".into(), |e| e.message));
    /// }
    ///
    /// let wf = Workflow::<i64, _>::build("order", |wf, order| {
    ///     wf.on_failure(apologise(order, None)); // the scheduler fills `err` in
    ///     wf.call(ship(order))
    /// }).unwrap();
    /// assert!(wf.plan().root().failure_node.is_some());
    /// # }
    /// ```
    #[track_caller]
    pub fn on_failure<C: Callable>(&mut self, handler: C) {
        let parts = *handler.into_call().parts;
        let mut draft = self.draft(parts, C::Values::NAMES, C::Values::types);
        if draft.options.name.is_none() {
            draft.id = "fn0".into();
        }
        let mut inner = false;
        for (_, wire) in &draft.inputs {
            wire.for_each(&mut |r| inner |= matches!(r.origin, Origin::Node(_)));
        }
        if inner {
            let text = "a failure handler takes inputs of the workflow and constants, not what \
                        other nodes give: they may have failed";
            self.wrong(Code::NodeReferenceNotFound, draft.place, text);
        }
        self.failure = Some(draft);
    }

    /// When a node fails, lets all others run that do not depend on it. By default what runs is
    /// aborted.
    pub fn finish_what_can(&mut self) {
        self.on_failure = OnFailure::FailAfterExecutableNodesComplete;
    }

    /// Whether nodes that do not say may run on machines that may be taken away.
    pub fn interruptible(&mut self, interruptible: bool) {
        self.interruptible = interruptible;
    }

    /// The version of the workflow; by default the digest of its template.
    pub fn version(&mut self, version: impl Into<Str>) {
        self.version = Some(version.into());
    }

    /// The names of the inputs, in their order; a struct with `#[derive(Inputs)]` has its own.
    #[track_caller]
    pub fn name_inputs<const N: usize>(&mut self, names: [&'static str; N]) {
        if names.len() != self.inputs.len() {
            let text = format!("{N} names for {} inputs", self.inputs.len());
            return self.wrong(Code::InvalidValue, Place::here(), text);
        }
        for (input, name) in self.inputs.iter_mut().zip(names) {
            input.name = name.into();
        }
    }

    /// The value of an input that whoever starts the workflow by its launch plan leaves out, such
    /// as `flyte-rs run`; a typed launch gives all inputs.
    ///
    /// ```
    /// # #[cfg(feature = "macros")] {
    /// # use flyte_core::{author::Workflow, task};
    /// #[task]
    /// fn greet(name: String, times: i64) -> String { name.repeat(times as usize) }
    ///
    /// let wf = Workflow::<(String, i64), _>::build("greet", |wf, (name, times)| {
    ///     wf.name_inputs(["name", "times"]);
    ///     wf.default(name, "world");
    ///     wf.default(times, 1);
    ///     wf.call(greet(name, times))
    /// }).unwrap();
    /// assert_eq!(wf.plan().root().input_names.len(), 2);
    /// # }
    /// ```
    #[track_caller]
    pub fn default<T: LiteralValue>(&mut self, input: Output<T>, value: impl Into<T>) {
        let r = input.origin();
        let found = (r.builder == self.number && r.origin == Origin::Inputs && r.is_whole())
            .then(|| self.inputs.get_mut(r.var as usize))
            .flatten();
        match found {
            Some(input) => input.default = Some(value.into().into_literal()),
            None => {
                let text = "only an input of this workflow has a default";
                self.wrong(Code::VariableNameNotFound, Place::here(), text);
            }
        }
    }

    pub(super) fn handles<V: Values>(&self, node: u32) -> V::Handles {
        V::handles(&mut Refs::new(self.number, Origin::Node(node)))
    }

    pub(super) fn input_handles<V: Values>(&self) -> V::Handles {
        V::handles(&mut Refs::new(self.number, Origin::Inputs))
    }

    pub(super) fn wrong(&mut self, code: Code, place: Place, message: impl Into<String>) {
        self.errors.push(BuildError {
            code,
            node: String::new(),
            place: Some(place),
            message: message.into(),
        });
    }

    /// Runs a closure whose nodes stand in a scope of their own.
    pub(super) fn scoped<H: Handles>(
        &mut self,
        place: Place,
        build: impl FnOnce(&mut Self) -> H,
    ) -> Arm {
        let scope = self.scopes.len() as u32;
        self.scopes.push(0);
        self.open.push(scope);
        let handles = build(self);
        self.open.pop();
        let mut outlets = Outlets::default();
        handles.outlets(&mut outlets);
        Arm {
            scope,
            outlets: outlets.0,
            place,
        }
    }

    pub(super) fn add(&mut self, mut draft: NodeDraft) -> u32 {
        let count = &mut self.scopes[draft.scope as usize];
        match &draft.options.name {
            Some(name) => draft.id = name.as_str().into(),
            None => draft.id = format!("n{count}").into(),
        }
        *count += 1;
        for text in std::mem::take(&mut draft.options.wrong) {
            self.errors.push(BuildError {
                code: Code::InvalidValue,
                node: draft.id.to_string(),
                place: Some(draft.place),
                message: text,
            });
        }
        self.nodes.push(draft);
        self.nodes.len() as u32 - 1
    }

    pub(super) fn scope(&self) -> u32 {
        *self
            .open
            .last()
            .expect("invariant: the workflow's own scope stays open")
    }

    fn add_call(
        &mut self,
        parts: CallParts,
        names: &[&'static str],
        types: fn() -> Vec<LiteralType>,
    ) -> u32 {
        let draft = self.draft(parts, names, types);
        self.add(draft)
    }

    fn draft(
        &mut self,
        parts: CallParts,
        names: &[&'static str],
        types: fn() -> Vec<LiteralType>,
    ) -> NodeDraft {
        let mut options = parts.options;
        let kind = self.kind(parts.callee, parts.place, &mut options);
        NodeDraft {
            scope: self.scope(),
            id: "".into(),
            place: parts.place,
            options,
            inputs: parts.inputs,
            kind,
            after: Vec::new(),
            outputs: names.iter().map(|n| Str::from(*n)).zip(types()).collect(),
        }
    }

    fn kind(&mut self, callee: Callee, place: Place, options: &mut CallOptions) -> Kind {
        if options.overrides.is_some() && !has_container(&callee) {
            let text = "an image and resources are those of a container, and what is called has \
                        none: its template says what it runs in";
            options.wrong.push(text.into());
        }
        match callee {
            Callee::Task(task) => {
                let tag = task.typetag_name();
                let template = match self.tasks.get(tag) {
                    Some(template) => template.clone(),
                    None => {
                        let template = RawTask::template_of(task).unwrap_or_else(|e| {
                            self.wrong(Code::InvalidValue, place, e.message());
                            task.template()
                        });
                        let template = Arc::new(super::task::versioned_task(template));
                        self.tasks.insert(tag, template.clone());
                        template
                    }
                };
                task_kind(template, options)
            }
            Callee::Foreign(template) => task_kind(template, options),
            Callee::Workflow(built) => Kind::Workflow(built),
            Callee::Launch(built) => Kind::Launch(built),
            Callee::Map(map) => {
                let (mut map, inner) = map.take_inner();
                if matches!(inner, Callee::Map(_)) {
                    let text = "a map of a map: put the inner one into a workflow of its own";
                    self.wrong(Code::InvalidValue, place, text);
                }
                let kind = self.kind(inner, place, &mut map.options);
                options.wrong.append(&mut map.options.wrong);
                Kind::Map(Box::new(map), Box::new(kind))
            }
        }
    }

    fn node_of(&self, handles: &impl Handles) -> Option<u32> {
        let mut outlets = Outlets::default();
        handles.outlets(&mut outlets);
        match outlets.1 {
            Some(r) if r.builder == self.number => match r.origin {
                Origin::Node(n) => Some(n),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn finish<H: Handles>(
        self,
        handles: &H,
        place: Place,
    ) -> Result<Arc<Built>, BuildErrors> {
        let mut outlets = Outlets::default();
        handles.outlets(&mut outlets);
        let outputs = H::Values::NAMES.iter().map(|n| Str::from(*n));
        let outputs = outputs.zip(H::Values::types()).collect();
        Emit::new(self).workflow(outlets.0, outputs, place)
    }
}

/// Whether it is a task whose container a node may change.
fn has_container(callee: &Callee) -> bool {
    let Callee::Foreign(template) = callee else {
        return false;
    };
    matches!(template.target, Some(TaskTarget::Container(_)))
}

fn task_kind(template: Arc<TaskTemplate>, options: &mut CallOptions) -> Kind {
    // The engine reads these of the node alone.
    let m = &mut options.metadata;
    m.timeout = m.timeout.or(template.metadata.timeout);
    m.interruptible = m.interruptible.or(template.metadata.interruptible);
    Kind::Task(template)
}
