//! The simulated account: all its state in one place, shared by the API, the
//! control API and the library's callers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::clock::Clock;
use crate::faults::Faults;
use crate::generate::mix;
use crate::hubspot::associations::{Edges, Labels};
use crate::hubspot::config::Config;
use crate::hubspot::counters::{Counters, PathKind};
use crate::hubspot::kind::Kind;
use crate::hubspot::limits::Limits;
use crate::hubspot::oauth::OAuth;
use crate::hubspot::records::Records;
use crate::hubspot::render::Projection;
use crate::hubspot::schema::PropertyChange;
use crate::hubspot::search::{Index, Quirks};
use crate::hubspot::webhooks::Webhooks;
use crate::journal::Journal;
use crate::meter::Meter;

/// Distinct property lists remembered per object type.
const PROJECTIONS_MAX: usize = 256;

/// One object type: its records and how they are found and shown.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) kind: Kind,
    pub(crate) records: Records,
    pub(crate) index: Index,
    projections: RwLock<HashMap<String, Arc<Projection>>>,
    creating: Mutex<()>,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) config: Config,
    /// Start of the simulator's own address, `http://127.0.0.1:port`.
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    pub(crate) collections: Vec<Collection>,
    /// The kinds of association, and the associations that were changed.
    pub(crate) labels: Labels,
    pub(crate) edges: Edges,
    pub(crate) webhooks: Webhooks,
    pub(crate) oauth: OAuth,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults<PathKind>,
    pub(crate) meter: Meter<PathKind>,
    pub(crate) journal: Journal,
    /// How long search keeps finding a record's previous version; 0 for none.
    search_lag_ms: AtomicU32,
    /// Whether search compares record ids as text.
    text_ids: AtomicBool,
}

impl Account {
    pub(crate) fn new(config: Config, base_url: String) -> Account {
        Account {
            base_url,
            clock: Clock::default(),
            collections: Kind::all(&config)
                .into_iter()
                .map(|kind| Collection {
                    kind,
                    records: Records::new(kind, &config),
                    index: Index::default(),
                    projections: RwLock::default(),
                    creating: Mutex::default(),
                })
                .collect(),
            labels: Labels::new(&config),
            edges: Edges::default(),
            webhooks: Webhooks::default(),
            oauth: OAuth::new(&config),
            limits: Limits::new(&config),
            faults: Faults::default(),
            meter: Meter::default(),
            journal: Journal::default(),
            search_lag_ms: AtomicU32::default(),
            text_ids: AtomicBool::default(),
            config,
        }
    }

    pub(crate) fn collection(&self, kind: Kind) -> &Collection {
        let place = match kind {
            Kind::Contacts => 0,
            Kind::Companies => 1,
            Kind::Deals => 2,
            Kind::Tickets => 3,
            Kind::Custom(place) => Kind::STANDARD.len() + usize::from(place),
        };
        &self.collections[place]
    }

    /// The kind that a path names, in any spelling that the API takes.
    pub(crate) fn kind_of(&self, text: &str) -> Option<Kind> {
        let mut kinds = self.collections.iter();
        let found = kinds.find(|collection| collection.records.schema.names.answer_to(text))?;
        Some(found.kind)
    }

    pub(crate) fn quirks(&self) -> Quirks {
        let lag_ms = self.search_lag_ms.load(Ordering::Acquire);
        Quirks {
            indexed_until_ms: match lag_ms {
                0 => i64::MAX,
                lag_ms => self.clock.now_ms() - i64::from(lag_ms),
            },
            text_ids: self.text_ids.load(Ordering::Acquire),
        }
    }

    pub(crate) fn set_search_lag_ms(&self, lag_ms: u32) {
        self.search_lag_ms.store(lag_ms, Ordering::Release);
    }

    pub(crate) fn set_text_ids(&self, text_ids: bool) {
        self.text_ids.store(text_ids, Ordering::Release);
    }

    pub(crate) fn counters(&self) -> Counters {
        let (ten_second_max, search_second_max, during_retry_after) = self.limits.observed();
        Counters {
            ten_second_max,
            search_second_max,
            during_retry_after,
            ..Counters::from(self.meter.tally())
        }
    }

    /// A fresh correlation id, unique and the same in every run.
    pub(crate) fn correlation_id(&self) -> String {
        let serial = self.meter.serial();
        let (high, low) = (mix(serial), mix(!serial));
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }
}

impl Collection {
    /// Held while checking uniqueness and creating.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.creating.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The projection for a comma-separated property list; `None` takes the
    /// type's default properties.
    pub(crate) fn projection(&self, names: Option<&str>) -> Arc<Projection> {
        // No property name holds a NUL, so the default list has its own key.
        let key = names.unwrap_or("\0");
        let known = self
            .projections
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .map(Arc::clone);
        if let Some(projection) = known {
            return projection;
        }
        let split = names.map(|names| names.split(','));
        let projection = Arc::new(Projection::new(&self.records.schema, split));
        let mut projections = self
            .projections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if projections.len() >= PROJECTIONS_MAX {
            projections.clear();
        }
        projections.insert(key.to_owned(), Arc::clone(&projection));
        projection
    }
}

impl Account {
    /// Changes a property that the account defined itself; false where there is none.
    pub(crate) fn change_property(&self, kind: Kind, name: &str, change: PropertyChange) -> bool {
        let collection = self.collection(kind);
        let changed = collection.records.schema.change(name, change);
        let mut projections = collection
            .projections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        projections.clear();
        changed
    }
}
