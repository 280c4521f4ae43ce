//! Reading one partition to its end: one fresh instance per call, and a checkpoint
//! between any two of them.

use crate::error::Error;
use crate::progress::{Counters, PartitionOutcome};
use crate::sink::PartitionSink;
use crate::stream::{StreamSpec, SyncContext, bounded_wait};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tidegate_domain::stream::PartitionState;
use tidegate_landing::partition::PartitionWriter;
use tidegate_landing::writer::WriterHandle;
use tidegate_sandbox::{ReadOutcome, ReadRequest, StreamInfo};
use tidegate_store::clock::now_ms;

/// How often a guest may give its slot back without having saved anything new.
const FRUITLESS_MORE_MAX: u32 = 3;

/// What every partition of one stream's run shares.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) sync: SyncContext,
    pub(crate) spec: StreamSpec,
    pub(crate) info: StreamInfo,
    pub(crate) writer: WriterHandle,
    pub(crate) counters: Arc<Counters>,
}

/// How a partition's reading ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Read to its end, or replaced by smaller ones.
    Finished,
    /// Waits for a time, in milliseconds since the epoch; holds no instance.
    Parked(u64),
    /// Stopped on request.
    Stopped,
}

impl Reading {
    /// Reads until the partition ends, waits, fails or is told to stop.
    pub(crate) async fn read(self, partition: PartitionState) -> Result<Ended, Error> {
        let stream = &self.counters;
        let (id, started_at_ms) = (partition.planned.id.clone(), now_ms());
        let counters = Arc::new(Counters::of_partition(stream));
        stream.partitions_running.fetch_add(1, Ordering::Relaxed);
        let ended = self.read_calls(partition, &counters).await;
        stream.partitions_running.fetch_sub(1, Ordering::Relaxed);
        if matches!(ended, Ok(Ended::Finished)) {
            stream.partitions_ended.fetch_add(1, Ordering::Relaxed);
        }
        stream.partition_ended(id, &counters, outcome(&ended), started_at_ms);
        ended
    }

    async fn read_calls(
        &self,
        mut partition: PartitionState,
        counters: &Arc<Counters>,
    ) -> Result<Ended, Error> {
        let mut fruitless = 0;
        loop {
            if self.sync.stop.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            let (outcome, mut sink) = self.call(&partition, counters).await;
            let writer = sink.writer();
            // Where the partition stands is known once its last save is in the batch.
            let settled = writer.settle().await;
            let outcome = match outcome {
                // A call that was cut short by a stop has saved what it could.
                Err(_) if self.sync.stop.is_cancelled() => return Ok(Ended::Stopped),
                Err(error) => return self.parked_by(error),
                Ok(outcome) => outcome,
            };
            settled.map_err(|error| self.landing(error))?;
            match outcome {
                ReadOutcome::Done { state } => {
                    writer
                        .finish(state)
                        .await
                        .map_err(|error| self.landing(error))?;
                    return Ok(Ended::Finished);
                }
                ReadOutcome::Split(children) => {
                    writer
                        .split(children)
                        .await
                        .map_err(|error| self.landing(error))?;
                    return Ok(Ended::Finished);
                }
                ReadOutcome::WaitUntil(until_ms) => {
                    return Ok(Ended::Parked(bounded_wait(until_ms)));
                }
                ReadOutcome::More => {}
            }
            let state = self.writer.state();
            let current = state.partitions.get(&partition.planned.id);
            let moved = current.is_some_and(|current| current.state != partition.state);
            fruitless = if moved { 0 } else { fruitless + 1 };
            if fruitless >= FRUITLESS_MORE_MAX {
                return Err(Error::NoProgress {
                    stream: self.spec.name.clone(),
                    partition: partition.planned.id,
                    times: fruitless,
                });
            }
            if let Some(current) = current {
                partition = current.clone();
            }
        }
    }

    async fn call(
        &self,
        partition: &PartitionState,
        counters: &Arc<Counters>,
    ) -> (
        Result<ReadOutcome, tidegate_sandbox::Error>,
        Box<PartitionSink>,
    ) {
        let writer = PartitionWriter::new(
            self.writer.clone(),
            partition.planned.id.clone(),
            self.sync.spool_dir.clone(),
        );
        let (stop, lag) = (self.sync.stop.clone(), self.sync.lag.clone());
        let sink = PartitionSink::new(writer, stop, Arc::clone(counters), lag);
        let id = partition.planned.id.as_str();
        let context = self.sync.call(&self.spec.name, Some(id));
        let request = ReadRequest {
            config: self.sync.source.config.clone(),
            stream: self.info.clone(),
            mode: self.spec.mode,
            partition: partition.planned.clone(),
            state: partition.state.clone(),
            fields: self.spec.fields.clone(),
        };
        let report = self
            .sync
            .source
            .connector
            .read(context, Box::new(sink), request)
            .await;
        counters.add_call(&report.usage);
        let sink: Box<dyn Any> = report.sink;
        let sink = sink
            .downcast()
            .expect("the sandbox gives back the sink that it was given");
        (report.outcome, sink)
    }

    /// A limit whose end is known parks the partition; everything else is a fault.
    fn parked_by(&self, error: tidegate_sandbox::Error) -> Result<Ended, Error> {
        match error.until_ms() {
            Some(until_ms) => Ok(Ended::Parked(bounded_wait(until_ms))),
            None => Err(Error::Connector {
                operation: "read",
                stream: self.spec.name.clone(),
                source: Box::new(error),
            }),
        }
    }

    fn landing(&self, source: tidegate_landing::Error) -> Error {
        Error::Landing {
            stream: self.spec.name.clone(),
            source: Box::new(source),
        }
    }
}

fn outcome(ended: &Result<Ended, Error>) -> PartitionOutcome {
    match ended {
        Ok(Ended::Finished) => PartitionOutcome::Finished,
        Ok(Ended::Parked(until_ms)) => PartitionOutcome::Parked {
            until_ms: *until_ms,
        },
        Ok(Ended::Stopped) => PartitionOutcome::Stopped,
        Err(error) => PartitionOutcome::Failed {
            fault: error.fault(),
            reason: error.chain(),
        },
    }
}
