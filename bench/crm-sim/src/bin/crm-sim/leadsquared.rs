//! The arguments of the LeadSquared simulator.

use clap::Args;
use crm_sim::leadsquared::{Config, LeadSquaredSim, RefusalForm};
use serde_json::{Value, json};

/// The LeadSquared API.
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
    /// Generated leads.
    #[arg(long, default_value_t = 1000)]
    leads: u32,
    /// Generated activities.
    #[arg(long, default_value_t = 2000)]
    activities: u32,
    /// Generated opportunities.
    #[arg(long, default_value_t = 300)]
    opportunities: u32,
    /// Records that share one single second.
    #[arg(long, default_value_t = 450)]
    burst: u32,
    /// Calls in any five seconds.
    #[arg(long, default_value_t = 25)]
    calls: u32,
    /// Factor on every limit: 1 is real, `inf` is none.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Refuse calls over the limit with status 200.
    #[arg(long)]
    refuse_with_200: bool,
    /// Honour `Accept-Encoding: gzip`.
    #[arg(long)]
    gzip: bool,
}

impl Arguments {
    fn config(self) -> Config {
        Config {
            port: self.port,
            control_port: Some(self.control_port),
            seed: self.seed,
            leads: self.leads,
            activities: self.activities,
            opportunities: self.opportunities,
            tie_burst: self.burst,
            calls: self.calls,
            limit_scale: Some(self.scale),
            refusal: if self.refuse_with_200 {
                RefusalForm::Status200
            } else {
                RefusalForm::Status429
            },
            gzip: self.gzip,
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
    let sim = LeadSquaredSim::start(arguments.config()).await?;
    let keys = sim.issue_keys();
    announce(&json!({
        "base_url": sim.base_url(),
        "control_url": sim.control_url(),
        "access_key": keys.access_key,
        "secret_key": keys.secret_key,
    }))?;
    stop.await;
    sim.shutdown().await;
    Ok(())
}
