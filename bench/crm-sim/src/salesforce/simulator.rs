//! The simulator as a library: start, steer, and read the truth.

use std::sync::Arc;

use crate::clock::Clock;
use crate::control::{self, Changes as _, Steered as _};
use crate::journal::Seen;
use crate::overlay::Changes;
use crate::salesforce::Rule;
use crate::salesforce::cometd::{Order, StreamCounters};
use crate::salesforce::config::Config;
use crate::salesforce::counters::Counters;
use crate::salesforce::http;
use crate::salesforce::object::Object;
use crate::salesforce::org::{Collection, Org};
use crate::salesforce::schema::ExtraField;
use crate::server::{Port, Servers, dated};
use crate::simulator::Faced;
use crate::tokens::TokenPair;
use crate::truth::{self, RecordVersion};

/// A running simulator. Stops when dropped.
#[derive(Debug)]
pub struct Salesforce {
    org: Arc<Org>,
    base_url: String,
    control_url: Option<String>,
    servers: Servers,
}

impl Salesforce {
    /// Binds 127.0.0.1 and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn start(config: Config) -> anyhow::Result<Salesforce> {
        let port = Port::bind(config.port).await?;
        let control = Port::bind_some(config.control_port).await?;
        let org = Arc::new(Org::new(config, port.url.clone()));
        let servers = Servers::new();
        let api = Arc::clone(&org);
        let base_url = servers.answer(port, move |request| {
            dated(Arc::clone(&api), http::respond(Arc::clone(&api), request))
        });
        let control_url = control.map(|port| {
            let api = Arc::clone(&org);
            servers.answer(port, move |request| {
                control::respond(Arc::clone(&api), request)
            })
        });
        Ok(Salesforce {
            org,
            base_url,
            control_url,
            servers,
        })
    }

    /// Closes every connection and waits until all tasks have ended.
    pub async fn shutdown(self) {
        self.servers.shutdown().await;
    }

    /// Start of every API address, of the login host too: `http://127.0.0.1:port`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Start of every control address, if a control port was configured.
    pub fn control_url(&self) -> Option<&str> {
        self.control_url.as_deref()
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.org.config
    }

    /// The simulated time of day.
    pub fn clock(&self) -> &Clock {
        &self.org.clock
    }

    fn collection(&self, object: Object) -> &Collection {
        self.org.collection(object)
    }
}

/// Tokens.
impl Salesforce {
    /// A fresh pair with every scope, as if the user had just consented.
    pub fn issue_tokens(&self) -> TokenPair {
        self.org.issue().into()
    }

    /// Ends every session now.
    pub fn expire_access_tokens(&self) {
        self.org.oauth.expire_all(self.clock().now_ms());
    }

    /// De-authorises the app: every access and refresh token dies.
    pub fn uninstall_app(&self) {
        self.org.oauth.revoke_all();
    }

    /// Changes the idle time after which sessions end, in seconds.
    pub fn set_access_token_ttl_s(&self, ttl_s: u64) {
        self.org.oauth.set_ttl_s(ttl_s);
    }

    /// Changes whether a refresh kills the refresh token it used.
    pub fn set_refresh_rotation(&self, rotation: bool) {
        self.org.oauth.set_rotation(rotation);
    }
}

/// Faults, limits and counters.
impl Salesforce {
    /// Installs a fault; rules strike in order of installation.
    pub fn install_fault(&self, rule: Rule) {
        self.org.faults.install(rule);
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.org.faults.clear();
    }

    /// Changes the factor on every limit; infinity or `None` is no limit.
    pub fn set_limit_scale(&self, scale: Option<f64>) {
        self.org.limits.set_scale(scale);
    }

    /// Uses up requests of the day, as other apps of the org do.
    pub fn spend_requests(&self, requests: u64) {
        self.org.limits.spend(requests, self.clock().now_ms());
    }

    /// Lets this many of the bulk jobs fail that are still to come.
    pub fn fail_bulk_jobs(&self, jobs: u32) {
        self.org.jobs.fail_next(jobs);
    }

    /// Ends every open query cursor.
    pub fn close_cursors(&self) {
        self.org.cursors.close_all();
    }

    /// Does what is ordered of the streaming API; false where it has no such channel.
    pub fn stream(&self, order: Order) -> bool {
        self.org.stream(order)
    }

    /// What clients of the streaming API did so far.
    pub fn stream_counters(&self) -> StreamCounters {
        self.org.stream_counters()
    }

    /// The counters so far.
    pub fn counters(&self) -> Counters {
        self.org.counters()
    }

    /// Sets every counter back, the maxima included.
    pub fn reset_counters(&self) {
        self.org.reset_counters();
    }

    /// Writes down every request from now on, until the end.
    pub fn begin_journal(&self) {
        self.org.journal.begin();
    }

    /// The requests that were written down, in the order in which they came.
    pub fn journal(&self) -> Vec<Seen> {
        self.org.journal.seen()
    }
}

/// Changes to records. Each makes a new version; times are milliseconds since the epoch
/// and count in whole seconds. A change that is dated before its record's last one takes
/// that one's time: two versions may share it, as in the real API. A change that is dated
/// before now is a late commit.
impl Salesforce {
    /// Changes one field of each live record; unknown and deleted ids are skipped.
    /// Returns the changed ids with their new modification times.
    pub fn edit(&self, object: Object, ids: &[u64], at_ms: i64) -> Vec<(u64, i64)> {
        self.org.edit_spread(object, ids, at_ms, at_ms)
    }

    /// Changes `count` distinct live records, at times spread evenly over
    /// `[from_ms, until_ms]`; each call chooses other records.
    pub fn edit_count(
        &self,
        object: Object,
        count: usize,
        from_ms: i64,
        until_ms: i64,
    ) -> Vec<(u64, i64)> {
        let ids = self.org.pick(object, count);
        self.org.edit_spread(object, &ids, from_ms, until_ms)
    }

    /// Changes records as the system itself does: `SystemModstamp` moves,
    /// `LastModifiedDate` does not.
    pub fn touch(&self, object: Object, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.org.touch(object, ids, at_ms)
    }

    /// Writes one field of a record as it is; `None` clears it. Returns the new
    /// modification time, or `None` if the record or field does not exist.
    pub fn set_field(
        &self,
        object: Object,
        id: u64,
        name: &str,
        value: Option<&str>,
        at_ms: i64,
    ) -> Option<i64> {
        let column = self.collection(object).schema().column(name)?;
        let changes = Changes::from([(column, value.map(Box::from))]);
        let write = self.org.write(object, at_ms, changes);
        let modified_ms = self.collection(object).records.edit(id, write)?;
        self.org
            .changed(object, id, control::Changed::Edited, &[column]);
        Some(modified_ms)
    }

    /// Creates records filled like generated ones; their ids are in no order.
    pub fn create(&self, object: Object, count: usize, at_ms: i64) -> Vec<u64> {
        self.org.create(object, count, at_ms)
    }

    /// Moves records to the recycle bin; returns those that were live.
    pub fn delete(&self, object: Object, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.org.delete(object, ids, at_ms)
    }

    /// Deletes `count` live records and returns their ids.
    pub fn delete_count(&self, object: Object, count: usize, at_ms: i64) -> Vec<u64> {
        let ids = self.org.pick(object, count);
        self.org.delete(object, &ids, at_ms)
    }

    /// Brings records back from the recycle bin; returns those that were in it.
    pub fn undelete(&self, object: Object, ids: &[u64], at_ms: i64) -> Vec<u64> {
        self.org.undelete(object, ids, at_ms)
    }

    /// Empties the recycle bin of an object: its records are no longer in `queryAll`.
    pub fn purge(&self, object: Object) {
        self.collection(object).purge(None);
    }

    /// Prunes the delete log of an object up to a time.
    pub fn prune_delete_log(&self, object: Object, until_ms: i64) {
        self.collection(object).prune_log(until_ms);
    }

    /// Says that a transaction began then and has not ended: replication covers no more
    /// than what lies before it. `None` ends it.
    pub fn set_open_transaction_ms(&self, began_ms: Option<i64>) {
        self.org.set_open_transaction_ms(began_ms);
    }

    /// Adds a custom field; false if there is one of that name.
    pub fn add_field(&self, field: &ExtraField) -> bool {
        let now_ms = self.clock().now_ms();
        self.collection(field.object).add_field(field, now_ms)
    }

    /// Drops a custom field; false if there is none.
    pub fn drop_field(&self, object: Object, name: &str) -> bool {
        let now_ms = self.clock().now_ms();
        self.collection(object).drop_field(name, now_ms)
    }
}

/// The truth.
impl Salesforce {
    /// Current records in id order, deleted ones included: a snapshot of the moment of
    /// the call.
    pub fn current(&self, object: Object) -> impl Iterator<Item = RecordVersion> + '_ {
        truth::Current::new(&self.collection(object).records)
    }

    /// Every version that ever existed and so may have been served, generated ones first.
    pub fn history(&self, object: Object) -> impl Iterator<Item = RecordVersion> + '_ {
        truth::history(&self.collection(object).records)
    }

    /// The versions of one record, oldest first; empty for an unknown id.
    pub fn versions_of(&self, object: Object, id: u64) -> Vec<RecordVersion> {
        truth::versions_of(&self.collection(object).records, id)
    }

    /// A record's id as it stands on the wire.
    pub fn wire_id(&self, object: Object, id: u64) -> String {
        self.org.wire_id(object, id)
    }

    /// The id of a record by its text on the wire, of 15 or 18 characters.
    pub fn parse_id(&self, object: Object, text: &str) -> Option<u64> {
        self.org.parse_id(object, text)
    }

    /// The whole current record, with every field, as JSON text.
    pub fn record_json(&self, object: Object, id: u64) -> Option<String> {
        let records = &self.collection(object).records;
        let modified_ms = records.with_view(id, |view| view.row.modified_ms)?;
        self.version_json(object, id, modified_ms)
    }

    /// A record as the last of its versions of a time had it, with every field.
    pub fn version_json(&self, object: Object, id: u64, modified_ms: i64) -> Option<String> {
        let bytes = self.org.version_json(object, id, modified_ms)?;
        String::from_utf8(bytes).ok()
    }

    /// How many records are live now.
    pub fn live_count(&self, object: Object) -> usize {
        self.collection(object).records.live_count()
    }
}

impl Faced for Salesforce {
    type Api = Org;

    fn api(&self) -> &Org {
        &self.org
    }

    fn address(&self) -> &str {
        &self.base_url
    }

    fn servers(&self) -> &Servers {
        &self.servers
    }

    fn real_origins(&self) -> Vec<String> {
        let shared = ["https://login.salesforce.com"].map(str::to_owned);
        let own = self.config().instance_url.clone();
        shared.into_iter().chain(own).collect()
    }

    fn oauth_app(&self) -> Option<(String, String)> {
        let config = self.config();
        Some((config.client_id.clone(), config.client_secret.clone()))
    }
}
