//! A subscription: who hears of which events, and what of them.

use super::{Problem, RouteSpec, SecretName, SecretRef, SecretSlot};
use crate::id::SubscriptionId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use utoipa::ToSchema;

/// Characters of an address.
const URL_CHARS_MAX: usize = 2048;

/// Who hears of which events. Each is posted as JSON, signed after the Standard
/// Webhooks specification, until it is taken or 24 hours are over; it may come more
/// than once, with the same `webhook-id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionSpec {
    /// Where events are posted: an `https` address.
    #[schema(max_length = 2048, pattern = "^https://[^\\s#@]+$")]
    pub url: String,
    /// Which events; one at least.
    #[schema(min_items = 1)]
    pub events: Vec<EventKind>,
    /// The key that signs them: `whsec_` and base64, or any other text.
    pub secret: SecretRef,
    /// Which of them, and what of each; without it all of them, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteSpec>,
}

/// What can be subscribed to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
pub enum EventKind {
    /// Objects became visible in a target.
    #[serde(rename = "objects.committed")]
    ObjectsCommitted,
    /// A job is over, whatever its end.
    #[serde(rename = "job.finished")]
    JobFinished,
    /// A provider refused a connection's grant; a person must authorise it again.
    #[serde(rename = "connection.needs_reauth")]
    ConnectionNeedsReauth,
    /// A source's schema is not what it was.
    #[serde(rename = "schema.changed")]
    SchemaChanged,
}

impl EventKind {
    /// The word that stands in events.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::ObjectsCommitted => "objects.committed",
            EventKind::JobFinished => "job.finished",
            EventKind::ConnectionNeedsReauth => "connection.needs_reauth",
            EventKind::SchemaChanged => "schema.changed",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl SubscriptionSpec {
    /// Everything in it that cannot work; empty when it is sound.
    pub fn validate(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut add = |pointer: String, reason: &str| {
            let reason = reason.to_owned();
            found.push(Problem { pointer, reason });
        };
        if let Some(reason) = refusal(&self.url) {
            add("/url".to_owned(), reason);
        }
        if self.events.is_empty() {
            add("/events".to_owned(), "name at least one event");
        }
        for (at, kind) in self.events.iter().enumerate() {
            if self.events[..at].contains(kind) {
                add(format!("/events/{at}"), "this event is there twice");
            }
        }
        if let Some(route) = &self.route {
            let problems = route.validate().into_iter();
            found.extend(problems.map(|problem| Problem {
                pointer: format!("/route{}", problem.pointer),
                ..problem
            }));
        }
        found
    }

    /// Whether it wants to hear of this event.
    pub fn wants(&self, kind: &str, payload: &Value) -> bool {
        let predicate = self
            .route
            .as_ref()
            .and_then(|route| route.predicate.as_ref());
        self.events.iter().any(|wanted| wanted.as_str() == kind)
            && predicate.is_none_or(|predicate| predicate.holds(payload))
    }

    /// Every secret of the subscription `id`, as
    /// [`ConnectionSpec::secret_slots`](super::ConnectionSpec::secret_slots).
    pub fn secret_slots(&mut self, id: &SubscriptionId) -> Vec<SecretSlot<'_>> {
        vec![SecretSlot {
            pointer: "/secret".to_owned(),
            name: SecretName::of_place(&["subscription", id.as_str(), "secret"]),
            reference: &mut self.secret,
        }]
    }
}

/// Why nothing can be posted there. Whether the address may be reached is decided when
/// it is.
fn refusal(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix("https://") else {
        return Some("use an https address; an operator can map it to a plain one");
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.is_empty() {
        Some("names no host")
    } else if host.contains('@') {
        Some("must not hold a user; receivers prove a sender by its signature")
    } else if url.contains('#') || url.contains(|it: char| it.is_whitespace() || it.is_control()) {
        Some("must not hold spaces or a fragment")
    } else if url.len() > URL_CHARS_MAX {
        Some("is longer than 2048 characters")
    } else {
        None
    }
}
