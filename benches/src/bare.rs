use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::Done;
use crate::report::{Sample, peak_rss_kib};
use crate::shape::Shape;

const INPUT: i64 = 41;

/// The graph as flat tables of atomics: no types, no state that outlives it.
#[derive(Debug)]
struct Graph {
    parents: Vec<Vec<u32>>,
    children: Vec<Vec<u32>>,
    missing: Vec<AtomicU32>,
    values: Vec<AtomicI64>,
    suspend: bool,
    done: std::sync::Mutex<Option<oneshot::Sender<i64>>>,
}

/// Runs a node as a task of its own, and spawns what it lets begin.
fn spawn(graph: Arc<Graph>, node: u32) {
    tokio::spawn(async move {
        if graph.suspend {
            tokio::task::yield_now().await;
        }
        let of = |p: &u32| graph.values[*p as usize].load(Ordering::Relaxed);
        let value = match graph.parents[node as usize].as_slice() {
            [] => INPUT,
            some => some.iter().map(of).fold(0, i64::wrapping_add),
        };
        let value = value.wrapping_add(1);
        graph.values[node as usize].store(value, Ordering::Relaxed);
        for child in &graph.children[node as usize] {
            if graph.missing[*child as usize].fetch_sub(1, Ordering::AcqRel) == 1 {
                spawn(graph.clone(), *child);
            }
        }
        if node as usize + 1 == graph.parents.len()
            && let Some(done) = graph.done.lock().expect("nobody panics").take()
        {
            let _gone = done.send(value);
        }
    });
}

fn start(shape: &Shape, suspend: bool) -> (Arc<Graph>, oneshot::Receiver<i64>) {
    let mut children = vec![Vec::new(); shape.parents.len()];
    for (node, parents) in shape.parents.iter().enumerate() {
        for p in parents {
            children[*p as usize].push(node as u32);
        }
    }
    let (send, receive) = oneshot::channel();
    let graph = Graph {
        missing: shape
            .parents
            .iter()
            .map(|p| AtomicU32::new(p.len() as u32))
            .collect(),
        values: shape.parents.iter().map(|_| AtomicI64::new(0)).collect(),
        parents: shape.parents.clone(),
        children,
        suspend,
        done: std::sync::Mutex::new(Some(send)),
    };
    (Arc::new(graph), receive)
}

pub(crate) fn run(shape: &Shape, suspend: bool) -> Done<Sample> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let graphs: Vec<_> = (0..shape.executions)
        .map(|_| start(shape, suspend))
        .collect();
    let roots: Vec<u32> = (0..shape.parents.len() as u32)
        .filter(|i| shape.parents[*i as usize].is_empty())
        .collect();
    // On a worker: a spawn from outside of the pool is dearer.
    let (seconds, values) = runtime.block_on(runtime.spawn(async move {
        let begun = Instant::now();
        for (graph, _) in &graphs {
            for root in &roots {
                spawn(graph.clone(), *root);
            }
        }
        let mut values = Vec::new();
        for (_, value) in graphs {
            values.push(value.await);
        }
        (begun.elapsed().as_secs_f64(), values)
    }))?;
    for value in values {
        if value? != shape.expected(INPUT) {
            return Err("a wrong sum came out".into());
        }
    }
    Ok(Sample {
        seconds,
        rss_kib: peak_rss_kib(),
        ..Sample::default()
    })
}
