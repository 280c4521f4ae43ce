//! What of the control API is Salesforce's own: fields, purges, open transactions, the
//! day's allocation, changes by the system.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::control::{Changed, Changes as _, Steered, read};
use crate::faults::Faults;
use crate::overlay::Changes;
use crate::records::Records;
use crate::salesforce::cometd::Order;
use crate::salesforce::counters::PathKind;
use crate::salesforce::object::Object;
use crate::salesforce::org::Org;
use crate::salesforce::schema::ExtraField;
use crate::salesforce::soql::{json_field, open_record};
use crate::salesforce::values::{Reading, last_modified_ms};
use crate::salesforce::wire_id::{parse_wire_id, wire_text};
use crate::tokens::{Issued, Tokens};

/// The version that whole records of the truth are shown in.
const TRUTH_VERSION: &str = "62.0";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drop {
    object: Object,
    name: String,
}

/// Which deleted records leave the recycle bin (all without ids), or until when the
/// delete log is pruned.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Purge {
    kind: Object,
    ids: Option<Vec<String>>,
    log_until_ms: Option<i64>,
}

/// Which records the system changes; either ids or a count.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Touch {
    kind: Object,
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    count: usize,
    from_ms: Option<i64>,
}

impl Steered for Org {
    type Kind = Object;
    type Path = PathKind;

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn faults(&self) -> &Faults<PathKind> {
        &self.faults
    }

    fn tokens(&self) -> &Tokens {
        &self.oauth
    }

    fn counters_json(&self) -> Value {
        json!(self.counters())
    }

    fn reset_counters(&self) {
        self.meter.reset();
        self.limits.reset_observed();
    }

    fn serial(&self) -> u64 {
        self.meter.serial()
    }

    fn set_limit_scale(&self, scale: Option<f64>) {
        self.limits.set_scale(scale);
    }

    fn issue(&self) -> Issued {
        self.oauth
            .issue_usual(&self.config.username, self.clock.now_ms())
    }

    fn parse_kind(&self, name: &str) -> Option<Object> {
        Object::parse(name)
    }

    fn records(&self, kind: Object) -> &Records {
        &self.collection(kind).records
    }

    fn wire_id(&self, kind: Object, id: u64) -> String {
        wire_text(kind.prefix(), id)
    }

    fn parse_id(&self, kind: Object, text: &str) -> Option<u64> {
        let (prefix, number) = parse_wire_id(text)?;
        (prefix == kind.prefix()).then_some(number)
    }

    fn edited_column(&self, kind: Object) -> u16 {
        self.collection(kind).schema().edited()
    }

    fn is_purged(&self, object: Object, id: u64) -> bool {
        self.collection(object).purged().records.contains(&id)
    }

    fn delete_one(&self, kind: Object, id: u64, at_ms: i64) -> bool {
        let write = self.write(kind, at_ms, Changes::new());
        self.collection(kind).records.delete(id, write).is_some()
    }

    /// Somebody changed the record, so both of its times move.
    fn stamped(&self, kind: Object, mut changes: Changes) -> Changes {
        let column = self.collection(kind).schema().last_modified();
        if let Some(column) = column
            && changes.iter().all(|(at, _)| *at != column)
        {
            changes.push((column, None));
        }
        changes
    }

    fn changed(&self, kind: Object, id: u64, change: Changed, columns: &[u16]) {
        self.publish(kind, id, change, columns);
    }

    fn version_json(&self, kind: Object, id: u64, modified_ms: i64) -> Option<Vec<u8>> {
        let collection = self.collection(kind);
        let schema = collection.schema();
        collection.records.with_version(id, modified_ms, |view| {
            let reading = Reading {
                org: self,
                schema: &schema,
                view,
            };
            let mut out = Vec::new();
            open_record(kind, id, TRUTH_VERSION, &mut out);
            for field in schema.fields() {
                json_field(&reading, field, TRUTH_VERSION, &mut out);
            }
            out.push(b'}');
            out
        })
    }

    fn set(&self, name: &str, value: &Value) -> Result<bool, serde_json::Error> {
        match name {
            // When a transaction began that does not end yet; null ends it.
            "open_transaction_ms" => {
                self.set_open_transaction_ms(Option::<i64>::deserialize(value)?);
            }
            // Requests that other apps of the org have made.
            "spend_requests" => {
                let requests = u64::deserialize(value)?;
                self.limits.spend(requests, self.clock.now_ms());
            }
            // How many of the bulk jobs that are still to come fail.
            "fail_bulk_jobs" => self.jobs.fail_next(u32::deserialize(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn control(
        &self,
        method: &Method,
        path: &[&str],
        body: &[u8],
    ) -> Result<Option<Value>, serde_json::Error> {
        let now_ms = self.clock.now_ms();
        let answer = match (method.as_str(), path) {
            ("POST", ["fields"]) => {
                let field: ExtraField = read(body)?;
                json!({"changed": self.collection(field.object).add_field(&field, now_ms)})
            }
            ("DELETE", ["fields"]) => {
                let field: Drop = read(body)?;
                json!({"changed": self.collection(field.object).drop_field(&field.name, now_ms)})
            }
            ("POST", ["purge"]) => {
                let purge: Purge = read(body)?;
                self.purge(&purge);
                json!({})
            }
            ("POST", ["touch"]) => {
                let touch: Touch = read(body)?;
                let ids = if touch.ids.is_empty() {
                    self.pick(touch.kind, touch.count)
                } else {
                    let ids = touch.ids.iter();
                    ids.filter_map(|id| self.parse_id(touch.kind, id)).collect()
                };
                let touched = self.touch(touch.kind, &ids, touch.from_ms.unwrap_or(now_ms));
                let ids = touched.iter().map(|id| self.wire_id(touch.kind, *id));
                json!({"ids": ids.collect::<Vec<String>>()})
            }
            ("POST", ["streaming"]) => {
                let order: Order = read(body)?;
                json!({"done": self.stream(order)})
            }
            ("GET", ["streaming"]) => json!(self.stream_counters()),
            ("DELETE", ["cursors"]) => {
                self.cursors.close_all();
                json!({})
            }
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }
}

impl Org {
    fn purge(&self, purge: &Purge) {
        let collection = self.collection(purge.kind);
        match purge.log_until_ms {
            Some(until_ms) => collection.prune_log(until_ms),
            None => {
                let ids = purge.ids.as_ref().map(|ids| {
                    let ids = ids.iter();
                    ids.filter_map(|id| self.parse_id(purge.kind, id))
                        .collect::<Vec<u64>>()
                });
                collection.purge(ids.as_deref());
            }
        }
    }

    /// Changes records as the system itself does: `SystemModstamp` moves, the time of
    /// the last change by a user does not. Returns the records that were live.
    pub(crate) fn touch(&self, object: Object, ids: &[u64], at_ms: i64) -> Vec<u64> {
        let collection = self.collection(object);
        let Some(column) = collection.schema().last_modified() else {
            return Vec::new();
        };
        let touched = ids.iter().copied().filter(|id| {
            let before_ms = collection
                .records
                .with_view(*id, |view| last_modified_ms(&view, Some(column)));
            let Some(before_ms) = before_ms else {
                return false;
            };
            let kept = (column, Some(before_ms.to_string().into()));
            let write = self.write(object, at_ms, vec![kept]);
            let done = collection.records.edit(*id, write).is_some();
            if done {
                self.publish(object, *id, Changed::Edited, &[]);
            }
            done
        });
        touched.collect()
    }
}
