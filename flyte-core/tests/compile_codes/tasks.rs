//! Tasks by themselves.

use flyte_core::compile::check_task;
use flyte_core::limits::ATTEMPTS_MAX;
use flyte_core::literal::{Document, Struct};
use flyte_core::template::{
    Container, K8sPod, ResourceEntry, ResourceName, Resources, TaskTarget, TaskTemplate,
};

use super::support::{Case, int, node, same, task};

fn container(change: impl FnOnce(&mut Container)) -> TaskTemplate {
    let mut c = Container {
        image: "image".into(),
        command: vec!["true".into()],
        ..Container::default()
    };
    change(&mut c);
    let mut t = task("t", &[], &[("o", int())]);
    t.target = Some(TaskTarget::Container(c));
    t
}

fn pod(spec: Option<Struct>) -> TaskTemplate {
    let mut t = task("t", &[], &[]);
    t.target = Some(TaskTarget::K8sPod(K8sPod {
        pod_spec: spec,
        ..K8sPod::default()
    }));
    t
}

#[track_caller]
fn gives(t: &TaskTemplate, wanted: &[(&str, &str, &str)]) {
    same(&check_task(t).unwrap_err(), wanted);
}

#[test]
fn a_task_has_an_id() {
    let mut t = task("t", &[], &[]);
    t.id = None;
    gives(&t, &[("ValueRequired", "root", "[Id]")]);
}

#[test]
fn retries_have_a_bound_for_tasks_and_nodes() {
    let most = ATTEMPTS_MAX - 1;
    let with = |retries| {
        let mut t = task("train", &[], &[]);
        t.metadata.retries = Some(retries);
        t
    };
    check_task(&with(most)).unwrap();
    let wanted = "task `train` says 1000 retries, and 999 is the most";
    gives(&with(most + 1), &[("WorkflowBuildError", "root", wanted)]);
    // Through the compiler, also where a node says less.
    let mut n = node("n", "train", &[]);
    n.metadata.get_or_insert_default().retries = Some(1);
    let mut case = Case::of(&[], vec![n]);
    case.tasks.push(with(5000));
    let wanted = "task `train` says 5000 retries";
    case.gives(&[("WorkflowBuildError", "root", wanted)]);

    let said = |retries| {
        let mut n = node("n", "make", &[]);
        n.metadata.get_or_insert_default().retries = Some(retries);
        Case::of(&[], vec![n])
    };
    said(most).holds();
    let wanted = "the node says 1000 retries, and 999 is the most";
    said(most + 1).gives(&[("WorkflowBuildError", "n", wanted)]);
}

#[test]
fn a_container_has_an_image_and_a_command() {
    check_task(&container(|_| ())).unwrap();
    let t = container(|c| c.image.clear());
    gives(&t, &[("ValueRequired", "container", "[image]")]);
    let t = container(|c| c.command.clear());
    gives(&t, &[("ValueRequired", "container", "[command]")]);
    // Without inputs and outputs nothing needs to be started by name.
    let mut t = container(|c| c.command.clear());
    t.interface = None;
    check_task(&t).unwrap();
}

#[test]
fn resources_are_quantities() {
    let with = |name, value: &str| {
        container(|c| {
            c.resources = Some(Resources {
                requests: Vec::new(),
                limits: vec![ResourceEntry {
                    name,
                    value: value.into(),
                }],
            });
        })
    };
    check_task(&with(ResourceName::Memory, "2Gi")).unwrap();
    let t = with(ResourceName::EphemeralStorage, "many");
    gives(
        &t,
        &[("UnrecognizedValue", "resources.EPHEMERAL_STORAGE", "many")],
    );
}

#[test]
fn a_pod_spec_is_one() {
    let named = |name: &str| {
        let c = Document::Struct([("name".into(), Document::String(name.into()))].into());
        pod(Some(
            [("containers".into(), Document::List(vec![c]))].into(),
        ))
    };
    check_task(&named("primary-1")).unwrap();
    for name in ["", "Upper", "-a", "a_b", &"a".repeat(64)] {
        gives(
            &named(name),
            &[("InvalidValue", "root", "[k8s pod spec container name]")],
        );
    }
    gives(&pod(None), &[("InvalidValue", "root", "[k8s pod spec]")]);
    let text = Document::String("all".into());
    let spec = [("containers".into(), text)].into();
    gives(
        &pod(Some(spec)),
        &[("InvalidValue", "root", "[k8s pod spec]")],
    );
}

#[test]
fn tasks_of_a_workflow_are_checked_with_it() {
    let mut t = container(|c| c.image.clear());
    t.id.as_mut().unwrap().name = "unused".into();
    Case::of(&[], vec![node("m", "make", &[])])
        .with_task(t)
        .gives(&[("ValueRequired", "container", "[image]")]);
}
