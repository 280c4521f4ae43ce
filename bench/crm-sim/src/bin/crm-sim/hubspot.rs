//! The arguments of the HubSpot simulator.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use crm_sim::hubspot::{Config, CrmSim, CustomType, ExtraProperty, Kind, Plan, PropertyType};
use serde_json::{Value, json};

/// The HubSpot CRM API.
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
    /// Generated deals.
    #[arg(long, default_value_t = 300)]
    deals: u32,
    /// Generated tickets.
    #[arg(long, default_value_t = 150)]
    tickets: u32,
    /// An object type of the account's own, with its generated records, its properties
    /// and what it is associated with:
    /// `machine:3604285:Machine:Machines:100:serial=string,hours=number:contacts,tickets`.
    #[arg(long = "custom-type", value_parser = custom_type)]
    custom_types: Vec<CustomType>,
    /// Records that share one single millisecond.
    #[arg(long, default_value_t = 450)]
    burst: u32,
    /// Factor on every limit: 1 is real, `inf` is none.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// The plan that limits private apps.
    #[arg(long, value_enum, default_value_t = PlanName::Professional)]
    plan: PlanName,
    /// Honour `Accept-Encoding: gzip`.
    #[arg(long)]
    gzip: bool,
    /// Life of an access token in seconds.
    #[arg(long, default_value_t = 1800)]
    token_ttl_s: u64,
    /// Replace the refresh token at each refresh.
    #[arg(long)]
    rotate_refresh: bool,
    /// Refuse authorisations without PKCE.
    #[arg(long)]
    require_pkce: bool,
    /// The OAuth app's id; a fixed one by default.
    #[arg(long)]
    client_id: Option<String>,
    /// The OAuth app's secret; a fixed one by default.
    #[arg(long)]
    client_secret: Option<String>,
    /// A property of the account's own: `contacts:number_field:number`.
    #[arg(long = "property", value_parser = property)]
    properties: Vec<ExtraProperty>,
    /// Give contacts the properties that the real API derives itself.
    #[arg(long)]
    derived_properties: bool,
    /// Start of next-page links, if not the simulator's own address.
    #[arg(long)]
    link_base: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlanName {
    Starter,
    Professional,
    Enterprise,
    AddOn,
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
            deals: self.deals,
            tickets: self.tickets,
            custom_types: self.custom_types,
            tie_burst: self.burst,
            plan: match self.plan {
                PlanName::Starter => Plan::Starter,
                PlanName::Professional => Plan::Professional,
                PlanName::Enterprise => Plan::Enterprise,
                PlanName::AddOn => Plan::AddOn,
            },
            limit_scale: Some(self.scale),
            gzip: self.gzip,
            client_id: self.client_id.unwrap_or(defaults.client_id),
            client_secret: self.client_secret.unwrap_or(defaults.client_secret),
            require_pkce: self.require_pkce,
            access_token_ttl_s: self.token_ttl_s,
            refresh_rotation: self.rotate_refresh,
            link_base: self.link_base,
            extra_properties: self.properties,
            derived_properties: self.derived_properties,
            ..Config::default()
        }
    }
}

/// Reads `type:name:wire type`.
fn property(text: &str) -> anyhow::Result<ExtraProperty> {
    let mut parts = text.splitn(3, ':');
    let mut part = || parts.next().context("expected type:name:wire type");
    let (kind, name, property_type) = (part()?, part()?, part()?);
    Ok(ExtraProperty {
        kind: Kind::parse(kind).with_context(|| format!("no object type {kind}"))?,
        name: name.to_owned(),
        property_type: serde_json::from_value(json!(property_type))?,
        archived: false,
    })
}

/// Reads `name:number:singular:plural:records:property=wire type,...:type,...`.
fn custom_type(text: &str) -> anyhow::Result<CustomType> {
    let parts: Vec<&str> = text.split(':').collect();
    let [name, number, singular, plural, count, properties, ends] = parts[..] else {
        anyhow::bail!("expected name:number:singular:plural:records:properties:types");
    };
    let end = |name: &str| Kind::parse(name).with_context(|| format!("no object type {name}"));
    let property = |text: &str| -> anyhow::Result<(String, PropertyType)> {
        let (name, wire) = text.split_once('=').context("expected property=type")?;
        Ok((name.to_owned(), serde_json::from_value(json!(wire))?))
    };
    Ok(CustomType {
        name: name.to_owned(),
        number: number.parse()?,
        labels: [singular, plural].map(str::to_owned),
        count: count.parse()?,
        properties: properties
            .split(',')
            .map(property)
            .collect::<Result<_, _>>()?,
        associated: ends.split(',').map(end).collect::<Result<_, _>>()?,
    })
}

/// Serves until `stop` ends; `announce` gets what a client needs to know.
pub(crate) async fn run(
    arguments: Arguments,
    announce: impl FnOnce(&Value) -> anyhow::Result<()>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let sim = CrmSim::start(arguments.config()).await?;
    let tokens = sim.issue_tokens();
    announce(&json!({
        "base_url": sim.base_url(),
        "control_url": sim.control_url(),
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "private_app_token": sim.private_app_token(),
        "client_id": sim.config().client_id,
        "client_secret": sim.config().client_secret,
        "app_id": sim.config().app_id,
        "developer_key": sim.config().developer_key,
    }))?;
    stop.await;
    sim.shutdown().await;
    Ok(())
}
