//! Webhooks of the application: what it subscribed to, and what waits to be delivered.

mod delivery;
mod event;
mod signature;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use delivery::Delivery;
pub(crate) use delivery::deliver;
pub(crate) use event::{Event, What};

use crate::clock::iso;
use crate::hubspot::kind::Names;

/// Events in one delivery at most.
const EVENTS_MAX: usize = 100;

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) target_url: String,
    pub(crate) throttling: Throttling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Throttling {
    pub(crate) max_concurrent_requests: u32,
}

/// What a new subscription asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted {
    pub(crate) event_type: String,
    #[serde(default)]
    pub(crate) property_name: Option<String>,
    #[serde(default)]
    pub(crate) object_type_id: Option<String>,
    #[serde(default)]
    pub(crate) active: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) id: u64,
    pub(crate) wanted: Wanted,
    created_ms: i64,
    updated_ms: i64,
}

impl Subscription {
    pub(crate) fn shown(&self) -> Value {
        let mut shown = json!({
            "id": self.id.to_string(),
            "eventType": self.wanted.event_type,
            "propertyName": self.wanted.property_name,
            "active": self.wanted.active,
            "createdAt": iso(self.created_ms),
            "updatedAt": iso(self.updated_ms),
        });
        if let Some(type_id) = &self.wanted.object_type_id {
            shown["objectTypeId"] = json!(type_id);
        }
        shown
    }

    /// Whether an event of a record of this type is wanted.
    fn wants(&self, event: &Event, names: &Names) -> bool {
        let Some((object, what)) = self.wanted.event_type.split_once('.') else {
            return false;
        };
        let is_of = match object {
            "object" => self.wanted.object_type_id.as_deref() == Some(names.type_id.as_str()),
            singular => !names.is_own() && singular == names.singular,
        };
        let is_property = match &event.what {
            What::Property { name, .. } => self.wanted.property_name.as_ref() == Some(name),
            _ => true,
        };
        self.wanted.active && is_of && what == event.what.name() && is_property
    }
}

/// Events on their way in one delivery.
#[derive(Debug)]
struct Batch {
    events: Vec<Value>,
    attempt: u32,
    due: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    state: Mutex<State>,
    woken: Notify,
}

#[derive(Debug, Default)]
struct State {
    settings: Option<Settings>,
    subscriptions: BTreeMap<u64, Subscription>,
    serial: u64,
    waiting: VecDeque<Value>,
    retries: Vec<Batch>,
    deliveries: Vec<Delivery>,
}

impl Webhooks {
    pub(crate) fn settings(&self) -> Option<Settings> {
        self.lock().settings.clone()
    }

    /// Sets where events go; `None` ends them.
    pub(crate) fn configure(&self, settings: Option<Settings>) {
        self.lock().settings = settings;
    }

    pub(crate) fn subscriptions(&self) -> Vec<Subscription> {
        self.lock().subscriptions.values().cloned().collect()
    }

    pub(crate) fn subscribe(&self, wanted: Wanted, now_ms: i64) -> Subscription {
        let mut state = self.lock();
        state.serial += 1;
        let subscription = Subscription {
            id: state.serial,
            wanted,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        state
            .subscriptions
            .insert(subscription.id, subscription.clone());
        subscription
    }

    /// Makes a subscription active or not; `None` if there is no such one.
    pub(crate) fn activate(&self, id: u64, active: bool, now_ms: i64) -> Option<Subscription> {
        let mut state = self.lock();
        let subscription = state.subscriptions.get_mut(&id)?;
        subscription.wanted.active = active;
        subscription.updated_ms = now_ms;
        Some(subscription.clone())
    }

    pub(crate) fn unsubscribe(&self, id: u64) {
        self.lock().subscriptions.remove(&id);
    }

    /// Queues an event once for each subscription that wants it. `app` and `portal` are
    /// the numbers of the application and the account.
    pub(crate) fn raise(&self, event: &Event, names: &Names, app: u64, portal: u64) {
        let mut state = self.lock();
        if state.settings.is_none() {
            return;
        }
        state.serial += 1;
        let number = state.serial;
        let wanting = state.subscriptions.values();
        let wanting = wanting.filter(|subscription| subscription.wants(event, names));
        let told: Vec<Value> = wanting
            .map(|subscription| {
                let mut told = event.told();
                told["eventId"] = json!(number);
                told["subscriptionId"] = json!(subscription.id);
                told["subscriptionType"] = json!(subscription.wanted.event_type);
                told["portalId"] = json!(portal);
                told["appId"] = json!(app);
                if subscription.wanted.object_type_id.is_some() {
                    told["objectTypeId"] = json!(names.type_id);
                }
                told
            })
            .collect();
        state.waiting.extend(told);
        drop(state);
        self.woken.notify_one();
    }

    /// Every attempt to deliver so far, oldest first.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
