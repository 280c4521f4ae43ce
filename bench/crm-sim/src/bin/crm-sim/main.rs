//! A simulator as a process: prints one line of JSON, serves until stopped.

mod hubspot;
mod intercom;
mod leadsquared;
mod pipedrive;
mod salesforce;

use std::io::Write as _;

use clap::{Parser, Subcommand};
use serde_json::Value;

/// Strict simulators of CRM APIs.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    api: Api,
}

#[derive(Debug, Subcommand)]
enum Api {
    Hubspot(hubspot::Arguments),
    Intercom(intercom::Arguments),
    Pipedrive(pipedrive::Arguments),
    Salesforce(Box<salesforce::Arguments>),
    Leadsquared(leadsquared::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().api {
        Api::Hubspot(arguments) => hubspot::run(arguments, announce, stopped()).await,
        Api::Intercom(arguments) => intercom::run(arguments, announce, stopped()).await,
        Api::Pipedrive(arguments) => pipedrive::run(arguments, announce, stopped()).await,
        Api::Salesforce(arguments) => salesforce::run(*arguments, announce, stopped()).await,
        Api::Leadsquared(arguments) => leadsquared::run(arguments, announce, stopped()).await,
    }
}

fn announce(line: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn stopped() {
    // Where no signals can be received, it ends with the process that holds it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
