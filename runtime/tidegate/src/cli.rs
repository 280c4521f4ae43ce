//! The command line, as clap sees it.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Moves data out of SaaS systems with sandboxed connectors, and loses no row.
///
/// Exit codes: 0 all streams succeeded; 1 failed; 2 wrong use; 3 some streams
/// failed (degraded); 4 stopped on request.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, long_about = None, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 all streams succeeded; 1 failed; 2 wrong use or configuration;
3 some streams failed; 4 stopped on request.

Start here: tidegate demo";

/// Where this node keeps its state, and what the operator allows.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// Directory of the database, the node key, staged batches and compiled components.
    #[arg(
        long,
        global = true,
        default_value = ".tidegate",
        env = "TIDEGATE_STATE"
    )]
    pub(crate) state: PathBuf,
    /// The operator's file: mappings, private hosts, limits.
    #[arg(long, global = true, env = "TIDEGATE_OPERATOR")]
    pub(crate) operator: Option<PathBuf>,
    /// Print JSON lines instead of progress bars and tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole way on this machine: a CRM, OAuth, S3, a history and a change.
    Demo(DemoArgs),
    /// Run syncs.
    #[command(subcommand)]
    Sync(SyncCommand),
    /// Write an example of configuration as code.
    Init {
        /// A directory, made if it is not there.
        folder: PathBuf,
    },
    /// Check a directory of configuration, without a server; every finding has its
    /// file, line and column.
    Validate {
        /// The directory.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Show what a directory of configuration would change.
    Plan {
        /// The directory.
        folder: PathBuf,
        /// The directory that it is held against, such as another checkout.
        #[arg(long)]
        against: PathBuf,
    },
    /// Print the JSON Schema of configuration files, for editors.
    Schema,
    /// Authorise connections.
    #[command(subcommand)]
    Connections(ConnectionsCommand),
    /// Look at connectors.
    #[command(subcommand)]
    Connector(ConnectorCommand),
    /// Read what landed, through the commit log.
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Compile a component in this process, which may be killed. Started by
    /// tidegate itself.
    #[command(hide = true, disable_help_flag = true)]
    CompileComponent {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Contacts in the simulated CRM.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) records: u64,
    /// Keep everything under this directory; without it a temporary one is used.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// The HubSpot component.
    #[arg(
        long,
        default_value = "guest-connectors/target/wasm32-wasip2/release/hubspot.wasm"
    )]
    pub(crate) connector: PathBuf,
    /// File format: parquet, jsonl.zst, jsonl.gz or csv.gz.
    #[arg(long, default_value = "parquet", value_parser = parse_format)]
    pub(crate) format: tidegate_domain::record::Format,
}

fn parse_format(text: &str) -> Result<tidegate_domain::record::Format, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "use parquet, jsonl.zst, jsonl.gz or csv.gz".to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Run a sync file once, to its end.
    Run {
        /// The sync file (YAML).
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// Let a person consent in the browser; the answer comes back to a loopback address.
    Authorize {
        /// The sync file (YAML).
        file: PathBuf,
        /// Authorise again although there is a grant.
        #[arg(long)]
        again: bool,
    },
    /// Ask the connector whether the connection works.
    Check {
        /// The sync file (YAML).
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectorCommand {
    /// Say what a component is, asks for and may do.
    Inspect {
        /// The component.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LakeCommand {
    /// List the committed objects of a sync.
    Files {
        /// The sync file (YAML).
        file: PathBuf,
    },
    /// Write a DuckDB view over the committed objects.
    View {
        /// The sync file (YAML).
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
