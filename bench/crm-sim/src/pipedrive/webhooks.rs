//! Subscriptions to changes, and how a change is told to them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::clock::iso;
use crate::control::Changed;
use crate::outbox::{Event, Headers, Outbox, Sender};
use crate::pipedrive::account::Account;
use crate::pipedrive::config::Config;
use crate::pipedrive::kind::Kind;
use crate::pipedrive::problem::Problem;
use crate::pipedrive::schema::FIRST_USER_ID;
use crate::pipedrive::wire::zoned;
use crate::truth;

/// Subscriptions of one user at most.
const SUBSCRIPTIONS_MAX: usize = 40;
const ACTIONS: [&str; 4] = ["create", "change", "delete", "*"];
const OBJECTS: [&str; 11] = [
    "deal",
    "person",
    "organization",
    "activity",
    "product",
    "note",
    "pipeline",
    "stage",
    "user",
    "lead",
    "*",
];
/// How long a receiver may take, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// What a new subscription asks for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Wanted {
    subscription_url: String,
    event_action: String,
    event_object: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    http_auth_user: Option<String>,
    #[serde(default)]
    http_auth_password: Option<String>,
    #[serde(default)]
    version: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Webhooks {
    subscriptions: Mutex<BTreeMap<u64, (Wanted, String)>>,
    pub(crate) outbox: Outbox,
}

impl Webhooks {
    pub(crate) fn new(config: &Config) -> Webhooks {
        Webhooks {
            subscriptions: Mutex::default(),
            outbox: Outbox::new(PATIENCE_MS, &config.webhook_waits_ms),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (Wanted, String)>> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    fn check(&self) -> Result<(), Problem> {
        let wrong = |name: &str| Err(Problem::invalid(format!("Invalid value for {name}")));
        if url::Url::parse(&self.subscription_url).is_err() {
            return wrong("subscription_url");
        }
        if !ACTIONS.contains(&self.event_action.as_str()) {
            return wrong("event_action");
        }
        if !OBJECTS.contains(&self.event_object.as_str()) {
            return wrong("event_object");
        }
        // The first version's form of events is not simulated.
        if self
            .version
            .as_deref()
            .is_some_and(|version| version != "2.0")
        {
            return wrong("version");
        }
        Ok(())
    }

    fn wants(&self, action: &str, object: &str) -> bool {
        let is = |wanted: &str, found: &str| wanted == "*" || wanted == found;
        is(&self.event_action, action) && is(&self.event_object, object)
    }

    fn authorization(&self) -> Option<String> {
        let user = self.http_auth_user.as_deref()?;
        let password = self.http_auth_password.as_deref().unwrap_or_default();
        let pair = BASE64.encode(format!("{user}:{password}").as_bytes());
        Some(format!("Basic {pair}"))
    }
}

impl Account {
    /// Subscribes, and shows the subscription.
    pub(crate) fn subscribe(&self, body: &[u8]) -> Result<Value, Problem> {
        let wanted: Wanted = serde_json::from_slice(body)
            .map_err(|error| Problem::invalid(format!("Invalid request body: {error}")))?;
        wanted.check()?;
        let added = zoned(self.clock.now_ms());
        let mut subscriptions = self.webhooks.lock();
        if subscriptions.len() >= SUBSCRIPTIONS_MAX {
            let text = format!("No more than {SUBSCRIPTIONS_MAX} webhooks per user");
            return Err(Problem::invalid(text));
        }
        let id = subscriptions.last_key_value().map_or(1, |(id, _)| id + 1);
        let shown = self.shown(id, &wanted, &added);
        subscriptions.insert(id, (wanted, added));
        Ok(shown)
    }

    pub(crate) fn subscriptions(&self) -> Vec<Value> {
        let subscriptions = self.webhooks.lock();
        let shown =
            |(id, (wanted, added)): (&u64, &(Wanted, String))| self.shown(*id, wanted, added);
        subscriptions.iter().map(shown).collect()
    }

    /// Whether there was such a subscription.
    pub(crate) fn unsubscribe(&self, id: &str) -> bool {
        let id = id.parse().ok();
        id.is_some_and(|id: u64| self.webhooks.lock().remove(&id).is_some())
    }

    fn shown(&self, id: u64, wanted: &Wanted, added: &str) -> Value {
        json!({
            "id": id, "company_id": self.config.company_id, "owner_id": FIRST_USER_ID,
            "user_id": FIRST_USER_ID, "admin_id": FIRST_USER_ID, "name": wanted.name,
            "event_action": wanted.event_action, "event_object": wanted.event_object,
            "subscription_url": wanted.subscription_url, "version": "2.0", "is_active": 1,
            "add_time": added, "remove_time": null, "type": "general",
            "http_auth_user": wanted.http_auth_user,
            "http_auth_password": wanted.http_auth_password, "additional_data": {},
            "remove_reason": null, "last_delivery_time": null, "last_http_status": null
        })
    }

    /// Tells of a change whoever subscribed to it.
    pub(crate) fn tell(&self, kind: Kind, id: u64, changed: Changed) {
        let subscriptions = self.webhooks.lock();
        if subscriptions.is_empty() {
            return;
        }
        let action = match changed {
            Changed::Created => "create",
            Changed::Edited | Changed::Undeleted => "change",
            Changed::Deleted => "delete",
        };
        let wanting = subscriptions
            .iter()
            .filter(|(_, (wanted, _))| wanted.wants(action, kind.singular()));
        let wanting: Vec<(&u64, &(Wanted, String))> = wanting.collect();
        if wanting.is_empty() {
            return;
        }
        let (data, previous) = self.states(kind, id, changed);
        let correlation = self.meter.uuid();
        for (number, (wanted, _)) in wanting {
            self.webhooks.outbox.put(Event {
                url: wanted.subscription_url.clone(),
                authorization: wanted.authorization(),
                content: json!({
                    "meta": {
                        "action": action, "entity": kind.singular(), "entity_id": self.wire(kind, id),
                        "company_id": self.config.company_id.to_string(),
                        "user_id": FIRST_USER_ID.to_string(), "id": self.meter.uuid(),
                        "correlation_id": correlation, "attempt": 1,
                        "timestamp": iso(self.clock.now_ms()), "version": "2.0",
                        "webhook_id": number.to_string(),
                        "webhook_owner_id": FIRST_USER_ID.to_string(), "change_source": "app",
                        "permitted_user_ids": [FIRST_USER_ID.to_string()], "is_bulk_edit": false,
                        "type": "general", "host": self.api_domain().trim_start_matches("https://")
                    },
                    "data": data,
                    "previous": previous,
                }),
            });
        }
    }

    fn wire(&self, kind: Kind, id: u64) -> String {
        crate::control::Steered::wire_id(self, kind, id)
    }

    /// A record as it is and, of what it was, what is different now. Versions that share
    /// their second show the same.
    fn states(&self, kind: Kind, id: u64, changed: Changed) -> (Value, Value) {
        let versions = truth::versions_of(&self.collection(kind).records, id);
        let state = |back: usize| -> Map<String, Value> {
            let version = versions.len().checked_sub(back);
            let version = version.and_then(|at| versions.get(at));
            let json = version.and_then(|one| self.version_json(kind, id, one.modified_ms));
            json.and_then(|json| serde_json::from_slice(&json).ok())
                .unwrap_or_default()
        };
        let (now, mut before) = (state(1), state(2));
        match changed {
            Changed::Created => (Value::Object(now), Value::Null),
            Changed::Deleted => (Value::Null, Value::Object(before)),
            Changed::Edited | Changed::Undeleted => {
                before.retain(|name, value| now.get(name) != Some(value));
                (Value::Object(now), Value::Object(before))
            }
        }
    }
}

impl Sender for Account {
    fn outbox(&self) -> &Outbox {
        &self.webhooks.outbox
    }

    fn sealed(&self, event: &Event, attempt: u32) -> (Headers, String) {
        let mut content = event.content.clone();
        content["meta"]["attempt"] = json!(attempt + 1);
        let mut headers = vec![("user-agent", "Pipedrive Webhooks (simulated)".to_owned())];
        let authorization = event.authorization.clone();
        headers.extend(authorization.map(|value| ("authorization", value)));
        (headers, content.to_string())
    }
}
