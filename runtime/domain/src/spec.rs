//! The documents of a tenant's configuration: what a connection is, and what a sync
//! does. The same types are read from YAML files, stored by the server and published
//! as JSON Schema, so that the three cannot drift apart.
//!
//! Types refuse what they can; [`SyncSpec::validate`] and [`ConnectionSpec::validate`]
//! name the rest, each with the place of the value.

mod diff;
mod json_schema;
mod reference;
mod route;
mod set;
mod subscription;
mod suggest;
mod target;
mod validate;

pub use diff::{Change, ChangeAction, FieldChange, diff};
pub use json_schema::{connection_schema, document_schema, subscription_schema, sync_schema};
pub use reference::{ConnectorRef, InvalidConnectorRef, InvalidSecretRef, SecretName, SecretRef};
pub use route::{
    Field, FieldPointer, FieldPrefix, FieldValue, FieldValues, InvalidFieldPointer, Predicate,
    RouteSpec, Scalar,
};
pub use set::{DocumentKey, DocumentSet};
pub use subscription::{EventKind, SubscriptionSpec};
pub use suggest::{did_you_mean, nearest};
pub use target::{OperationUrls, TargetSpec};
pub use validate::{Problem, validate_streams};

use crate::batch::BatchPolicy;
use crate::id::{ConnectionId, Sha256, StreamName, SyncId};
use crate::job::Class;
use crate::schedule::Schedule;
use crate::sync::{Landing, Mode, Window};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A configured use of a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSpec {
    /// Which connector.
    pub connector: ConnectorRef,
    /// The digest that `connector` meant when the connection was saved. The server
    /// writes it, and every run uses it; what a client sends here is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(read_only)]
    pub digest: Option<Sha256>,
    /// The connector's own configuration; its schema is the connector's.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// The OAuth application, for connectors that use one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_app: Option<OauthAppSpec>,
    /// Secrets by the names that the connector's manifest gives them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretRef>,
    /// The provider's own id of the account, so that connections of one account share
    /// one budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Percent of the account's limits that Tidegate may use; the rest is left to other
    /// applications of its owner. All of them without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub quota_share: Option<u8>,
    /// Jobs of this connection that run at the same time; without it only the worker's
    /// own bound holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub concurrency_max: Option<u32>,
}

/// An OAuth application, registered with the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthAppSpec {
    /// Public.
    pub client_id: String,
    /// Secret.
    pub client_secret: SecretRef,
    /// The loopback port of the redirect address (`http://127.0.0.1:PORT/callback`) of
    /// the command line, for providers that want it registered; 0 takes a free one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redirect_port: u16,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde wants"
)]
fn is_zero(port: &u16) -> bool {
    *port == 0
}

/// What to move out: from where, what, when and where to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncSpec {
    /// Where records come from.
    pub connection: ConnectionId,
    /// What is read; one at least.
    #[schema(min_items = 1)]
    pub streams: Vec<StreamSpec>,
    /// Where it lands.
    pub target: TargetSpec,
    /// When a batch is sealed.
    #[serde(default)]
    pub batch: BatchPolicy,
    /// When it runs by itself; without it only when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Its share of workers and of the provider's limits.
    #[serde(default)]
    pub class: Class,
    /// What happens when it is triggered while a job of it is not over.
    #[serde(default)]
    pub when_running: WhenRunning,
    /// What happens when the source's schema changes.
    #[serde(default)]
    pub schema_policy: SchemaPolicy,
    /// Whether it is switched off: no schedule fires and no job is claimed.
    #[serde(default)]
    pub paused: bool,
}

/// What a trigger does while a job of the same sync is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenRunning {
    /// It answers with the job that is there.
    #[default]
    Attach,
    /// It makes a job that waits for the other's end.
    Queue,
}

/// What happens when the source's schema changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaPolicy {
    /// New fields become columns by themselves.
    Evolve,
    /// The job carries a warning; new fields land in `_tg_extra`.
    #[default]
    Warn,
    /// The stream fails until a person decides.
    Freeze,
}

/// A stream of a sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamSpec {
    /// Its name in the connection's catalog.
    pub name: StreamName,
    /// How it is read.
    #[serde(default = "incremental")]
    pub mode: Mode,
    /// How it lands.
    #[serde(default = "append_dedup")]
    pub landing: Landing,
    /// Fields to read; empty reads all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Bounds of the history; without them all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowSpec>,
    /// Partitions to plan for, and to read at the same time.
    #[serde(default = "four")]
    #[schema(minimum = 1, maximum = 256)]
    pub partitions_max: u32,
}

fn incremental() -> Mode {
    Mode::Incremental
}

fn append_dedup() -> Landing {
    Landing::AppendDedup
}

fn four() -> u32 {
    4
}

/// A half-open span of time, `since <= t < until`, RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// First instant, RFC 3339; not before 1970.
    #[schema(value_type = String, format = DateTime)]
    pub since: jiff::Timestamp,
    /// First instant after it, RFC 3339; without it the run's own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<jiff::Timestamp>,
}

impl WindowSpec {
    /// The span in milliseconds; instants before 1970 count as 1970, and an open end
    /// as the end of time.
    pub fn window(self) -> Window {
        let milliseconds =
            |moment: jiff::Timestamp| u64::try_from(moment.as_millisecond()).unwrap_or_default();
        Window {
            since_ms: milliseconds(self.since),
            until_ms: self.until.map_or(u64::MAX, milliseconds),
        }
    }
}

/// A place in a document that holds a secret's reference.
#[derive(Debug)]
pub struct SecretSlot<'a> {
    /// The JSON pointer to it.
    pub pointer: String,
    /// The name under which the server keeps it, made of its place.
    pub name: SecretName,
    /// The reference.
    pub reference: &'a mut SecretRef,
}

impl ConnectionSpec {
    /// Every secret of the connection `id`, so that a client can upload it and rewrite
    /// the reference.
    pub fn secret_slots(&mut self, id: &ConnectionId) -> Vec<SecretSlot<'_>> {
        let mut slots = Vec::new();
        if let Some(app) = &mut self.oauth_app {
            slots.push(SecretSlot {
                pointer: "/oauth_app/client_secret".to_owned(),
                name: SecretName::of_place(&["connection", id.as_str(), "oauth_app.client_secret"]),
                reference: &mut app.client_secret,
            });
        }
        for (name, reference) in &mut self.secrets {
            slots.push(SecretSlot {
                pointer: format!("/secrets/{}", escaped(name)),
                name: SecretName::of_place(&["connection", id.as_str(), "secrets", name]),
                reference,
            });
        }
        slots
    }
}

impl SyncSpec {
    /// Every secret of the sync `id`, as [`ConnectionSpec::secret_slots`].
    pub fn secret_slots(&mut self, id: &SyncId) -> Vec<SecretSlot<'_>> {
        let target = &mut self.target;
        [
            ("access_key", &mut target.access_key),
            ("secret_key", &mut target.secret_key),
        ]
        .into_iter()
        .filter_map(|(field, reference)| {
            Some(SecretSlot {
                pointer: format!("/target/{field}"),
                name: SecretName::of_place(&["sync", id.as_str(), "target", field]),
                reference: reference.as_mut()?,
            })
        })
        .collect()
    }
}

fn escaped(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
