//! What of the control API is Pipedrive's own: the API token, the budget that is left.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::control::{Changed, Steered};
use crate::faults::Faults;
use crate::pipedrive::account::Account;
use crate::pipedrive::counters::PathKind;
use crate::pipedrive::kind::Kind;
use crate::pipedrive::{lead_uuid, parse_lead_uuid};
use crate::records::{Records, Write};
use crate::tokens::{Issued, Tokens};

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
        &self.tokens
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
        self.issue_all()
    }

    fn parse_kind(&self, name: &str) -> Option<Kind> {
        Kind::parse(name)
    }

    fn records(&self, kind: Kind) -> &Records {
        &self.collection(kind).records
    }

    fn wire_id(&self, kind: Kind, id: u64) -> String {
        match kind {
            Kind::Leads => lead_uuid(id),
            _ => id.to_string(),
        }
    }

    fn parse_id(&self, kind: Kind, text: &str) -> Option<u64> {
        match kind {
            Kind::Leads => parse_lead_uuid(text),
            _ => text.parse().ok(),
        }
    }

    fn edited_column(&self, kind: Kind) -> u16 {
        self.collection(kind).schema().edited
    }

    fn delete_one(&self, kind: Kind, id: u64, at_ms: i64) -> bool {
        let write = Write {
            modified_ms: at_ms,
            applied_ms: self.clock.now_ms(),
            changes: Vec::new(),
        };
        self.collection(kind).records.delete(id, write).is_some()
    }

    fn changed(&self, kind: Kind, id: u64, change: Changed, _columns: &[u16]) {
        self.tell(kind, id, change);
    }

    fn version_json(&self, kind: Kind, id: u64, modified_ms: i64) -> Option<Vec<u8>> {
        Account::version_json(self, kind, id, modified_ms)
    }

    fn set(&self, name: &str, value: &Value) -> Result<bool, serde_json::Error> {
        match name {
            "search_lag_ms" => self.set_search_lag_ms(u32::deserialize(value)?),
            "daily_tokens_left" => {
                self.limits
                    .leave(u64::deserialize(value)?, self.clock.now_ms());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn control(
        &self,
        method: &Method,
        path: &[&str],
        _body: &[u8],
    ) -> Result<Option<Value>, serde_json::Error> {
        if (method.as_str(), path) != ("POST", &["tokens"]) {
            return Ok(None);
        }
        let issued = self.issue_all();
        Ok(Some(json!({
            "access_token": issued.access_token,
            "refresh_token": issued.refresh_token,
            "expires_in": issued.expires_in_s,
            "api_token": self.api_token,
        })))
    }
}
