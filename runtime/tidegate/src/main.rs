//! The one binary: reads the command line, runs, prints the error chain once.

mod apply;
mod authorize;
mod backup;
mod cli;
mod config;
mod connections;
mod demo;
mod difference;
mod documents;
mod flow;
mod init;
mod inspect;
mod jobs;
mod keys;
mod lake;
mod node;
mod node_key;
mod plan;
mod push;
mod remote;
mod report;
mod serve;
mod sync_run;
mod telemetry;
mod validate;
mod yaml;

use clap::Parser as _;
use cli::{Cli, Command, ConnectorCommand, SyncCommand};
use std::process::ExitCode;

/// Small jobs allocate on one thread what another frees; see ADR 0032.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::CompileComponent { arguments } = cli.command {
        return tidegate_sandbox::compile::child_main(arguments);
    }
    // A service reads its settings first.
    if !matches!(cli.command, Command::Serve(_)) {
        telemetry::of_command();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(request_threads())
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

/// Threads for requests, uploads and the API: half as many as there are cores. Guests have
/// threads of their own, and two that share little work wake each other for nothing.
fn request_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let place = cli.place;
    match cli.command {
        Command::Demo(arguments) => demo::run(place.json, arguments).await,
        Command::Serve(arguments) => serve::run(&place, &arguments).await,
        Command::Jobs { server, command } => jobs::run(&server, command, place.json).await,
        Command::Flow { server, command } => flow::run(&server, command, place.json).await,
        Command::Keys { server, command } => keys::run(&place, &server, command).await,
        Command::NodeKey(command) => node_key::run(&place, command),
        Command::Backup { server, file } => backup::run(&server, &file, place.json).await,
        Command::Sync(SyncCommand::Run { file }) => sync_run::run(&place, &file).await,
        Command::Connections { server, command } => {
            connections::run(&place, &server, command).await
        }
        Command::Connector { server, command } => match command {
            ConnectorCommand::Inspect { file } => inspect::run(&place, &file).await,
            ConnectorCommand::Push { file, approve } => {
                push::run(&server, &file, approve, place.json).await
            }
        },
        Command::Lake { server, command } => lake::run(&place, &server, command).await,
        Command::Init { folder } => init::run(&folder),
        Command::Validate { folder } => validate::run(&folder, place.json),
        Command::Plan {
            server,
            set,
            against,
            exit_code,
        } => {
            let changes = match against {
                Some(against) => plan::run(&set.folder, &against, place.json)?,
                None => apply::plan(&server, &set, place.json).await?,
            };
            Ok(ExitCode::from(u8::from(exit_code && changes)))
        }
        Command::Apply { server, set } => apply::run(&server, &set, place.json).await,
        Command::Schema => Ok(validate::print_schema()),
        Command::CompileComponent { .. } => unreachable!("handled before the runtime starts"),
    }
}
