//! The simulator as a library: start, steer, and read the truth.

use std::sync::Arc;

use crate::clock::Clock;
use crate::control::{self, Changes as _, Steered as _};
use crate::intercom::Rule;
use crate::intercom::account::Account;
use crate::intercom::config::Config;
use crate::intercom::counters::Counters;
use crate::intercom::http;
use crate::intercom::kind::Kind;
use crate::intercom::webhooks::Subscription;
use crate::journal::Seen;
use crate::outbox::{self, Delivery};
use crate::server::{Port, Servers, dated};
use crate::simulator::Faced;
use crate::truth::{self, RecordVersion};

/// A running simulator. Stops when dropped.
#[derive(Debug)]
pub struct IntercomSim {
    account: Arc<Account>,
    base_url: String,
    control_url: Option<String>,
    servers: Servers,
}

impl IntercomSim {
    /// Binds 127.0.0.1 and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When a port is taken, or the configuration names a time zone rule or an API
    /// version that there is not.
    pub async fn start(config: Config) -> anyhow::Result<IntercomSim> {
        let port = Port::bind(config.port).await?;
        let control = Port::bind_some(config.control_port).await?;
        let account = Arc::new(Account::new(config, port.url.clone())?);
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
        Ok(IntercomSim {
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

/// Tokens. There are no refresh tokens, and none expires.
impl IntercomSim {
    /// A fresh OAuth access token, as if an admin had just installed the app.
    pub fn issue_token(&self) -> String {
        self.account.issue().access_token
    }

    /// The access token of the workspace's own app.
    pub fn access_token(&self) -> &str {
        &self.account.access_token
    }

    /// Uninstalls the OAuth app: every token of it dies.
    pub fn uninstall_app(&self) {
        self.account.tokens.revoke_all();
    }
}

/// Faults, oddities, limits and counters.
impl IntercomSim {
    /// Installs a fault; rules strike in order of installation. A 500 on the scroll ends
    /// the scroll.
    pub fn install_fault(&self, rule: Rule) {
        self.account.faults.install(rule);
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.account.faults.clear();
    }

    /// How long search keeps serving a record's previous version, in milliseconds of the
    /// simulated clock; 0 for none. The real one takes up to a few minutes.
    pub fn set_search_lag_ms(&self, lag_ms: u32) {
        self.account.set_search_lag_ms(lag_ms);
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

/// Webhooks.
impl IntercomSim {
    /// Sets the address of the app's notifications and their topics, none of which are
    /// all, as its Developer Hub does; a ping is sent.
    pub fn subscribe(&self, url: &str, topics: &[&str]) {
        self.account.subscribe(Some(Subscription {
            url: url.to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        }));
    }
}

/// Changes to records. Each makes a new version; times are milliseconds since the epoch,
/// of which the wire shows whole seconds.
impl IntercomSim {
    /// Changes the name of each live contact or company, or adds a part to each
    /// conversation. Returns the changed ids with their new modification times.
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

    /// Deletes records; returns those that were live.
    pub fn delete(&self, kind: Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.account.delete(kind, ids, at_ms)
    }

    /// Deletes `count` live records and returns their ids.
    pub fn delete_count(&self, kind: Kind, count: usize, at_ms: i64) -> Vec<u64> {
        let ids = self.account.pick(kind, count);
        self.account.delete(kind, &ids, at_ms)
    }

    /// Brings deleted records back, which the real API does for archived contacts alone;
    /// returns those that were gone.
    pub fn undelete(&self, kind: Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.account.undelete(kind, ids, at_ms)
    }
}

/// The truth.
impl IntercomSim {
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

    /// The whole current record as JSON text; of conversations the detail.
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

impl Faced for IntercomSim {
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
        ["https://api.intercom.io", "https://app.intercom.com"]
            .map(str::to_owned)
            .to_vec()
    }

    fn oauth_app(&self) -> Option<(String, String)> {
        let config = self.config();
        Some((config.client_id.clone(), config.client_secret.clone()))
    }
}
