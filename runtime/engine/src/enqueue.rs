//! From "run this sync" to a job for the queue. Whoever triggers one (the API, a
//! schedule, the end of another job) makes it here, and commits it with its own
//! change.

use crate::documents;
use crate::error::Error;
use crate::trace;
use tidegate_domain::id::{JobId, StreamName, SyncId, TenantId};
use tidegate_domain::job::{Class, Job, JobRequest, Trigger};
use tidegate_domain::schedule::Schedule;
use tidegate_domain::spec::{StreamSpec, SyncSpec, WhenRunning, WindowSpec};
use tidegate_domain::sync::Mode;
use tidegate_store::clock::now_ms;
use tidegate_store::control::ControlStore;
use tidegate_store::queue::{Enqueue, LIVE_SUFFIX, MAIN_TRACK, NewJob};

/// A new job's id.
pub fn new_job_id() -> JobId {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    let text = format!("job-{}", data_encoding::HEXLOWER.encode(&random));
    JobId::parse(text).expect("hexadecimal digits make an id")
}

/// The job that does `request` for a sync, as its documents say now.
///
/// # Errors
/// [`Error::Setting`] where the documents are missing or do not fit the request.
pub async fn job_for(
    store: &dyn ControlStore,
    tenant: &TenantId,
    sync: &SyncId,
    trigger: Trigger,
    request: JobRequest,
) -> Result<Enqueue, Error> {
    let spec = documents::sync(store, tenant, sync).await?;
    let connection = documents::connection(store, tenant, &spec.connection).await?;
    let connector = documents::digest(&spec.connection, &connection)?;
    let (request, track, class, streams) = shape(&spec, request)?;
    let mut job = Job::new(streams);
    let is_live = matches!(request, JobRequest::Live { .. });
    job.live = is_live;
    job.trace = trace::current();
    Ok(Enqueue {
        job: NewJob {
            id: new_job_id(),
            sync: sync.clone(),
            track,
            connection: spec.connection.clone(),
            connector,
            class,
            trigger,
            request,
            job,
        },
        // A second live job would wait for an end that does not come.
        attach: spec.when_running == WhenRunning::Attach || is_live,
    })
}

type Shape = (JobRequest, String, Class, Vec<StreamName>);

/// What the request comes to: with its open ends fixed, on which track, how urgent,
/// over which streams.
fn shape(spec: &SyncSpec, request: JobRequest) -> Result<Shape, Error> {
    let all = || spec.streams.iter().map(|stream| stream.name.clone());
    let main = MAIN_TRACK.to_owned();
    Ok(match request {
        JobRequest::Sync => (request, main, spec.class, all().collect()),
        JobRequest::Resync { mut streams } => {
            for stream in &streams {
                stream_of(spec, stream)?;
            }
            if streams.is_empty() {
                streams = all().collect();
            }
            let request = JobRequest::Resync {
                streams: streams.clone(),
            };
            (request, main, Class::History, streams)
        }
        JobRequest::Backfill { stream, window } => {
            stream_of(spec, &stream)?;
            let window = fixed(window)?;
            let track = log_of_backfill(&stream, window)?.to_string();
            let streams = vec![stream.clone()];
            let request = JobRequest::Backfill { stream, window };
            (request, track, Class::History, streams)
        }
        JobRequest::Live { stream } => {
            if stream_of(spec, &stream)?.mode != Mode::Live {
                return Err(Error::setting(
                    format!("stream {stream}"),
                    "is not of mode live; set its mode first",
                ));
            }
            let track = log_of_live(&stream)?.to_string();
            let streams = vec![stream.clone()];
            (JobRequest::Live { stream }, track, Class::Live, streams)
        }
    })
}

fn stream_of<'a>(spec: &'a SyncSpec, name: &StreamName) -> Result<&'a StreamSpec, Error> {
    let found = spec.streams.iter().find(|stream| stream.name == *name);
    found.ok_or_else(|| Error::NoSuchStream {
        stream: name.clone(),
        known: spec
            .streams
            .iter()
            .map(|stream| stream.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// The window with an end: every attempt must mean the same span.
fn fixed(window: WindowSpec) -> Result<WindowSpec, Error> {
    let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    let now = jiff::Timestamp::from_millisecond(now).unwrap_or(jiff::Timestamp::MAX);
    let until = window.until.map_or(now, |until| until.min(now));
    if window.since.as_millisecond() < 0 || window.since >= until {
        return Err(Error::setting(
            "window",
            "since must be before until, not before 1970 and not in the future",
        ));
    }
    Ok(WindowSpec {
        since: window.since,
        until: Some(until),
    })
}

/// The log that a backfill lands in: one for each span, beside the stream's own, so
/// that neither moves the other's cursors (`contacts.backfill-1704067200000-1706745600000`).
pub(crate) fn log_of_backfill(
    stream: &StreamName,
    window: WindowSpec,
) -> Result<StreamName, Error> {
    let since = window.since.as_millisecond();
    let until = window
        .until
        .map_or(i64::MAX, jiff::Timestamp::as_millisecond);
    let name = format!("{stream}.backfill-{since}-{until}");
    StreamName::parse(name).map_err(|_| {
        Error::setting(
            "stream",
            "its name is too long for a backfill, which adds to it",
        )
    })
}

/// The log that a live read lands in, beside the stream's own, so that neither waits
/// for the other (`Account.live`). It is the name of its track, too.
pub(crate) fn log_of_live(stream: &StreamName) -> Result<StreamName, Error> {
    StreamName::parse(format!("{stream}{LIVE_SUFFIX}")).map_err(|_| {
        Error::setting(
            "stream",
            "its name is too long for a live read, which adds to it",
        )
    })
}

/// When the clock first makes a job of this schedule, in milliseconds since the epoch:
/// what [`Write::SetSchedule`](tidegate_store::control::Write::SetSchedule) takes with
/// a new or changed sync. None where only people or other jobs start it.
pub fn first_at_ms(
    schedule: Option<&Schedule>,
    tenant: &TenantId,
    sync: &SyncId,
    now_ms: u64,
) -> Option<u64> {
    schedule?.next_after(now_ms, spread(tenant, sync))
}

/// Spreads the syncs of one pace over it; the same for one sync on every node and in
/// every release (FNV-1a).
pub(crate) fn spread(tenant: &TenantId, sync: &SyncId) -> u64 {
    let bytes = tenant
        .as_str()
        .bytes()
        .chain([b'/'])
        .chain(sync.as_str().bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
