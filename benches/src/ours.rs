use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyte_core::contract::{
    Durability, EventCursor, EventItem, EventKind, EventSource, RawTask, Store,
};
use flyte_core::id::{ExecutionId, Identifier, ResourceType, Tenant};
use flyte_core::literal::{Literal, LiteralType, SimpleType};
use flyte_core::memory::MemoryStore;
use flyte_core::plan::{
    Bound, BoundTree, GraphBuilder, GraphKind, NodeSettings, Plan, Source, Target,
};
use flyte_core::template::Variable;
use flyte_scheduler::{Scheduler, Submit};
use flyte_store::SqliteStore;
use futures::StreamExt;

use crate::Done;
use crate::report::{Sample, peak_rss_kib};
use crate::shape::Shape;
use crate::tasks::{Add, Sum};

const INPUT: i64 = 41;

/// The shape as a plan: typed integers, each bound from the outputs of its parents.
pub(crate) fn plan(shape: &Shape, suspend: bool) -> Done<Arc<Plan>> {
    let id = Identifier::new(ResourceType::Workflow, "bench", "1");
    let int = || Variable::new(LiteralType::simple(SimpleType::Integer));
    let mut graph = GraphBuilder::new(id.clone(), GraphKind::Workflow);
    graph.interface(
        &[("x".into(), int())].into(),
        &[("o0".into(), int())].into(),
    );
    let mut tasks = Vec::new();
    let mut places: HashMap<Option<u8>, u32> = HashMap::new();
    for (i, parents) in shape.parents.iter().enumerate() {
        let single = parents.len() <= Add::INPUTS_MAX;
        let inputs = single.then(|| parents.len().max(1) as u8);
        let task = match places.get(&inputs) {
            Some(t) => *t,
            None => {
                let t = tasks.len() as u32;
                let template = match inputs {
                    Some(inputs) => RawTask::template_of(&Add { inputs, suspend })?,
                    None => RawTask::template_of(&Sum)?,
                };
                tasks.push(Arc::new(template));
                places.insert(inputs, t);
                t
            }
        };
        let of = |p: &u32| Bound::Source(Source::output(*p, 0));
        let inputs = match (single, parents.is_empty()) {
            (_, true) => vec![(Add::input(0).into(), Bound::Source(Source::input(0)))],
            (true, _) => {
                let named = parents.iter().enumerate();
                named.map(|(j, p)| (Add::input(j).into(), of(p))).collect()
            }
            (false, _) => {
                let list = BoundTree::Collection(parents.iter().map(of).collect());
                vec![("xs".into(), graph.tree(list))]
            }
        };
        let outputs = std::iter::once("o0".into());
        let settings = NodeSettings::default();
        let node = graph.node(
            &format!("n{i}"),
            Target::Task(task),
            inputs,
            outputs,
            settings,
        );
        for p in parents {
            graph.edge(*p, node);
        }
    }
    graph.output(Bound::Source(Source::output(
        shape.parents.len() as u32 - 1,
        0,
    )));
    let plan = Plan {
        id,
        graphs: vec![graph.build()],
        tasks,
        launch_plans: Vec::new(),
        children: Vec::new(),
        branches: Vec::new(),
        gates: Vec::new(),
        arrays: Vec::new(),
    };
    plan.validate()?;
    Ok(Arc::new(plan))
}

pub(crate) fn run(
    shape: &Shape,
    store: &str,
    durability: Durability,
    suspend: bool,
) -> Done<Sample> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let store: Arc<dyn Store> = match store.strip_prefix("sqlite:") {
        Some(path) => {
            for end in ["", "-wal", "-shm", ".lock", ".wake"] {
                // What an earlier run left would be loaded first.
                let _absent = std::fs::remove_file(format!("{path}{end}"));
            }
            SqliteStore::open(Path::new(path))?
        }
        None => Arc::new(MemoryStore::default()),
    };
    runtime.block_on(async move {
        let scheduler = Scheduler::builder()
            .store(store)
            .durability(durability)
            .build()
            .await?;
        let mut events = scheduler.subscribe(Some(EventCursor::default())).await?;
        let executions = shape.executions;
        let heard = tokio::spawn(async move {
            // All of them, to the end of the last execution.
            let (mut seen, mut ended) = (0u64, 0u32);
            while ended < executions {
                match events.next().await {
                    Some(Ok(EventItem::Event(event))) => {
                        seen += 1;
                        let over = matches!(&event.kind, EventKind::Workflow { phase, .. } if phase.is_terminal());
                        ended += u32::from(over);
                    }
                    Some(Ok(EventItem::Lagged { .. })) => return Err("events were missed".into()),
                    Some(Err(e)) => return Err(e.to_string()),
                    None => return Err("the events ended".to_owned()),
                }
            }
            Ok(seen)
        });
        let plan = plan(shape, suspend)?;
        scheduler.register(&plan).await?;
        let begun = Instant::now();
        let mut handles = Vec::with_capacity(shape.executions as usize);
        let submit = |i: u32| {
            let id = ExecutionId::new(Tenant::default(), format!("e{i}"));
            scheduler.submit(
                &plan,
                Submit::new(id).with_input("x", Literal::Integer(INPUT)),
            )
        };
        for handle in futures::future::join_all((0..shape.executions).map(submit)).await {
            handles.push(handle?);
        }
        for handle in handles {
            let outcome = handle.wait().await?;
            let got = outcome
                .outputs
                .as_ref()
                .and_then(|o| o.get("o0"))
                .and_then(Literal::as_integer);
            if got != Some(shape.expected(INPUT)) {
                return Err(
                    format!("{}: {got:?} came out: {:?}", outcome.id, outcome.error).into(),
                );
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        let overruns = scheduler.inline_overruns();
        let events = heard.await??;
        let heard_seconds = begun.elapsed().as_secs_f64();
        if !scheduler.shutdown(Duration::from_secs(10)).await.complete {
            return Err("the scheduler did not end".into());
        }
        Ok(Sample {
            seconds,
            heard_seconds,
            events,
            overruns,
            rss_kib: peak_rss_kib(),
        })
    })
}
