//! `tidegate sync run`: one sync file, once, to its end.

use crate::cli::Place;
use crate::config::SyncFile;
use crate::node;
use crate::{authorize, report};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tidegate_broker::Session;
use tidegate_domain::id::{JobId, StreamKey};
use tidegate_domain::spec;
use tidegate_domain::sync::Mode;
use tidegate_engine::Node;
use tidegate_engine::node::runs_blind;
use tidegate_engine::progress::Progress;
use tidegate_engine::source::Source;
use tidegate_engine::stream::{StreamSpec, SyncContext};
use tidegate_engine::sync::{self, JobReport};
use tidegate_landing::target::Target;
use tokio_util::sync::CancellationToken;

/// A sync file, read and checked, with the place it was read from.
pub(crate) struct Document {
    pub(crate) file: SyncFile,
    folder: PathBuf,
}

impl Document {
    pub(crate) fn read(path: &Path) -> Result<Document> {
        let file = SyncFile::read(path)?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Document { file, folder })
    }

    /// The component, relative to the sync file.
    pub(crate) fn connector_path(&self) -> PathBuf {
        self.folder.join(&self.file.connection.connector)
    }
}

/// A run that is ready to start.
pub(crate) struct Prepared {
    pub(crate) context: SyncContext,
    pub(crate) specs: Vec<StreamSpec>,
    pub(crate) session: Session,
    pub(crate) target: Arc<dyn Target>,
}

/// Builds everything that a run needs; nothing is read from the CRM yet.
pub(crate) async fn prepare(
    node: &Node,
    document: &Document,
    stop: CancellationToken,
) -> Result<Prepared> {
    let file = &document.file;
    let connector = node::connector(node, &document.connector_path()).await?;
    let secrets = node::secrets(&file.connection)?;
    let session = node::session(node, &file.tenant, &file.connection, &secrets, &connector)?;
    let blind = runs_blind(&connector);
    let target = node.target(&node::target_settings(&file.target)?).await?;
    if let Some(first) = file.streams.first() {
        let key = StreamKey {
            tenant: file.tenant.clone(),
            sync: file.sync.clone(),
            stream: first.name.clone(),
        };
        node.share_key(key, &*target).await?;
    }
    let source = Source {
        tenant: file.tenant.clone(),
        connection: file.connection.id.clone(),
        connector,
        session: session.clone(),
        secrets: Arc::new(secrets),
        blind,
        config: serde_json::Value::Object(file.connection.config.clone()).to_string(),
        hints: Arc::clone(&node.store) as _,
    };
    let context = SyncContext {
        source,
        sync: file.sync.clone(),
        store: Arc::clone(&node.store) as _,
        keyring: Arc::clone(&node.keyring),
        target: Arc::clone(&target),
        staging: Arc::clone(&node.staging),
        spool_dir: node.spool_dir.clone(),
        format: file.target.format,
        policy: file.batch,
        schema_policy: file.schema_policy,
        discovery_ms: node.config.discovery_ms,
        lease_ms: node.config.lease_ms,
        stop,
        progress: Arc::new(Progress::default()),
        log: None,
        lag: None,
        origin: None,
    };
    let specs = file.streams.iter().map(spec).collect();
    Ok(Prepared {
        context,
        specs,
        session,
        target,
    })
}

fn spec(stream: &spec::StreamSpec) -> StreamSpec {
    StreamSpec {
        name: stream.name.clone(),
        log: stream.name.clone(),
        // One run ends; what changes as it changes is the service's to follow.
        mode: match stream.mode {
            Mode::Live => Mode::Incremental,
            mode => mode,
        },
        landing: stream.landing,
        fields: stream.fields.clone(),
        window: stream.window.map(spec::WindowSpec::window),
        partitions_max: stream.partitions_max,
        generation_min: 0,
        is_bounded: false,
    }
}

/// Runs what was prepared, with progress on standard error.
pub(crate) async fn run_prepared(prepared: &Prepared, json: bool) -> Result<JobReport> {
    let job = new_job_id()?;
    let watch = report::Watch::start(
        json,
        Arc::clone(&prepared.context.progress),
        prepared.session.clone(),
    );
    let ran = sync::run(&prepared.context, job, &prepared.specs).await;
    watch.stop().await;
    Ok(ran?)
}

fn new_job_id() -> Result<JobId> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).context("the operating system gives no random bytes")?;
    Ok(JobId::parse(format!(
        "job-{}",
        data_encoding::HEXLOWER.encode(&random)
    ))?)
}

/// Stops gracefully on SIGINT and SIGTERM: guests checkpoint, batches are sealed
/// and committed. A second signal ends the process at once, which is as safe.
pub(crate) async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return; // without handlers the default action ends the process, which is safe
    };
    for code in [None, Some(130)] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if let Some(code) = code {
            std::process::exit(code);
        }
        stop.cancel();
    }
}

/// The command that shows what a sync landed.
fn look(place: &Place, path: &Path) -> String {
    let operator = match &place.operator {
        Some(operator) => format!(" --operator {}", operator.display()),
        None => String::new(),
    };
    format!("tidegate{operator} lake view {}", path.display())
}

/// `tidegate sync run FILE`.
pub(crate) async fn run(place: &Place, path: &Path) -> Result<ExitCode> {
    let document = Document::read(path)?;
    let operator = node::operator_file(place)?;
    report::mappings(&operator.broker, place.json);
    let node = node::open(place, operator).await?;
    let stop = CancellationToken::new();
    let mut signals = tokio::task::JoinSet::new();
    signals.spawn(stop_on_signal(stop.clone()));
    let prepared = prepare(&node, &document, stop).await?;
    authorize::ensure(
        &prepared.session,
        prepared.context.source.connector.manifest(),
        &document.file,
        place.json,
    )
    .await?;
    let began = tokio::time::Instant::now();
    let ran = run_prepared(&prepared, place.json).await?;
    let hint = look(place, path);
    report::job(&ran, &prepared, began.elapsed(), place.json, Some(&hint));
    Ok(report::exit_code(ran.state))
}
