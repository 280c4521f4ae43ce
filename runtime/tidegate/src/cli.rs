//! The command line, as clap sees it.

use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use tidegate_domain::access::Role;
use tidegate_domain::id::{ConnectionId, JobId, StreamName, SyncId};
use tidegate_domain::job::{JobState, Reason};

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
    /// Directory of the database, the node key, staged batches and compiled components;
    /// `.tidegate` without it, and for a service what its settings say.
    #[arg(long, global = true, env = "TIDEGATE_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// The operator's file: mappings, private hosts, limits.
    #[arg(long, global = true, env = "TIDEGATE_OPERATOR")]
    pub(crate) operator: Option<PathBuf>,
    /// Print JSON lines instead of progress bars and tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Place {
    /// The directory that commands without a service use.
    pub(crate) fn state(&self) -> &Path {
        self.state.as_deref().unwrap_or(Path::new(".tidegate"))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service: API, schedules and workers in one process.
    Serve(ServeArgs),
    /// Look at jobs of a service, and act on them.
    Jobs {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: JobsCommand,
    },
    /// Look at what a service sent to whom.
    Flow {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: FlowCommand,
    },
    /// List, make and revoke API keys of a service.
    Keys {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Rotate the node key, which tenants' keys are kept under.
    #[command(subcommand)]
    NodeKey(NodeKeyCommand),
    /// Save a service's database, as of one moment, while it runs.
    Backup {
        #[command(flatten)]
        server: ServerArgs,
        /// A new file; only its owner can read it.
        file: PathBuf,
    },
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
    /// Show what a directory of configuration would change in a service, and change nothing.
    Plan {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        set: SetArgs,
        /// Hold it against this directory, such as another checkout, and ask no service.
        #[arg(long, conflicts_with = "prune")]
        against: Option<PathBuf>,
        /// Exit with 1 where anything would change.
        #[arg(long)]
        exit_code: bool,
    },
    /// Make a service be as a directory of configuration says: all of it, or nothing.
    Apply {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        set: SetArgs,
    },
    /// Print the JSON Schema of configuration files, for editors.
    Schema,
    /// Authorise and check connections.
    Connections {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: ConnectionsCommand,
    },
    /// Look at connectors, and give them to a service.
    Connector {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: ConnectorCommand,
    },
    /// Read what landed, through the commit log.
    Lake {
        #[command(flatten)]
        server: ServerArgs,
        #[command(subcommand)]
        command: LakeCommand,
    },
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
    /// Which CRM: hubspot, intercom, leadsquared, pipedrive or salesforce.
    #[arg(long, default_value = "hubspot")]
    pub(crate) connector: String,
    /// Records in the simulated CRM.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) records: u64,
    /// Keep everything under this directory; without it a temporary one is used.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// The connector's component; where `cargo demo` builds it without.
    #[arg(long)]
    pub(crate) component: Option<PathBuf>,
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
        /// A connection of a service, or a sync file (.yaml).
        #[arg(value_parser = parse_named::<ConnectionId>)]
        connection: Named<ConnectionId>,
        /// Authorise again although there is a grant.
        #[arg(long)]
        again: bool,
        /// Go on although the provider may end an older authorisation of the person.
        #[arg(long)]
        confirm: bool,
    },
    /// Ask the connector whether the connection works.
    Check {
        /// A connection of a service, or a sync file (.yaml).
        #[arg(value_parser = parse_named::<ConnectionId>)]
        connection: Named<ConnectionId>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectorCommand {
    /// Say what a component is, asks for and may do.
    Inspect {
        /// The component.
        file: PathBuf,
    },
    /// Upload a component to a service. It waits until it is approved.
    Push {
        /// The component.
        file: PathBuf,
        /// Approve it at once, with a platform administrator's key.
        #[arg(long)]
        approve: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LakeCommand {
    /// List the committed objects of a sync.
    Files {
        /// A sync of a service, or a sync file (.yaml).
        #[arg(value_parser = parse_named::<SyncId>)]
        sync: Named<SyncId>,
    },
    /// Write a DuckDB view over the committed objects.
    View {
        /// The sync file (YAML).
        file: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// The service's settings (YAML). The environment comes before it:
    /// `TIDEGATE_GRACE_MS`, `TIDEGATE_NODE__WORKER__JOBS_MAX`.
    #[arg(long, env = "TIDEGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print the settings as they are understood, and start nothing.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Check the settings, and start nothing.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Where a service is, and who asks it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArgs {
    /// The service's address. Its key is read from TIDEGATE_KEY, which no list of
    /// processes shows.
    #[arg(
        long,
        global = true,
        default_value = "http://127.0.0.1:8474",
        env = "TIDEGATE_URL"
    )]
    pub(crate) url: String,
}

/// A directory as the whole of a configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct SetArgs {
    /// The directory.
    pub(crate) folder: PathBuf,
    /// Remove documents of the service that the directory does not hold. Secrets stay.
    #[arg(long)]
    pub(crate) prune: bool,
}

/// A file on this machine, or what a service knows by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named<Id> {
    /// What ends in .yaml or .yml, or holds a `/`.
    File(PathBuf),
    /// Anything else.
    Id(Id),
}

fn parse_named<Id>(text: &str) -> Result<Named<Id>, String>
where
    Id: std::str::FromStr,
    Id::Err: std::fmt::Display,
{
    let path = Path::new(text);
    let extension = path.extension().and_then(std::ffi::OsStr::to_str);
    if text.contains('/') || matches!(extension, Some("yaml" | "yml")) {
        return Ok(Named::File(path.to_owned()));
    }
    let id = text.parse().map_err(|error: Id::Err| error.to_string())?;
    Ok(Named::Id(id))
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Run a sync now; where a job of it is not over, that one is shown.
    Start {
        /// The sync's id.
        sync: SyncId,
        /// Follow the job to its end; the exit code is that of `sync run`.
        #[arg(long)]
        follow: bool,
    },
    /// Read everything anew: of some streams, or of all.
    Resync {
        /// The sync's id.
        sync: SyncId,
        /// Streams; all of the sync without any.
        streams: Vec<StreamName>,
        /// Follow the job to its end.
        #[arg(long)]
        follow: bool,
    },
    /// Read a span of a stream's history again, beside what runs.
    Backfill {
        /// The sync's id.
        sync: SyncId,
        /// The stream.
        stream: StreamName,
        /// First instant, RFC 3339 (2026-01-01T00:00:00Z).
        #[arg(long)]
        since: jiff::Timestamp,
        /// First instant after it; now without it.
        #[arg(long)]
        until: Option<jiff::Timestamp>,
        /// Follow the job to its end.
        #[arg(long)]
        follow: bool,
    },
    /// List jobs, newest first.
    List {
        /// Of this sync.
        #[arg(long)]
        sync: Option<SyncId>,
        /// In this state: queued, running, parked, retrying, succeeded, degraded, failed or
        /// cancelled.
        #[arg(id = "job_state", long = "in", value_parser = parse_word::<JobState>)]
        state: Option<JobState>,
        /// That failed for this reason.
        #[arg(long, value_parser = parse_word::<Reason>)]
        reason: Option<Reason>,
        /// Jobs at the most.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show a job with its attempts.
    Show {
        /// Its id.
        job: JobId,
    },
    /// Print what a job's connector and the service said.
    Log {
        /// Its id.
        job: JobId,
    },
    /// Follow a job to its end; the exit code is that of `sync run`.
    Follow {
        /// Its id.
        job: JobId,
    },
    /// End a job; what it saved is committed.
    Cancel {
        /// Its id.
        job: JobId,
    },
    /// Try a job again, or with --reason all that failed for it.
    Retry {
        /// Its id.
        #[arg(required_unless_present = "reason", conflicts_with = "reason")]
        job: Option<JobId>,
        /// All whose last job failed for this reason.
        #[arg(long, value_parser = parse_word::<Reason>)]
        reason: Option<Reason>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeKeyCommand {
    /// Put a new key before the ones in the file. A running service takes it up within
    /// the hour, one that does not run at its start; nothing waits for it.
    Rotate {
        /// The file; `keys/node.key` of the state directory without it.
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FlowCommand {
    /// List the requests that were sent to the provider for a job, oldest first.
    Requests {
        /// The job's id.
        job: JobId,
        /// Requests at the most.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List the tenant's keys.
    List,
    /// Make a key. Its text is shown once.
    Create {
        /// platform-admin, tenant-admin or tenant-viewer.
        #[arg(long, value_parser = parse_word::<Role>)]
        role: Role,
        /// What it is for.
        #[arg(long, default_value = "")]
        title: String,
        /// In the state directory of a service that does not run: for when every
        /// administrator's key was lost.
        #[arg(long)]
        local: bool,
    },
    /// End a key at once.
    Revoke {
        /// Its id.
        key: String,
    },
}

/// One of the words that a type has in JSON.
fn parse_word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_is_told_from_an_id_by_its_looks_alone() {
        let named = |text| parse_named::<SyncId>(text);
        for text in ["sync.yaml", "./sync", "a/b.yml"] {
            assert_eq!(named(text), Ok(Named::File(text.into())));
        }
        let id = SyncId::parse("crm").expect("it is an id");
        assert_eq!(named("crm"), Ok(Named::Id(id)));
        assert!(named("no id at all").is_err());
    }
}
