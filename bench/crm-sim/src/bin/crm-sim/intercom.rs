//! The arguments of the Intercom simulator.

use clap::Args;
use crm_sim::intercom::{Config, IntercomSim};
use serde_json::{Value, json};

/// The Intercom API.
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
    /// Generated contacts.
    #[arg(long, default_value_t = 1000)]
    contacts: u32,
    /// Generated companies.
    #[arg(long, default_value_t = 200)]
    companies: u32,
    /// Generated conversations.
    #[arg(long, default_value_t = 400)]
    conversations: u32,
    /// Records that share one single millisecond.
    #[arg(long, default_value_t = 450)]
    burst: u32,
    /// Requests of one app in a minute.
    #[arg(long, default_value_t = 10_000)]
    calls_per_minute: u32,
    /// Factor on every limit: 1 is real, `inf` is none.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Honour `Accept-Encoding: gzip`.
    #[arg(long)]
    gzip: bool,
    /// The API version of requests that name none.
    #[arg(long, default_value = "2.3")]
    default_version: String,
    /// The OAuth app's id; a fixed one by default.
    #[arg(long)]
    client_id: Option<String>,
    /// The OAuth app's secret; a fixed one by default.
    #[arg(long)]
    client_secret: Option<String>,
}

impl Arguments {
    fn config(self) -> Config {
        let defaults = Config::default();
        Config {
            port: self.port,
            control_port: Some(self.control_port),
            seed: self.seed,
            contacts: self.contacts,
            companies: self.companies,
            conversations: self.conversations,
            tie_burst: self.burst,
            calls_per_minute: self.calls_per_minute,
            limit_scale: Some(self.scale),
            gzip: self.gzip,
            default_version: self.default_version,
            client_id: self.client_id.unwrap_or(defaults.client_id),
            client_secret: self.client_secret.unwrap_or(defaults.client_secret),
            ..Config::default()
        }
    }
}

/// Serves until `stop` ends; `announce` gets what a client needs to know.
pub(crate) async fn run(
    arguments: Arguments,
    announce: impl FnOnce(&Value) -> anyhow::Result<()>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let sim = IntercomSim::start(arguments.config()).await?;
    announce(&json!({
        "base_url": sim.base_url(),
        "control_url": sim.control_url(),
        "access_token": sim.issue_token(),
        "private_app_token": sim.access_token(),
        "client_id": sim.config().client_id,
        "client_secret": sim.config().client_secret,
    }))?;
    stop.await;
    sim.shutdown().await;
    Ok(())
}
