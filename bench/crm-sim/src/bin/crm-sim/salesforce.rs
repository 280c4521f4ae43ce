//! The arguments of the Salesforce simulator.

use anyhow::Context as _;
use clap::Args;
use crm_sim::salesforce::{Config, ExtraField, Object, Salesforce};
use serde_json::{Value, json};

/// The Salesforce platform API.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// API port on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Control port on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// Same seed and counts, same records.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Generated records of an object: `Account=1000000`; may be repeated.
    #[arg(long = "count", value_parser = count)]
    counts: Vec<(Object, u32)>,
    /// Records that share one single second.
    #[arg(long, default_value_t = 450)]
    burst: u32,
    /// Factor on every limit: 1 is real, `inf` is none.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// API requests in any 24 hours.
    #[arg(long, default_value_t = 100_000)]
    daily_limit: u32,
    /// Honour `Accept-Encoding: gzip`.
    #[arg(long)]
    gzip: bool,
    /// Idle time after which a session ends, in seconds.
    #[arg(long, default_value_t = 7200)]
    session_timeout_s: u64,
    /// Replace the refresh token at each refresh.
    #[arg(long)]
    rotate_refresh: bool,
    /// Refuse authorisations without PKCE.
    #[arg(long)]
    require_pkce: bool,
    /// The connected app's key; a fixed one by default.
    #[arg(long)]
    client_id: Option<String>,
    /// The connected app's secret; a fixed one by default.
    #[arg(long)]
    client_secret: Option<String>,
    /// Where the org says that its data is; the simulator's own address by default.
    #[arg(long)]
    instance_url: Option<String>,
    /// A custom field of the org: `Account:Score__c:double`.
    #[arg(long = "field", value_parser = field)]
    fields: Vec<ExtraField>,
}

impl Arguments {
    fn config(self) -> Config {
        let mut config = Config {
            port: self.port,
            control_port: Some(self.control_port),
            seed: self.seed,
            tie_burst: self.burst,
            limit_scale: Some(self.scale),
            daily_limit: self.daily_limit,
            gzip: self.gzip,
            session_timeout_s: self.session_timeout_s,
            refresh_rotation: self.rotate_refresh,
            require_pkce: self.require_pkce,
            instance_url: self.instance_url,
            extra_fields: self.fields,
            ..Config::default()
        };
        config.counts.extend(self.counts);
        config.client_id = self.client_id.unwrap_or(config.client_id);
        config.client_secret = self.client_secret.unwrap_or(config.client_secret);
        config
    }
}

/// Reads `object=count`.
fn count(text: &str) -> anyhow::Result<(Object, u32)> {
    let (name, count) = text.split_once('=').context("expected object=count")?;
    let object = Object::parse(name).with_context(|| format!("no object {name}"))?;
    Ok((object, count.parse()?))
}

/// Reads `object:name:type`.
fn field(text: &str) -> anyhow::Result<ExtraField> {
    let mut parts = text.splitn(3, ':');
    let mut part = || parts.next().context("expected object:name:type");
    let (object, name, field_type) = (part()?, part()?, part()?);
    Ok(ExtraField {
        object: Object::parse(object).with_context(|| format!("no object {object}"))?,
        name: name.to_owned(),
        field_type: serde_json::from_value(json!(field_type))?,
        external_id: false,
    })
}

/// Serves until `stop` ends; `announce` gets what a client needs to know.
pub(crate) async fn run(
    arguments: Arguments,
    announce: impl FnOnce(&Value) -> anyhow::Result<()>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let sim = Salesforce::start(arguments.config()).await?;
    let tokens = sim.issue_tokens();
    announce(&json!({
        "base_url": sim.base_url(),
        "control_url": sim.control_url(),
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "username": sim.config().username,
        "client_id": sim.config().client_id,
        "client_secret": sim.config().client_secret,
    }))?;
    stop.await;
    sim.shutdown().await;
    Ok(())
}
