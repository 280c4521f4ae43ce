//! What tests and demonstrations order of the streaming API: channels, events, and what
//! goes wrong.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bus::Bus;
use super::channel::Channel;
use super::event::{self, Change, ChangeType};
use super::{Org, State, Streaming};
use crate::clock::iso;

/// An order to the streaming API, as JSON: `"restart"`, `{"gaps": 3}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Forgets every client, as a server does that starts anew.
    Restart,
    /// Breaks off the held connects.
    Cut,
    /// Forgets every retained event, so that all replay ids become stale.
    Purge,
    /// Delivers nothing until this is false again.
    Stall(bool),
    /// Whether clients must send back their cookies.
    RequireCookies(bool),
    /// How long connects are held, in milliseconds.
    HoldMs(u64),
    /// How long clients may stay away, in milliseconds.
    PatienceMs(u64),
    /// So many changes come without values, as `GAP_*`.
    Gaps(u64),
    /// A transaction too large for events: the object must be read anew.
    Overflow {
        /// The object, such as `Account`.
        entity: String,
        /// When it was committed; now, if absent.
        commit_ms: Option<i64>,
    },
    /// The next handshakes and subscriptions fail.
    Refuse {
        /// `403::Organization total events daily limit exceeded`.
        error: String,
        /// How many of them.
        times: u64,
    },
    /// A channel of platform events (`/event/Order__e`) or generic ones (`/u/Notices`).
    Declare(String),
    /// A stored query, as `/topic/{name}`.
    Topic(Topic),
    /// Publishes an event on a declared channel.
    Publish {
        /// The channel.
        channel: String,
        /// Its fields; for a generic event, anything.
        payload: Value,
    },
}

/// A stored query: which fields of which object it shows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// The last part of its channel.
    pub name: String,
    /// The object that it selects from.
    pub entity: String,
    /// The fields that it shows; only a change of one of them makes an event.
    pub fields: Vec<String>,
}

impl Topic {
    /// Publishes what the query makes of a change.
    pub(super) fn publish(&self, bus: &mut Bus, change: &Change, now_ms: i64) {
        let mut record: Map<String, Value> = change
            .fields
            .iter()
            .filter(|(name, _)| self.fields.contains(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let referenced = change.change_type != ChangeType::Update || !record.is_empty();
        if change.entity != self.entity || !referenced {
            return;
        }
        for id in &change.record_ids {
            record.insert("Id".to_owned(), json!(id));
            let (word, record) = (change.change_type.topic_word(), record.clone());
            bus.publish(Channel::Topic(self.name.clone()), now_ms, |replay_id| {
                event::topic(word, record, &iso(now_ms), replay_id).to_string()
            });
        }
    }
}

/// An error for some of the next messages.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) error: String,
    pub(super) times: u64,
}

impl Streaming {
    /// Does what is ordered; false where there is no such channel.
    pub(crate) fn order(&self, order: Order, org: Org<'_>) -> bool {
        let mut state = self.lock();
        // What came before comes as it was.
        state.catch_up(org);
        let done = state.order(order, org.clock.now_ms());
        drop(state);
        self.news.notify_waiters();
        done
    }
}

impl State {
    fn order(&mut self, order: Order, now_ms: i64) -> bool {
        match order {
            Order::Restart => self.sessions.forget(),
            Order::Cut => self.cuts += 1,
            Order::Purge => self.bus.purge(),
            Order::Stall(stalled) => self.stalled = stalled,
            Order::RequireCookies(required) => self.cookies_required = required,
            Order::HoldMs(hold_ms) => self.hold = Duration::from_millis(hold_ms),
            Order::PatienceMs(patience_ms) => self.patience = Duration::from_millis(patience_ms),
            Order::Gaps(gaps) => self.gaps = gaps,
            Order::Refuse { error, times } => self.refusals.push(Refusal { error, times }),
            Order::Topic(topic) => self.topics.push(topic),
            Order::Overflow { entity, commit_ms } => {
                let known = self.entities.contains(&entity);
                self.publish_change(&overflow(entity, commit_ms.unwrap_or(now_ms)), now_ms);
                return known;
            }
            Order::Declare(name) => {
                let declared = Channel::parse(&name)
                    .filter(|found| matches!(found, Channel::Platform(_) | Channel::Generic(_)));
                let known = declared.is_some();
                self.declared.extend(declared);
                return known;
            }
            Order::Publish { channel, payload } => return self.publish(&channel, &payload, now_ms),
        }
        true
    }

    fn publish(&mut self, name: &str, payload: &Value, now_ms: i64) -> bool {
        let Some(channel) = Channel::parse(name).filter(|found| self.declared.contains(found))
        else {
            return false;
        };
        let created = iso(now_ms);
        match &channel {
            Channel::Platform(name) => {
                let (name, fields) = (name.clone(), payload.as_object().cloned());
                let fields = fields.unwrap_or_default();
                self.bus.publish(channel, now_ms, |replay_id| {
                    event::platform(&name, &fields, &created, USER_ID, replay_id).to_string()
                });
            }
            _ => {
                self.bus.publish(channel, now_ms, |replay_id| {
                    event::generic(payload, &created, replay_id).to_string()
                });
            }
        }
        true
    }
}

/// Who commits what nobody asked for.
const USER_ID: &str = "005000000000001AAA";
/// The id of no record, which stands for all of them.
const NO_RECORD: &str = "000000000000000AAA";

fn overflow(entity: String, commit_ms: i64) -> Change {
    Change {
        entity,
        record_ids: vec![NO_RECORD.to_owned()],
        change_type: ChangeType::GapOverflow,
        fields: Map::new(),
        commit_ms,
        user_id: USER_ID.to_owned(),
    }
}
