use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

/// Google Cloud Storage's XML API, as far as objects go: generations and their preconditions,
/// ranges, uploads in parts, lists in pages. Its one bucket is `flyte-test`.
///
/// There is no emulator that takes the requests by which `object_store` writes there.
#[derive(Default)]
pub(crate) struct Gcs {
    objects: BTreeMap<String, Object>,
    /// By their ids: for which object, and the parts by their numbers.
    uploads: BTreeMap<String, (String, BTreeMap<u32, Bytes>)>,
    last: u64,
}

struct Object {
    bytes: Bytes,
    generation: u64,
}

type Shared = Arc<Mutex<Gcs>>;
type Answer = Result<Response, (StatusCode, String)>;

const BUCKET: &str = "flyte-test";
/// Each part but the last has at least so many bytes.
const PART_BYTES_MIN: usize = 5 << 20;
/// Entries of a page of a list: few, so that lists have pages.
const PAGE: usize = 2;
/// Nobody here looks at times.
const CHANGED: (&str, &str) = ("Thu, 01 Jan 2026 00:00:00 GMT", "2026-01-01T00:00:00Z");

impl Gcs {
    /// Listens on loopback from now on; gives `http://HOST:PORT`.
    pub(crate) async fn start() -> String {
        let app = Router::new()
            .route("/{bucket}", axum::routing::get(list))
            .route("/{bucket}/{*object}", axum::routing::any(object))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Shared::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }

    fn put(&mut self, name: &str, bytes: Bytes, headers: &HeaderMap) -> Answer {
        let wanted = headers.get("x-goog-if-generation-match");
        let wanted = wanted.map(|w| w.to_str().unwrap_or("").parse::<u64>());
        let is = self.objects.get(name).map_or(0, |o| o.generation);
        match wanted {
            None => {}
            Some(Ok(wanted)) if wanted == is => {}
            Some(Ok(_)) => {
                return Err(error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed"));
            }
            Some(Err(_)) => return Err(error(StatusCode::BAD_REQUEST, "InvalidArgument")),
        }
        self.last += 1;
        let generation = self.last;
        let object = Object { bytes, generation };
        let answer = headers_of(&object).into_response();
        self.objects.insert(name.into(), object);
        Ok(answer)
    }
}

fn error(status: StatusCode, code: &str) -> (StatusCode, String) {
    let text = format!("<?xml version='1.0'?><Error><Code>{code}</Code></Error>");
    (status, text)
}

fn headers_of(object: &Object) -> [(&'static str, String); 3] {
    [
        ("etag", format!("\"{:x}\"", object.generation)),
        ("x-goog-generation", object.generation.to_string()),
        ("last-modified", CHANGED.0.into()),
    ]
}

async fn list(
    State(shared): State<Shared>,
    Path(bucket): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    if bucket != BUCKET {
        return Err(error(StatusCode::NOT_FOUND, "NoSuchBucket"));
    }
    if query.get("list-type").map(String::as_str) != Some("2") {
        return Err(error(StatusCode::BAD_REQUEST, "InvalidArgument"));
    }
    let given = |name: &str| query.get(name).map_or("", String::as_str);
    let (prefix, delimiter) = (given("prefix"), given("delimiter"));
    let after = given("start-after").max(given("continuation-token"));
    let state = shared.lock().unwrap();
    // Keys, and what keys have in common up to the delimiter, in one order.
    let mut entries: BTreeMap<String, Option<&Object>> = BTreeMap::new();
    for (name, object) in &state.objects {
        let Some(rest) = name.strip_prefix(prefix) else {
            continue;
        };
        match rest.split_once(delimiter).filter(|_| !delimiter.is_empty()) {
            Some((folder, _)) => entries.insert(format!("{prefix}{folder}{delimiter}"), None),
            None => entries.insert(name.clone(), Some(object)),
        };
    }
    let mut rest = entries
        .into_iter()
        .filter(|(name, _)| name.as_str() > after);
    let page: Vec<_> = rest.by_ref().take(PAGE).collect();
    let mut out = String::from("<?xml version='1.0'?><ListBucketResult>");
    for (name, object) in &page {
        let name = name.replace('&', "&amp;").replace('<', "&lt;");
        out += &match object {
            None => format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
            Some(o) => format!(
                "<Contents><Key>{name}</Key><Generation>{g}</Generation>\
                 <LastModified>{}</LastModified><ETag>\"{g:x}\"</ETag><Size>{}</Size></Contents>",
                CHANGED.1,
                o.bytes.len(),
                g = o.generation,
            ),
        };
    }
    let more = rest.next().is_some();
    if let Some((last, _)) = page.last().filter(|_| more) {
        out += &format!("<NextContinuationToken>{last}</NextContinuationToken>");
    }
    out += &format!("<IsTruncated>{more}</IsTruncated></ListBucketResult>");
    Ok(out.into_response())
}

async fn object(
    State(shared): State<Shared>,
    Path((bucket, name)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    if bucket != BUCKET {
        return Err(error(StatusCode::NOT_FOUND, "NoSuchBucket"));
    }
    let mut state = shared.lock().unwrap();
    let upload = query.get("uploadId");
    match (method, upload) {
        (Method::POST, None) if query.contains_key("uploads") => {
            state.last += 1;
            let id = format!("upload-{}", state.last);
            state.uploads.insert(id.clone(), (name, BTreeMap::new()));
            let text = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId>\
                 </InitiateMultipartUploadResult>"
            );
            Ok(text.into_response())
        }
        (Method::PUT, Some(id)) => {
            let number = query.get("partNumber").and_then(|n| n.parse().ok());
            let number = number.ok_or_else(|| error(StatusCode::BAD_REQUEST, "InvalidPart"))?;
            let upload = state.uploads.get_mut(id);
            let upload = upload.ok_or_else(|| error(StatusCode::NOT_FOUND, "NoSuchUpload"))?;
            upload.1.insert(number, body);
            Ok([("etag", format!("\"part-{number}\""))].into_response())
        }
        (Method::POST, Some(id)) => {
            let upload = state.uploads.remove(id);
            let (name, parts) =
                upload.ok_or_else(|| error(StatusCode::NOT_FOUND, "NoSuchUpload"))?;
            let told = String::from_utf8_lossy(&body).into_owned();
            let mut whole = Vec::new();
            for (i, (number, part)) in parts.iter().enumerate() {
                let small = part.len() < PART_BYTES_MIN && i + 1 < parts.len();
                let named = told.contains(&format!("<PartNumber>{number}</PartNumber>"));
                if small || !named {
                    return Err(error(StatusCode::BAD_REQUEST, "InvalidPart"));
                }
                whole.extend_from_slice(part);
            }
            let stored = state.put(&name, whole.into(), &headers)?;
            let etag = stored.headers()["etag"].to_str().unwrap().to_owned();
            let text = format!(
                "<CompleteMultipartUploadResult><ETag>{etag}</ETag>\
                 </CompleteMultipartUploadResult>"
            );
            let generation = stored.headers()["x-goog-generation"].clone();
            Ok(([("x-goog-generation", generation)], text).into_response())
        }
        (Method::DELETE, Some(id)) => {
            state.uploads.remove(id);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        (Method::PUT, None) => {
            if !headers.contains_key("content-length") {
                return Err(error(StatusCode::LENGTH_REQUIRED, "MissingContentLength"));
            }
            state.put(&name, body, &headers)
        }
        (Method::DELETE, None) => match state.objects.remove(&name) {
            Some(_) => Ok(StatusCode::NO_CONTENT.into_response()),
            None => Err(error(StatusCode::NOT_FOUND, "NoSuchKey")),
        },
        (Method::GET | Method::HEAD, None) => {
            let object = state.objects.get(&name);
            let object = object.ok_or_else(|| error(StatusCode::NOT_FOUND, "NoSuchKey"))?;
            let Some(range) = headers.get("range") else {
                return Ok((headers_of(object), object.bytes.clone()).into_response());
            };
            let size = object.bytes.len();
            let (from, to) = range_of(range.to_str().unwrap_or(""), size)
                .ok_or_else(|| error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"))?;
            let told = [("content-range", format!("bytes {from}-{}/{size}", to - 1))];
            let part = object.bytes.slice(from..to);
            Ok((StatusCode::PARTIAL_CONTENT, headers_of(object), told, part).into_response())
        }
        _ => Err(error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed")),
    }
}

/// Of `bytes=FROM-TO`, `bytes=FROM-` or `bytes=-LAST`: the first byte, and the one after the last.
fn range_of(header: &str, size: usize) -> Option<(usize, usize)> {
    let (from, to) = header.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from, to) {
        ("", last) => (size.checked_sub(last.parse().ok()?)?, size),
        (from, "") => (from.parse().ok()?, size),
        (from, to) => (
            from.parse().ok()?,
            to.parse::<usize>().ok()?.checked_add(1)?.min(size),
        ),
    };
    (from < to).then_some((from, to))
}
