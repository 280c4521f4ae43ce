//! The simulated account: all its state in one place, shared by the API, the control
//! API and the library's callers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::control::{Changed, Steered};
use crate::faults::Faults;
use crate::generate::Grain;
use crate::journal::Journal;
use crate::leadsquared::catalog;
use crate::leadsquared::config::{Config, RefusalForm};
use crate::leadsquared::counters::{Counters, PathKind};
use crate::leadsquared::field::Place;
use crate::leadsquared::kind::Kind;
use crate::leadsquared::limits::Limits;
use crate::leadsquared::render;
use crate::leadsquared::schema::{NOTE, NOTES};
use crate::leadsquared::window::Windows;
use crate::meter::Meter;
use crate::overlay::Changes;
use crate::records::{Population, Records, View, Write};
use crate::tokens::{Issued, Policy, Standing, Tokens};

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    records: [Records; 3],
    /// Access keys are tokens that live until they are revoked, with a secret each.
    pub(crate) keys: Tokens,
    secrets: Mutex<HashMap<String, String>>,
    pub(crate) limits: Limits,
    pub(crate) windows: Windows,
    pub(crate) faults: Faults<PathKind>,
    pub(crate) meter: Meter<PathKind>,
    pub(crate) journal: Journal,
    writing: Mutex<()>,
    /// Rises with every change of a record.
    revision: AtomicU64,
    refuses_with_200: AtomicBool,
}

impl Account {
    pub(crate) fn new(config: Config) -> Account {
        let keys = Tokens::new(Policy {
            client_id: String::new(),
            client_secret: String::new(),
            seed: config.seed,
            access_prefix: "u$r".to_owned(),
            refresh_prefix: String::new(),
            code_ttl_ms: 0,
            access_ttl_s: u64::MAX,
            sliding: false,
            rotation: false,
            reuse_ends_grant: false,
            grants_max: usize::MAX,
        });
        Account {
            clock: Clock::default(),
            records: Kind::ALL.map(|kind| {
                Records::new(Population {
                    count: config.count(kind),
                    seed: config.seed,
                    first_id: kind.first_id(),
                    tie_group: config.tie_group,
                    tie_burst: config.tie_burst,
                    grain: Grain::Second,
                })
            }),
            keys,
            secrets: Mutex::default(),
            limits: Limits::new(&config),
            windows: Windows::default(),
            faults: Faults::default(),
            meter: Meter::default(),
            journal: Journal::default(),
            writing: Mutex::default(),
            revision: AtomicU64::default(),
            refuses_with_200: AtomicBool::new(config.refusal == RefusalForm::Status200),
            config,
        }
    }

    pub(crate) fn records(&self, kind: Kind) -> &Records {
        match kind {
            Kind::Leads => &self.records[0],
            Kind::Activities => &self.records[1],
            Kind::Opportunities => &self.records[2],
        }
    }

    /// Calls `use_place` with what the values of a kind need to know.
    pub(crate) fn with_place<T>(&self, kind: Kind, use_place: impl FnOnce(&Place<'_>) -> T) -> T {
        let leads = self.records(Kind::Leads);
        use_place(&Place {
            kind,
            config: &self.config,
            lead: &|index| leads.row(index).id,
        })
    }

    /// A pair of keys of a user; `None` is an administrator, who sees every record.
    pub(crate) fn issue_keys(&self, user: Option<u32>) -> Issued {
        let user = user.map(catalog::user_id).unwrap_or_default();
        let now_ms = self.clock.now_ms();
        let issued = self
            .keys
            .issue_granted(Default::default(), user.into(), now_ms);
        self.secrets()
            .insert(issued.access_token.clone(), issued.refresh_token.clone());
        issued
    }

    /// The user of a pair of keys, empty for an administrator; `None` for no pair.
    pub(crate) fn user_of(&self, access_key: &str, secret_key: &str) -> Option<String> {
        let known = self
            .secrets()
            .get(access_key)
            .is_some_and(|known| known == secret_key);
        match self.keys.standing(access_key, self.clock.now_ms()) {
            Standing::Valid { user, .. } if known => Some(user.to_string()),
            _ => None,
        }
    }

    fn secrets(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while checking uniqueness and writing.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    pub(crate) fn refuses_with_200(&self) -> bool {
        self.refuses_with_200.load(Ordering::Acquire)
    }

    pub(crate) fn set_refusal(&self, form: RefusalForm) {
        self.refuses_with_200
            .store(form == RefusalForm::Status200, Ordering::Release);
    }

    pub(crate) fn counters(&self) -> Counters {
        let (five_second_max, bulk_five_second_max, today) = self.limits.observed();
        Counters {
            tally: self.meter.tally(),
            five_second_max,
            bulk_five_second_max,
            today,
        }
    }

    /// Deletes a live record, and with a lead all that belongs to it.
    pub(crate) fn wipe(&self, kind: Kind, id: u64, at_ms: i64) -> bool {
        let write = || Write {
            modified_ms: at_ms,
            applied_ms: self.clock.now_ms(),
            changes: Changes::new(),
        };
        if self.records(kind).delete(id, write()).is_none() {
            return false;
        }
        if kind == Kind::Leads {
            for kind in [Kind::Activities, Kind::Opportunities] {
                for id in self.belongings(kind, id) {
                    self.records(kind).delete(id, write());
                }
            }
        }
        self.revision.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Ids of the live activities or opportunities of a lead.
    pub(crate) fn belongings(&self, kind: Kind, lead: u64) -> Vec<u64> {
        let records = self.records(kind);
        let leads = self.records(Kind::Leads);
        let overlay = records.overlay();
        let generated = leads.index_of(lead).into_iter();
        let generated = generated
            .flat_map(|index| (index..records.count).step_by(leads.count.max(1) as usize))
            .map(|index| records.row(index).id)
            .filter(|id| !overlay.entries.contains_key(id));
        let mut ids: Vec<u64> = generated.collect();
        let text = Kind::Leads.wire_id(lead);
        self.with_place(kind, |place| {
            let field = crate::leadsquared::schema::find(kind, "RelatedProspectId");
            let written = overlay.entries.iter().filter(|(id, entry)| {
                let view = records.view_of(**id, entry, entry.current());
                !entry.is_archived()
                    && field.is_some_and(|field| field.string(place, &view) == text)
            });
            ids.extend(written.map(|(id, _)| *id));
        });
        ids
    }
}

impl Steered for Account {
    type Kind = Kind;
    type Path = PathKind;

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn faults(&self) -> &Faults<PathKind> {
        &self.faults
    }

    fn tokens(&self) -> &Tokens {
        &self.keys
    }

    fn counters_json(&self) -> Value {
        json!(self.counters())
    }

    fn reset_counters(&self) {
        self.meter.reset();
        self.limits.reset_observed();
    }

    fn serial(&self) -> u64 {
        self.meter.serial()
    }

    fn set_limit_scale(&self, scale: Option<f64>) {
        self.limits.set_scale(scale);
    }

    fn issue(&self) -> Issued {
        self.issue_keys(None)
    }

    fn parse_kind(&self, name: &str) -> Option<Kind> {
        Kind::parse(name)
    }

    fn records(&self, kind: Kind) -> &Records {
        self.records(kind)
    }

    fn wire_id(&self, kind: Kind, id: u64) -> String {
        kind.wire_id(id)
    }

    fn parse_id(&self, kind: Kind, text: &str) -> Option<u64> {
        kind.parse_id(text)
    }

    fn edited_column(&self, kind: Kind) -> u16 {
        match kind {
            Kind::Leads => NOTES,
            Kind::Activities | Kind::Opportunities => NOTE,
        }
    }

    fn delete_one(&self, kind: Kind, id: u64, at_ms: i64) -> bool {
        self.wipe(kind, id, at_ms)
    }

    fn changed(&self, _kind: Kind, _id: u64, _change: Changed, _columns: &[u16]) {
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    fn version_json(&self, kind: Kind, id: u64, modified_ms: i64) -> Option<Vec<u8>> {
        self.records(kind)
            .with_version(id, modified_ms, |view: View<'_>| {
                let mut out = Vec::new();
                self.with_place(kind, |place| {
                    render::flat(place, render::all(kind), &view, &mut out);
                });
                out
            })
    }

    fn set(&self, name: &str, value: &Value) -> Result<bool, serde_json::Error> {
        match name {
            "refusal" => self.set_refusal(RefusalForm::deserialize(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn control(
        &self,
        method: &Method,
        path: &[&str],
        _body: &[u8],
    ) -> Result<Option<Value>, serde_json::Error> {
        if (method.as_str(), path) != ("POST", &["tokens"]) {
            return Ok(None);
        }
        let issued = self.issue_keys(None);
        Ok(Some(json!({
            "access_key": issued.access_token,
            "secret_key": issued.refresh_token,
        })))
    }
}
