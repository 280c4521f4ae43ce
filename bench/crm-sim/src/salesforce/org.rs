//! The simulated org: all its state in one place, shared by the APIs, the control API
//! and the library's callers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::clock::Clock;
use crate::control::Changed;
use crate::faults::Faults;
use crate::generate::{Grain, below, mix};
use crate::journal::Journal;
use crate::meter::Meter;
use crate::records::{Population, Records};
use crate::salesforce::bulk::Jobs;
use crate::salesforce::cometd::Streaming;
use crate::salesforce::config::Config;
use crate::salesforce::counters::{Counters, PathKind};
use crate::salesforce::cursors::Cursors;
use crate::salesforce::feed::{Change, Feed};
use crate::salesforce::limits::Limits;
use crate::salesforce::oauth::OAuth;
use crate::salesforce::object::Object;
use crate::salesforce::schema::{ExtraField, Schema};
use crate::salesforce::stream::entities;
use crate::salesforce::values::Reading;
use crate::salesforce::wire_id::wire_text;

/// One object: its fields, its records, and what became of the deleted ones.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) object: Object,
    pub(crate) records: Records,
    schema: RwLock<Arc<Schema>>,
    purged: RwLock<Purged>,
    /// Records that ever got a value of an external id, by column and value.
    external: Mutex<HashMap<(u16, String), BTreeSet<u64>>>,
}

/// What is gone for good.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purged {
    /// Deleted records that are no longer in the recycle bin.
    pub(crate) records: Arc<BTreeSet<u64>>,
    /// Deletions up to this time are no longer in the delete log either.
    pub(crate) log_until_ms: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct Org {
    pub(crate) config: Config,
    /// Start of the simulator's own address, `http://127.0.0.1:port`.
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    pub(crate) collections: BTreeMap<Object, Collection>,
    pub(crate) oauth: OAuth,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults<PathKind>,
    pub(crate) meter: Meter<PathKind>,
    pub(crate) journal: Journal,
    pub(crate) cursors: Cursors,
    pub(crate) jobs: Jobs,
    writing: Mutex<()>,
    pub(crate) feed: Feed,
    pub(crate) streaming: Streaming,
    /// When a transaction began that is still under way.
    open_transaction_ms: RwLock<Option<i64>>,
}

impl Org {
    pub(crate) fn new(config: Config, base_url: String) -> Org {
        let collection = |object: Object| Collection {
            object,
            records: Records::new(Population {
                count: config.count(object),
                seed: config.seed,
                first_id: object.first_number(),
                tie_group: config.tie_group,
                tie_burst: config.tie_burst,
                grain: Grain::Second,
            }),
            schema: RwLock::new(Arc::new(Schema::new(object, &config.extra_fields))),
            purged: RwLock::default(),
            external: Mutex::default(),
        };
        Org {
            base_url,
            clock: Clock::default(),
            collections: Object::ALL
                .into_iter()
                .map(|object| (object, collection(object)))
                .collect(),
            oauth: OAuth::new(&config),
            limits: Limits::new(&config),
            faults: Faults::default(),
            meter: Meter::default(),
            journal: Journal::default(),
            cursors: Cursors::new(i64::from(config.cursor_idle_s) * 1000),
            jobs: Jobs::new(config.bulk_polls),
            writing: Mutex::default(),
            feed: Feed::default(),
            streaming: Streaming::new(config.seed, entities()),
            open_transaction_ms: RwLock::default(),
            config,
        }
    }

    pub(crate) fn collection(&self, object: Object) -> &Collection {
        self.collections
            .get(&object)
            .expect("every object has a collection")
    }

    /// The data host, as a token response names it.
    pub(crate) fn instance_url(&self) -> &str {
        self.config
            .instance_url
            .as_deref()
            .unwrap_or(&self.base_url)
    }

    /// `00D...`: the org's own id.
    pub(crate) fn organization_id(&self) -> String {
        wire_text(*b"00D", 238_328 + self.config.seed % 1_000_000)
    }

    /// The number of the user whom tokens stand for.
    pub(crate) fn integration_user(&self) -> u64 {
        let users = &self.collection(Object::User).records;
        users.id_at(0)
    }

    /// The number of some generated record of an object.
    pub(crate) fn generated_number(&self, object: Object, hash: u64) -> Option<u64> {
        let records = &self.collections.get(&object)?.records;
        (records.count > 0).then(|| records.id_at(below(hash, records.count)))
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            tally: self.meter.tally(),
            ..self.limits.observed()
        }
    }

    /// A number that only this request has, mixed.
    pub(crate) fn chance(&self) -> u64 {
        mix(self.meter.serial())
    }

    /// Says that a transaction has begun and not yet ended, or that there is none.
    pub(crate) fn set_open_transaction_ms(&self, began_ms: Option<i64>) {
        *self
            .open_transaction_ms
            .write()
            .unwrap_or_else(PoisonError::into_inner) = began_ms;
    }

    pub(crate) fn open_transaction_ms(&self) -> Option<i64> {
        *self
            .open_transaction_ms
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while a write is checked and done, so that nobody writes in between.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a change that has happened into the feed.
    pub(crate) fn publish(&self, object: Object, id: u64, kind: Changed, columns: &[u16]) {
        if matches!(kind, Changed::Created | Changed::Edited) {
            self.collection(object).remember(self, id);
        }
        let records = &self.collection(object).records;
        let modified_ms = records.with_view(id, |view| view.row.modified_ms);
        self.feed.append(Change {
            number: 0,
            object,
            id,
            kind,
            committed_ms: self.clock.now_ms(),
            modified_ms: modified_ms.unwrap_or(0),
            columns: columns.to_vec(),
        });
        self.streaming.committed();
    }
}

impl Collection {
    /// The fields as they are now.
    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records that once had a value of an external id and may have it still.
    pub(crate) fn once_had(&self, column: u16, value: &str) -> Vec<u64> {
        let external = self.external.lock().unwrap_or_else(PoisonError::into_inner);
        let found = external.get(&(column, value.to_lowercase()));
        found.into_iter().flatten().copied().collect()
    }

    /// Remembers the external ids that a record has now.
    fn remember(&self, org: &Org, id: u64) {
        let schema = self.schema();
        let mut found = Vec::new();
        self.records.with_view(id, |view| {
            let reading = Reading {
                org,
                schema: &schema,
                view,
            };
            for field in schema.fields().filter(|field| field.external_id) {
                let mut text = Vec::new();
                if reading.text(field, &mut text) {
                    let text = String::from_utf8_lossy(&text).to_lowercase();
                    found.push((field.column, text));
                }
            }
        });
        let mut external = self.external.lock().unwrap_or_else(PoisonError::into_inner);
        for key in found {
            external.entry(key).or_default().insert(id);
        }
    }

    /// Adds a custom field; false if there is one of that name.
    pub(crate) fn add_field(&self, field: &ExtraField, now_ms: i64) -> bool {
        self.change_schema(|schema| schema.add(field, now_ms))
    }

    /// Drops a custom field; false if there is none.
    pub(crate) fn drop_field(&self, name: &str, now_ms: i64) -> bool {
        self.change_schema(|schema| schema.drop_field(name, now_ms))
    }

    fn change_schema(&self, change: impl FnOnce(&mut Schema) -> bool) -> bool {
        let mut schema = self.schema.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Schema::clone(&schema);
        let done = change(&mut changed);
        if done {
            *schema = Arc::new(changed);
        }
        done
    }

    pub(crate) fn purged(&self) -> Purged {
        self.purged
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Empties the recycle bin of these records, or of all deleted ones.
    pub(crate) fn purge(&self, ids: Option<&[u64]>) {
        let overlay = self.records.overlay();
        let gone = match ids {
            Some(ids) => ids
                .iter()
                .copied()
                .filter(|id| overlay.archived.contains(id))
                .collect(),
            None => overlay.archived.clone(),
        };
        drop(overlay);
        let mut purged = self.purged.write().unwrap_or_else(PoisonError::into_inner);
        let all = purged.records.union(&gone).copied().collect();
        purged.records = Arc::new(all);
    }

    /// Prunes the delete log up to a time.
    pub(crate) fn prune_log(&self, until_ms: i64) {
        let mut purged = self.purged.write().unwrap_or_else(PoisonError::into_inner);
        purged.log_until_ms = purged.log_until_ms.max(Some(until_ms));
    }
}
