//! Running one stream: take it over, open a generation or go on with the last,
//! plan, read the partitions in parallel, complete.

use crate::attempt::StreamReport;
use crate::discovery::Known;
use crate::drift::Drift;
use crate::error::Error;
use crate::joblog::JobLog;
use crate::lag::Lag;
use crate::partition::{Ended, Reading};
use crate::progress::Progress;
use crate::source::Source;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidegate_broker::Keyring;
use tidegate_domain::Fault;
use tidegate_domain::batch::BatchPolicy;
use tidegate_domain::id::{PartitionId, StreamKey, StreamName, SyncId};
use tidegate_domain::job::StreamOutcome;
use tidegate_domain::record::Format;
use tidegate_domain::spec::SchemaPolicy;
use tidegate_domain::stream::{Change, GenerationKind, PartitionState, StreamState};
use tidegate_domain::sync::{Landing, Mode, Window};
use tidegate_landing::cipher::StreamCipher;
use tidegate_landing::gate::Gate;
use tidegate_landing::recover::Stream;
use tidegate_landing::stage::Staging;
use tidegate_landing::target::Target;
use tidegate_landing::writer::{Settings, StreamWriter, WriterHandle};
use tidegate_sandbox::{CallContext, PartitionEnd, PlanRequest, StreamInfo};
use tidegate_store::Store;
use tidegate_store::clock::now_ms;
use tidegate_store::flow::RequestOrigin;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Bounds of a wait that a guest asks for, in milliseconds.
const WAIT_MS_MIN: u64 = 100;
const WAIT_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;
/// A live read that ends sooner is planned again only after a rest.
const LIVE_ROUND_MIN: Duration = Duration::from_secs(1);
const LIVE_REST_MS: u64 = 1_000;

/// A stream as a sync asks for it.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// Its name in the catalog.
    pub name: StreamName,
    /// The stream whose log and cursors it moves: its own, or one beside it.
    pub log: StreamName,
    /// How it is read.
    pub mode: Mode,
    /// How it lands.
    pub landing: Landing,
    /// Fields to read; empty reads all.
    pub fields: Vec<String>,
    /// Bounds of the history; none reads all of it.
    pub window: Option<Window>,
    /// Partitions to plan for, and to read at the same time.
    pub partitions_max: u32,
    /// A new generation is opened where the last is below this.
    pub generation_min: u64,
    /// Whether it is over once its window was read: it is never planned again.
    pub is_bounded: bool,
}

/// What every stream of a sync shares.
#[derive(Clone)]
pub struct SyncContext {
    /// Where records come from, and whose they are.
    pub source: Source,
    /// The sync.
    pub sync: SyncId,
    /// The database.
    pub store: Arc<dyn Store>,
    /// Seals cursors.
    pub keyring: Arc<Keyring>,
    /// Where it lands.
    pub target: Arc<dyn Target>,
    /// Where it is staged.
    pub staging: Arc<dyn Staging>,
    /// Where large bodies go.
    pub spool_dir: PathBuf,
    /// The file format.
    pub format: Format,
    /// When a batch is sealed.
    pub policy: BatchPolicy,
    /// What happens when the source's schema changes.
    pub schema_policy: SchemaPolicy,
    /// How old a catalog may be when a run begins, in milliseconds.
    pub discovery_ms: u64,
    /// The lease of a stream, in milliseconds.
    pub lease_ms: u64,
    /// Asks everything to checkpoint and stop.
    pub stop: CancellationToken,
    /// Live figures.
    pub progress: Arc<Progress>,
    /// Where a live read tells how far it is.
    pub lag: Option<Arc<Lag>>,
    /// Where guests write; none hands their lines to `tracing`.
    pub log: Option<Arc<JobLog>>,
    /// The job and its attempt, for the record of requests.
    pub origin: Option<RequestOrigin>,
}

impl SyncContext {
    /// The frame of one call about a stream, and about a partition of it.
    pub(crate) fn call(&self, stream: &StreamName, partition: Option<&str>) -> CallContext {
        let log = self.log.as_ref().map(|log| (log, stream));
        let mut context = self.source.context(&self.stop, log);
        context.origin = self.origin.clone().map(|origin| {
            Arc::new(RequestOrigin {
                stream: Some(stream.clone()),
                partition: partition.map(str::to_owned),
                ..origin
            })
        });
        context
    }
}

/// Runs one stream until it is done, waits, fails or is told to stop. What was
/// saved is committed in every case that leaves store and target working.
pub(crate) async fn run(
    context: SyncContext,
    spec: StreamSpec,
    info: StreamInfo,
    known: Known,
) -> StreamReport {
    let (context, spec) = (&context, &spec);
    let mut run = StreamReport::default();
    let (drift, writer) = match open(context, spec, &known).await {
        Ok(opened) => opened,
        Err(error) => {
            run.outcome = ended_by(&error);
            return run;
        }
    };
    run.outcome = read_and_close(context, spec, &info, writer, &mut run).await;
    if let Some(drift) = drift {
        run.warnings = drift.warnings().await;
    }
    run
}

async fn read_and_close(
    context: &SyncContext,
    spec: &StreamSpec,
    info: &StreamInfo,
    writer: StreamWriter,
    run: &mut StreamReport,
) -> StreamOutcome {
    let handle = writer.handle();
    let landed = handle.landed();
    let counters = context.progress.stream(&spec.name);
    counters.follow(landed.clone());
    counters.partitions_parked.store(0, Ordering::Relaxed);
    let read = read_all(context, spec, info, &handle).await;
    run.generation = handle.state().generation;
    let closed = writer.close().await;
    run.landed = landed.borrow().clone();
    match (read, closed) {
        (Ok(outcome), Ok(_)) => outcome,
        // The gate could not ask the source because of the stop; a person's matter
        // waits no less.
        (_, Err(tidegate_landing::Error::Refused { fault, .. }))
            if context.stop.is_cancelled() && fault != Fault::Config =>
        {
            StreamOutcome::Stopped
        }
        // The landing's failure is the cause, a reader's only its echo.
        (_, Err(source)) if !matches!(source, tidegate_landing::Error::Stopped { .. }) => {
            ended_by(&landing(spec, source))
        }
        (Err(error), _) => ended_by(&error),
        (Ok(_), Err(source)) => landing(spec, source).outcome(),
    }
}

/// What only waits for a time parks the stream: a limit whose end is known, a lease
/// that another process holds. Everything else is a failure.
fn ended_by(error: &Error) -> StreamOutcome {
    match error.until_ms() {
        Some(until_ms) => StreamOutcome::Parked {
            until_ms: bounded_wait(until_ms),
        },
        None => error.outcome(),
    }
}

async fn open(
    context: &SyncContext,
    spec: &StreamSpec,
    known: &Known,
) -> Result<(Option<Arc<Drift>>, StreamWriter), Error> {
    let drift = Drift::begin(context, spec, known).await?;
    let columns = match &drift {
        Some(drift) => drift.columns().await,
        None => None,
    };
    let key = StreamKey {
        tenant: context.source.tenant.clone(),
        sync: context.sync.clone(),
        stream: spec.log.clone(),
    };
    let store = Arc::clone(&context.store);
    let cipher = StreamCipher::new(Arc::clone(&context.keyring), store, key.clone());
    let stream = Stream {
        key,
        store: Arc::clone(&context.store) as _,
        target: Arc::clone(&context.target),
        staging: Arc::clone(&context.staging),
        cipher,
        lease_ms: context.lease_ms,
    };
    let settings = Settings {
        policy: context.policy,
        format: context.format,
        columns,
        gate: drift.clone().map(|drift| drift as Arc<dyn Gate>),
    };
    let opened = StreamWriter::open(stream, settings).await;
    let writer = opened.map_err(|source| landing(spec, source))?;
    Ok((drift, writer))
}

async fn read_all(
    context: &SyncContext,
    spec: &StreamSpec,
    info: &StreamInfo,
    writer: &WriterHandle,
) -> Result<StreamOutcome, Error> {
    let reading = Reading {
        sync: context.clone(),
        spec: spec.clone(),
        info: info.clone(),
        writer: writer.clone(),
        counters: context.progress.stream(&spec.name),
    };
    loop {
        let since = Instant::now();
        let outcome = read_once(&reading, writer).await?;
        if spec.mode != Mode::Live || outcome != StreamOutcome::Succeeded {
            return Ok(outcome);
        }
        // A live read that ends wants to be planned anew, but not all the time.
        if since.elapsed() < LIVE_ROUND_MIN {
            let until_ms = bounded_wait(now_ms() + LIVE_REST_MS);
            return Ok(StreamOutcome::Parked { until_ms });
        }
    }
}

/// One plan, to its end.
async fn read_once(reading: &Reading, writer: &WriterHandle) -> Result<StreamOutcome, Error> {
    let spec = &reading.spec;
    let state = prepare(spec, reading, writer.state()).await?;
    tracing::debug!(stream = %spec.name, generation = state.generation, run = state.run, "reading");
    let outcome = match read_partitions(reading, spec.partitions_max).await {
        // What the cursor pointed at is gone: the next run reads everything anew.
        Err(error) if error.fault() == Fault::StaleCursor => {
            tracing::event!(target: "metric", tracing::Level::INFO, connector.rewind.count = 1u64);
            let generation = state.generation + 1;
            let how = GenerationKind {
                mode: spec.mode,
                landing: spec.landing,
            };
            let begun = writer.change(Change::Begin { generation, how }).await;
            begun.map_err(|error| landing(spec, error))?;
            return Err(error);
        }
        read => read?,
    };
    if outcome == StreamOutcome::Succeeded && spec.mode == Mode::FullRefresh {
        let generation = state.generation;
        let completed = writer.change(Change::Complete { generation }).await;
        completed.map_err(|error| landing(spec, error))?;
    }
    Ok(outcome)
}

/// Opens a generation where one is needed, and a plan where the last one is done.
async fn prepare(
    spec: &StreamSpec,
    reading: &Reading,
    state: StreamState,
) -> Result<StreamState, Error> {
    let how = GenerationKind {
        mode: spec.mode,
        landing: spec.landing,
    };
    let unfinished = state.open_partitions().next().is_some();
    let is_done = spec.mode == Mode::FullRefresh && state.complete && !spec.is_bounded;
    if state.kind != Some(how) || is_done || state.generation < spec.generation_min {
        let generation = state.generation + 1;
        let begun = reading
            .writer
            .change(Change::Begin { generation, how })
            .await;
        begun.map_err(|error| landing(spec, error))?;
        return plan(spec, reading).await;
    }
    // A full refresh that died between its last row and its completion only has to
    // complete, and a bounded reading is not followed by another.
    let to_complete = (spec.mode == Mode::FullRefresh || spec.is_bounded) && state.run_is_over();
    if unfinished || to_complete {
        return Ok(state);
    }
    plan(spec, reading).await
}

async fn plan(spec: &StreamSpec, reading: &Reading) -> Result<StreamState, Error> {
    let state = reading.writer.state();
    let previous: Vec<_> = state.ends().map(previous_end).collect();
    let request = PlanRequest {
        config: reading.sync.source.config.clone(),
        stream: spec.name.to_string(),
        mode: spec.mode,
        // The history's bounds hold for the first run; later ones go on from it.
        window: if previous.is_empty() {
            spec.window.map(until_now)
        } else {
            None
        },
        partitions_max: spec.partitions_max,
        previous,
    };
    let planned = reading
        .sync
        .source
        .connector
        .plan(reading.sync.call(&spec.name, None), request)
        .await;
    let (partitions, usage) = planned.map_err(|source| Error::Connector {
        operation: "plan",
        stream: spec.name.clone(),
        source: Box::new(source),
    })?;
    reading.counters.add_call(&usage);
    let change = Change::Plan {
        run: state.run + 1,
        partitions,
    };
    reading
        .writer
        .change(change)
        .await
        .map_err(|error| landing(spec, error))?;
    Ok(reading.writer.state())
}

/// A history ends now at the latest: a cursor must not stand in the future, or what
/// changes before it would be passed over.
fn until_now(window: Window) -> Window {
    let until_ms = window.until_ms.min(now_ms());
    Window {
        since_ms: window.since_ms.min(until_ms),
        until_ms,
    }
}

/// A guest's wait, kept between a tenth of a second and a week: neither a hot loop nor for ever.
pub(crate) fn bounded_wait(until_ms: u64) -> u64 {
    let now = now_ms();
    until_ms.clamp(now + WAIT_MS_MIN, now + WAIT_MS_MAX)
}

fn previous_end(end: &PartitionState) -> PartitionEnd {
    PartitionEnd {
        id: end.planned.id.to_string(),
        descriptor: end.planned.descriptor.clone(),
        state: end.state.clone().unwrap_or_default(),
    }
}

fn landing(spec: &StreamSpec, source: tidegate_landing::Error) -> Error {
    Error::Landing {
        stream: spec.name.clone(),
        source: Box::new(source),
    }
}

/// Reads open partitions, as many at a time as were asked for, children of a split
/// included. A partition that failed does not stop the others: what they save is
/// not read again.
async fn read_partitions(reading: &Reading, at_once: u32) -> Result<StreamOutcome, Error> {
    let mut running: JoinSet<(PartitionId, Result<Ended, Error>)> = JoinSet::new();
    let mut begun: BTreeMap<PartitionId, Option<u64>> = BTreeMap::new();
    let mut first_error: Option<Error> = None;
    let mut stopped = false;
    loop {
        let state = reading.writer.state();
        for open in state.open_partitions() {
            if running.len() >= at_once as usize
                || stopped
                || first_error.as_ref().is_some_and(is_final)
            {
                break;
            }
            let id = open.planned.id.clone();
            if begun.contains_key(&id) {
                continue;
            }
            begun.insert(id.clone(), None);
            let (reading, open) = (reading.clone(), open.clone());
            let span = tracing::info_span!("partition", partition.id = %id);
            let read = async move { (id, reading.read(open).await) };
            running.spawn(read.instrument(span));
        }
        let Some(joined) = running.join_next().await else {
            break;
        };
        let (id, ended) = joined.expect("reading does not panic, and nothing aborts it");
        match ended {
            Ok(Ended::Finished) => {}
            Ok(Ended::Stopped) => stopped = true,
            Ok(Ended::Parked(until_ms)) => {
                reading
                    .counters
                    .partitions_parked
                    .fetch_add(1, Ordering::Relaxed);
                begun.insert(id, Some(until_ms));
            }
            Err(error) => {
                tracing::warn!(partition = %id, error = %error.chain(), "a partition failed");
                // The landing's own failure says more than its echoes.
                if first_error.as_ref().is_none_or(is_echo) {
                    first_error = Some(error);
                }
            }
        }
    }
    if stopped {
        return Ok(StreamOutcome::Stopped);
    }
    match (first_error, begun.values().flatten().min()) {
        (Some(error), _) => Err(error),
        (None, Some(until_ms)) => Ok(StreamOutcome::Parked {
            until_ms: *until_ms,
        }),
        (None, None) if reading.writer.state().open_partitions().next().is_some() => {
            Err(Error::Unread {
                stream: reading.spec.name.clone(),
            })
        }
        (None, None) => Ok(StreamOutcome::Succeeded),
    }
}

fn is_echo(error: &Error) -> bool {
    matches!(error, Error::Landing { source, .. } if matches!(**source, tidegate_landing::Error::Stopped { .. }))
}

/// After such an error no other partition can succeed.
fn is_final(error: &Error) -> bool {
    matches!(error.fault(), Fault::Auth | Fault::Config | Fault::Host)
}
