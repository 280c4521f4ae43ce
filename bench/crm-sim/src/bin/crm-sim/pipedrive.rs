//! The arguments of the Pipedrive simulator.

use clap::{Args, ValueEnum};
use crm_sim::pipedrive::{Config, PipedriveSim, Plan};
use serde_json::{Value, json};

/// The Pipedrive API, both versions.
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
    /// Generated persons.
    #[arg(long, default_value_t = 1000)]
    persons: u32,
    /// Generated organizations.
    #[arg(long, default_value_t = 200)]
    organizations: u32,
    /// Generated deals, some of them archived.
    #[arg(long, default_value_t = 300)]
    deals: u32,
    /// Generated activities.
    #[arg(long, default_value_t = 200)]
    activities: u32,
    /// Generated products.
    #[arg(long, default_value_t = 50)]
    products: u32,
    /// Generated leads.
    #[arg(long, default_value_t = 50)]
    leads: u32,
    /// Records that share one single second.
    #[arg(long, default_value_t = 450)]
    burst: u32,
    /// Factor on the burst limits: 1 is real, `inf` is no limit at all.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// The subscription.
    #[arg(long, value_enum, default_value_t = PlanName::Essential)]
    plan: PlanName,
    /// Units of the daily budget, in place of what the plan gives.
    #[arg(long)]
    daily_tokens: Option<u64>,
    /// Never bar a client at the edge.
    #[arg(long)]
    no_bars: bool,
    /// Honour `Accept-Encoding: gzip`.
    #[arg(long)]
    gzip: bool,
    /// Life of an access token in seconds.
    #[arg(long, default_value_t = 3599)]
    token_ttl_s: u64,
    /// Replace the refresh token at each refresh.
    #[arg(long)]
    rotate_refresh: bool,
    /// The OAuth app's id; a fixed one by default.
    #[arg(long)]
    client_id: Option<String>,
    /// The OAuth app's secret; a fixed one by default.
    #[arg(long)]
    client_secret: Option<String>,
    /// Serve records by the first version whatever the date.
    #[arg(long)]
    keep_v1: bool,
    /// The company's address in answers of the token endpoint, if not the simulator's
    /// own.
    #[arg(long)]
    api_domain: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlanName {
    Essential,
    Advanced,
    Professional,
    Enterprise,
}

impl Arguments {
    fn config(self) -> Config {
        let defaults = Config::default();
        Config {
            port: self.port,
            control_port: Some(self.control_port),
            seed: self.seed,
            persons: self.persons,
            organizations: self.organizations,
            deals: self.deals,
            activities: self.activities,
            products: self.products,
            leads: self.leads,
            tie_burst: self.burst,
            plan: match self.plan {
                PlanName::Essential => Plan::Essential,
                PlanName::Advanced => Plan::Advanced,
                PlanName::Professional => Plan::Professional,
                PlanName::Enterprise => Plan::Enterprise,
            },
            limit_scale: Some(self.scale),
            daily_tokens: self.daily_tokens,
            edge_bars_after: defaults.edge_bars_after.filter(|_| !self.no_bars),
            gzip: self.gzip,
            client_id: self.client_id.unwrap_or(defaults.client_id),
            client_secret: self.client_secret.unwrap_or(defaults.client_secret),
            access_token_ttl_s: self.token_ttl_s,
            refresh_rotation: self.rotate_refresh,
            api_domain: self.api_domain,
            v1_retires_ms: defaults.v1_retires_ms.filter(|_| !self.keep_v1),
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
    let sim = PipedriveSim::start(arguments.config()).await?;
    let tokens = sim.issue_tokens();
    announce(&json!({
        "base_url": sim.base_url(),
        "control_url": sim.control_url(),
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "api_token": sim.api_token(),
        "client_id": sim.config().client_id,
        "client_secret": sim.config().client_secret,
    }))?;
    stop.await;
    sim.shutdown().await;
    Ok(())
}
