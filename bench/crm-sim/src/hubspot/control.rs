//! What of the control API is HubSpot's own: its settings, its private app's token, its
//! properties.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::control::{Changed, Steered, read};
use crate::faults::Faults;
use crate::hubspot::account::Account;
use crate::hubspot::counters::PathKind;
use crate::hubspot::kind::Kind;
use crate::hubspot::render::{Projection, RECORD_BYTES, record};
use crate::hubspot::schema::PropertyChange;
use crate::records::Records;
use crate::tokens::{Issued, Tokens};

/// Which property to change, and to what. It was declared at the start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeOfProperty {
    kind: Kind,
    name: String,
    to: PropertyChange,
}

impl Steered for Account {
    type Kind = Kind;
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
        self.oauth.issue_all(self.clock.now_ms())
    }

    fn parse_kind(&self, name: &str) -> Option<Kind> {
        let declared = |kind: &Kind| self.collections.iter().any(|one| one.kind == *kind);
        self.kind_of(name)
            .or_else(|| Kind::parse(name).filter(declared))
    }

    fn records(&self, kind: Kind) -> &Records {
        &self.collection(kind).records
    }

    fn edited_column(&self, kind: Kind) -> u16 {
        self.collection(kind).records.schema.edited
    }

    fn delete_one(&self, kind: Kind, id: u64, at_ms: i64) -> bool {
        Steered::records(self, kind).archive(id, at_ms, self.clock.now_ms())
    }

    fn changed(&self, kind: Kind, id: u64, change: Changed, columns: &[u16]) {
        self.tell_changed(kind, id, change, columns);
    }

    fn version_json(&self, kind: Kind, id: u64, modified_ms: i64) -> Option<Vec<u8>> {
        let records = &self.collection(kind).records;
        let all = Projection::all(&records.schema);
        records.with_version(id, modified_ms, |view| {
            let mut out = Vec::with_capacity(RECORD_BYTES);
            record(&view, &all, &mut out);
            out
        })
    }

    fn set(&self, name: &str, value: &Value) -> Result<bool, serde_json::Error> {
        match name {
            "search_lag_ms" => self.set_search_lag_ms(u32::deserialize(value)?),
            "text_ids" => self.set_text_ids(bool::deserialize(value)?),
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
        let answer = match (method.as_str(), path) {
            ("POST", ["properties"]) => {
                let change: ChangeOfProperty = read(body)?;
                json!({ "changed": self.change_property(change.kind, &change.name, change.to) })
            }
            ("POST", ["tokens"]) => {
                let issued = self.issue();
                json!({
                    "access_token": issued.access_token,
                    "refresh_token": issued.refresh_token,
                    "expires_in": issued.expires_in_s,
                    "private_app_token": self.oauth.private_token,
                })
            }
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }
}
