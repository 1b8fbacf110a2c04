//! Nodes of each kind, and what they point at.

use flyte_core::id::ResourceType;
use flyte_core::literal::{LiteralType, SimpleType};
use flyte_core::template::{
    Alias, ArrayNode, DataMode, ExecutionMode, GateCondition, LaunchPlanClosure, LaunchPlanSpec,
    LaunchPlanTemplate, Node, NodeTarget, Parameter, ParameterBehavior, ResourceEntry,
    ResourceName, Resources, SuccessCriteria, TaskNode, TaskOverrides, Variable, WorkflowReference,
};

use super::support::{
    Case, id, int, interface, list, node, number, promise, simple, sub_node, task, text,
    with_inputs, workflow,
};

#[test]
fn a_node_has_an_id_and_a_target() {
    let mut n = node("n", "make", &[]);
    n.target = None;
    Case::of(&[], vec![n]).gives(&[("ValueRequired", "n", "[Target]")]);
    Case::of(&[], vec![node("", "make", &[])]).gives(&[("ValueRequired", "<node>", "[Id]")]);
    let reference = NodeTarget::Task(TaskNode {
        reference: None,
        overrides: None,
    });
    Case::of(&[], vec![Node::new("n", reference)]).gives(&[("ValueRequired", "n", "[Target]")]);
}

#[test]
fn what_a_node_points_at_is_there() {
    Case::of(&[], vec![node("n", "nobody", &[])]).gives(&[(
        "TaskReferenceNotFound",
        "start-node",
        "nobody",
    )]);
    Case::of(&[], vec![sub_node("n", "nobody", &[])]).gives(&[(
        "WorkflowReferenceNotFound",
        "n",
        "nobody",
    )]);
    let neither = Node::new("n", NodeTarget::Workflow(None));
    Case::of(&[], vec![neither]).gives(&[("WorkflowReferenceNotFound", "n", "neither")]);
    let lp = WorkflowReference::LaunchPlan(id(ResourceType::LaunchPlan, "nobody"));
    let lp = Node::new("n", NodeTarget::Workflow(Some(lp)));
    Case::of(&[], vec![lp]).gives(&[("WorkflowReferenceNotFound", "start-node", "nobody")]);
}

#[test]
fn a_missing_reference_ends_the_compilation() {
    // The second mistake is not looked for.
    let nodes = vec![node("a", "nobody", &[]), node("b", "take", &[])];
    Case::of(&[], nodes).gives(&[("TaskReferenceNotFound", "start-node", "")]);
}

#[test]
fn a_list_of_tasks_must_be_given() {
    use flyte_core::compile::{Sources, compile};
    let case = Case::of(&[], vec![node("n", "make", &[])]);
    let sources = Sources::new(&case.workflow, &[]).without_tasks();
    let errors = compile(&sources).unwrap_err();
    super::support::same(
        &errors,
        &[
            ("TaskReferenceNotFound", "start-node", "make"),
            ("ValueRequired", "start-node", "[tasks]"),
        ],
    );
}

#[test]
fn two_sub_workflows_of_one_id_are_refused() {
    let sub = || workflow("sub", &[], vec![node("s", "make", &[])], &[]);
    let case = Case::of(&[], vec![sub_node("n", "sub", &[])]);
    let errors = case.with_sub(sub()).with_sub(sub()).compile().unwrap_err();
    let e = errors.iter().next().unwrap();
    assert_eq!(e.code.as_str(), "DuplicateId");
    assert!(e.node_id.contains("sub"), "{e}");
    assert_eq!(errors.iter().len(), 1, "{errors}");
}

#[test]
fn a_sub_workflow_has_an_interface_and_is_checked_itself() {
    let mut bare = workflow("sub", &[], vec![node("s", "make", &[])], &[]);
    bare.interface = None;
    Case::of(&[], vec![sub_node("n", "sub", &[])])
        .with_sub(bare)
        .gives(&[("ValueRequired", "start-node", "[interface]")]);
    let sub = workflow("sub", &[("x", int())], vec![node("s", "take", &[])], &[]);
    let n = sub_node("n", "sub", &[("x", number(1)), ("y", number(2))]);
    Case::of(&[], vec![n]).with_sub(sub).gives(&[
        ("ParameterNotBound", "s", "`x`"),
        ("VariableNameNotFound", "n", "`y`"),
    ]);
}

fn launch_plan(closure: LaunchPlanClosure) -> LaunchPlanTemplate {
    LaunchPlanTemplate {
        id: id(ResourceType::LaunchPlan, "lp"),
        spec: LaunchPlanSpec::default(),
        closure,
    }
}

fn lp_case(
    closure: LaunchPlanClosure,
    inputs: &[(&str, flyte_core::template::BindingData)],
) -> Case {
    let lp = WorkflowReference::LaunchPlan(id(ResourceType::LaunchPlan, "lp"));
    let n = with_inputs(Node::new("n", NodeTarget::Workflow(Some(lp))), inputs);
    let mut case = Case::of(&[], vec![n]);
    case.launch_plans = vec![launch_plan(closure)];
    case
}

#[test]
fn a_launch_plan_takes_what_it_expects() {
    let parameter = |behavior| Parameter {
        var: Some(Variable::new(int())),
        behavior: Some(behavior),
    };
    let closure = || LaunchPlanClosure {
        expected_inputs: Some(
            [
                ("must".into(), parameter(ParameterBehavior::Required(true))),
                (
                    "may".into(),
                    parameter(ParameterBehavior::Default(
                        flyte_core::literal::Literal::Integer(1),
                    )),
                ),
            ]
            .into(),
        ),
        expected_outputs: Some(interface(&[], &[("o", int())]).outputs),
        ..LaunchPlanClosure::default()
    };
    lp_case(closure(), &[("must", number(1))]).holds();
    lp_case(closure(), &[("must", number(1)), ("may", number(1))]).holds();
    lp_case(closure(), &[]).gives(&[("ParameterNotBound", "n", "`must`")]);
    lp_case(closure(), &[("must", number(1)), ("fixed", number(1))]).gives(&[(
        "VariableNameNotFound",
        "n",
        "`fixed`",
    )]);
    lp_case(LaunchPlanClosure::default(), &[]).gives(&[
        ("ValueRequired", "n", "[expected_inputs]"),
        ("ValueRequired", "n", "[expected_outputs]"),
    ]);
}

#[test]
fn a_gate_says_what_it_waits_for() {
    let gate = |g| Case::of(&[], vec![Node::new("g", NodeTarget::Gate(g))]);
    gate(None).gives(&[("NoConditionFound", "g", "")]);
    let signal = |t, name: &str| {
        gate(Some(GateCondition::Signal {
            signal_id: "s".into(),
            literal_type: t,
            output_variable_name: name.into(),
        }))
    };
    signal(Some(int()), "o0").holds();
    signal(None, "o0").gives(&[("ValueRequired", "g", "[Type]")]);
    signal(Some(int()), "").gives(&[("ValueRequired", "g", "[OutputVariableName]")]);
    gate(Some(GateCondition::Sleep { duration: None })).holds();
}

#[test]
fn an_approve_gate_passes_on_what_came_before_it() {
    let approve = |data| {
        let gate = GateCondition::Approve {
            signal_id: "s".into(),
        };
        with_inputs(Node::new("g", NodeTarget::Gate(Some(gate))), &[("v", data)])
    };
    let after = || node("n", "take", &[("x", promise("g", "v"))]);
    let first = || node("m", "make", &[]);
    Case::of(&[], vec![first(), approve(promise("m", "o")), after()]).holds();
    // Its own inputs are resolved in the order of the template.
    let case = Case::of(&[], vec![approve(promise("m", "o")), first()]);
    case.gives(&[
        ("NodeReferenceNotFound", "m", "`g`"),
        ("ParameterNotBound", "g", "`v`"),
    ]);
}

#[test]
fn an_array_has_the_interface_of_its_node() {
    let array = |inner: Option<Node>, inputs: &[(&str, _)]| {
        let target = NodeTarget::Array(Box::new(ArrayNode {
            node: inner,
            parallelism: None,
            success: None,
            execution_mode: ExecutionMode::MinimalState,
            is_original_sub_node_interface: None,
            data_mode: DataMode::SingleInputFile,
            bound_inputs: Vec::new(),
            run_all_sub_nodes: false,
        }));
        Case::of(&[], vec![with_inputs(Node::new("a", target), inputs)])
    };
    array(Some(node("i", "take", &[])), &[("x", number(1))]).holds();
    array(Some(node("i", "take", &[])), &[]).gives(&[("ParameterNotBound", "a", "`x`")]);
    array(None, &[]).gives(&[("ValueRequired", "a", "[Node]")]);
}

#[test]
fn an_array_of_a_node_that_is_described_as_it_is_takes_and_gives_lists() {
    let array = |success, bound: &[&str], x| {
        let target = NodeTarget::Array(Box::new(ArrayNode {
            node: Some(node("i", "keep", &[])),
            parallelism: None,
            success,
            execution_mode: ExecutionMode::MinimalState,
            is_original_sub_node_interface: Some(true),
            data_mode: DataMode::SingleInputFile,
            bound_inputs: bound.iter().map(|b| (*b).into()).collect(),
            run_all_sub_nodes: false,
        }));
        let a = with_inputs(Node::new("a", target), &[("x", x)]);
        let user = node("u", "user", &[("xs", promise("a", "o"))]);
        Case::of(&[], vec![node("l", "lists", &[]), a, user])
    };
    let user = |t| task("user", &[("xs", list(t))], &[]);
    let maybe = || LiteralType::union([int(), simple(SimpleType::None)]);
    let xs = || promise("l", "xs");
    array(None, &[], xs()).with_task(user(int())).holds();
    array(None, &["x"], number(1))
        .with_task(user(int()))
        .holds();
    let some = Some(SuccessCriteria::MinSuccesses(1));
    array(some, &[], xs()).with_task(user(maybe())).holds();
    let wrong = [("MismatchingTypes", "u", "`xs`")];
    array(some, &[], xs()).with_task(user(int())).gives(&wrong);
    let wrong = [("MismatchingTypes", "a", "`x`")];
    array(None, &[], number(1))
        .with_task(user(int()))
        .gives(&wrong);
}

#[test]
fn an_alias_stands_for_one_output() {
    let alias = |var: &str, alias: &str| Alias {
        var: var.into(),
        alias: alias.into(),
    };
    let case = |aliases: Vec<Alias>, var: &str| {
        let mut m = node("m", "make", &[]);
        m.output_aliases = aliases;
        Case::of(&[], vec![m, node("n", "take", &[("x", promise("m", var))])])
    };
    case(vec![alias("o", "p")], "p").holds();
    // The true name is hidden by its alias at compile time.
    case(vec![alias("o", "p")], "o").gives(&[
        ("ParameterNotBound", "n", ""),
        ("VariableNameNotFound", "m", "`o`"),
    ]);
    case(vec![alias("o", "p"), alias("o", "q")], "p").gives(&[("DuplicateAlias", "m", "`o`")]);
    case(vec![alias("z", "y")], "o").gives(&[("ParameterNotBound", "m", "alias `y`")]);
}

#[test]
fn overrides_are_quantities() {
    let case = |value: &str| {
        let mut t = TaskNode::new(id(ResourceType::Task, "make"));
        let entry = ResourceEntry {
            name: ResourceName::Cpu,
            value: value.into(),
        };
        t.overrides = Some(TaskOverrides {
            resources: Some(Resources {
                requests: vec![entry],
                limits: Vec::new(),
            }),
            ..TaskOverrides::default()
        });
        Case::of(&[], vec![Node::new("n", NodeTarget::Task(t))])
    };
    case("500m").holds();
    case("a lot").gives(&[("WorkflowBuildError", "n", "resources.CPU")]);
}

#[test]
fn names_and_nodes_have_bounds() {
    let long = "n".repeat(5000);
    let case = Case::of(&[], vec![node(&long, "make", &[])]);
    let errors = case.compile().unwrap_err();
    assert_eq!(
        errors.iter().next().unwrap().code.as_str(),
        "WorkflowBuildError"
    );
}

#[test]
fn an_output_of_another_type_is_refused() {
    let mut case = Case::of(&[], vec![node("m", "make", &[])]);
    case.workflow = workflow(
        "w",
        &[],
        vec![node("m", "make", &[])],
        &[("s", text(), promise("m", "o"))],
    );
    case.gives(&[("MismatchingTypes", "end-node", "`m.o`")]);
}
