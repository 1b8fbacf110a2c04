//! Workflows of different shapes.

use std::sync::Arc;

use flyte_core::compile::{Sources, compile};
use flyte_core::id::ResourceType;
use flyte_core::literal::{FlyteError, Literal, LiteralType, SignedDuration};
use flyte_core::plan::Plan;
use flyte_core::template::{
    ArrayNode, BooleanExpression, BranchNode, ComparisonExpression, ComparisonOperator,
    ConjunctionOperator, DataMode, ExecutionMode, GateCondition, IfBlock, IfElse,
    LaunchPlanClosure, LaunchPlanSpec, LaunchPlanTemplate, Node, NodeMetadata, NodeTarget, Operand,
    Otherwise, SuccessCriteria, WorkflowReference,
};

use crate::support::{
    Case, id, int, list, node, number, promise, sub_node, task, text, with_inputs, workflow,
};

pub(crate) fn all() -> Vec<(&'static str, Arc<Plan>)> {
    vec![
        ("chain", chain()),
        ("fan", fan()),
        ("layered", layered()),
        ("diamond", diamond()),
        ("three-deep", three_deep()),
        ("branch", branch()),
        ("nested-branch", nested_branch()),
        ("map", map()),
        ("gates", gates()),
        ("mixed", mixed()),
        ("disconnected", disconnected()),
        ("long-names", long_names()),
    ]
}

fn plan(case: &Case) -> Arc<Plan> {
    let sources = Sources::new(&case.workflow, &case.tasks)
        .with_sub_workflows(&case.subs)
        .with_launch_plans(&case.launch_plans);
    compile(&sources).unwrap_or_else(|e| panic!("{e}"))
}

fn after(mut node: Node, before: &[&str]) -> Node {
    node.upstream_node_ids = before.iter().map(|b| (*b).into()).collect();
    node
}

fn chain() -> Arc<Plan> {
    let mut nodes = vec![node("n0", "make", &[])];
    for i in 1..6 {
        let x = promise(&format!("n{}", i - 1), "o");
        nodes.push(node(&format!("n{i}"), "keep", &[("x", x)]));
    }
    plan(&Case::of(&[], nodes))
}

fn fan() -> Arc<Plan> {
    let mut nodes = vec![node("split", "make", &[])];
    let each: Vec<String> = (0..9).map(|i| format!("n{i}")).collect();
    for e in &each {
        nodes.push(node(e, "keep", &[("x", promise("split", "o"))]));
    }
    let all: Vec<&str> = each.iter().map(String::as_str).collect();
    nodes.push(after(node("join", "make", &[]), &all));
    plan(&Case::of(&[], nodes))
}

fn layered() -> Arc<Plan> {
    let mut nodes = Vec::new();
    for layer in 0..5_usize {
        for i in 0..4_usize {
            let id = format!("l{layer}n{i}");
            if layer == 0 {
                nodes.push(node(&id, "make", &[]));
                continue;
            }
            let one = format!("l{}n{}", layer - 1, (i * 3 + layer) % 4);
            let two = format!("l{}n{}", layer - 1, (i + 2) % 4);
            let n = node(&id, "keep", &[("x", promise(&one, "o"))]);
            nodes.push(after(n, &[&two]));
        }
    }
    plan(&Case::of(&[], nodes))
}

fn diamond() -> Arc<Plan> {
    let nodes = vec![
        node("top", "make", &[]),
        node("left", "keep", &[("x", promise("top", "o"))]),
        node("right", "keep", &[("x", promise("top", "o"))]),
        node("further", "keep", &[("x", promise("right", "o"))]),
        after(
            node("bottom", "keep", &[("x", promise("left", "o"))]),
            &["further", "top"],
        ),
    ];
    plan(&Case::of(&[], nodes))
}

pub(crate) fn three_deep() -> Arc<Plan> {
    let of = |name: &str, nodes| workflow(name, &[], nodes, &[]);
    let tail = |after: &str| {
        let mut n = node("last", "make", &[]);
        n.upstream_node_ids = vec![after.into()];
        n
    };
    let inner = of("pipeline.inner", vec![node("n0", "make", &[]), tail("n0")]);
    let middle = of(
        "pipeline.middle",
        vec![sub_node("c", "pipeline.inner", &[]), tail("c")],
    );
    let outer = vec![
        node("first", "make", &[]),
        sub_node("b", "pipeline.middle", &[]),
        tail("b"),
    ];
    let outer = of("pipeline.outer", outer);
    let case = Case::of(&[], vec![sub_node("a", "pipeline.outer", &[]), tail("a")]);
    plan(&case.with_sub(outer).with_sub(middle).with_sub(inner))
}

fn compare(operator: ComparisonOperator, n: i64) -> BooleanExpression {
    BooleanExpression::Comparison(ComparisonExpression {
        operator,
        left: Some(Operand::Var("x".into())),
        right: Some(Operand::Primitive(Literal::Integer(n))),
    })
}

fn both(left: BooleanExpression, right: BooleanExpression) -> BooleanExpression {
    BooleanExpression::Conjunction {
        operator: ConjunctionOperator::And,
        left: Some(Box::new(left)),
        right: Some(Box::new(right)),
    }
}

fn case(condition: BooleanExpression, then: Node) -> IfBlock {
    IfBlock {
        condition: Some(condition),
        then_node: Some(Box::new(then)),
    }
}

/// A branch on the workflow's input `x`.
fn branch_node(id: &str, name: &str, cases: Vec<IfBlock>, otherwise: Otherwise) -> Node {
    let mut cases = cases.into_iter();
    let if_else = Some(IfElse {
        case: cases.next(),
        other: cases.collect(),
        otherwise: Some(otherwise),
    });
    let n = Node::new(id, NodeTarget::Branch(BranchNode { if_else }));
    let mut n = with_inputs(n, &[("x", promise("", "x"))]);
    n.metadata = Some(NodeMetadata {
        name: name.into(),
        ..NodeMetadata::default()
    });
    n
}

fn keep(id: &str) -> Node {
    node(id, "keep", &[("x", promise("", "x"))])
}

pub(crate) fn branch() -> Arc<Plan> {
    use ComparisonOperator::{Gt, Lt};
    let cases = vec![
        case(compare(Gt, 10), keep("big")),
        case(both(compare(Gt, 5), compare(Lt, 8)), keep("middle")),
    ];
    let error = Otherwise::Error(FlyteError {
        failed_node_id: "b".into(),
        message: "too <small>".into(),
    });
    let nodes = vec![
        branch_node("b", "by size", cases, error),
        node("t", "take", &[("x", promise("b", "o"))]),
    ];
    plan(&Case::of(&[("x", int())], nodes))
}

fn nested_branch() -> Arc<Plan> {
    use ComparisonOperator::{Eq, Gt, Gte, Neq};
    let leaf = |id: &str, n| {
        let cases = vec![case(compare(Eq, n), keep(&format!("{id}-yes")))];
        let other = Otherwise::ElseNode(Box::new(keep(&format!("{id}-no"))));
        branch_node(id, "", cases, other)
    };
    let cases = vec![
        case(compare(Gt, 100), leaf("large", 1000)),
        case(both(compare(Gte, 10), compare(Neq, 50)), leaf("medium", 25)),
    ];
    let nodes = vec![
        branch_node(
            "b",
            "size",
            cases,
            Otherwise::ElseNode(Box::new(keep("small"))),
        ),
        node("t", "take", &[("x", promise("b", "o"))]),
    ];
    plan(&Case::of(&[("x", int())], nodes))
}

/// A map over the list that node `of` gives.
fn array(id: &str, of: &str, success: Option<SuccessCriteria>) -> Node {
    let inputs = [("xs", promise(of, "xs"))];
    let inner = node("item", "each", &inputs);
    let array = ArrayNode {
        node: Some(inner),
        parallelism: Some(4),
        success,
        execution_mode: ExecutionMode::MinimalState,
        is_original_sub_node_interface: None,
        data_mode: DataMode::SingleInputFile,
        bound_inputs: Vec::new(),
        run_all_sub_nodes: false,
    };
    with_inputs(Node::new(id, NodeTarget::Array(Box::new(array))), &inputs)
}

fn each_task() -> flyte_core::template::TaskTemplate {
    let ints = || LiteralType::collection(int());
    task("each", &[("xs", ints())], &[("os", ints())])
}

fn map() -> Arc<Plan> {
    let sum = task("sum", &[("xs", list(int()))], &[]);
    let nodes = vec![
        node("l", "lists", &[]),
        array("m", "l", Some(SuccessCriteria::MinSuccessRatio(0.9))),
        node("s", "sum", &[("xs", promise("m", "os"))]),
    ];
    plan(&Case::of(&[], nodes).with_task(each_task()).with_task(sum))
}

fn gate(id: &str, condition: GateCondition) -> Node {
    Node::new(id, NodeTarget::Gate(Some(condition)))
}

fn gates() -> Arc<Plan> {
    let approve = GateCondition::Approve {
        signal_id: "review-the-model".into(),
    };
    let signal = GateCondition::Signal {
        signal_id: "threshold".into(),
        literal_type: Some(int()),
        output_variable_name: "o".into(),
    };
    let sleep = GateCondition::Sleep {
        duration: Some(SignedDuration::from_millis(90_000)),
    };
    let nodes = vec![
        node("m", "make", &[]),
        with_inputs(gate("g0", approve), &[("x", promise("m", "o"))]),
        gate("g1", signal),
        after(gate("g2", sleep), &["g0"]),
        after(node("t", "take", &[("x", promise("g1", "o"))]), &["g2"]),
    ];
    plan(&Case::of(&[], nodes))
}

fn mixed() -> Arc<Plan> {
    let inner_nodes = vec![
        node("n0", "make", &[]),
        node("n1", "keep", &[("x", promise("n0", "o"))]),
        node("n2", "keep", &[("x", promise("n0", "o"))]),
        after(node("n3", "keep", &[("x", promise("n1", "o"))]), &["n2"]),
    ];
    let inner = workflow(
        "features.build",
        &[],
        inner_nodes,
        &[("o", int(), promise("n3", "o"))],
    );
    let child = LaunchPlanTemplate {
        id: id(ResourceType::LaunchPlan, "reports.weekly"),
        spec: LaunchPlanSpec::default(),
        closure: LaunchPlanClosure {
            expected_inputs: Some(Default::default()),
            expected_outputs: Some(Default::default()),
            ..LaunchPlanClosure::default()
        },
    };
    let reference = WorkflowReference::LaunchPlan(child.id.clone());
    let report = Node::new("report", NodeTarget::Workflow(Some(reference)));
    let cases = vec![
        case(
            compare(ComparisonOperator::Gt, 3),
            sub_node("build", "features.build", &[]),
        ),
        case(
            compare(ComparisonOperator::Eq, 3),
            node("as-is", "keep", &[("x", number(3))]),
        ),
    ];
    let otherwise = Otherwise::ElseNode(Box::new(node("none", "make", &[])));
    let mut sleep = gate(
        "pause",
        GateCondition::Sleep {
            duration: Some(SignedDuration::from_millis(1_500)),
        },
    );
    sleep.upstream_node_ids = vec!["l".into()];
    let mut cached = task("cached_step", &[("x", int())], &[("o", int())]);
    cached.metadata.discoverable = true;
    let nodes = vec![
        node("l", "lists", &[]),
        array("m", "l", None),
        branch_node("b", "which features", cases, otherwise),
        sleep,
        sub_node("again", "features.build", &[]),
        node("c", "cached_step", &[("x", promise("b", "o"))]),
        after(
            node("t", "take", &[("x", promise("c", "o"))]),
            &["m", "again", "pause"],
        ),
        after(report, &["t"]),
    ];
    let mut case = Case::of(&[("x", int())], nodes)
        .with_task(each_task())
        .with_task(cached)
        .with_task(task("clean_up", &[], &[]))
        .with_sub(inner);
    case.launch_plans.push(child);
    case.workflow.failure_node = Some(Box::new(node("onerror", "clean_up", &[])));
    plan(&case)
}

fn disconnected() -> Arc<Plan> {
    let nodes = vec![
        node("a", "make", &[]),
        node("b", "keep", &[("x", promise("a", "o"))]),
        node("c", "keep", &[("x", promise("b", "o"))]),
        node("d", "make", &[]),
        node("e", "make", &[]),
        node("f", "keep", &[("x", promise("e", "o"))]),
        node("alone", "lists", &[]),
    ];
    plan(&Case::of(&[], nodes))
}

fn long_names() -> Arc<Plan> {
    let long = "company.department.team.project.pipelines.training.prepare_the_very_large_data_set_for_everyone";
    let wide = "WWWWWWWWWWMMMMMMMMMM@@@@@@@@@@WWWWWWWWWW";
    let foreign = "データの準備をする長い名前のタスク_и_ещё_немного_текста_здесь";
    let sub = workflow(
        "a.workflow_with_a_name_that_is_much_longer_than_what_it_holds_inside_of_it",
        &[],
        vec![node("n", "make", &[])],
        &[],
    );
    let nodes = vec![
        node("prepare-the-data", long, &[]),
        node("w", wide, &[]),
        node("f", foreign, &[]),
        node("i", "ill", &[]),
        after(sub_node("s", &sub.id.name.clone(), &[]), &["w", "f"]),
        branch_node(
            "b",
            "a decision whose name is long as well, and goes on",
            vec![case(
                both(
                    both(
                        compare(ComparisonOperator::Gt, 1_000_000),
                        compare(ComparisonOperator::Lt, 2_000_000),
                    ),
                    compare(ComparisonOperator::Neq, 1_500_000),
                ),
                keep("yes"),
            )],
            Otherwise::Error(FlyteError {
                failed_node_id: "b".into(),
                message: "x is not what it ought to be, which is a long story\nwith two lines"
                    .into(),
            }),
        ),
    ];
    let no = |name: &str| task(name, &[], &[]);
    let case = Case::of(&[("x", int())], nodes)
        .with_task(no(long))
        .with_task(no(wide))
        .with_task(no(foreign))
        .with_task(no("ill"))
        .with_task(task("unused", &[("s", text())], &[]))
        .with_sub(sub);
    plan(&case)
}

/// Twelve layers, each node with up to three predecessors anywhere before it.
pub(crate) fn large(count: usize) -> Arc<Plan> {
    let mut seed = 7_usize;
    let mut next = move |n: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let wide = count / 12;
    let mut nodes: Vec<Node> = Vec::new();
    for i in 0..count {
        let id = format!("n{i}");
        if i < wide {
            nodes.push(node(&id, "make", &[]));
            continue;
        }
        // Mostly of the layer before.
        let start = (i / wide - 1) * wide;
        let near = format!("n{}", start + next(wide));
        let far = format!("n{}", next(start + wide));
        let n = node(&id, "keep", &[("x", promise(&near, "o"))]);
        nodes.push(if next(4) == 0 { after(n, &[&far]) } else { n });
    }
    plan(&Case::of(&[], nodes))
}
