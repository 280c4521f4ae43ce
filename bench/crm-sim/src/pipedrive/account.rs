//! The simulated company: all its state in one place, shared by the API, the control
//! API and the library's callers.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::Value;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::generate::{Grain, mix};
use crate::journal::Journal;
use crate::meter::Meter;
use crate::overlay::Overlay;
use crate::pipedrive::config::Config;
use crate::pipedrive::counters::{Counters, PathKind};
use crate::pipedrive::kind::Kind;
use crate::pipedrive::limits::Limits;
use crate::pipedrive::render::{
    Company, Dialect, Occasion, Projection, RECORD_BYTES, name_of, record,
};
use crate::pipedrive::schema::Schema;
use crate::pipedrive::webhooks::Webhooks;
use crate::records::{Population, Records, View};
use crate::tokens::{Issued, Policy, Scopes, Tokens};

/// Life of an authorisation code in milliseconds.
const CODE_TTL_MS: i64 = 300_000;

/// A refresh token that nobody used for so long is dead: sixty days.
const REFRESH_IDLE_MS: i64 = 60 * 86_400_000;

/// One type: its records and its fields.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) kind: Kind,
    pub(crate) records: Records,
    schema: RwLock<Arc<Schema>>,
}

/// A saved filter, as it was sent.
pub(crate) type Filters = BTreeMap<u64, Value>;

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) config: Config,
    /// Start of the simulator's own address, `http://127.0.0.1:port`.
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    collections: [Collection; 6],
    pub(crate) tokens: Tokens,
    /// When each refresh token was last used.
    refreshed: Mutex<HashMap<String, i64>>,
    /// The API token of the company's first user; it never expires.
    pub(crate) api_token: String,
    pub(crate) scopes: Scopes,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults<PathKind>,
    pub(crate) meter: Meter<PathKind>,
    pub(crate) journal: Journal,
    pub(crate) webhooks: Webhooks,
    filters: Mutex<Filters>,
    /// How long a search does not see a change; 0 for none.
    search_lag_ms: AtomicU32,
}

impl Account {
    pub(crate) fn new(config: Config, base_url: String) -> Account {
        let scopes: Scopes = Arc::new(config.scopes.iter().cloned().collect());
        Account {
            base_url,
            clock: Clock::default(),
            collections: Kind::ALL.map(|kind| Collection::new(kind, &config)),
            tokens: Tokens::new(Policy {
                client_id: config.client_id.clone(),
                client_secret: config.client_secret.clone(),
                seed: config.seed,
                access_prefix: "v1u:".to_owned(),
                refresh_prefix: String::new(),
                code_ttl_ms: CODE_TTL_MS,
                access_ttl_s: config.access_token_ttl_s,
                sliding: false,
                rotation: config.refresh_rotation,
                reuse_ends_grant: false,
                grants_max: usize::MAX,
            }),
            refreshed: Mutex::default(),
            api_token: format!(
                "{:016x}{:016x}{:08x}",
                mix(config.seed),
                mix(!config.seed),
                7
            ),
            scopes,
            limits: Limits::new(&config),
            faults: Faults::default(),
            meter: Meter::default(),
            journal: Journal::default(),
            webhooks: Webhooks::new(&config),
            filters: Mutex::default(),
            search_lag_ms: AtomicU32::default(),
            config,
        }
    }

    pub(crate) fn collection(&self, kind: Kind) -> &Collection {
        &self.collections[Kind::ALL
            .iter()
            .position(|known| *known == kind)
            .unwrap_or(0)]
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters::new(self.meter.tally(), self.limits.observed())
    }

    pub(crate) fn api_domain(&self) -> &str {
        self.config.api_domain.as_deref().unwrap_or(&self.base_url)
    }

    /// Tokens as if the first user had just consented.
    pub(crate) fn issue_all(&self) -> Issued {
        let user = Arc::from(crate::pipedrive::schema::FIRST_USER_ID.to_string());
        let now_ms = self.clock.now_ms();
        let scopes = Arc::clone(&self.scopes);
        let issued = self.tokens.issue_granted(scopes, user, now_ms);
        self.use_refresh_token(&issued.refresh_token);
        issued
    }

    /// Notes the use of a refresh token, which prolongs its life; false when it had been
    /// left alone for too long, and is dead.
    pub(crate) fn use_refresh_token(&self, token: &str) -> bool {
        let now_ms = self.clock.now_ms();
        let mut refreshed = self
            .refreshed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last_ms = refreshed.insert(token.to_owned(), now_ms);
        let idle = last_ms.is_some_and(|last_ms| now_ms - last_ms >= REFRESH_IDLE_MS);
        if idle {
            self.tokens.end(token);
        }
        !idle
    }

    pub(crate) fn filters(&self) -> MutexGuard<'_, Filters> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_search_lag_ms(&self, lag_ms: u32) {
        self.search_lag_ms.store(lag_ms, Ordering::Release);
    }

    /// Until when changes are in the search index, by the simulated clock.
    pub(crate) fn indexed_until_ms(&self) -> i64 {
        match self.search_lag_ms.load(Ordering::Acquire) {
            0 => i64::MAX,
            lag_ms => self.clock.now_ms() - i64::from(lag_ms),
        }
    }

    /// The name of a record that another one refers to.
    pub(crate) fn name_of(&self, kind: Kind, id: u64) -> Option<String> {
        let collection = self.collection(kind);
        let schema = collection.schema();
        let named = |view: View<'_>| name_of(&view, &schema);
        collection.records.with_view(id, named)
    }

    /// Calls `use_it` with what records refer to.
    pub(crate) fn with_company<T>(&self, use_it: impl FnOnce(&Company<'_>) -> T) -> T {
        use_it(&Company {
            id: self.config.company_id,
            name_of: &|kind, id| self.name_of(kind, id),
        })
    }

    /// The whole of a record in one of its versions.
    pub(crate) fn version_json(&self, kind: Kind, id: u64, modified_ms: i64) -> Option<Vec<u8>> {
        let collection = self.collection(kind);
        let render = |view: View<'_>| self.rendered(collection, &view);
        collection.records.with_version(id, modified_ms, render)
    }

    /// The whole of a record as it is now.
    pub(crate) fn record_json(&self, kind: Kind, id: u64) -> Option<Vec<u8>> {
        let collection = self.collection(kind);
        let render = |view: View<'_>| self.rendered(collection, &view);
        collection.records.with_view(id, render)
    }

    fn rendered(&self, collection: &Collection, view: &View<'_>) -> Vec<u8> {
        let schema = collection.schema();
        let all = Projection::new(&schema, Dialect::Second, Occasion::Read, None);
        let mut out = Vec::with_capacity(RECORD_BYTES);
        self.with_company(|company| record(view, &schema, &all, company, &mut out));
        out
    }
}

impl Collection {
    fn new(kind: Kind, config: &Config) -> Collection {
        Collection {
            kind,
            records: Records::new(Population {
                count: config.count(kind),
                seed: config.seed,
                first_id: kind.first_id(),
                grain: Grain::Second,
                tie_group: config.tie_group,
                tie_burst: config.tie_burst,
            })
            .numbered(),
            schema: RwLock::new(Arc::new(Schema::new(kind, config))),
        }
    }

    pub(crate) fn schema(&self) -> Arc<Schema> {
        let schema = self.schema.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&schema)
    }

    /// Changes the fields of the type; others see it whole.
    pub(crate) fn change_schema<T>(&self, change: impl FnOnce(&mut Schema) -> T) -> T {
        let mut schema = self.schema.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = (**schema).clone();
        let done = change(&mut changed);
        *schema = Arc::new(changed);
        done
    }

    /// A record, deleted or not.
    pub(crate) fn view_in<'o>(&self, overlay: &'o Overlay, id: u64) -> Option<View<'o>> {
        self.records.view_in(overlay, id)
    }
}
