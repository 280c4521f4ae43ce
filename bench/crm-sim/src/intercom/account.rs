//! The simulated workspace: all its state in one place, shared by the API, the
//! control API and the library's callers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use data_encoding::BASE32_NOPAD;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::control::{Changed, Steered};
use crate::faults::Faults;
use crate::generate::{Grain, mix};
use crate::intercom::company;
use crate::intercom::config::Config;
use crate::intercom::contact;
use crate::intercom::conversation::{self, Bodies};
use crate::intercom::counters::{Counters, PathKind};
use crate::intercom::kind::Kind;
use crate::intercom::limits::Limits;
use crate::intercom::schema::{COMMENT, NAME, WIPED};
use crate::intercom::scroll::Scrolls;
use crate::intercom::search::Answers;
use crate::intercom::version::Version;
use crate::intercom::webhooks::{Subscription, Webhooks};
use crate::journal::Journal;
use crate::meter::Meter;
use crate::records::{Population, Records, View, Write};
use crate::tokens::{Issued, Policy, Tokens};

/// Life of an authorisation code in milliseconds.
const CODE_TTL_MS: i64 = 300_000;

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) config: Config,
    /// Start of the simulator's own address, `http://127.0.0.1:port`.
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    /// Rate windows follow real time, whatever the simulated time of day is.
    pub(crate) real: Clock,
    pub(crate) timezone: TimeZone,
    pub(crate) default_version: Version,
    records: [Records; 3],
    pub(crate) tokens: Tokens,
    /// The token of the workspace's own app, which lives until the app is deleted.
    pub(crate) access_token: String,
    pub(crate) limits: Limits,
    pub(crate) scrolls: Scrolls,
    pub(crate) answers: Answers,
    pub(crate) faults: Faults<PathKind>,
    pub(crate) meter: Meter<PathKind>,
    pub(crate) journal: Journal,
    pub(crate) webhooks: Webhooks,
    /// Held while checking uniqueness and writing.
    writing: Mutex<()>,
    /// Deleted companies once more: whoever shows a contact must not wait for the
    /// records of companies, since whoever shows a company waits for those of contacts.
    gone: Mutex<BTreeSet<u64>>,
    /// Rises with every change of a record.
    revision: AtomicU64,
    search_lag_ms: AtomicU32,
}

impl Account {
    pub(crate) fn new(config: Config, base_url: String) -> anyhow::Result<Account> {
        let timezone = TimeZone::posix(&config.timezone_rule)
            .with_context(|| format!("{} is no POSIX time zone rule", config.timezone_rule))?;
        let default_version = Version::parse(&config.default_version)
            .with_context(|| format!("there is no API version {}", config.default_version))?;
        let tokens = Tokens::new(Policy {
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            seed: config.seed,
            access_prefix: "dG9rOi".to_owned(),
            refresh_prefix: String::new(),
            code_ttl_ms: CODE_TTL_MS,
            // Tokens live until they are revoked.
            access_ttl_s: u64::MAX,
            sliding: false,
            rotation: false,
            reuse_ends_grant: false,
            grants_max: usize::MAX,
        });
        Ok(Account {
            base_url,
            clock: Clock::default(),
            real: Clock::default(),
            timezone,
            default_version,
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
            access_token: format!("dG9rOjg{:016x}", mix(config.seed ^ 0xacce55)),
            tokens,
            limits: Limits::new(&config),
            scrolls: Scrolls::new(config.scroll_idle_ms),
            answers: Answers::default(),
            faults: Faults::default(),
            meter: Meter::default(),
            journal: Journal::default(),
            webhooks: Webhooks::new(&config),
            writing: Mutex::default(),
            gone: Mutex::default(),
            revision: AtomicU64::default(),
            search_lag_ms: AtomicU32::default(),
            config,
        })
    }

    pub(crate) fn records(&self, kind: Kind) -> &Records {
        match kind {
            Kind::Contacts => &self.records[0],
            Kind::Companies => &self.records[1],
            Kind::Conversations => &self.records[2],
        }
    }

    /// Appends a record as lists and searches show it.
    pub(crate) fn render(&self, kind: Kind, version: Version, view: &View<'_>, out: &mut Vec<u8>) {
        match kind {
            Kind::Contacts => contact::record(self, version, view, out),
            Kind::Companies => company::record(self, view, out),
            Kind::Conversations => conversation::record(self, view, Bodies::Html, false, out),
        }
    }

    /// The generous size of one record, for reserving buffers.
    pub(crate) fn record_bytes(kind: Kind) -> usize {
        match kind {
            Kind::Contacts => contact::BYTES,
            Kind::Companies => company::BYTES,
            Kind::Conversations => conversation::BYTES,
        }
    }

    /// Changes applied after this time are not searchable yet.
    pub(crate) fn indexed_until_ms(&self) -> i64 {
        match self.search_lag_ms.load(Ordering::Acquire) {
            0 => i64::MAX,
            lag_ms => self.clock.now_ms() - i64::from(lag_ms),
        }
    }

    pub(crate) fn set_search_lag_ms(&self, lag_ms: u32) {
        self.search_lag_ms.store(lag_ms, Ordering::Release);
    }

    pub(crate) fn counters(&self) -> Counters {
        let (ten_second_max, after_refusal) = self.limits.observed();
        let (scrolls_opened, scrolls_refused) = self.scrolls.observed();
        Counters {
            tally: self.meter.tally(),
            ten_second_max,
            after_refusal,
            scrolls_opened,
            scrolls_refused,
        }
    }

    /// A fresh request id, unique and the same in every run.
    pub(crate) fn request_id(&self) -> String {
        let serial = self.meter.serial();
        let mut bytes = mix(serial).to_be_bytes().to_vec();
        bytes.extend_from_slice(&serial.to_be_bytes()[4..]);
        BASE32_NOPAD.encode(&bytes).to_lowercase()
    }

    /// A fresh UUID, the same in every run.
    pub(crate) fn uuid(&self) -> String {
        self.meter.uuid()
    }

    /// Deletes a live record for good; false if there is none.
    pub(crate) fn wipe(&self, kind: Kind, id: u64, at_ms: i64) -> bool {
        let write = Write {
            modified_ms: at_ms,
            applied_ms: self.clock.now_ms(),
            changes: vec![(WIPED, Some("1".into()))],
        };
        self.records(kind).delete(id, write).is_some()
    }

    /// Held while checking uniqueness and writing.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deleted companies.
    pub(crate) fn gone(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
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
        &self.tokens
    }

    fn counters_json(&self) -> Value {
        json!(self.counters())
    }

    fn reset_counters(&self) {
        self.meter.reset();
        self.limits.reset_observed();
        self.scrolls.reset_observed();
    }

    fn serial(&self) -> u64 {
        self.meter.serial()
    }

    fn set_limit_scale(&self, scale: Option<f64>) {
        self.limits.set_scale(scale);
    }

    fn issue(&self) -> Issued {
        self.tokens
            .issue_granted(Default::default(), "".into(), self.clock.now_ms())
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
            Kind::Contacts | Kind::Companies => NAME,
            Kind::Conversations => COMMENT,
        }
    }

    fn delete_one(&self, kind: Kind, id: u64, at_ms: i64) -> bool {
        self.wipe(kind, id, at_ms)
    }

    fn changed(&self, kind: Kind, id: u64, change: Changed, _columns: &[u16]) {
        match (kind, change) {
            (Kind::Companies, Changed::Deleted) => _ = self.gone().insert(id),
            (Kind::Companies, Changed::Undeleted) => _ = self.gone().remove(&id),
            _ => {}
        }
        self.revision.fetch_add(1, Ordering::AcqRel);
        self.tell(kind, id, change);
    }

    fn version_json(&self, kind: Kind, id: u64, modified_ms: i64) -> Option<Vec<u8>> {
        self.records(kind).with_version(id, modified_ms, |view| {
            let mut out = Vec::with_capacity(Account::record_bytes(kind));
            match kind {
                Kind::Conversations => {
                    conversation::record(self, &view, Bodies::Html, true, &mut out);
                }
                _ => self.render(kind, Version::LATEST, &view, &mut out),
            }
            out
        })
    }

    fn set(&self, name: &str, value: &Value) -> Result<bool, serde_json::Error> {
        match name {
            "search_lag_ms" => self.set_search_lag_ms(u32::deserialize(value)?),
            // What the app's Developer Hub sets; null ends it.
            "webhooks" => self.subscribe(Option::<Subscription>::deserialize(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
