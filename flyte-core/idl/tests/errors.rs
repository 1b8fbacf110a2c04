//! What cannot be converted says where it is.

use flyte_core::id::{Identifier, ResourceType};
use flyte_core::literal::{Literal, LiteralType, SimpleType};
use flyte_core::template::{
    ArtifactReference, Binding, BindingData, BooleanExpression, BranchNode, ComparisonExpression,
    ComparisonOperator, IfBlock, IfElse, LaunchPlanClosure, LaunchPlanSpec, LaunchPlanTemplate,
    Node, NodeTarget, Operand, TypedInterface, Variable, WorkflowTemplate,
};
use flyte_idl::convert::{
    WireError, interface_from_pb, interface_to_pb, launch_plan_from_pb, launch_plan_to_pb,
    workflow_from_pb, workflow_to_pb,
};
use flyte_idl::core;

fn workflow(node: Node) -> WorkflowTemplate {
    WorkflowTemplate {
        id: Identifier::new(ResourceType::Workflow, "w", "v"),
        metadata: Default::default(),
        interface: None,
        nodes: vec![node],
        outputs: Vec::new(),
        failure_node: None,
        interruptible: false,
    }
}

fn bound(l: Literal) -> WorkflowTemplate {
    let mut node = Node::new("n0", NodeTarget::Workflow(None));
    node.inputs = vec![Binding::new("x", BindingData::Scalar(l))];
    workflow(node)
}

fn says(e: WireError, path: &str) {
    assert_eq!(e.path, path, "{e}");
}

#[test]
fn lists_of_constants_become_lists_of_bindings() {
    let list = Literal::Collection(vec![Literal::Integer(1), Literal::Integer(2)].into());
    let wire = workflow_to_pb(&bound(list)).unwrap();
    let back = workflow_from_pb(&wire).unwrap();
    let items = [1, 2].map(|i| BindingData::Scalar(Literal::Integer(i)));
    let expected = Binding::new("x", BindingData::Collection(items.into()));
    assert_eq!(back.nodes[0].inputs, [expected]);
}

#[test]
fn constants_that_the_wire_has_no_room_for_are_named() {
    let hashed = Literal::Integer(1).annotated("h", Default::default());
    let e = workflow_to_pb(&bound(hashed)).unwrap_err();
    says(e, "nodes[0].inputs.x.scalar");
}

#[test]
fn a_condition_on_a_list_is_named() {
    let operand = |o| Some(Operand::Primitive(o));
    let condition = BooleanExpression::Comparison(ComparisonExpression {
        operator: ComparisonOperator::Eq,
        left: operand(Literal::Integer(1)),
        right: operand(Literal::None),
    });
    let case = IfBlock {
        condition: Some(condition),
        then_node: None,
    };
    let if_else = Some(IfElse {
        case: Some(case),
        other: Vec::new(),
        otherwise: None,
    });
    let node = Node::new("n0", NodeTarget::Branch(BranchNode { if_else }));
    let e = workflow_to_pb(&workflow(node)).unwrap_err();
    says(e, "nodes[0].branch_node.if_else.case.condition.primitive");
}

#[test]
fn carried_bytes_that_are_no_message_are_named() {
    let mut variable = Variable::new(LiteralType::simple(SimpleType::Integer));
    variable.artifact = ArtifactReference {
        partial_id: Some(vec![0xff]),
        tag: None,
    };
    let interface = TypedInterface {
        inputs: [("x".into(), variable)].into(),
        ..Default::default()
    };
    says(
        interface_to_pb(&interface).unwrap_err(),
        "inputs.x.artifact_partial_id",
    );
}

#[test]
fn a_variable_of_an_unset_type_is_named() {
    let variable = core::Variable {
        r#type: Some(core::LiteralType::default()),
        ..Default::default()
    };
    let interface = core::TypedInterface {
        inputs: None,
        outputs: Some(core::VariableMap {
            variables: [("o0".to_owned(), variable)].into(),
        }),
    };
    says(
        interface_from_pb(&interface).unwrap_err(),
        "outputs.o0.type",
    );
}

#[test]
fn a_wrong_constant_deep_in_a_branch_is_named() {
    let mut inner = Node::new("n1", NodeTarget::Workflow(None));
    let list = Literal::Collection(vec![Literal::Integer(1)].into());
    inner.inputs = vec![Binding::new("x", BindingData::Scalar(list))];
    let case = |then_node| IfBlock {
        condition: None,
        then_node,
    };
    let if_else = Some(IfElse {
        case: Some(case(None)),
        other: vec![case(Some(Box::new(inner)))],
        otherwise: None,
    });
    let node = Node::new("n0", NodeTarget::Branch(BranchNode { if_else }));
    let mut wire = workflow_to_pb(&workflow(node)).unwrap();
    let Some(core::node::Target::BranchNode(b)) = &mut wire.nodes[0].target else {
        panic!("it is a branch");
    };
    let other = &mut b.if_else.as_mut().unwrap().other[0];
    let binding = &mut other.then_node.as_mut().unwrap().inputs[0].binding;
    let value = &mut binding.as_mut().unwrap().value;
    let Some(core::binding_data::Value::Collection(items)) = value else {
        panic!("it is a list");
    };
    items.bindings[0].value = Some(core::binding_data::Value::Scalar(core::Scalar::default()));
    says(
        workflow_from_pb(&wire).unwrap_err(),
        "nodes[0].branch_node.if_else.other[0].then_node.inputs.x.collection[0].scalar.value",
    );
}

#[test]
fn numbers_of_a_launch_plan_are_checked_both_ways() {
    let mut plan = LaunchPlanTemplate {
        id: Identifier::new(ResourceType::LaunchPlan, "l", "v"),
        spec: LaunchPlanSpec::default(),
        closure: LaunchPlanClosure {
            active: true,
            ..Default::default()
        },
    };
    let mut wire = launch_plan_to_pb(&plan).unwrap();
    wire.closure.as_mut().unwrap().state = 5;
    says(launch_plan_from_pb(&wire).unwrap_err(), "closure.state");
    plan.spec.max_parallelism = u32::MAX;
    says(
        launch_plan_to_pb(&plan).unwrap_err(),
        "spec.max_parallelism",
    );
}
