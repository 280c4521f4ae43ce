//! The control API over HTTP: what the libraries offer, for other processes. The same
//! paths and bodies for every API.

use std::fmt::Write as _;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::body::{Body, pieces, whole};
use crate::clock::{Clock, iso};
use crate::faults::{Faults, Rule};
use crate::overlay;
use crate::records::{Records, Write};
use crate::tokens::{Issued, Tokens};
use crate::truth::{self, RecordVersion};

const BODY_BYTES_MAX: usize = 16 << 20;
/// Bytes in one piece of a truth stream.
const PIECE_BYTES: usize = 64 << 10;

/// What a change does to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Created,
    Edited,
    Deleted,
    Undeleted,
}

/// The state of a simulated API, as far as steering it is the same for all.
pub(crate) trait Steered: Send + Sync + 'static {
    /// The object types that hold records.
    type Kind: Copy + DeserializeOwned + Send + 'static;
    /// The API's division of its paths.
    type Path: Copy + Eq + Serialize + DeserializeOwned;

    fn clock(&self) -> &Clock;
    fn faults(&self) -> &Faults<Self::Path>;
    fn tokens(&self) -> &Tokens;
    fn counters_json(&self) -> Value;
    fn reset_counters(&self);
    /// A number that nothing else has.
    fn serial(&self) -> u64;
    fn set_limit_scale(&self, scale: Option<f64>);
    /// Tokens as if a user had just consented to everything.
    fn issue(&self) -> Issued;

    /// The type that a path of the control API names.
    fn parse_kind(&self, name: &str) -> Option<Self::Kind>;
    fn records(&self, kind: Self::Kind) -> &Records;
    /// A record's id as it stands on the wire, and back.
    fn wire_id(&self, _kind: Self::Kind, id: u64) -> String {
        id.to_string()
    }
    fn parse_id(&self, _kind: Self::Kind, text: &str) -> Option<u64> {
        text.parse().ok()
    }
    /// The column that a simulated edit changes.
    fn edited_column(&self, kind: Self::Kind) -> u16;
    /// Deletes a live record the way the API does; false if there is none.
    fn delete_one(&self, kind: Self::Kind, id: u64, at_ms: i64) -> bool;
    /// Whether a deleted record is gone for good, so that nothing brings it back.
    fn is_purged(&self, _kind: Self::Kind, _id: u64) -> bool {
        false
    }
    /// What each change writes besides what it was asked to.
    fn stamped(&self, _kind: Self::Kind, changes: overlay::Changes) -> overlay::Changes {
        changes
    }
    /// Told after each change of a record.
    fn changed(&self, _kind: Self::Kind, _id: u64, _change: Changed, _columns: &[u16]) {}
    /// A record as one of its versions had it, with every property, as JSON text.
    fn version_json(&self, kind: Self::Kind, id: u64, modified_ms: i64) -> Option<Vec<u8>>;

    /// Applies a setting of this API alone; false where it has none of that name.
    fn set(&self, _name: &str, _value: &Value) -> Result<bool, serde_json::Error> {
        Ok(false)
    }
    /// Answers a control of this API alone.
    fn control(
        &self,
        _method: &Method,
        _path: &[&str],
        _body: &[u8],
    ) -> Result<Option<Value>, serde_json::Error> {
        Ok(None)
    }
}

/// Changes that the libraries and the control API offer alike.
pub(crate) trait Changes: Steered {
    /// Distinct live records, others each time.
    fn pick(&self, kind: Self::Kind, count: usize) -> Vec<u64> {
        self.records(kind).pick(count, self.serial())
    }

    /// Changes one property of each record, at times spread over an interval.
    fn edit_spread(
        &self,
        kind: Self::Kind,
        ids: &[u64],
        from_ms: i64,
        until_ms: i64,
    ) -> Vec<(u64, i64)> {
        let column = self.edited_column(kind);
        let steps = i64::try_from(ids.len()).unwrap_or(i64::MAX).max(1);
        (0..)
            .zip(ids)
            .filter_map(|(step, id)| {
                let modified_ms = from_ms + (until_ms - from_ms) * step / steps;
                let value = format!("Edited \"{}\" \u{2192} {modified_ms}", self.serial());
                let write = self.write(kind, modified_ms, vec![(column, Some(value.into()))]);
                let modified_ms = self.records(kind).edit(*id, write)?;
                self.changed(kind, *id, Changed::Edited, &[column]);
                Some((*id, modified_ms))
            })
            .collect()
    }

    /// Creates records filled like generated ones.
    fn create(&self, kind: Self::Kind, count: usize, at_ms: i64) -> Vec<u64> {
        (0..count)
            .map(|_| {
                let id = self
                    .records(kind)
                    .create(self.write(kind, at_ms, Vec::new()));
                self.changed(kind, id, Changed::Created, &[]);
                id
            })
            .collect()
    }

    /// Deletes records and returns those that were live.
    fn delete(&self, kind: Self::Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        let live = ids.iter().copied();
        live.filter(|id| {
            let deleted = self.delete_one(kind, *id, at_ms);
            if deleted {
                self.changed(kind, *id, Changed::Deleted, &[]);
            }
            deleted
        })
        .collect()
    }

    /// Brings records back and returns those that were deleted and could be.
    fn undelete(&self, kind: Self::Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        let deleted = ids.iter().copied();
        deleted
            .filter(|id| !self.is_purged(kind, *id))
            .filter(|id| {
                let write = self.write(kind, at_ms, Vec::new());
                let back = self.records(kind).undelete(*id, write).is_some();
                if back {
                    self.changed(kind, *id, Changed::Undeleted, &[]);
                }
                back
            })
            .collect()
    }

    /// A change that is taken now.
    fn write(&self, kind: Self::Kind, modified_ms: i64, changes: overlay::Changes) -> Write {
        Write {
            modified_ms,
            applied_ms: self.clock().now_ms(),
            changes: self.stamped(kind, changes),
        }
    }
}

impl<A: Steered> Changes for A {}

/// Which records to change, and when; either ids or a count.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change<K> {
    kind: K,
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    count: usize,
    /// Now, by the simulated clock, if absent.
    from_ms: Option<i64>,
    /// `from_ms` if absent.
    until_ms: Option<i64>,
}

/// Answers one control request.
pub(crate) async fn respond<A: Steered>(api: Arc<A>, request: Request<Incoming>) -> Response<Body> {
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
        return match api.parse_kind(name) {
            Some(kind) => stream(api, kind, segments[0] == "history", full),
            None => answer(StatusCode::NOT_FOUND, &json!({"error": "unknown type"})),
        };
    }
    match steer(&*api, &parts.method, &segments, &body) {
        Ok(Some(value)) => answer(StatusCode::OK, &value),
        Ok(None) => answer(StatusCode::NOT_FOUND, &json!({"error": "no such control"})),
        Err(error) => answer(
            StatusCode::BAD_REQUEST,
            &json!({"error": error.to_string()}),
        ),
    }
}

pub(crate) fn steer<A: Steered>(
    api: &A,
    method: &Method,
    segments: &[&str],
    body: &[u8],
) -> Result<Option<Value>, serde_json::Error> {
    let mut done = json!({});
    match (method.as_str(), segments) {
        ("GET", ["counters"]) => done = api.counters_json(),
        ("DELETE", ["counters"]) => api.reset_counters(),
        ("GET", ["faults"]) => done = serde_json::to_value(api.faults().rules())?,
        ("POST", ["faults"]) => api.faults().install(read::<Rule<A::Path>>(body)?),
        ("DELETE", ["faults"]) => api.faults().clear(),
        ("POST", ["settings"]) => apply(api, &read(body)?)?,
        ("POST", ["edit"]) => done = edit(api, &read(body)?),
        ("POST", ["create"]) => {
            let change: Change<A::Kind> = read(body)?;
            let created = api.create(change.kind, change.count, change.at_ms(api));
            done = ids_json(api, change.kind, &created);
        }
        ("POST", ["archive" | "delete"]) => {
            let change: Change<A::Kind> = read(body)?;
            let gone = api.delete(change.kind, &chosen(api, &change), change.at_ms(api));
            done = ids_json(api, change.kind, &gone);
        }
        ("POST", ["undelete"]) => {
            let change: Change<A::Kind> = read(body)?;
            let back = api.undelete(change.kind, &chosen(api, &change), change.at_ms(api));
            done = ids_json(api, change.kind, &back);
        }
        ("POST", ["tokens", "expire"]) => api.tokens().expire_all(api.clock().now_ms()),
        ("DELETE", ["tokens"]) => api.tokens().revoke_all(),
        _ => {
            if let Some(value) = api.control(method, segments, body)? {
                return Ok(Some(value));
            }
            if (method.as_str(), segments) != ("POST", &["tokens"]) {
                return Ok(None);
            }
            let issued = api.issue();
            done = json!({
                "access_token": issued.access_token,
                "refresh_token": issued.refresh_token,
                "expires_in": issued.expires_in_s,
            });
        }
    }
    Ok(Some(done))
}

/// Reads the body of a control.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

/// Settings that may change while running; absent ones stay.
fn apply<A: Steered>(api: &A, settings: &Map<String, Value>) -> Result<(), serde_json::Error> {
    for (name, value) in settings {
        let number = || i64::deserialize(value);
        match name.as_str() {
            "refresh_rotation" => api.tokens().set_rotation(bool::deserialize(value)?),
            "access_token_ttl_s" => api.tokens().set_ttl_s(u64::deserialize(value)?),
            // 0 turns the limits off.
            "limit_scale" => {
                let scale = f64::deserialize(value)?;
                api.set_limit_scale((scale > 0.0).then_some(scale));
            }
            "clock_fixed_ms" => api.clock().fix(number()?),
            "clock_shift_ms" => api.clock().shift(number()?),
            "clock_advance_ms" => {}
            _ if api.set(name, value)? => {}
            _ => {
                return Err(serde::de::Error::custom(format!(
                    "there is no setting {name}"
                )));
            }
        }
    }
    // Last, so that a clock can be fixed and moved at once.
    if let Some(by_ms) = settings.get("clock_advance_ms") {
        api.clock().advance(i64::deserialize(by_ms)?);
    }
    Ok(())
}

impl<K> Change<K> {
    fn at_ms(&self, api: &impl Steered) -> i64 {
        self.from_ms.unwrap_or(api.clock().now_ms())
    }
}

fn chosen<A: Steered>(api: &A, change: &Change<A::Kind>) -> Vec<u64> {
    if change.ids.is_empty() {
        return api.pick(change.kind, change.count);
    }
    let ids = change.ids.iter();
    ids.filter_map(|id| api.parse_id(change.kind, id)).collect()
}

fn edit<A: Steered>(api: &A, change: &Change<A::Kind>) -> Value {
    let from_ms = change.at_ms(api);
    let until_ms = change.until_ms.unwrap_or(from_ms);
    let ids = chosen(api, change);
    let edited = api.edit_spread(change.kind, &ids, from_ms, until_ms);
    let edited: Vec<Value> = edited
        .iter()
        .map(|(id, modified_ms)| {
            json!({"id": api.wire_id(change.kind, *id), "version": iso(*modified_ms)})
        })
        .collect();
    json!({ "edited": edited })
}

fn ids_json<A: Steered>(api: &A, kind: A::Kind, ids: &[u64]) -> Value {
    let ids = ids.iter().map(|id| api.wire_id(kind, *id));
    json!({ "ids": ids.collect::<Vec<String>>() })
}

/// The truth as lines of JSON, computed while it is sent.
fn stream<A: Steered>(api: Arc<A>, kind: A::Kind, history: bool, full: bool) -> Response<Body> {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let records = api.records(kind);
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
                "{{\"id\":\"{}\",\"version\":\"{}\",\"archived\":{}",
                api.wire_id(kind, id),
                iso(modified_ms),
                version.archived
            );
            let record = full.then(|| api.version_json(kind, id, modified_ms));
            if let Some(record) = record.flatten() {
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
    let mut response = Response::new(pieces(receiver));
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
