//! One attempt of a job: its open streams side by side, each until it is done, waits,
//! fails or is told to stop. Nothing waits here for a time to come, so that whoever
//! runs attempts decides who keeps what meanwhile.

use crate::error::Error;
use crate::stream::{self, StreamSpec, SyncContext};
use std::collections::BTreeMap;
use tidegate_domain::id::StreamName;
use tidegate_domain::job::{Event, Job, StreamOutcome};
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
        }
    }

    /// What the job is told of it.
    pub(crate) fn event(&self, name: &StreamName) -> Event {
        Event::Stream {
            name: name.clone(),
            outcome: self.outcome.clone(),
            progressed: self.landed.slots > 0,
        }
    }

    /// Adds what a later attempt came to.
    pub(crate) fn add(&mut self, later: StreamReport) {
        self.outcome = later.outcome;
        self.generation = self.generation.max(later.generation);
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
    let catalog = match catalog(context, &open).await {
        Ok(catalog) => catalog,
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
        match found.and_then(|spec| Ok((spec, find(&catalog, spec)?))) {
            Err(error) => {
                reports.insert(name.clone(), StreamReport::of(error.outcome()));
            }
            Ok((spec, info)) => {
                let (context, spec) = (context.clone(), spec.clone());
                let span = tracing::info_span!("stream", stream.name = %spec.name);
                let run = async move {
                    let name = spec.name.clone();
                    (name, stream::run(context, spec, info).await)
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

async fn catalog(context: &SyncContext, open: &[&StreamName]) -> Result<Vec<StreamInfo>, Error> {
    let Some(first) = open.first() else {
        return Ok(Vec::new());
    };
    let found = context.source.discover(&context.stop).await;
    let (catalog, usage) = found.map_err(|source| Error::Connector {
        operation: "discover",
        stream: (*first).clone(),
        source: Box::new(source),
    })?;
    context.progress.add_call(&usage);
    Ok(catalog)
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

fn find(catalog: &[StreamInfo], spec: &StreamSpec) -> Result<StreamInfo, Error> {
    let names = || {
        catalog
            .iter()
            .map(|info| info.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let info = catalog
        .iter()
        .find(|info| info.name == spec.name.as_str())
        .ok_or_else(|| Error::NoSuchStream {
            stream: spec.name.clone(),
            known: names(),
        })?;
    if !info.modes.contains(&spec.mode) {
        return Err(Error::Mode {
            stream: spec.name.clone(),
            offered: format!("{:?}", info.modes),
        });
    }
    Ok(info.clone())
}
