//! Spans as a collector gets them: what receives here speaks OTLP over http, and the programs that
//! send are processes of their own, since a subscriber is a whole process's.

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use common::{Folder, python};
use flyte_host::prelude::*;
use flyte_host::telemetry::Telemetry;
use flyte_host::tokio;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

/// What came, with the service that sent it.
type Got = Arc<Mutex<Vec<(String, Span)>>>;

/// A collector on loopback.
struct Collector {
    endpoint: String,
    got: Got,
}

impl Collector {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let got = Got::default();
        let router = Router::new()
            .route("/v1/traces", axum::routing::post(take))
            .with_state(got.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, got }
    }

    fn of(&self, service: &str) -> Spans {
        let got = self.got.lock().unwrap();
        let of = got.iter().filter(|(s, _)| s == service);
        Spans(of.map(|(_, span)| span.clone()).collect())
    }
}

async fn take(State(got): State<Got>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
    assert_eq!(headers["x-team"], "blue", "headers are sent");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let service = text(&resource.resource.unwrap().attributes, "service.name").unwrap();
        let spans = resource.scope_spans.into_iter().flat_map(|s| s.spans);
        let mut got = got.lock().unwrap();
        got.extend(spans.map(|span| (service.clone(), span)));
    }
    let answer = ExportTraceServiceResponse::default();
    (StatusCode::OK, answer.encode_to_vec())
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|a| a.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(s) => s.clone(),
        Value::IntValue(n) => n.to_string(),
        Value::BoolValue(b) => b.to_string(),
        other => panic!("{key}: {other:?}"),
    })
}

struct Spans(Vec<Span>);

impl Spans {
    fn named(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|s| s.name == name).collect()
    }

    fn parent(&self, of: &Span) -> &Span {
        let mut fit = self.0.iter().filter(|s| s.span_id == of.parent_span_id);
        fit.next().unwrap_or_else(|| panic!("the parent of {of:?}"))
    }

    /// `execution > node > attempt` of each attempt, with its status.
    fn attempts(&self) -> BTreeMap<(String, String), (i32, String)> {
        let mut out = BTreeMap::new();
        for attempt in self.named("attempt") {
            let node = self.parent(attempt);
            assert_eq!(node.name, "node");
            let execution = self.parent(node);
            assert_eq!(execution.name, "execution");
            assert!(execution.parent_span_id.is_empty());
            assert_eq!(attempt.trace_id, execution.trace_id);
            let path = text(&node.attributes, "path").unwrap();
            let number = text(&attempt.attributes, "attempt").unwrap();
            let status = attempt.status.clone().unwrap_or_default();
            let kept = out.entry((path, number)).or_insert((0, String::new()));
            // A job of a plugin has a span for each thing that is done for it.
            if status.code > kept.0 {
                *kept = (status.code, status.message);
            }
        }
        out
    }
}

/// The status of what failed.
const ERROR: i32 = 2;

#[task]
async fn early(x: i64) -> i64 {
    let inside = tracing::info_span!("inside", x);
    let work = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        tracing::info!("slept");
    };
    work.instrument(inside).await;
    x + 1
}

#[task(retries = 1, backoff = "1ms..1ms")]
fn flaky(cx: Cx<flaky>, x: i64) -> Result<i64, TaskError> {
    let _inside = tracing::info_span!("blocks").entered();
    match cx.attempt() {
        0 => Err(TaskError::new("the first one fails")
            .with_code("ONCE")
            .recoverable()),
        _ => Ok(x + 1),
    }
}

/// What runs in the process that sends.
fn program() {
    let telemetry = Telemetry::from_env().unwrap().unwrap();
    assert!(!tracing::dispatcher::has_been_set(), "it installs none");
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let scheduler = Scheduler::builder().build().await.unwrap();
        let wf = Workflow::<i64, _>::build("small", |wf, x| {
            let x = wf.call(early(x).named("early"));
            wf.call(flaky(x).named("flaky"))
        });
        let caller = tracing::info_span!("caller");
        let run = async {
            let run = scheduler.launch(&wf.unwrap(), 1).named("order-7").await;
            assert_eq!(run.unwrap().await.unwrap(), 3);
        };
        run.instrument(caller).await;
        assert!(scheduler.shutdown(Duration::from_secs(10)).await.complete);
    });
    telemetry.shutdown().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_programs_spans_arrive() {
    const OWN: &str = "a_programs_spans_arrive";
    if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
        return tokio::task::spawn_blocking(program).await.unwrap();
    }
    assert!(Telemetry::from_env().unwrap().is_none(), "nobody asked");
    let collector = Collector::start().await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([OWN, "--exact"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
        .env("OTEL_SERVICE_NAME", "orders");
    let output = tokio::task::spawn_blocking(move || child.output()).await;
    let output = output.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");

    let spans = collector.of("orders");
    let executions = spans.named("execution");
    let [execution] = executions[..] else {
        panic!("{executions:?}");
    };
    let id = text(&execution.attributes, "id").unwrap();
    assert!(id.ends_with("order-7"), "{id}");
    let attempts = spans.attempts();
    let at = |path: &str, attempt: u32| &attempts[&(path.to_owned(), attempt.to_string())];
    assert_eq!(attempts.len(), 3, "{attempts:?}");
    assert_eq!(at("early", 0).0, 0);
    assert_eq!(at("flaky", 1).0, 0);
    let failed = at("flaky", 0);
    assert_eq!(failed.0, ERROR);
    assert!(
        failed.1.contains("ONCE") && failed.1.contains("the first one fails"),
        "{failed:?}"
    );
    // What the tasks open themselves is inside: over an await, and on a thread.
    let inside = spans.named("inside")[0];
    assert_eq!(spans.parent(inside).name, "attempt");
    assert_eq!(inside.trace_id, execution.trace_id);
    assert_eq!(inside.events[0].name, "slept");
    let blocks = spans.named("blocks");
    assert_eq!(blocks.len(), 2);
    for span in blocks {
        assert_eq!(spans.parent(span).name, "attempt");
    }
    // An execution is a trace of its own.
    let caller = spans.named("caller")[0];
    assert_ne!(caller.trace_id, execution.trace_id);
}

const FLAKY: &str = r#"
from flytekit import task, workflow

@task
def good(x: int) -> int:
    return x + 1

@task
def bad(x: int) -> int:
    if x > 0:
        raise ValueError("not today")
    return x

@workflow
def wf(x: int = 3) -> int:
    return bad(x=good(x=x))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_sends_when_it_is_told_to() {
    let collector = Collector::start().await;
    let folder = Folder::with("wf.py", FLAKY);
    let python = python();
    let run = [
        "run",
        "--quiet",
        "--python",
        python.to_str().unwrap(),
        "wf.py",
        "wf",
    ];
    let mut command = folder.command(&run);
    command
        .env(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("{}/v1/traces", collector.endpoint),
        )
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue");
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let attempts = collector.of("flyte").attempts();
    let failed: Vec<_> = attempts
        .values()
        .filter(|(code, _)| *code == ERROR)
        .collect();
    assert_eq!(failed.len(), 1, "{attempts:?}");
    assert!(failed[0].1.contains("not today"), "{failed:?}");
    assert_eq!(attempts.len(), 2, "{attempts:?}");
}

#[test]
fn what_would_be_ignored_is_refused() {
    let cases = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ];
    let folder = Folder::with("empty", "");
    for (name, value) in cases {
        let mut command = folder.command(&["get", "executions"]);
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
            .env(name, value);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(name) && told.contains(value), "{told}");
    }
}
