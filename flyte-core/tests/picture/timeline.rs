//! Executions over time.

use flyte_core::contract::ShardId;
use flyte_core::id::{AttemptKey, Digest, ExecutionId, Identifier, NodeAddr, ResourceType, Tenant};
use flyte_core::journal::{
    AttemptRow, CacheStatus, ExecutionRow, NodePhase, NodeRow, TaskPhase, WorkflowPhase,
};
use flyte_core::literal::{Row, Timestamp};
use flyte_core::picture::Timeline;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_700_000_000_000 + ms)
}

fn execution() -> ExecutionRow {
    ExecutionRow {
        id: ExecutionId::new(Tenant::default(), "a7k2m9"),
        shard: ShardId(0),
        number: 1,
        first_sequence: 0,
        plan: Digest::of("test", b""),
        entity: Identifier::new(ResourceType::Workflow, "pipeline.training_workflow", "1"),
        options: Default::default(),
        phase: WorkflowPhase::Running,
        parked: None,
        inputs: Row::default(),
        outputs: None,
        error: None,
        failed_node: None,
        created_at: at(0),
        started_at: Some(at(5)),
        ended_at: None,
    }
}

fn node(
    path: &str,
    addr: (u32, u32),
    target: &str,
    phase: NodePhase,
    time: (i64, Option<i64>),
) -> NodeRow {
    NodeRow {
        execution: execution().id,
        addr: NodeAddr::new(addr.0, addr.1),
        path: path.into(),
        name: "".into(),
        target: target.into(),
        phase,
        attempts: 1,
        cache: CacheStatus::Disabled,
        producer: None,
        outputs: None,
        error: None,
        started_at: Some(at(time.0)),
        ended_at: time.1.map(at),
    }
}

fn attempt(
    addr: (u32, u32),
    number: u32,
    phase: TaskPhase,
    time: (i64, Option<i64>),
) -> AttemptRow {
    AttemptRow {
        key: AttemptKey {
            execution: execution().id,
            addr: NodeAddr::new(addr.0, addr.1),
            attempt: number,
        },
        phase,
        reason: "".into(),
        logs: Vec::new(),
        error: None,
        started_at: at(time.0),
        ended_at: time.1.map(at),
    }
}

fn sample() -> Timeline {
    use NodePhase as N;
    use TaskPhase as T;
    let mut cached = node(
        "n0",
        (0, 0),
        "pipeline.load_data",
        N::Succeeded,
        (10, Some(12)),
    );
    cached.cache = CacheStatus::Hit;
    let nodes = [
        cached,
        node(
            "n1",
            (0, 1),
            "pipeline.split",
            N::Succeeded,
            (15, Some(1_400)),
        ),
        node("n2", (0, 2), "pipeline.sweep", N::Running, (1_410, None)),
        node(
            "n2/n0",
            (1, 0),
            "pipeline.train_one_model",
            N::Succeeded,
            (1_420, Some(5_900)),
        ),
        node(
            "n2/n1",
            (1, 1),
            "pipeline.train_another_model_with_a_long_name",
            N::Failed,
            (1_420, Some(4_000)),
        ),
        node("n2/n2", (1, 2), "pipeline.score", N::Running, (5_905, None)),
        node(
            "n3",
            (0, 3),
            "pipeline.report",
            N::Aborted,
            (4_100, Some(4_800)),
        ),
    ];
    let attempts = [
        attempt((0, 1), 0, T::Succeeded, (20, Some(1_390))),
        attempt((1, 0), 0, T::RetryableFailed, (1_430, Some(2_600))),
        attempt((1, 0), 1, T::RetryableFailed, (2_700, Some(3_500))),
        attempt((1, 0), 2, T::Succeeded, (3_800, Some(5_880))),
        attempt((1, 1), 0, T::Failed, (1_430, Some(3_990))),
        attempt((1, 2), 0, T::Running, (5_910, None)),
        attempt((0, 3), 0, T::Aborted, (4_110, Some(4_790))),
    ];
    Timeline::of(&execution(), &nodes, &attempts, at(7_300))
}

#[test]
fn nodes_stand_in_order_and_attempts_in_their_nodes() {
    let t = sample();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("timeline.svg"), t.to_svg()).unwrap();
    let paths: Vec<(usize, &str)> = t.rows.iter().map(|r| (r.depth, &*r.path)).collect();
    assert_eq!(
        paths,
        [
            (0, "n0"),
            (0, "n1"),
            (0, "n2"),
            (1, "n2/n0"),
            (1, "n2/n1"),
            (1, "n2/n2"),
            (0, "n3")
        ]
    );
    for row in &t.rows {
        let bar = row.bar.unwrap();
        assert!(bar.x + bar.width <= t.width && bar.y + bar.height <= t.height);
        for (phase, a) in &row.attempts {
            let inside = a.x >= bar.x - 0.1 && a.x + a.width <= bar.x + bar.width + 0.1;
            assert!(
                inside && a.y == bar.y,
                "{}: {phase} {a:?} in {bar:?}",
                row.path
            );
        }
        let apart = row
            .attempts
            .windows(2)
            .all(|w| w[0].1.x + w[0].1.width <= w[1].1.x);
        assert!(apart, "{}", row.path);
    }
    let below = t
        .rows
        .windows(2)
        .all(|w| w[0].bar.unwrap().y + 20.0 < w[1].bar.unwrap().y);
    assert!(below);
    // As long as it took: what runs goes on until now.
    let wide = |i: usize| t.rows[i].bar.unwrap().width;
    assert!((wide(2) / wide(1) - (7_300.0 - 1_410.0) / (1_400.0 - 15.0)).abs() < 0.01);
    let marks: Vec<&str> = t.ticks.iter().map(|t| &*t.1).collect();
    assert_eq!(
        marks,
        ["0 s", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s", "7 s"]
    );
}

#[test]
fn what_came_from_the_cache_is_marked_and_phases_have_colours() {
    let t = sample();
    assert!(t.rows[0].cached && t.rows[0].note.contains("cached"));
    assert_eq!(t.rows[3].note, "4.5 s · 3 attempts");
    let svg = t.to_svg();
    for text in [
        "from the cache",
        "retryable failed",
        "#f59e0b",
        "#dc2626",
        "#16a34a",
        "#2563eb",
    ] {
        assert!(svg.contains(text), "{text}");
    }
}

#[test]
fn an_execution_without_nodes_is_a_picture_too() {
    let t = Timeline::of(&execution(), &[], &[], at(0));
    assert!(t.rows.is_empty() && t.width > 0.0 && t.height > 0.0);
    assert!(t.to_svg().ends_with("</svg>\n"));
}
