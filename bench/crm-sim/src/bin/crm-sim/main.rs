//! A simulator as a process: prints one line of JSON, serves until stopped.

mod hubspot;
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
    Pipedrive(pipedrive::Arguments),
    Salesforce(Box<salesforce::Arguments>),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().api {
        Api::Hubspot(arguments) => hubspot::run(arguments, announce, stopped()).await,
        Api::Pipedrive(arguments) => pipedrive::run(arguments, announce, stopped()).await,
        Api::Salesforce(arguments) => salesforce::run(*arguments, announce, stopped()).await,
    }
}

fn announce(line: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

#[expect(
    clippy::print_stderr,
    reason = "a process that prints its one line of JSON has nowhere else to warn"
)]
async fn stopped() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("no signals can be received, so the simulator ends: {error}");
    }
}
