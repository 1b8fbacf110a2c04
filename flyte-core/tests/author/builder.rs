//! Workflows with typed handles, seen on the compiled plan.

use std::collections::BTreeMap;
use std::time::Duration;

use flyte_core::author::{
    BuildErrors, Call, ForeignTask, Inputs, LiteralStruct, LiteralValue, Outputs, Workflow,
    WorkflowBuilder, map,
};
use flyte_core::id::{Identifier, ResourceType};
use flyte_core::literal::{FlyteError, Literal, Row, SignedDuration};
use flyte_core::plan::{Plan, Target};
use flyte_core::task;
use flyte_core::template::{
    BooleanExpression, Container, GateCondition, OnFailure, ResourceEntry, ResourceName, Resources,
    SuccessCriteria, TaskOverrides, TaskTarget, TaskTemplate, TypedInterface, Variable,
};

#[derive(Debug, LiteralStruct)]
struct Model {
    w: f64,
    name: String,
    parts: Vec<Part>,
    scores: BTreeMap<String, f64>,
}

#[derive(Debug, LiteralStruct)]
struct Part {
    size: i64,
}

#[task]
fn split(n: i64, share: f64) -> (Vec<i64>, Vec<i64>) {
    let cut = (n as f64 * share) as i64;
    ((0..cut).collect(), (cut..n).collect())
}

#[task(timeout = "10m", retries = 2)]
fn fit(train: Vec<i64>, lr: f64) -> Model {
    Model {
        w: train.len() as f64 * lr,
        name: "m".into(),
        parts: Vec::new(),
        scores: BTreeMap::new(),
    }
}

#[task]
fn score(model: Model, test: Vec<i64>, name: String) -> f64 {
    model.w + test.len() as f64 + name.len() as f64
}

#[task]
fn zero() -> f64 {
    0.0
}

#[task]
fn half(x: f64) -> f64 {
    x / 2.0
}

#[task]
fn sum(xs: Vec<f64>, scale: Option<f64>) -> f64 {
    xs.iter().sum::<f64>() * scale.unwrap_or(1.0)
}

#[task]
fn tell(text: String) {
    assert!(!text.is_empty());
}

#[task]
fn clean(n: i64, err: Option<FlyteError>) {
    assert!(n > 0 && err.is_some());
}

fn kinds(plan: &Plan, graph: usize) -> Vec<(&str, &'static str)> {
    let g = &plan.graphs[graph];
    let kind = |i: usize| (g.id_of(i as u32), g.nodes[i].target.kind());
    (0..g.len()).map(kind).collect()
}

/// The digest of its bytes is stable: reading and writing it again changes nothing.
fn checked<In, Out>(built: Result<Workflow<In, Out>, BuildErrors>) -> Workflow<In, Out> {
    let wf = built.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        &Plan::from_bytes(&wf.plan().to_bytes()).unwrap(),
        &**wf.plan()
    );
    wf
}

#[test]
fn a_pipeline_of_calls() {
    let wf = checked(Workflow::<(i64, f64), _>::build("train", |wf, (n, lr)| {
        let (train, test) = wf.call(split(n, 0.8));
        let m = wf.call(fit(train, lr).named("fit").timeout("1h"));
        let halved = wf.call(half(m.w()));
        wf.after(halved, test);
        wf.call(score(m, test, "holdout"))
    }));
    assert_eq!(
        kinds(wf.plan(), 0),
        [
            ("n0", "task"),
            ("fit", "task"),
            ("n2", "task"),
            ("n3", "task")
        ]
    );
    let root = wf.plan().root();
    assert_eq!(
        root.settings_of(1).timeout,
        Some(SignedDuration::new(3600, 0).unwrap())
    );
    assert_eq!(root.settings_of(1).attempts_max, 3);
    assert_eq!(root.upstream_counts, [0, 1, 2, 2]);
    let inputs = wf.encode((10, 0.1));
    assert_eq!(inputs["i0"], Literal::Integer(10));
    assert_eq!(inputs["i1"], Literal::Float(0.1));
    let out = wf.decode(&Row::from_pairs([("o0", Literal::Float(2.0))]));
    assert_eq!(out, Ok(2.0));
    assert!(wf.decode(&Row::default()).is_err());
}

#[test]
fn the_version_is_the_digest_of_what_was_written() {
    let build = |share: f64, named: bool| {
        let wf = Workflow::<i64, _>::build("v", move |wf, n| {
            if named {
                wf.version("mine");
            }
            wf.call(split(n, share))
        });
        checked(wf).id().version.to_string()
    };
    assert_eq!(build(0.5, false), build(0.5, false));
    assert_ne!(build(0.5, false), build(0.6, false));
    assert_eq!(build(0.5, false).len(), 32);
    assert_eq!(build(0.5, true), "mine");
    let interface = |wf: &Workflow<i64, f64>| wf.interface_digest();
    let a = checked(Workflow::<i64, _>::build("a", |wf, _| wf.call(zero())));
    let b = checked(Workflow::<i64, _>::build("b", |wf, _| wf.call(half(1.0))));
    assert_eq!(interface(&a), interface(&b));
}

#[test]
fn named_inputs_outputs_and_defaults() {
    #[derive(Inputs)]
    struct Args {
        n: i64,
        share: f64,
    }
    #[derive(Debug, PartialEq, Outputs)]
    struct Halves {
        second: Vec<i64>,
        first: Vec<i64>,
    }
    let wf = checked(Workflow::<Args, Halves>::build("halves", |wf, args| {
        wf.default(args.share, 0.5);
        let (first, second) = wf.call(split(args.n, args.share));
        HalvesHandles { second, first }
    }));
    let names: Vec<&str> = wf.plan().root().output_names.iter().map(|n| &**n).collect();
    assert_eq!(names, ["first", "second"]);
    let defaults = &wf.launch_plan().spec.default_inputs;
    assert_eq!(defaults.keys().map(|k| &**k).collect::<Vec<_>>(), ["share"]);
    let list = |n| Literal::collection([Literal::Integer(n)]);
    let row = Row::from_pairs([("first", list(1)), ("second", list(2))]);
    let want = Halves {
        second: vec![2],
        first: vec![1],
    };
    assert_eq!(wf.decode(&row), Ok(want));
    let named = checked(Workflow::<(i64, f64), _>::build(
        "named",
        |wf, (n, share)| {
            wf.name_inputs(["n", "share"]);
            wf.call(split(n, share))
        },
    ));
    assert_eq!(
        named
            .encode((1, 0.5))
            .keys()
            .map(|k| &**k)
            .collect::<Vec<_>>(),
        ["n", "share"]
    );
    let outer = checked(Workflow::<i64, _>::build("outer", |wf, n| {
        let one = wf.sub(&wf_of(), Args { n: 1, share: 0.1 });
        let share = wf.constant(0.3);
        let two = wf.sub(&wf_of(), ArgsHandles { n, share });
        (one, two)
    }));
    assert_eq!(
        kinds(outer.plan(), 0),
        [("n0", "sub-workflow"), ("n1", "sub-workflow")]
    );
    fn wf_of() -> Workflow<Args, Vec<i64>> {
        checked(Workflow::<Args, _>::build("first", |wf, args| {
            wf.call(split(args.n, args.share)).0
        }))
    }
}

#[test]
fn branches_take_calls_handles_constants_and_graphs() {
    let wf = checked(Workflow::<(f64, bool), _>::build(
        "choose",
        |wf, (x, flag)| {
            let before = wf.call(half(x));
            wf.when(x.gt(10.0) & flag.eq(false), |wf| wf.call(half(x)))
                .elif(flag, |_| before)
                .elif(before.le(x) | x.ne(0.5), |wf| {
                    let once = wf.call(half(before));
                    wf.call(half(once))
                })
                .elif(x.lt(0.0), |wf| wf.constant(1.0))
                .otherwise(|wf| wf.call(zero()))
        },
    ));
    let plan = wf.plan();
    assert_eq!(kinds(plan, 0), [("n0", "task"), ("n1", "branch")]);
    let branch = &plan.branches[0];
    let arms = &plan.graphs[branch.arms as usize];
    let arm = |i: usize| arms.nodes[i].target;
    assert_eq!(arms.len(), 5);
    assert!(matches!(arm(0), Target::Task(_)));
    assert!(matches!(arm(1), Target::Task(_)));
    let Target::SubWorkflow(graph) = arm(2) else {
        panic!("an arm of two nodes is a workflow")
    };
    assert_eq!(plan.graphs[graph as usize].len(), 2);
    let names: Vec<&str> = plan.graphs[graph as usize]
        .input_names
        .iter()
        .map(|n| &**n)
        .collect();
    assert_eq!(names, ["c0"]);
    let case = branch
        .template
        .if_else
        .as_ref()
        .unwrap()
        .case
        .as_ref()
        .unwrap();
    assert!(matches!(
        case.condition,
        Some(BooleanExpression::Conjunction { .. })
    ));
    // What an arm takes from outside is waited for.
    assert_eq!(plan.root().upstream_counts, [0, 1]);
}

#[test]
fn conditions_look_into_structs() {
    let wf = checked(Workflow::<f64, _>::build("look", |wf, lr| {
        let (train, _) = wf.call(split(4, 0.5));
        let m = wf.call(fit(train, lr));
        wf.when(m.w().gt(0.5), |wf| wf.call(tell(m.name())))
            .or_fail("the model is too small")
    }));
    assert_eq!(wf.plan().branches.len(), 1);
    assert_eq!(wf.plan().root().output_names.len(), 0);
}

#[test]
fn a_branch_inside_a_branch_reaches_outwards() {
    let wf = checked(Workflow::<(f64, f64), _>::build("deep", |wf, (x, y)| {
        let h = wf.call(half(y));
        wf.when(x.gt(1.0), |wf| {
            let inner = wf.call(half(x));
            wf.when(inner.gt(2.0), |wf| {
                let a = wf.call(half(h));
                wf.call(sum([a, inner, x], None))
            })
            .otherwise(|_| h)
        })
        .otherwise(|_| x)
    }));
    assert_eq!(wf.plan().branches.len(), 2);
    // The outer arm takes x and h, the inner one h, its sibling and x.
    let inputs: Vec<usize> = wf.plan().graphs[1..]
        .iter()
        .map(|g| g.input_names.len())
        .collect();
    assert!(inputs.contains(&2) && inputs.contains(&3), "{inputs:?}");
}

#[test]
fn maps_over_a_list() {
    let wf = checked(Workflow::<Vec<f64>, _>::build("all", |wf, xs| {
        let halves = wf.map(xs, |x| half(x));
        let some = wf.call(
            map(halves, |x| sum(vec![1.0], x).retries(5))
                .concurrency(8)
                .min_success(0.9)
                .named("some"),
        );
        (halves, some)
    }));
    let plan = wf.plan();
    assert_eq!(
        kinds(plan, 0),
        [("n0", "array (map)"), ("some", "array (map)")]
    );
    let (all, some) = (&plan.arrays[0], &plan.arrays[1]);
    assert_eq!(all.split, [0]);
    assert_eq!(some.template.parallelism, Some(8));
    assert_eq!(
        some.template.success,
        Some(SuccessCriteria::MinSuccessRatio(0.9))
    );
    assert_eq!(some.template.bound_inputs, ["xs".into()]);
    let item = &plan.graphs[some.item as usize];
    assert_eq!(item.settings_of(0).attempts_max, 6);
    let want = <Vec<Option<f64>> as flyte_core::author::LiteralValue>::literal_type();
    assert!(flyte_core::literal::castable(
        &plan.root().output_types[1],
        &want
    ));
}

#[test]
fn maps_over_a_workflow_start_executions() {
    let one = checked(Workflow::<(f64, f64), _>::build("one", |wf, (x, _)| {
        wf.call(half(x))
    }));
    let wf = checked(Workflow::<Vec<f64>, _>::build("many", |wf, xs| {
        wf.map(xs, |x| one.launch((x, 2.0)))
    }));
    assert_eq!(wf.children().len(), 1);
    let array = &wf.plan().arrays[0];
    assert_eq!(array.template.bound_inputs, ["i1".into()]);
    let item = &wf.plan().graphs[array.item as usize];
    assert!(matches!(item.nodes[0].target, Target::LaunchPlan(_)));
}

#[test]
fn gates_children_and_a_failure_handler() {
    let child = checked(Workflow::<f64, _>::build("child", |wf, x| wf.call(half(x))));
    let wf = checked(Workflow::<(i64, f64), _>::build("gates", |wf, (n, x)| {
        wf.on_failure(clean(n, None));
        wf.finish_what_can();
        let slept = wf.sleep(Duration::from_secs(30));
        let y = wf.launch(&child, x);
        wf.after(y, slept);
        let rate = wf.signal::<f64>("rate", "1h");
        let yes = wf.approve(y, "good?", "30d");
        wf.call(sum([y, rate, yes], 2.0))
    }));
    let plan = wf.plan();
    let kinds: Vec<&str> = kinds(plan, 0).into_iter().map(|k| k.1).collect();
    assert_eq!(
        kinds,
        ["gate", "launch plan", "gate", "gate", "task", "task"]
    );
    assert_eq!(
        plan.root().on_failure,
        OnFailure::FailAfterExecutableNodesComplete
    );
    let failure = plan.root().failure_node.unwrap();
    assert_eq!(plan.root().id_of(failure), "fn0");
    assert!(matches!(plan.gates[1], GateCondition::Signal { .. }));
    assert_eq!(plan.root().upstream_counts[1], 1);
    assert_eq!(
        plan.launch_plans[0].spec.workflow_id.as_ref(),
        Some(child.id())
    );
}

#[test]
fn lists_maps_options_and_ways_into_values() {
    let wf = checked(Workflow::<f64, _>::build("wires", |wf, lr| {
        let (train, test) = wf.call(split(4, 0.5));
        let m = wf.call(fit(train, lr));
        let a = wf.call(half(m.scores().key("a")));
        let many = vec![a; 3];
        let b = wf.call(sum(many, a));
        let c = wf.call(sum(vec![1.0, 2.0], Some(0.5)));
        let d = wf.call(sum([a, b], None));
        let size = wf.constant(m_parts());
        let first = wf.call(split(size.at(0).size(), 0.1)).0;
        let other = wf.call(split(m.parts().at(1).size(), 0.1)).0;
        (c, d, test.at(0), first, other)
    }));
    assert_eq!(wf.plan().root().outputs.len(), 5);
    fn m_parts() -> Vec<Part> {
        vec![Part { size: 3 }]
    }
}

fn errors(f: impl FnOnce(&mut WorkflowBuilder)) -> Vec<String> {
    let built = Workflow::<i64, ()>::build("bad", |wf, _| {
        f(wf);
        wf.call(tell("x"));
    });
    let e = built.expect_err("it is wrong");
    let all = e.errors.iter().map(|e| {
        let place = e.place.expect("each mistake has a place");
        assert!(
            place.file.ends_with("builder.rs") && place.line > 0,
            "{place}"
        );
        format!("{} {}", e.code.as_str(), e.message)
    });
    all.collect()
}

#[test]
fn mistakes_are_reported_all_at_once_each_with_its_place() {
    let mut foreign = None;
    checked(Workflow::<f64, _>::build("other", |_wf, x| {
        foreign = Some(x);
        _wf.call(half(x))
    }));
    let foreign = foreign.unwrap();
    let mut leaked = None;
    let mut line = 0;
    let found = errors(|wf| {
        line = line!() + 1;
        wf.call(half(foreign));
        wf.call(zero().timeout("soon"));
        let x = wf.call(zero());
        wf.when(x.gt(1.0), |wf| {
            leaked = Some(wf.call(half(x)));
            wf.call(half(leaked.unwrap()))
        })
        .otherwise(|_| x);
        wf.call(half(leaked.unwrap()));
        let xs = wf.constant(vec![1.0]);
        wf.map(xs, |_| half(1.0));
        wf.map((xs, vec![1.0]), |(x, _)| half(x));
        wf.name_inputs(["a", "b"]);
    });
    let has = |code: &str, text: &str| {
        assert!(
            found
                .iter()
                .any(|e| e.starts_with(code) && e.contains(text)),
            "{code}: {found:#?}"
        );
    };
    has("NodeReferenceNotFound", "another workflow");
    has("InvalidValue", "timeout");
    has("NodeReferenceNotFound", "inside an arm");
    has("InvalidValue", "no input takes the map's item");
    has("InvalidValue", "no input takes the item of list 2 of 2");
    has("InvalidValue", "2 names for 1 inputs");
    assert_eq!(found.len(), 6, "{found:#?}");
    let built = Workflow::<(), _>::build("bad", |wf, _| wf.call(half(foreign)));
    let text = built.unwrap_err().to_string();
    assert!(
        text.starts_with("workflow `bad`: node `n0` at ") && text.contains("builder.rs:"),
        "{text}"
    );
    assert!(line > 0);
}

#[test]
fn what_the_compiler_finds_has_the_place_of_its_node() {
    let found = errors(|wf| {
        wf.call(zero().named("twice"));
        wf.call(zero().named("twice"));
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("ValueCollision"), "{found:?}");
    let found = errors(|wf| {
        let x = wf.call(zero());
        wf.on_failure(tell("x"));
        wf.after(x, ());
        let (a, b) = (wf.call(half(x)), x);
        wf.after(b, a);
    });
    assert!(
        found.iter().any(|e| e.starts_with("NodeReferenceNotFound")),
        "{found:?}"
    );
}

#[task(tag = "shared")]
fn one() -> i64 {
    1
}

#[task(tag = "shared")]
fn other() -> i64 {
    2
}

#[test]
fn two_task_types_of_one_tag_are_a_mistake() {
    let found = errors(|wf| {
        wf.call(one());
    });
    assert_eq!(found.len(), 1);
    let both = "the tag `shared`: `author::builder::one`, `author::builder::other`";
    assert!(found[0].contains(both), "{found:?}");
    let found = errors(|wf| {
        wf.call(other());
    });
    assert!(found[0].contains(both), "{found:?}");
}

#[test]
fn a_call_says_how_it_is_cached_and_what_its_container_is() {
    let template = |target| {
        let id = Identifier::new(ResourceType::Task, "lab.train", "1");
        let interface = TypedInterface {
            inputs: [("x".into(), Variable::new(f64::literal_type()))].into(),
            outputs: [("o0".into(), Variable::new(f64::literal_type()))].into(),
        };
        let mut template = TaskTemplate::new(id, "python-task", interface);
        template.target = target;
        ForeignTask::<f64, f64>::new(template, ["x"]).unwrap()
    };
    let container = Container {
        image: "lab:1".into(),
        command: vec!["train".into()],
        ..Container::default()
    };
    let train = template(Some(TaskTarget::Container(container)));
    let wf = checked(Workflow::<(f64, Vec<f64>), _>::build(
        "lab",
        |wf, (x, xs)| {
            let big = |call: Call<f64>| {
                call.container_image("lab:2")
                    .request(ResourceName::Memory, "1Gi")
                    .request(ResourceName::Cpu, "500m")
                    .request(ResourceName::Memory, "2Gi")
                    .limit(ResourceName::Memory, "4Gi")
            };
            let plain = wf.call(train.call(x));
            let one = wf.call(
                big(train.call(plain))
                    .cache_version("3")
                    .cache_serialize(true),
            );
            wf.map(xs, |x| big(train.call(x)));
            one
        },
    ));
    let plan = wf.plan();
    assert_eq!(plan.root().settings_of(0).overrides, None);
    let one = plan.root().settings_of(1);
    assert_eq!(one.cacheable, Some(true));
    assert_eq!(one.cache_version.as_deref(), Some("3"));
    assert_eq!(one.cache_serializable, Some(true));
    let entry = |name, value: &str| ResourceEntry {
        name,
        value: value.into(),
    };
    let wanted = TaskOverrides {
        container_image: "lab:2".into(),
        resources: Some(Resources {
            requests: vec![
                entry(ResourceName::Cpu, "500m"),
                entry(ResourceName::Memory, "2Gi"),
            ],
            limits: vec![entry(ResourceName::Memory, "4Gi")],
        }),
        ..TaskOverrides::default()
    };
    assert_eq!(one.overrides.as_deref(), Some(&wanted));
    let item = &plan.graphs[plan.arrays[0].item as usize];
    assert_eq!(item.settings_of(0).overrides.as_deref(), Some(&wanted));

    // Where there is no container to change, and where the amount is none.
    let bare = template(None);
    let wrong = Workflow::<f64, _>::build("wrong", |wf, x| {
        let a = wf.call(bare.call(x).named("bare").container_image("lab:2"));
        let b = wf.call(half(a).named("rust").request(ResourceName::Cpu, "1"));
        wf.call(half(b))
    });
    let told = wrong.unwrap_err().to_string();
    for part in [
        "bare",
        "rust",
        "an image and resources are those of a container",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let odd = Workflow::<f64, _>::build("odd", |wf, x| {
        wf.call(train.call(x).named("odd").limit(ResourceName::Cpu, "one"))
    });
    let told = odd.unwrap_err().to_string();
    assert!(
        told.contains("odd") && told.contains("no quantity"),
        "{told}"
    );
}
