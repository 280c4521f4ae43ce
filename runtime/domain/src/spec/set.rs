//! A tenant's documents together: what they say of one another must hold.

use super::suggest::did_you_mean;
use super::{ConnectionSpec, Problem, SubscriptionSpec, SyncSpec};
use crate::id::{ConnectionId, InvalidId, SubscriptionId, SyncId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use utoipa::ToSchema;

/// Documents by kind and id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentSet {
    /// Connections.
    pub connections: BTreeMap<ConnectionId, ConnectionSpec>,
    /// Syncs.
    pub syncs: BTreeMap<SyncId, SyncSpec>,
    /// Subscriptions.
    pub subscriptions: BTreeMap<SubscriptionId, SubscriptionSpec>,
}

/// Which document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum DocumentKey {
    /// A connection.
    Connection(ConnectionId),
    /// A sync.
    Sync(SyncId),
    /// A subscription.
    Subscription(SubscriptionId),
}

impl DocumentKey {
    /// The words of all kinds.
    pub const KINDS: [&'static str; 3] = ["connection", "sync", "subscription"];

    /// The document of a kind, if there is that kind and the id is one.
    ///
    /// # Errors
    /// [`InvalidId`] where the id is none; nothing where the kind is none.
    pub fn parse(kind: &str, id: &str) -> Option<Result<DocumentKey, InvalidId>> {
        Some(match kind {
            "connection" => ConnectionId::parse(id).map(DocumentKey::Connection),
            "sync" => SyncId::parse(id).map(DocumentKey::Sync),
            "subscription" => SubscriptionId::parse(id).map(DocumentKey::Subscription),
            _ => return None,
        })
    }

    /// The word of its kind, as in `kind:` and in the database.
    pub fn kind(&self) -> &'static str {
        match self {
            DocumentKey::Connection(_) => "connection",
            DocumentKey::Sync(_) => "sync",
            DocumentKey::Subscription(_) => "subscription",
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            DocumentKey::Connection(id) => id.as_str(),
            DocumentKey::Sync(id) => id.as_str(),
            DocumentKey::Subscription(id) => id.as_str(),
        }
    }
}

impl fmt::Display for DocumentKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.kind(), self.id())
    }
}

impl DocumentSet {
    /// Everything that cannot work, in each document and between them.
    pub fn validate(&self) -> Vec<(DocumentKey, Problem)> {
        let mut found = Vec::new();
        for (id, connection) in &self.connections {
            let key = DocumentKey::Connection(id.clone());
            let problems = connection.validate().into_iter();
            found.extend(problems.map(|problem| (key.clone(), problem)));
        }
        for (id, sync) in &self.syncs {
            let problems = sync.validate().into_iter().chain(self.dangling(id, sync));
            let key = DocumentKey::Sync(id.clone());
            found.extend(problems.map(|problem| (key.clone(), problem)));
        }
        for (id, subscription) in &self.subscriptions {
            let key = DocumentKey::Subscription(id.clone());
            let problems = subscription.validate().into_iter();
            found.extend(problems.map(|problem| (key.clone(), problem)));
        }
        found
    }

    /// What a sync names and is not there.
    fn dangling(&self, id: &SyncId, sync: &SyncSpec) -> Vec<Problem> {
        let mut found = Vec::new();
        if !self.connections.contains_key(&sync.connection) {
            let known = self.connections.keys().map(ConnectionId::as_str);
            let hint = did_you_mean(sync.connection.as_str(), known);
            found.push(Problem {
                pointer: "/connection".to_owned(),
                reason: format!("there is no connection {}{hint}", sync.connection),
            });
        }
        let after = sync.schedule.as_ref().and_then(|it| it.after.as_ref());
        let pointer = "/schedule/after".to_owned();
        match after {
            None => {}
            Some(after) if !self.syncs.contains_key(after) => {
                let hint = did_you_mean(after.as_str(), self.syncs.keys().map(SyncId::as_str));
                let reason = format!("there is no sync {after}{hint}");
                found.push(Problem { pointer, reason });
            }
            Some(after) if self.follows(after, id) => {
                let reason = format!("{id} would run after itself, for ever");
                found.push(Problem { pointer, reason });
            }
            Some(_) => {}
        }
        found
    }

    /// Whether `sync` runs after `other`, at once or through others.
    fn follows(&self, sync: &SyncId, other: &SyncId) -> bool {
        let (mut at, mut seen) = (Some(sync), BTreeSet::new());
        while let Some(id) = at.filter(|id| seen.insert(*id)) {
            if id == other {
                return true;
            }
            let schedule = self.syncs.get(id).and_then(|sync| sync.schedule.as_ref());
            at = schedule.and_then(|schedule| schedule.after.as_ref());
        }
        false
    }
}
