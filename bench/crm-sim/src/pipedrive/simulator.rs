//! The simulator as a library: start, steer, and read the truth.

use std::sync::Arc;

use crate::clock::Clock;
use crate::control::{self, Changes as _, Steered as _};
use crate::journal::Seen;
use crate::outbox::{self, Delivery};
use crate::overlay::Changes;
use crate::pipedrive::Rule;
use crate::pipedrive::account::Account;
use crate::pipedrive::config::Config;
use crate::pipedrive::counters::Counters;
use crate::pipedrive::http;
use crate::pipedrive::kind::Kind;
use crate::records::Write;
use crate::server::{Port, Servers, dated};
use crate::simulator::Faced;
use crate::tokens::TokenPair;
use crate::truth::{self, RecordVersion};

/// A running simulator. Stops when dropped.
#[derive(Debug)]
pub struct PipedriveSim {
    account: Arc<Account>,
    base_url: String,
    control_url: Option<String>,
    servers: Servers,
}

impl PipedriveSim {
    /// Binds 127.0.0.1 and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn start(config: Config) -> anyhow::Result<PipedriveSim> {
        let port = Port::bind(config.port).await?;
        let control = Port::bind_some(config.control_port).await?;
        let account = Arc::new(Account::new(config, port.url.clone()));
        let servers = Servers::new();
        let api = Arc::clone(&account);
        let base_url = servers.answer(port, move |request| {
            dated(Arc::clone(&api), http::respond(Arc::clone(&api), request))
        });
        servers.run(outbox::deliver(Arc::clone(&account)));
        let control_url = control.map(|port| {
            let api = Arc::clone(&account);
            servers.answer(port, move |request| {
                control::respond(Arc::clone(&api), request)
            })
        });
        Ok(PipedriveSim {
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

    /// Start of every address, of the API and of OAuth: `http://127.0.0.1:port`.
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

/// Tokens.
impl PipedriveSim {
    /// A fresh OAuth pair with every scope, as if a user had just consented.
    pub fn issue_tokens(&self) -> TokenPair {
        self.account.issue().into()
    }

    /// The personal API token of the first user, which never expires.
    pub fn api_token(&self) -> &str {
        &self.account.api_token
    }

    /// Expires every access token now.
    pub fn expire_access_tokens(&self) {
        self.account.tokens.expire_all(self.clock().now_ms());
    }

    /// Uninstalls the app: every access and refresh token dies.
    pub fn uninstall_app(&self) {
        self.account.tokens.revoke_all();
    }

    /// Changes the life of access tokens issued from now on, in seconds.
    pub fn set_access_token_ttl_s(&self, ttl_s: u64) {
        self.account.tokens.set_ttl_s(ttl_s);
    }

    /// Changes whether a refresh kills the refresh token it used.
    pub fn set_refresh_rotation(&self, rotation: bool) {
        self.account.tokens.set_rotation(rotation);
    }
}

/// Faults, oddities, limits and counters.
impl PipedriveSim {
    /// Installs a fault; rules strike in order of installation.
    pub fn install_fault(&self, rule: Rule) {
        self.account.faults.install(rule);
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.account.faults.clear();
    }

    /// How long a search does not see a change, in milliseconds of the simulated clock.
    pub fn set_search_lag_ms(&self, lag_ms: u32) {
        self.account.set_search_lag_ms(lag_ms);
    }

    /// Changes the factor on the burst limits; infinity or `None` is no limit at all.
    pub fn set_limit_scale(&self, scale: Option<f64>) {
        self.account.limits.set_scale(scale);
    }

    /// Leaves this many units of today's budget.
    pub fn leave_daily_tokens(&self, units: u64) {
        self.account.limits.leave(units, self.clock().now_ms());
    }

    /// The counters so far.
    pub fn counters(&self) -> Counters {
        self.account.counters()
    }

    /// Sets every counter back, the maxima included.
    pub fn reset_counters(&self) {
        self.account.reset_counters();
    }

    /// Every attempt to deliver webhooks so far, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.account.webhooks.outbox.deliveries()
    }

    /// Writes down every request from now on, until the end.
    pub fn begin_journal(&self) {
        self.account.journal.begin();
    }

    /// The requests that were written down, in the order in which they came.
    pub fn journal(&self) -> Vec<Seen> {
        self.account.journal.seen()
    }
}

/// Changes to records. Times are milliseconds since the epoch, cut to the second. A
/// change whose time lies before the record's last one gets that time again.
impl PipedriveSim {
    /// Changes one field of each live record; unknown and deleted ids are skipped.
    /// Returns the changed ids with their new times of update.
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

    /// Writes one column of a record as text (`first_name`, `is_archived`, the key of a
    /// custom field); `None` clears it. Returns the new time of update, or `None` if
    /// the record or the column does not exist.
    pub fn set_column(
        &self,
        kind: Kind,
        id: u64,
        key: &str,
        value: Option<&str>,
        at_ms: i64,
    ) -> Option<i64> {
        let collection = self.account.collection(kind);
        let column = collection.schema().column(key)?;
        let write = Write {
            modified_ms: at_ms,
            applied_ms: self.clock().now_ms(),
            changes: Changes::from([(column, value.map(Box::from))]),
        };
        collection.records.edit(id, write)
    }

    /// Creates records filled like generated ones; their ids follow the last.
    pub fn create(&self, kind: Kind, count: usize, at_ms: i64) -> Vec<u64> {
        self.account.create(kind, count, at_ms)
    }

    /// Deletes records; returns those that were live. Deleting is a change.
    pub fn delete(&self, kind: Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.account.delete(kind, ids, at_ms)
    }

    /// Deletes `count` live records and returns their ids.
    pub fn delete_count(&self, kind: Kind, count: usize, at_ms: i64) -> Vec<u64> {
        let ids = self.account.pick(kind, count);
        self.account.delete(kind, &ids, at_ms)
    }

    /// Brings deleted records back; returns those that were deleted.
    pub fn undelete(&self, kind: Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.account.undelete(kind, ids, at_ms)
    }
}

/// The truth. `archived` of a version says that the record is deleted in it; whether a
/// deal is archived is a member of its record.
impl PipedriveSim {
    /// Current records in id order, deleted ones included: a snapshot of the moment of
    /// the call.
    pub fn current(&self, kind: Kind) -> impl Iterator<Item = RecordVersion> + '_ {
        truth::Current::new(&self.account.collection(kind).records)
    }

    /// Every version that ever existed and so may have been served, generated ones
    /// first.
    pub fn history(&self, kind: Kind) -> impl Iterator<Item = RecordVersion> + '_ {
        truth::history(&self.account.collection(kind).records)
    }

    /// The versions of one record, oldest first; empty for an unknown id.
    pub fn versions_of(&self, kind: Kind, id: u64) -> Vec<RecordVersion> {
        truth::versions_of(&self.account.collection(kind).records, id)
    }

    /// The whole current record as the second version of the API shows it.
    pub fn record_json(&self, kind: Kind, id: u64) -> Option<String> {
        let json = self.account.record_json(kind, id)?;
        String::from_utf8(json).ok()
    }

    /// A record as one of its versions had it. Of versions that share their time, the
    /// last.
    pub fn version_json(&self, kind: Kind, id: u64, modified_ms: i64) -> Option<String> {
        let json = self.account.version_json(kind, id, modified_ms)?;
        String::from_utf8(json).ok()
    }

    /// How many records are not deleted now.
    pub fn live_count(&self, kind: Kind) -> usize {
        self.account.collection(kind).records.live_count()
    }

    /// The key of a custom field by its name.
    pub fn field_key(&self, kind: Kind, name: &str) -> Option<String> {
        let schema = self.account.collection(kind).schema();
        let mut fields = schema.own_fields();
        let field = fields.find(|field| field.name == name)?;
        Some(field.key.clone())
    }
}

impl Faced for PipedriveSim {
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
        let shared =
            ["https://oauth.pipedrive.com", "https://api.pipedrive.com"].map(str::to_owned);
        let own = self.config().api_domain.clone();
        shared.into_iter().chain(own).collect()
    }

    fn oauth_app(&self) -> Option<(String, String)> {
        let config = self.config();
        Some((config.client_id.clone(), config.client_secret.clone()))
    }
}
