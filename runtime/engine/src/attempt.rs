//! One attempt of a job: its open streams side by side, each until it is done, waits,
//! fails or is told to stop. Nothing waits here for a time to come, so that whoever
//! runs attempts decides who keeps what meanwhile.

use crate::discovery::{self, Known};
use crate::error::Error;
use crate::stream::{self, StreamSpec, SyncContext};
use std::collections::BTreeMap;
use tidegate_domain::catalog::Catalog;
use tidegate_domain::id::StreamName;
use tidegate_domain::job::{Event, Job, StreamOutcome, Warning};
use tidegate_landing::writer::Landed;
use tidegate_sandbox::StreamInfo;
use tokio::task::JoinSet;
use tracing::Instrument as _;

/// What one stream came to in an attempt, or in all attempts of a job.
#[derive(Clone, Debug)]
pub struct StreamReport {
    /// Its last outcome.
    pub outcome: StreamOutcome,
    /// What it landed.
    pub landed: Landed,
    /// The generation that it landed in; 0 where it was not read.
    pub generation: u64,
    /// What a person should know of it.
    pub warnings: Vec<Warning>,
}

impl Default for StreamReport {
    fn default() -> StreamReport {
        StreamReport::of(StreamOutcome::Running)
    }
}

impl StreamReport {
    pub(crate) fn of(outcome: StreamOutcome) -> StreamReport {
        StreamReport {
            outcome,
            landed: Landed::default(),
            generation: 0,
            warnings: Vec::new(),
        }
    }

    /// What the job is told of it.
    pub(crate) fn events(&self, name: &StreamName) -> [Event; 2] {
        let outcome = Event::Stream {
            name: name.clone(),
            outcome: self.outcome.clone(),
            progressed: self.landed.slots > 0,
        };
        let warned = Event::Warned {
            name: name.clone(),
            warnings: self.warnings.clone(),
        };
        [outcome, warned]
    }

    /// Adds what a later attempt came to.
    pub(crate) fn add(&mut self, later: StreamReport) {
        self.outcome = later.outcome;
        self.generation = self.generation.max(later.generation);
        self.warnings.extend(later.warnings);
        self.landed.rows += later.landed.rows;
        self.landed.rejected += later.landed.rejected;
        self.landed.objects += later.landed.objects;
        self.landed.bytes += later.landed.bytes;
        self.landed.slots += later.landed.slots;
    }
}

/// Runs the streams of `job` that are open. Failures are outcomes; the job itself is
/// left as it is: what follows from the outcomes is its own to say.
pub async fn attempt(
    context: &SyncContext,
    job: &Job,
    specs: &[StreamSpec],
) -> BTreeMap<StreamName, StreamReport> {
    let open: Vec<&StreamName> = job
        .streams
        .iter()
        .filter(|(_, outcome)| **outcome == StreamOutcome::Running)
        .map(|(name, _)| name)
        .collect();
    let Some(first) = open.first() else {
        return BTreeMap::new();
    };
    let known = match catalog(context, first, &open, specs).await {
        Ok(known) => known,
        Err(error) => {
            let report = StreamReport::of(without_catalog(context, &error));
            return open
                .into_iter()
                .map(|name| (name.clone(), report.clone()))
                .collect();
        }
    };
    let mut reports = BTreeMap::new();
    let mut running = JoinSet::new();
    for name in open {
        let found = specs.iter().find(|spec| spec.name == *name);
        let found = found.ok_or_else(|| Error::RemovedStream {
            stream: name.clone(),
        });
        match found.and_then(|spec| Ok((spec, find(&known.catalog, spec)?))) {
            Err(error) => {
                reports.insert(name.clone(), StreamReport::of(error.outcome()));
            }
            Ok((spec, info)) => {
                let (context, spec, known) = (context.clone(), spec.clone(), known.clone());
                let span = tracing::info_span!("stream", stream.name = %spec.name);
                let run = async move {
                    let name = spec.name.clone();
                    (name, stream::run(context, spec, info, known).await)
                };
                running.spawn(run.instrument(span));
            }
        }
    }
    while let Some(joined) = running.join_next().await {
        let (name, report) = joined.expect("running does not panic, and nothing aborts it");
        reports.insert(name, report);
    }
    reports
}

/// The catalog; what the last discovery did not find is looked for once more.
async fn catalog(
    context: &SyncContext,
    first: &StreamName,
    open: &[&StreamName],
    specs: &[StreamSpec],
) -> Result<Known, Error> {
    let looked = async {
        let known = discovery::current(context).await?;
        let wanted = specs.iter().filter(|spec| open.contains(&&spec.name));
        let mut wanted = wanted.map(|spec| find(&known.catalog, spec));
        if wanted.all(|found| found.is_ok()) {
            return Ok(known);
        }
        discovery::newer(context, &known).await
    };
    looked.await.map_err(|error| match error {
        Error::Sandbox(source) => Error::Connector {
            operation: "discover",
            stream: first.clone(),
            source,
        },
        error => error,
    })
}

/// A limit whose end is known parks every stream; everything else fails them.
fn without_catalog(context: &SyncContext, error: &Error) -> StreamOutcome {
    if context.stop.is_cancelled() {
        return StreamOutcome::Stopped;
    }
    match error.until_ms() {
        Some(until_ms) => StreamOutcome::Parked {
            until_ms: stream::bounded_wait(until_ms),
        },
        None => error.outcome(),
    }
}

fn find(catalog: &Catalog, spec: &StreamSpec) -> Result<StreamInfo, Error> {
    let names = || {
        let names = catalog.streams.iter().map(|stream| stream.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let found = catalog
        .stream(&spec.name)
        .ok_or_else(|| Error::NoSuchStream {
            stream: spec.name.clone(),
            known: names(),
        })?;
    if !found.modes.contains(&spec.mode) {
        return Err(Error::Mode {
            stream: spec.name.clone(),
            offered: format!("{:?}", found.modes),
        });
    }
    Ok(discovery::stream_info(found))
}
