//! Notifications of changes, as the app's Developer Hub sets them up: one address, some
//! topics, signed with the app's secret.

use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use ring::hmac;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::Changed;
use crate::intercom::account::Account;
use crate::intercom::config::Config;
use crate::intercom::kind::Kind;
use crate::outbox::{Event, Headers, Outbox, Sender};

/// How long a receiver may take, in milliseconds.
const PATIENCE_MS: u64 = 5_000;

/// Where notifications go, and which topics; none are all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscription {
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) topics: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Webhooks {
    subscription: Mutex<Option<Subscription>>,
    pub(crate) outbox: Outbox,
}

impl Webhooks {
    pub(crate) fn new(config: &Config) -> Webhooks {
        Webhooks {
            subscription: Mutex::default(),
            outbox: Outbox::new(PATIENCE_MS, &config.webhook_waits_ms),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Subscription>> {
        self.subscription
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// Sets up the app's notifications, which sends a ping; `None` ends them.
    pub(crate) fn subscribe(&self, subscription: Option<Subscription>) {
        *self.webhooks.lock() = subscription;
        self.notify(
            "ping",
            &json!({"type": "ping", "message": "something something interzen"}),
        );
    }

    /// Tells of a change, if its topic is subscribed to.
    pub(crate) fn tell(&self, kind: Kind, id: u64, changed: Changed) {
        if self.webhooks.lock().is_none() {
            return;
        }
        let wire_id = kind.wire_id(id);
        let item = match changed {
            Changed::Deleted => json!({"type": singular(kind), "id": wire_id, "deleted": true}),
            _ => self.shown(kind, id),
        };
        let role = item["role"].as_str().unwrap_or("user");
        let topic = match (kind, changed) {
            (Kind::Contacts, Changed::Created) => format!("contact.{role}.created"),
            (Kind::Contacts, Changed::Edited) => format!("contact.{role}.updated"),
            (Kind::Contacts, Changed::Deleted) => "contact.deleted".to_owned(),
            (Kind::Contacts, Changed::Undeleted) => "contact.unarchived".to_owned(),
            (Kind::Companies, Changed::Created | Changed::Undeleted) => {
                "company.created".to_owned()
            }
            (Kind::Companies, Changed::Edited) => "company.updated".to_owned(),
            (Kind::Companies, Changed::Deleted) => "company.deleted".to_owned(),
            (Kind::Conversations, Changed::Created | Changed::Undeleted) => {
                "conversation.user.created".to_owned()
            }
            (Kind::Conversations, Changed::Edited) => "conversation.user.replied".to_owned(),
            (Kind::Conversations, Changed::Deleted) => "conversation.deleted".to_owned(),
        };
        self.notify(&topic, &item);
    }

    /// The whole record as it is now.
    fn shown(&self, kind: Kind, id: u64) -> Value {
        let records = self.records(kind);
        let modified_ms = records.with_view(id, |view| view.row.modified_ms);
        let steered = |at_ms| crate::control::Steered::version_json(self, kind, id, at_ms);
        let json = modified_ms.and_then(steered);
        json.and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default()
    }

    fn notify(&self, topic: &str, item: &Value) {
        let Some(subscription) = self.webhooks.lock().clone() else {
            return;
        };
        let topics = &subscription.topics;
        if topic != "ping" && !topics.is_empty() && topics.iter().all(|wanted| wanted != topic) {
            return;
        }
        let now_s = self.clock.now_ms() / 1000;
        self.webhooks.outbox.put(Event {
            url: subscription.url,
            authorization: None,
            content: json!({
                "type": "notification_event", "app_id": self.config.workspace_id,
                "id": format!("notif_{}", self.uuid()), "topic": topic, "created_at": now_s,
                "delivery_attempts": 1, "delivered_at": 0, "first_sent_at": now_s,
                "delivery_status": "pending", "self": null, "links": {},
                "data": {"type": "notification_event_data", "item": item}
            }),
        });
    }
}

fn singular(kind: Kind) -> &'static str {
    match kind {
        Kind::Contacts => "contact",
        Kind::Companies => "company",
        Kind::Conversations => "conversation",
    }
}

impl Sender for Account {
    fn outbox(&self) -> &Outbox {
        &self.webhooks.outbox
    }

    fn sealed(&self, event: &Event, attempt: u32) -> (Headers, String) {
        let mut content = event.content.clone();
        content["delivery_attempts"] = json!(attempt + 1);
        let body = content.to_string();
        // SHA-1 is what the real one signs with.
        let algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
        let key = hmac::Key::new(algorithm, self.config.client_secret.as_bytes());
        let signature = HEXLOWER.encode(hmac::sign(&key, body.as_bytes()).as_ref());
        let headers = vec![
            (
                "user-agent",
                "intercom-webhook-delivery (simulated)".to_owned(),
            ),
            ("x-hub-signature", format!("sha1={signature}")),
        ];
        (headers, body)
    }
}
