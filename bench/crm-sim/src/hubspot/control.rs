//! The control API over HTTP: what the library offers, for other processes.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock::iso;
use crate::hubspot::account::Account;
use crate::hubspot::faults::Rule;
use crate::hubspot::http::reply::whole;
use crate::hubspot::kind::Kind;
use crate::hubspot::render::Projection;
use crate::hubspot::schema::PropertyChange;
use crate::hubspot::truth::{self, RecordVersion};
use crate::server::Body;

const BODY_BYTES_MAX: usize = 16 << 20;
/// Bytes in one piece of a truth stream.
const PIECE_BYTES: usize = 64 << 10;

/// Settings that may change while running; absent ones stay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    search_lag_ms: Option<u32>,
    text_ids: Option<bool>,
    refresh_rotation: Option<bool>,
    access_token_ttl_s: Option<u64>,
    /// Factor on the limits; 0 turns them off.
    limit_scale: Option<f64>,
    /// Stops the clock at a time.
    clock_fixed_ms: Option<i64>,
    /// Runs the clock with real time, shifted.
    clock_shift_ms: Option<i64>,
    /// Moves the clock forward.
    clock_advance_ms: Option<i64>,
}

/// Which records to change, and when; either ids or a count.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    kind: Kind,
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    count: usize,
    /// Now, by the simulated clock, if absent.
    from_ms: Option<i64>,
    /// `from_ms` if absent.
    until_ms: Option<i64>,
}

/// Which property to change, and to what. It was declared at the start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeOfProperty {
    kind: Kind,
    name: String,
    to: PropertyChange,
}

/// Answers one control request.
pub(crate) async fn respond(account: Arc<Account>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return answer(
            StatusCode::PAYLOAD_TOO_LARGE,
            &json!({"error": "body too large"}),
        );
    };
    let body = body.to_bytes();
    let path = parts.uri.path().trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    let full = parts.uri.query() == Some("full");
    if let (&Method::GET, ["truth" | "history", name]) = (&parts.method, segments.as_slice()) {
        return match Kind::parse(name) {
            Some(kind) => stream(account, kind, segments[0] == "history", full),
            None => answer(StatusCode::NOT_FOUND, &json!({"error": "unknown type"})),
        };
    }
    match steer(&account, &parts.method, &segments, &body) {
        Ok(Some(value)) => answer(StatusCode::OK, &value),
        Ok(None) => answer(StatusCode::NOT_FOUND, &json!({"error": "no such control"})),
        Err(error) => answer(
            StatusCode::BAD_REQUEST,
            &json!({"error": error.to_string()}),
        ),
    }
}

fn steer(
    account: &Account,
    method: &Method,
    segments: &[&str],
    body: &[u8],
) -> Result<Option<Value>, serde_json::Error> {
    let value = match (method.as_str(), segments) {
        ("GET", ["counters"]) => serde_json::to_value(account.counters())?,
        ("DELETE", ["counters"]) => {
            account.reset_counters();
            json!({})
        }
        ("GET", ["faults"]) => serde_json::to_value(account.faults.rules())?,
        ("POST", ["faults"]) => {
            account.faults.install(read::<Rule>(body)?);
            json!({})
        }
        ("DELETE", ["faults"]) => {
            account.faults.clear();
            json!({})
        }
        ("POST", ["settings"]) => {
            apply(account, &read(body)?);
            json!({})
        }
        ("POST", ["edit"]) => edit(account, &read(body)?),
        ("POST", ["properties"]) => {
            let change: ChangeOfProperty = read(body)?;
            json!({ "changed": account.change_property(change.kind, &change.name, change.to) })
        }
        ("POST", ["create"]) => {
            let change: Change = read(body)?;
            let at_ms = change.from_ms.unwrap_or(account.clock.now_ms());
            ids_json(&account.create(change.kind, change.count, at_ms))
        }
        ("POST", ["archive"]) => {
            let change: Change = read(body)?;
            let at_ms = change.from_ms.unwrap_or(account.clock.now_ms());
            ids_json(&account.archive(change.kind, &chosen(account, &change), at_ms))
        }
        ("POST", ["tokens"]) => {
            let issued = account.oauth.issue_all(account.clock.now_ms());
            json!({
                "access_token": issued.access_token,
                "refresh_token": issued.refresh_token,
                "expires_in": issued.expires_in_s,
                "private_app_token": account.oauth.private_token,
            })
        }
        ("POST", ["tokens", "expire"]) => {
            account.oauth.expire_all(account.clock.now_ms());
            json!({})
        }
        ("DELETE", ["tokens"]) => {
            account.oauth.revoke_all();
            json!({})
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

fn apply(account: &Account, settings: &Settings) {
    if let Some(lag_ms) = settings.search_lag_ms {
        account.set_search_lag_ms(lag_ms);
    }
    if let Some(text_ids) = settings.text_ids {
        account.set_text_ids(text_ids);
    }
    if let Some(rotation) = settings.refresh_rotation {
        account.oauth.set_rotation(rotation);
    }
    if let Some(ttl_s) = settings.access_token_ttl_s {
        account.oauth.set_ttl_s(ttl_s);
    }
    if let Some(scale) = settings.limit_scale {
        account.limits.set_scale((scale > 0.0).then_some(scale));
    }
    if let Some(now_ms) = settings.clock_fixed_ms {
        account.clock.fix(now_ms);
    }
    if let Some(offset_ms) = settings.clock_shift_ms {
        account.clock.shift(offset_ms);
    }
    if let Some(by_ms) = settings.clock_advance_ms {
        account.clock.advance(by_ms);
    }
}

fn chosen(account: &Account, change: &Change) -> Vec<u64> {
    if change.ids.is_empty() {
        return account.pick(change.kind, change.count);
    }
    let ids = change.ids.iter();
    ids.filter_map(|id| id.parse().ok()).collect()
}

fn edit(account: &Account, change: &Change) -> Value {
    let from_ms = change.from_ms.unwrap_or(account.clock.now_ms());
    let until_ms = change.until_ms.unwrap_or(from_ms);
    let ids = chosen(account, change);
    let edited = account.edit_spread(change.kind, &ids, from_ms, until_ms);
    let edited: Vec<Value> = edited
        .iter()
        .map(|(id, modified_ms)| json!({"id": id.to_string(), "version": iso(*modified_ms)}))
        .collect();
    json!({ "edited": edited })
}

fn ids_json(ids: &[u64]) -> Value {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    json!({ "ids": ids })
}

/// Streams records as lines of JSON: id, version, archived, and with `full`
/// the record itself.
fn stream(account: Arc<Account>, kind: Kind, history: bool, full: bool) -> Response<Body> {
    let (sender, receiver) = mpsc::channel::<Bytes>(4);
    tokio::task::spawn_blocking(move || {
        let records = &account.collection(kind).records;
        let all = full.then(|| Projection::all(&records.schema));
        let versions: Box<dyn Iterator<Item = RecordVersion>> = if history {
            Box::new(truth::history(records))
        } else {
            Box::new(truth::Current::new(records))
        };
        let mut piece = String::with_capacity(PIECE_BYTES + 2048);
        for version in versions {
            let (id, modified_ms) = (version.id, version.modified_ms);
            // Writing to a String cannot fail.
            let _written = write!(
                piece,
                "{{\"id\":\"{id}\",\"version\":\"{}\",\"archived\":{}",
                iso(modified_ms),
                version.archived
            );
            let record = all
                .as_ref()
                .and_then(|all| truth::version_json(records, id, modified_ms, all));
            if let Some(record) = record {
                piece.push_str(",\"record\":");
                piece.push_str(&String::from_utf8_lossy(&record));
            }
            piece.push_str("}\n");
            if piece.len() >= PIECE_BYTES {
                let full = std::mem::take(&mut piece);
                if sender.blocking_send(full.into()).is_err() {
                    return;
                }
            }
        }
        // A reader that has left needs no last piece.
        let _left = sender.blocking_send(piece.into());
    });
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(piece)), receiver))
    });
    let body = StreamBody::new(frames)
        .map_err(|never| -> io::Error { match never {} })
        .boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    response
}

fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string().into_bytes().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
