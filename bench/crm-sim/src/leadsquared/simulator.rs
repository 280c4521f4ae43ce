//! The simulator as a library: start, steer, and read the truth.

use std::sync::Arc;

use crate::clock::Clock;
use crate::control::{self, Changes as _, Steered as _};
use crate::journal::Seen;
use crate::leadsquared::Rule;
use crate::leadsquared::account::Account;
use crate::leadsquared::config::{Config, RefusalForm};
use crate::leadsquared::counters::Counters;
use crate::leadsquared::http;
use crate::leadsquared::kind::Kind;
use crate::server::{Port, Servers, dated};
use crate::simulator::Faced;
use crate::truth::{self, RecordVersion};

/// A running simulator. Stops when dropped.
#[derive(Debug)]
pub struct LeadSquaredSim {
    account: Arc<Account>,
    base_url: String,
    control_url: Option<String>,
    servers: Servers,
}

/// What every request carries, in its query or in its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// `accessKey`, or `x-LSQ-AccessKey`.
    pub access_key: String,
    /// `secretKey`, or `x-LSQ-SecretKey`.
    pub secret_key: String,
}

impl LeadSquaredSim {
    /// Binds 127.0.0.1 and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn start(config: Config) -> anyhow::Result<LeadSquaredSim> {
        let port = Port::bind(config.port).await?;
        let control = Port::bind_some(config.control_port).await?;
        let account = Arc::new(Account::new(config));
        let servers = Servers::new();
        let api = Arc::clone(&account);
        let base_url = servers.answer(port, move |request| {
            dated(Arc::clone(&api), http::respond(Arc::clone(&api), request))
        });
        let control_url = control.map(|port| {
            let api = Arc::clone(&account);
            servers.answer(port, move |request| {
                control::respond(Arc::clone(&api), request)
            })
        });
        Ok(LeadSquaredSim {
            account,
            base_url,
            control_url,
            servers,
        })
    }

    /// Closes every connection and waits until all tasks have ended.
    pub async fn shutdown(self) {
        self.servers.shutdown().await;
    }

    /// Start of every API address: `http://127.0.0.1:port`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Start of every control address, if a control port was configured.
    pub fn control_url(&self) -> Option<&str> {
        self.control_url.as_deref()
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.account.config
    }

    /// The simulated time of day.
    pub fn clock(&self) -> &Clock {
        &self.account.clock
    }
}

/// Keys.
impl LeadSquaredSim {
    /// Fresh keys of an administrator, who sees every record.
    pub fn issue_keys(&self) -> KeyPair {
        let issued = self.account.issue_keys(None);
        KeyPair {
            access_key: issued.access_token,
            secret_key: issued.refresh_token,
        }
    }

    /// Fresh keys of the user at this place, who sees the records that are theirs.
    pub fn issue_keys_of(&self, user: u32) -> KeyPair {
        let issued = self.account.issue_keys(Some(user));
        KeyPair {
            access_key: issued.access_token,
            secret_key: issued.refresh_token,
        }
    }

    /// Revokes every pair of keys.
    pub fn revoke_keys(&self) {
        self.account.keys.revoke_all();
    }
}

/// Faults, oddities, limits and counters.
impl LeadSquaredSim {
    /// Installs a fault; rules strike in order of installation. A status names no
    /// exception, so that the request may be repeated; `Fault::Problem` names one.
    pub fn install_fault(&self, rule: Rule) {
        self.account.faults.install(rule);
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.account.faults.clear();
    }

    /// Changes how calls over the limit are refused.
    pub fn set_refusal(&self, form: RefusalForm) {
        self.account.set_refusal(form);
    }

    /// Changes the factor on every limit; infinity or `None` is no limit.
    pub fn set_limit_scale(&self, scale: Option<f64>) {
        self.account.limits.set_scale(scale);
    }

    /// The counters so far.
    pub fn counters(&self) -> Counters {
        self.account.counters()
    }

    /// Sets every counter back, the maxima included.
    pub fn reset_counters(&self) {
        self.account.reset_counters();
    }

    /// Writes down every request from now on, until the end.
    pub fn begin_journal(&self) {
        self.account.journal.begin();
    }

    /// The requests that were written down, in the order in which they came: the access
    /// key in the place of a token, the path without the query.
    pub fn journal(&self) -> Vec<Seen> {
        self.account.journal.seen()
    }
}

/// Changes to records. Each makes a new version; times are milliseconds since the epoch,
/// of which the wire shows whole seconds.
impl LeadSquaredSim {
    /// Changes the notes of each live record. Returns the changed ids with their new
    /// modification times.
    pub fn edit(&self, kind: Kind, ids: &[u64], at_ms: i64) -> Vec<(u64, i64)> {
        self.account.edit_spread(kind, ids, at_ms, at_ms)
    }

    /// Changes `count` distinct live records, at times spread evenly over
    /// `[from_ms, until_ms]`; each call chooses other records.
    pub fn edit_count(
        &self,
        kind: Kind,
        count: usize,
        from_ms: i64,
        until_ms: i64,
    ) -> Vec<(u64, i64)> {
        let ids = self.account.pick(kind, count);
        self.account.edit_spread(kind, &ids, from_ms, until_ms)
    }

    /// Creates records filled like generated ones; their ids are in no order.
    pub fn create(&self, kind: Kind, count: usize, at_ms: i64) -> Vec<u64> {
        self.account.create(kind, count, at_ms)
    }

    /// Deletes records, and with a lead all that belongs to it; returns those that were
    /// live.
    pub fn delete(&self, kind: Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.account.delete(kind, ids, at_ms)
    }

    /// Deletes `count` live records and returns their ids.
    pub fn delete_count(&self, kind: Kind, count: usize, at_ms: i64) -> Vec<u64> {
        let ids = self.account.pick(kind, count);
        self.account.delete(kind, &ids, at_ms)
    }
}

/// The truth.
impl LeadSquaredSim {
    /// Current records in id order, deleted ones included: a snapshot of the moment of
    /// the call. [`Kind::wire_id`] has the text of an id.
    pub fn current(&self, kind: Kind) -> impl Iterator<Item = RecordVersion> + '_ {
        truth::Current::new(self.account.records(kind))
    }

    /// Every version that ever existed and so may have been served, generated ones
    /// first.
    pub fn history(&self, kind: Kind) -> impl Iterator<Item = RecordVersion> + '_ {
        truth::history(self.account.records(kind))
    }

    /// The versions of one record, oldest first; empty for an unknown id.
    pub fn versions_of(&self, kind: Kind, id: u64) -> Vec<RecordVersion> {
        truth::versions_of(self.account.records(kind), id)
    }

    /// The whole current record as JSON text, as a flat object.
    pub fn record_json(&self, kind: Kind, id: u64) -> Option<String> {
        let records = self.account.records(kind);
        let modified_ms = records.with_view(id, |view| view.row.modified_ms)?;
        self.version_json(kind, id, modified_ms)
    }

    /// A record as one of its versions had it.
    pub fn version_json(&self, kind: Kind, id: u64, modified_ms: i64) -> Option<String> {
        let bytes = self.account.version_json(kind, id, modified_ms)?;
        String::from_utf8(bytes).ok()
    }

    /// How many records are live now.
    pub fn live_count(&self, kind: Kind) -> usize {
        self.account.records(kind).live_count()
    }
}

impl Faced for LeadSquaredSim {
    type Api = Account;

    fn api(&self) -> &Account {
        &self.account
    }

    fn address(&self) -> &str {
        &self.base_url
    }

    fn servers(&self) -> &Servers {
        &self.servers
    }

    fn real_origins(&self) -> Vec<String> {
        ["https://api.leadsquared.com"].map(str::to_owned).to_vec()
    }

    fn oauth_app(&self) -> Option<(String, String)> {
        None
    }

    fn static_keys(&self) -> Vec<(&'static str, String)> {
        let keys = self.issue_keys();
        vec![
            ("access_key", keys.access_key),
            ("secret_key", keys.secret_key),
        ]
    }
}
