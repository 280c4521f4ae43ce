//! The one binary: reads the command line, runs, prints the error chain once.

mod authorize;
mod cli;
mod config;
mod connections;
mod demo;
mod difference;
mod documents;
mod init;
mod inspect;
mod lake;
mod node;
mod plan;
mod report;
mod sync_run;
mod validate;
mod yaml;

use clap::Parser as _;
use cli::{Cli, Command, ConnectionsCommand, ConnectorCommand, LakeCommand, SyncCommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::CompileComponent { arguments } = cli.command {
        return tidegate_sandbox::compile::child_main(arguments);
    }
    let filter = EnvFilter::try_from_env("TIDEGATE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report::failure(&error.into(), cli.place.json),
    };
    let json = cli.place.json;
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => report::failure(&error, json),
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let place = cli.place;
    match cli.command {
        Command::Demo(arguments) => demo::run(place.json, arguments).await,
        Command::Sync(SyncCommand::Run { file }) => sync_run::run(&place, &file).await,
        Command::Connections(ConnectionsCommand::Authorize { file, again }) => {
            connections::authorize(&place, &file, again).await
        }
        Command::Connections(ConnectionsCommand::Check { file }) => {
            connections::check(&place, &file).await
        }
        Command::Connector(ConnectorCommand::Inspect { file }) => inspect::run(&place, &file).await,
        Command::Lake(LakeCommand::Files { file }) => lake::files(&place, &file).await,
        Command::Lake(LakeCommand::View { file }) => lake::view(&place, &file).await,
        Command::Init { folder } => init::run(&folder),
        Command::Validate { folder } => validate::run(&folder, place.json),
        Command::Plan { folder, against } => plan::run(&folder, &against, place.json),
        Command::Schema => Ok(validate::print_schema()),
        Command::CompileComponent { .. } => unreachable!("handled before the runtime starts"),
    }
}
