//! What the real flytekit serialises goes into the model and back to the wire unchanged.

mod common;

use common::{Templates, serialised, templates};
use flyte_host::core::compile::{Sources, compile_closure};
use flyte_idl::convert::{
    WireError, closure_to_pb, decode, launch_plan_from_pb, launch_plan_to_pb, task_from_pb,
    task_to_pb, workflow_from_pb, workflow_to_pb,
};
use flyte_idl::{Message, admin, core};

/// A message that went into the model, and the one that came out.
fn check<W, M>(
    name: &str,
    wire: &W,
    from: impl Fn(&W) -> Result<M, WireError>,
    to: impl Fn(&M) -> Result<W, WireError>,
) where
    W: Message + Default + PartialEq + std::fmt::Debug,
    M: std::fmt::Debug + PartialEq,
{
    let model = from(wire).unwrap_or_else(|e| panic!("{name}: {e}"));
    let back = to(&model).unwrap_or_else(|e| panic!("{name}: {e}"));
    let read: W = decode(&back.encode_to_vec()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(from(&read).unwrap(), model, "{name}");
    assert!(read == *wire, "{name}: sent {wire:?}, came back {read:?}");
}

/// An empty message and none are the same in a launch plan.
fn without_empty(mut l: admin::LaunchPlan) -> admin::LaunchPlan {
    fn clear<T: Default + PartialEq>(field: &mut Option<T>) {
        if *field == Some(T::default()) {
            *field = None;
        }
    }
    let spec = l.spec.as_mut().unwrap();
    clear(&mut spec.entity_metadata);
    clear(&mut spec.default_inputs);
    clear(&mut spec.fixed_inputs);
    clear(&mut spec.labels);
    clear(&mut spec.annotations);
    clear(&mut spec.raw_output_data_config);
    clear(&mut spec.envs);
    l
}

#[test]
fn entities_of_flytekit_come_back_as_they_were() {
    let (modules, out) = serialised();
    let mut counts = [0; 3];
    let mut with = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(out.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        with.extend(modules.iter().filter(|m| name.contains(&format!("{m}."))));
        match name.rsplit('_').next() {
            Some("1") => {
                let spec: admin::TaskSpec = decode(&bytes).unwrap();
                check(&name, &spec.template.unwrap(), task_from_pb, task_to_pb);
                counts[0] += 1;
            }
            Some("2") => {
                let spec: admin::WorkflowSpec = decode(&bytes).unwrap();
                let all: Vec<core::WorkflowTemplate> = spec
                    .template
                    .into_iter()
                    .chain(spec.sub_workflows)
                    .collect();
                for w in &all {
                    check(&name, w, workflow_from_pb, workflow_to_pb);
                }
                counts[1] += all.len();
            }
            Some("3") => {
                let plan = without_empty(decode(&bytes).unwrap());
                check(&name, &plan, launch_plan_from_pb, launch_plan_to_pb);
                counts[2] += 1;
            }
            _ => {}
        }
    }
    let [tasks, workflows, plans] = counts;
    println!(
        "{tasks} tasks, {workflows} workflows, {plans} launch plans of {} files",
        with.len()
    );
    let without: Vec<_> = modules.iter().filter(|m| !with.contains(m)).collect();
    assert!(without.is_empty(), "nothing of {without:?}");
    assert!(tasks >= 30 && workflows >= 30 && plans >= 30);
}

#[test]
fn closures_for_a_control_plane_hold_all_that_was_given() {
    let Templates {
        workflows,
        tasks,
        launch_plans,
    } = templates();
    for w in &workflows {
        let name = &w.id.name;
        let subs: Vec<_> = workflows.iter().filter(|s| s.id != w.id).cloned().collect();
        let sources = Sources::new(w, &tasks)
            .with_sub_workflows(&subs)
            .with_launch_plans(&launch_plans)
            .with_strict(false);
        let closure = compile_closure(&sources).unwrap_or_else(|e| panic!("{name}: {e}"));
        let sent = closure_to_pb(&closure).unwrap().encode_to_vec();
        let read: core::CompiledWorkflowClosure = decode(&sent).unwrap();
        assert_eq!(read.tasks.len(), tasks.len());
        assert_eq!(read.sub_workflows.len(), subs.len());
        let primary = read.primary.unwrap();
        let template = primary.template.unwrap();
        assert_eq!(
            workflow_from_pb(&template).unwrap(),
            closure.primary.template
        );
        assert_eq!(template.nodes.len(), w.nodes.len() + 2, "{name}");
        // Nodes of cases and the failure node know what comes before them only; every other edge
        // stands on both sides.
        let edges = primary.connections.unwrap();
        let pairs = |m: &std::collections::BTreeMap<String, core::connection_set::IdList>| {
            let pairs = m
                .iter()
                .flat_map(|(k, l)| l.ids.iter().map(move |i| (k.clone(), i.clone())));
            pairs.collect::<std::collections::BTreeSet<_>>()
        };
        let turned = pairs(&edges.upstream)
            .into_iter()
            .filter(|(to, _)| template.nodes.iter().any(|n| n.id == *to))
            .map(|(to, from)| (from, to));
        assert_eq!(
            turned.collect::<std::collections::BTreeSet<_>>(),
            pairs(&edges.downstream),
            "{name}"
        );
        for node in &w.nodes {
            let has = |m: &std::collections::BTreeMap<String, _>| m.contains_key(&*node.id);
            assert!(has(&edges.upstream) && has(&edges.downstream), "{name}");
        }
    }
    assert!(workflows.len() >= 30);
}
