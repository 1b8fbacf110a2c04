//! A scheduler inside an axum service: submit by POST, watch by server-sent events, ask for the
//! result. Killed and started again it goes on where it was.
//!
//! ```sh
//! cargo run -p flyte-host --example web_service -- 127.0.0.1:8080
//! curl -X POST localhost:8080/orders/7 -H 'content-type: application/json' -d '{"pieces": 3}'
//! curl -N localhost:8080/orders/7/events
//! curl localhost:8080/orders/7
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use flyte_host::core::contract::{EventItem, EventKind};
use flyte_host::core::id::{ExecutionId, Tenant};
use flyte_host::{prelude::*, tokio};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};

type Answer<T> = Result<T, (StatusCode, String)>;

#[task]
fn reserve(pieces: i64) -> Result<i64, TaskError> {
    match pieces {
        ..1 => Err(TaskError::new("an order has at least one piece").with_code("BAD_ORDER")),
        n => Ok(n),
    }
}

#[task(retries = 3)]
fn ship(pieces: i64) -> String {
    format!("{pieces} pieces are on their way")
}

struct Service {
    scheduler: Scheduler,
    orders: Workflow<i64, String>,
}

#[derive(Deserialize)]
struct Order {
    pieces: i64,
}

/// Durable when it answers; the same order again is the same execution.
async fn submit(
    State(s): State<Arc<Service>>,
    Path(name): Path<String>,
    Json(order): Json<Order>,
) -> Answer<(StatusCode, Json<Value>)> {
    let started = s
        .scheduler
        .launch(&s.orders, order.pieces)
        .named(name)
        .or_attach() // also one that an earlier version of this program began
        .await;
    let handle = started.map_err(|e| (StatusCode::CONFLICT, e.to_string()))?;
    let name = &handle.id().name;
    Ok((StatusCode::ACCEPTED, Json(json!({ "order": &**name }))))
}

async fn result(State(s): State<Arc<Service>>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let found = s.scheduler.attach_to(&s.orders, name).await;
    let handle = found.map_err(|e| (StatusCode::NOT_FOUND, e.to_string()))?;
    match handle.await {
        Ok(text) => Ok(Json(json!({ "result": text }))),
        Err(e) => Err((StatusCode::UNPROCESSABLE_ENTITY, e.to_string())),
    }
}

/// What happened so far, then what happens; ends with the execution.
async fn events(
    State(s): State<Arc<Service>>,
    Path(name): Path<String>,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let id = ExecutionId::new(Tenant::default(), name);
    let found = s.scheduler.attach(&id).await;
    let handle = found.map_err(|e| (StatusCode::NOT_FOUND, e.to_string()))?;
    let told = |item| async move {
        let Ok(EventItem::Event(e)) = item else {
            return None;
        };
        let text = match &e.kind {
            EventKind::Workflow { phase, .. } => format!("order {phase}"),
            EventKind::Node { node, phase, .. } => format!("{} {phase}", node.name),
            _ => return None,
        };
        Some(Ok(Event::default().id(e.sequence.to_string()).data(text)))
    };
    let stream = handle.events().filter_map(told);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let orders = Workflow::<i64, String>::build("order", |wf, pieces| {
        let reserved = wf.call(reserve(pieces).named("reserve"));
        wf.call(ship(reserved).named("ship"))
    })?;
    let scheduler = flyte_host::open("orders.db")?.build().await?;
    let service = Arc::new(Service {
        scheduler: scheduler.clone(),
        orders,
    });
    let app = axum::Router::new()
        .route("/orders/{name}", post(submit).get(result))
        .route("/orders/{name}/events", get(events))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    let report = scheduler.shutdown(Duration::from_secs(10)).await;
    println!("{report:?}");
    Ok(())
}
