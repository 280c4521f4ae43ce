//! The simulator as a library: start, steer, and read the truth.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::control::{self, Changed, Changes as _, Steered as _};
use crate::hubspot::Rule;
use crate::hubspot::account::{Account, Collection};
use crate::hubspot::associations::Change;
use crate::hubspot::config::Config;
use crate::hubspot::counters::Counters;
use crate::hubspot::http;
use crate::hubspot::kind::Kind;
use crate::hubspot::schema::PropertyChange;
use crate::hubspot::webhooks::{self, Delivery};
use crate::journal::Seen;
use crate::overlay::Changes;
use crate::records::Write;
use crate::server::{Port, Servers, dated};
use crate::simulator::Faced;
use crate::tokens::TokenPair;
use crate::truth::{self, RecordVersion};

/// A running simulator. Stops when dropped.
#[derive(Debug)]
pub struct CrmSim {
    account: Arc<Account>,
    base_url: String,
    control_url: Option<String>,
    servers: Servers,
}

impl CrmSim {
    /// Binds 127.0.0.1 and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn start(config: Config) -> anyhow::Result<CrmSim> {
        let port = Port::bind(config.port).await?;
        let control = Port::bind_some(config.control_port).await?;
        let account = Arc::new(Account::new(config, port.url.clone()));
        let servers = Servers::new();
        let api = Arc::clone(&account);
        let base_url = servers.answer(port, move |request| {
            dated(Arc::clone(&api), http::respond(Arc::clone(&api), request))
        });
        servers.run(webhooks::deliver(Arc::clone(&account)));
        let control_url = control.map(|port| {
            let api = Arc::clone(&account);
            servers.answer(port, move |request| {
                control::respond(Arc::clone(&api), request)
            })
        });
        Ok(CrmSim {
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

    fn collection(&self, kind: Kind) -> &Collection {
        self.account.collection(kind)
    }
}

/// Tokens.
impl CrmSim {
    /// A fresh OAuth pair with every scope, as if a user had just consented.
    pub fn issue_tokens(&self) -> TokenPair {
        self.account.issue().into()
    }

    /// The same, of somebody who consented to these scopes only.
    pub fn issue_tokens_for(&self, scopes: &[&str]) -> TokenPair {
        let now_ms = self.clock().now_ms();
        self.account.oauth.issue_for(scopes, now_ms).into()
    }

    /// The private app's token, which never expires.
    pub fn private_app_token(&self) -> &str {
        &self.account.oauth.private_token
    }

    /// Expires every access token now.
    pub fn expire_access_tokens(&self) {
        self.account.oauth.expire_all(self.clock().now_ms());
    }

    /// Uninstalls the app: every access and refresh token dies.
    pub fn uninstall_app(&self) {
        self.account.oauth.revoke_all();
    }

    /// Changes the life of access tokens issued from now on, in seconds.
    pub fn set_access_token_ttl_s(&self, ttl_s: u64) {
        self.account.oauth.set_ttl_s(ttl_s);
    }

    /// Changes whether a refresh kills the refresh token it used.
    pub fn set_refresh_rotation(&self, rotation: bool) {
        self.account.oauth.set_rotation(rotation);
    }
}

/// Faults, oddities, limits and counters.
impl CrmSim {
    /// Installs a fault; rules strike in order of installation.
    pub fn install_fault(&self, rule: Rule) {
        self.account.faults.install(rule);
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.account.faults.clear();
    }

    /// How long search keeps finding a record's previous version, in
    /// milliseconds of the simulated clock; 0 for none.
    pub fn set_search_lag_ms(&self, lag_ms: u32) {
        self.account.set_search_lag_ms(lag_ms);
    }

    /// Whether search compares record ids as text, as some suspect it does.
    pub fn set_text_ids(&self, text_ids: bool) {
        self.account.set_text_ids(text_ids);
    }

    /// Changes the factor on every limit; infinity or `None` is no limit.
    pub fn set_limit_scale(&self, scale: Option<f64>) {
        self.account.limits.set_scale(scale);
    }

    /// The counters so far.
    pub fn counters(&self) -> Counters {
        self.account.counters()
    }

    /// Writes down every request from now on, until the end.
    pub fn begin_journal(&self) {
        self.account.journal.begin();
    }

    /// The requests that were written down, in the order in which they came.
    pub fn journal(&self) -> Vec<Seen> {
        self.account.journal.seen()
    }

    /// Every attempt to deliver webhooks so far, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.account.webhooks.deliveries()
    }

    /// Sets every counter back, the maxima included.
    pub fn reset_counters(&self) {
        self.account.reset_counters();
    }
}

/// Changes to records. Each makes a new version; times are milliseconds since
/// the epoch. A change whose time is not after the record's last modification
/// gets the next free millisecond.
impl CrmSim {
    /// Changes one property of each live record; unknown and archived ids are
    /// skipped. Returns the changed ids with their new modification times.
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

    /// Writes one property of a record; `None` clears it. Returns the new
    /// modification time, or `None` if the record or property does not exist.
    pub fn set_property(
        &self,
        kind: Kind,
        id: u64,
        name: &str,
        value: Option<&str>,
        at_ms: i64,
    ) -> Option<i64> {
        let records = &self.collection(kind).records;
        let column = records.schema.column(name)?;
        let write = Write {
            modified_ms: at_ms,
            applied_ms: self.clock().now_ms(),
            changes: Changes::from([(column, value.map(Box::from))]),
        };
        let modified_ms = records.edit(id, write)?;
        let changed = Changed::Edited;
        self.account.tell_changed(kind, id, changed, &[column]);
        Some(modified_ms)
    }

    /// Changes a property that the account defined itself; false where there is none.
    /// One that is to come later is declared in [`Config::extra_properties`] from the
    /// start, archived.
    pub fn change_property(&self, kind: Kind, name: &str, change: PropertyChange) -> bool {
        self.account.change_property(kind, name, change)
    }

    /// Creates records filled like generated ones; their ids are in no order.
    pub fn create(&self, kind: Kind, count: usize, at_ms: i64) -> Vec<u64> {
        self.account.create(kind, count, at_ms)
    }

    /// Archives records; returns those that were live.
    pub fn archive(&self, kind: Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.account.delete(kind, ids, at_ms)
    }

    /// Makes the record `id` a part of the record `into`; returns the time of the
    /// surviving record's new version, or `None` unless both are live.
    pub fn merge(&self, kind: Kind, into: u64, id: u64, at_ms: i64) -> Option<i64> {
        self.account.merge(kind, into, id, at_ms)
    }

    /// Brings archived records back; returns those that were archived.
    pub fn restore(&self, kind: Kind, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.account.undelete(kind, ids, at_ms)
    }

    /// Associates two live records in the plain way, or ends every association of
    /// theirs; false where nothing changes.
    pub fn associate(&self, from: (Kind, u64), to: (Kind, u64), associated: bool) -> bool {
        match associated {
            true => {
                let plain = self.account.labels.between(from.0, to.0);
                let mut plain = plain.filter(|label| label.text.is_none());
                plain.next().is_some_and(|label| {
                    self.account
                        .associate(from, to, &[label.type_id], Change::Add)
                })
            }
            false => {
                let types = self.account.types_of(from, to);
                self.account.associate(from, to, &types, Change::Remove)
            }
        }
    }

    /// Archives `count` live records and returns their ids.
    pub fn archive_count(&self, kind: Kind, count: usize, at_ms: i64) -> Vec<u64> {
        let ids = self.account.pick(kind, count);
        self.account.delete(kind, &ids, at_ms)
    }
}

/// The truth.
impl CrmSim {
    /// Current records in id order, archived ones included: a snapshot of the
    /// moment of the call.
    pub fn current(&self, kind: Kind) -> impl Iterator<Item = RecordVersion> + '_ {
        truth::Current::new(&self.collection(kind).records)
    }

    /// Every version that ever existed and so may have been served, generated
    /// ones first.
    pub fn history(&self, kind: Kind) -> impl Iterator<Item = RecordVersion> + '_ {
        truth::history(&self.collection(kind).records)
    }

    /// The versions of one record, oldest first; empty for an unknown id.
    pub fn versions_of(&self, kind: Kind, id: u64) -> Vec<RecordVersion> {
        truth::versions_of(&self.collection(kind).records, id)
    }

    /// The whole current record, with every property, as JSON text.
    pub fn record_json(&self, kind: Kind, id: u64) -> Option<String> {
        let records = &self.collection(kind).records;
        let modified_ms = records.with_view(id, |view| view.row.modified_ms)?;
        self.version_json(kind, id, modified_ms)
    }

    /// A record as one of its versions had it, with every property.
    pub fn version_json(&self, kind: Kind, id: u64, modified_ms: i64) -> Option<String> {
        self.account.version_json(kind, id, modified_ms).map(text)
    }

    /// Names of all properties of a type, in the order of the wire.
    pub fn property_names(&self, kind: Kind) -> Vec<String> {
        let schema = &self.collection(kind).records.schema;
        let names = schema.properties.iter();
        names.map(|property| property.name.clone()).collect()
    }

    /// Live records of a kind that are associated with live records of another, each
    /// with the others' ids and the numbers of the kinds of association, in id order.
    pub fn associations(
        &self,
        from: Kind,
        to: Kind,
    ) -> impl Iterator<Item = (u64, BTreeMap<u64, Vec<u32>>)> + '_ {
        let live = self.current(from).filter(|version| !version.archived);
        live.filter_map(move |version| {
            let ends = self.account.associated((from, version.id), to)?;
            (!ends.is_empty()).then_some((version.id, ends))
        })
    }

    /// How many records are live now.
    pub fn live_count(&self, kind: Kind) -> usize {
        self.collection(kind).records.live_count()
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

impl Faced for CrmSim {
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
        ["https://api.hubapi.com", "https://app.hubspot.com"]
            .map(str::to_owned)
            .to_vec()
    }

    fn oauth_app(&self) -> Option<(String, String)> {
        let config = self.config();
        Some((config.client_id.clone(), config.client_secret.clone()))
    }
}
