use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyte_core::author::{LiteralValue, Output, Res, Workflow, WorkflowBuilder};
use flyte_core::contract::{
    Command, CommandBody, CommandId, Expansion, ShardId, Store, Submission, TaskError,
};
use flyte_core::id::{ExecutionId, Str};
use flyte_core::journal::WorkflowPhase;
use flyte_core::literal::{Literal, LiteralType, Row, SimpleType, Timestamp};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::Plan;
use flyte_core::{dynamic, task};
use flyte_scheduler::testing::{Harness, TestError};
use flyte_scheduler::{
    Handle, ParkKind, Parked, Scheduler, Submit, SubmitError, WaitCause, WaitError,
};

use super::program::{
    Program, deploy, first, id, int, number, open, parkings, simple, task as task_of, workflow,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn optional(t: LiteralType) -> LiteralType {
    LiteralType::union([t, simple(SimpleType::None)])
}

/// Why an execution is parked.
async fn parked(handle: &Handle) -> Parked {
    match handle.wait().await {
        Err(WaitError::Parked(why)) => why,
        other => panic!("it is not parked: {other:?}"),
    }
}

/// A store in which the first program left an execution that waits for a person.
async fn begun(key: &str) -> Arc<MemoryStore> {
    deploy(key, first());
    let store = Arc::new(MemoryStore::default());
    let scheduler = open(&store).await;
    let wf = workflow(key);
    scheduler.launch(&wf, 21).named(key).await.unwrap();
    let waits = WaitCause::Signal {
        signal: "paid".into(),
    };
    while scheduler.explain(&id(key), "n0").await.unwrap() != waits {
        tokio::task::yield_now().await;
    }
    scheduler.shutdown(PATIENCE).await;
    store
}

/// Lets the person answer, and gives the outputs.
async fn ends(scheduler: &Scheduler, key: &str) -> Row {
    let handle = scheduler.attach(&id(key)).await.unwrap();
    let yes = Literal::Boolean(true);
    handle.signal("paid", yes).await.unwrap();
    handle.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_fit_parks_and_one_that_fits_goes_on() {
    let program = |inputs: &[(&'static str, LiteralType)], outputs: &[(&'static str, _)]| Program {
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        retries: 0,
        run: |_| panic!("it does not fit"),
    };
    let text = || simple(SimpleType::String);
    let out = [("o0", int())];
    for (key, new, words) in [
        (
            "renamed parameter",
            program(&[("cents", int())], &out),
            "input `amount` of task `renamed parameter` was `int` and is gone, input `cents` of \
             task `renamed parameter` is new and has the type `int`",
        ),
        (
            "added parameter",
            program(&[("amount", int()), ("rate", int())], &out),
            "input `rate` of task `added parameter` is new and has the type `int`",
        ),
        (
            "removed parameter",
            program(&[], &out),
            "input `amount` of task `removed parameter` was `int` and is gone",
        ),
        (
            "type of a parameter",
            program(&[("amount", text())], &out),
            "input `amount` of task `type of a parameter` was `int` and is `str`",
        ),
        (
            "parameter made optional",
            program(&[("amount", optional(int()))], &out),
            "was `int` and is `int | None`",
        ),
        (
            "type of an output",
            program(&[("amount", int())], &[("o0", text())]),
            "output `o0` of task `type of an output` was `int` and is `str`",
        ),
        (
            "added output",
            program(&[("amount", int())], &[("o0", int()), ("o1", int())]),
            "output `o1` of task `added output` is new",
        ),
        (
            "removed output",
            program(&[("amount", int())], &[]),
            "output `o0` of task `removed output` was `int` and is gone",
        ),
    ] {
        let store = begun(key).await;
        deploy(key, new);
        let scheduler = open(&store).await;
        let handle = scheduler.attach(&id(key)).await.unwrap();
        let why = parked(&handle).await;
        assert_eq!(why.kind, ParkKind::TaskChanged, "{key}: {why}");
        assert!(why.message.contains(words), "{key}: {why}");
        assert!(why.message.contains("abort the execution"), "{key}: {why}");
        let health = scheduler.health().await;
        let counted = BTreeMap::from([(key.into(), 1)]);
        assert_eq!(health.changed_tasks, counted, "{key}");
        assert!(!health.is_well(), "{key}");
        let cause = scheduler.explain(&id(key), "pay").await.unwrap();
        assert_eq!(cause, WaitCause::Parked(why.clone()), "{key}");
        // A person cannot make it fit.
        scheduler.release(&id(key)).await.unwrap();
        assert_eq!(parked(&handle).await, why, "{key}");
        scheduler.shutdown(PATIENCE).await;
        assert_eq!(parkings(&*store).await, 1, "{key}");

        // The next owner finds what is recorded.
        let scheduler = open(&store).await;
        let handle = scheduler.attach(&id(key)).await.unwrap();
        assert_eq!(parked(&handle).await, why, "{key}");
        scheduler.shutdown(PATIENCE).await;
        assert_eq!(parkings(&*store).await, 1, "{key}");

        // The deploy is rolled back.
        deploy(key, first());
        let scheduler = open(&store).await;
        let outputs = ends(&scheduler, key).await;
        assert_eq!(outputs.get("o0"), Some(&Literal::Integer(42)), "{key}");
        assert!(scheduler.health().await.is_well(), "{key}");
        scheduler.shutdown(PATIENCE).await;
        assert_eq!(parkings(&*store).await, 1, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fits_goes_on_with_its_own_code() {
    let with_note = Program {
        inputs: vec![
            ("amount", int()),
            ("note", optional(simple(SimpleType::String))),
        ],
        run: |inputs| {
            assert_eq!(inputs.get("note"), None);
            Row::from_pairs([("o0", Literal::Integer(3 * number(inputs, "amount")))])
        },
        ..first()
    };
    let body = Program {
        run: with_note.run,
        ..first()
    };
    for (key, new) in [("added option", with_note), ("another body", body)] {
        let store = begun(key).await;
        deploy(key, new);
        let scheduler = open(&store).await;
        let outputs = ends(&scheduler, key).await;
        assert_eq!(outputs.get("o0"), Some(&Literal::Integer(63)), "{key}");
        scheduler.shutdown(PATIENCE).await;
        assert_eq!(parkings(&*store).await, 0, "{key}");
    }
}

/// A macro gives a parameter that was left out its None.
#[tokio::test(flavor = "multi_thread")]
async fn an_added_option_of_a_function_gets_none() {
    #[task]
    async fn greet(name: String, note: Option<String>) -> String {
        format!("{name} {note:?}")
    }
    let wf = Workflow::<String, _>::build("greet", |wf, name| wf.call(greet(name, None)));
    let mut plan = Plan::clone(wf.unwrap().plan());
    // As a program stored it whose function had no note.
    let stored = Arc::make_mut(&mut plan.tasks[0]);
    stored.interface.as_mut().unwrap().inputs.remove("note");
    let scheduler = Scheduler::builder().build().await.unwrap();
    let submit = Submit::new(id("e")).with_input("i0", Literal::string("you"));
    let handle = scheduler.submit(&Arc::new(plan), submit).await.unwrap();
    let outputs = handle.await.unwrap();
    assert_eq!(outputs.get("o0"), Some(&Literal::string("you None")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_execution_can_be_aborted() {
    let key = "aborted";
    let store = begun(key).await;
    deploy(
        key,
        Program {
            inputs: vec![("cents", int())],
            ..first()
        },
    );
    let scheduler = open(&store).await;
    let handle = scheduler.attach(&id(key)).await.unwrap();
    parked(&handle).await;
    handle.abort("no longer wanted").await.unwrap();
    let outcome = handle.wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Aborted);
    assert!(scheduler.health().await.is_well());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_that_do_not_fit_are_recorded_each() {
    let key = "two programs";
    let store = begun(key).await;
    for (name, so_far) in [("cents", 1), ("euros", 2), ("euros", 2)] {
        let inputs = vec![(name, int())];
        deploy(key, Program { inputs, ..first() });
        let scheduler = open(&store).await;
        let handle = scheduler.attach(&id(key)).await.unwrap();
        let why = parked(&handle).await;
        assert!(why.message.contains(&format!("input `{name}`")), "{why}");
        scheduler.shutdown(PATIENCE).await;
        assert_eq!(parkings(&*store).await, so_far);
    }
    deploy(key, first());
    let scheduler = open(&store).await;
    assert_eq!(
        ends(&scheduler, key).await.get("o0"),
        Some(&Literal::Integer(42))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_over_may_change() {
    let key = "over";
    deploy(key, first());
    let task = task_of(key);
    let wf = Workflow::<i64, _>::build("order", |wf, n| {
        let paid = wf.call(task.call(n));
        wf.approve(paid, "paid", "7d")
    });
    let wf = wf.unwrap();
    let store = Arc::new(MemoryStore::default());
    let scheduler = open(&store).await;
    scheduler.launch(&wf, 21).named(key).await.unwrap();
    let waits = WaitCause::Signal {
        signal: "paid".into(),
    };
    while scheduler.explain(&id(key), "n1").await.unwrap() != waits {
        tokio::task::yield_now().await;
    }
    scheduler.shutdown(PATIENCE).await;
    let inputs = vec![("cents", int())];
    deploy(key, Program { inputs, ..first() });
    let scheduler = open(&store).await;
    assert_eq!(
        ends(&scheduler, key).await.get("o0"),
        Some(&Literal::Integer(42))
    );
    scheduler.shutdown(PATIENCE).await;
    assert_eq!(parkings(&*store).await, 0);
}

/// A submission that the first program made durable and did not take in.
#[tokio::test(flavor = "multi_thread")]
async fn a_submission_in_the_inbox_is_compared_when_it_is_taken_in() {
    let key = "inbox";
    deploy(key, first());
    let wf = workflow(key);
    let store = Arc::new(MemoryStore::default());
    enqueued(&store, wf.plan(), wf.encode(21), id(key)).await;
    let inputs = vec![("cents", int())];
    deploy(key, Program { inputs, ..first() });
    let scheduler = open(&store).await;
    let handle = scheduler.attach(&id(key)).await.unwrap();
    let why = parked(&handle).await;
    assert_eq!(why.kind, ParkKind::TaskChanged);
    scheduler.shutdown(PATIENCE).await;
    deploy(key, first());
    let scheduler = open(&store).await;
    assert_eq!(
        ends(&scheduler, key).await.get("o0"),
        Some(&Literal::Integer(42))
    );
}

/// Puts a submission into an inbox that nobody reads.
pub(crate) async fn enqueued(
    store: &MemoryStore,
    plan: &Plan,
    inputs: BTreeMap<Str, Literal>,
    id: ExecutionId,
) {
    let bytes = plan.to_bytes();
    let digest = Plan::digest_of(&bytes);
    store.put_plan(digest, bytes.into()).await.unwrap();
    let submission = Submission {
        id,
        plan: digest,
        entity: plan.id.clone(),
        inputs: Row::from_pairs(inputs),
        options: Default::default(),
        submitted_at: Timestamp::from_unix_millis(1_000),
        parent: None,
    };
    let command = Command {
        id: CommandId(7),
        body: CommandBody::Submit(Box::new(submission)),
    };
    store.enqueue(ShardId(0), vec![command]).await.unwrap();
}

/// The number of attempts, among other things.
#[tokio::test(flavor = "multi_thread")]
async fn options_are_those_of_the_plan() {
    let key = "options";
    let store = begun(key).await;
    let panics = Program {
        retries: 3,
        run: |_| panic!("not this time"),
        ..first()
    };
    deploy(key, panics);
    let scheduler = open(&store).await;
    let handle = scheduler.attach(&id(key)).await.unwrap();
    let yes = Literal::Boolean(true);
    handle.signal("paid", yes).await.unwrap();
    let outcome = handle.wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Failed);
    let error = outcome.error.unwrap();
    assert!(
        error.message.starts_with("[1/1] currentAttempt done"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_added_is_asked_of_the_host() {
    #[derive(Debug)]
    struct Factor(i64);
    #[task]
    async fn scaled(factor: Res<Factor>, n: i64) -> i64 {
        factor.0 * n
    }
    // The plan is that of a program whose function takes no resource.
    let wf = Workflow::<i64, _>::build("scaled", |wf, n| wf.call(scaled(n))).unwrap();
    let store = Arc::new(MemoryStore::default());
    enqueued(&store, wf.plan(), wf.encode(21), id("e")).await;
    let scheduler = open(&store).await;
    let handle = scheduler.attach(&id("e")).await.unwrap();
    let why = parked(&handle).await;
    assert_eq!(why.kind, ParkKind::UnknownTask);
    assert!(why.message.contains("Factor"), "{why}");
    scheduler.shutdown(PATIENCE).await;
    let scheduler = Scheduler::builder().store(store).resource(Factor(2));
    let scheduler = scheduler.build().await.unwrap();
    let outputs = scheduler.attach(&id("e")).await.unwrap().await.unwrap();
    assert_eq!(outputs.get("o0"), Some(&Literal::Integer(42)));
}

mod before {
    #[derive(Clone, Debug, PartialEq, flyte_core::author::LiteralStruct)]
    pub(super) struct Order {
        pub(super) item: String,
    }
}

mod after {
    #[derive(Clone, Debug, PartialEq, flyte_core::author::LiteralStruct)]
    pub(super) struct Order {
        pub(super) item: String,
        pub(super) note: Option<String>,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_struct_with_other_fields_is_another_type() {
    #[task]
    async fn length(order: after::Order) -> i64 {
        order.item.len() as i64 + order.note.map_or(0, |n| n.len() as i64)
    }
    let build = Workflow::<after::Order, _>::build("order", |wf, order| wf.call(length(order)));
    // As a program stored it whose struct had no note.
    let mut plan = Plan::clone(build.unwrap().plan());
    let old = before::Order::literal_type();
    let stored = Arc::make_mut(&mut plan.tasks[0]);
    let inputs = &mut stored.interface.as_mut().unwrap().inputs;
    inputs.get_mut("order").unwrap().literal_type = Some(old);
    let order = before::Order { item: "pen".into() };
    let inputs = [("i0".into(), order.into_literal())].into();
    let store = Arc::new(MemoryStore::default());
    enqueued(&store, &plan, inputs, id("e")).await;
    let scheduler = open(&store).await;
    let handle = scheduler.attach(&id("e")).await.unwrap();
    let why = parked(&handle).await;
    let words = "was `Order {item: str}` and is `Order {item: str, note: str | None}`";
    assert!(why.message.contains(words), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_plan_that_does_not_fit_is_not_started() {
    let key = "stored plan";
    deploy(key, first());
    let wf = workflow(key);
    let inputs = vec![("cents", int())];
    deploy(key, Program { inputs, ..first() });
    let scheduler = Scheduler::builder().build().await.unwrap();
    let refused = scheduler.launch(&wf, 21).await.unwrap_err();
    assert!(matches!(refused, SubmitError::NoPlugin(_)), "{refused}");
    let text = refused.to_string();
    assert!(
        text.contains("input `amount` of task `stored plan` was `int`"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_of_another_type_fails_the_attempt() {
    let key = "lies";
    let lies = Program {
        run: |_| Row::from_pairs([("o0", Literal::string("forty-two"))]),
        ..first()
    };
    deploy(key, lies);
    let task = task_of(key);
    let wf = Workflow::<i64, _>::build("lies", |wf, n| wf.call(task.call(n))).unwrap();
    let scheduler = Scheduler::builder().build().await.unwrap();
    let run = scheduler.launch(&wf, 21).await.unwrap();
    let outcome = run.untyped().wait().await.unwrap();
    assert_eq!(outcome.phase, WorkflowPhase::Failed);
    let error = outcome.error.unwrap();
    assert_eq!(&*error.code, "OutputTypeMismatch");
    let words =
        "output `o0` of task `lies` must be a `int`, the task returned a value of type `str`";
    assert_eq!(&*error.message, words);
}

/// On virtual time, with a process that dies at each commit.
#[tokio::test(start_paused = true)]
async fn a_deploy_and_its_rollback_survive_crashes() {
    #[task]
    async fn double(n: i64) -> i64 {
        2 * n
    }
    let wf = Workflow::<i64, _>::build("slow", |wf, n| {
        let pause = wf.sleep("30d");
        let twice = wf.call(double(n));
        wf.after(twice, pause);
        twice
    })
    .unwrap();
    let changed = Harness::new().changed(double::TASK.name);
    let harness = changed.clone().deploy(<[&str; 0]>::default());
    let run = harness.crash_at_every_commit().run_workflow(&wf, 21).await;
    assert_eq!(run.unwrap().outputs_of(&wf).unwrap(), 42);
    let stays = changed.run_workflow(&wf, 21).await.unwrap_err();
    let TestError::Parked(why) = stays else {
        panic!("{stays}")
    };
    assert!(
        why.starts_with("TaskChanged: input `added` of task"),
        "{why}"
    );
}

/// A closure in the place of a dynamic task answers with a plan of other outputs.
#[tokio::test(start_paused = true)]
async fn a_plan_of_another_type_is_no_answer() {
    #[task]
    async fn word() -> String {
        "many".into()
    }
    #[dynamic]
    async fn grow(wf: &mut WorkflowBuilder, n: i64) -> Output<i64> {
        wf.constant(n)
    }
    let text = Workflow::<(), _>::build("text", |wf, _| wf.call(word())).unwrap();
    let wf = Workflow::<i64, _>::build("grows", |wf, n| wf.call(grow(n))).unwrap();
    let plan = text.plan().clone();
    let answers = Harness::new().replace_async(grow::TASK.name, move |_| {
        let plan = plan.clone();
        async move { Ok::<_, TaskError>(Expansion::Plan(plan)) }
    });
    let run = answers.run_workflow(&wf, 1).await.unwrap();
    let error = run.outcome().error.clone().unwrap();
    assert_eq!(&*error.code, Expansion::BUILD_FAILED);
    let words = "output `o0` of the dynamic task must be a `int`, its plan gives a `str`";
    assert!(error.message.contains(words), "{error:?}");
}
