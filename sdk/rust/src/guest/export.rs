//! The contract's exports, for any author's type.

use std::marker::PhantomData;

use super::bindings::exports::tidegate::connector::{manifest, source};
use super::bindings::tidegate::connector::types;
use super::platform::Platform;
use crate::{Failure, Host, Outcome, Partition, PartitionEnd, Plan, Read, Source, json};

/// The host of every call. A connector is handed it; only a test of the host
/// itself may take it where none is handed.
pub const HOST: Host = Host { inner: Platform };

/// A component whose only interface beside the manifest is `source`.
pub struct SourceComponent<S>(PhantomData<S>);

impl<S: Source> manifest::Guest for SourceComponent<S> {
    fn describe() -> manifest::Spec {
        S::manifest().into()
    }
}

impl<S: Source> source::Guest for SourceComponent<S> {
    fn check(config: String) -> Result<(), types::Failure> {
        Ok(S::check(&HOST, &json::config(&config)?)?)
    }

    fn discover(config: String) -> Result<Vec<source::StreamInfo>, types::Failure> {
        let streams = S::discover(&HOST, &json::config(&config)?)?;
        Ok(streams.into_iter().map(Into::into).collect())
    }

    fn plan(request: source::PlanRequest) -> Result<Vec<source::Partition>, types::Failure> {
        let plan = Plan::<S> {
            config: json::config(&request.config)?,
            stream: request.stream_name,
            mode: request.mode.into(),
            window: request.window.map(Into::into),
            partitions_max: request.max_partitions,
            previous: request
                .previous
                .into_iter()
                .map(ended)
                .collect::<Result<_, _>>()?,
        };
        Ok(cut(S::plan(&HOST, plan)?)?)
    }

    fn read(request: source::ReadRequest) -> Result<source::Outcome, types::Failure> {
        let read = Read::<S> {
            config: json::config(&request.config)?,
            stream: request.stream_name,
            mode: request.mode.into(),
            partition: Partition {
                id: request.partition.id,
                slice: json::saved(&request.partition.descriptor)?,
                window: request.partition.window.map(Into::into),
                estimated_records: request.partition.estimated_records,
            },
            cursor: request.state.as_deref().map(json::saved).transpose()?,
            fields: request.fields,
        };
        Ok(match S::read(&HOST, read)? {
            Outcome::Done(cursor) => source::Outcome::Done(json::write(&cursor)?),
            Outcome::More => source::Outcome::More,
            Outcome::WaitUntil(at_ms) => source::Outcome::WaitUntil(at_ms),
            Outcome::Split(partitions) => source::Outcome::Split(cut(partitions)?),
        })
    }
}

fn ended<S: Source>(end: source::PartitionEnd) -> Result<PartitionEnd<S>, Failure> {
    Ok(PartitionEnd {
        id: end.id,
        slice: json::saved(&end.descriptor)?,
        cursor: json::saved(&end.state)?,
    })
}

fn cut<T: serde::Serialize>(
    partitions: Vec<Partition<T>>,
) -> Result<Vec<source::Partition>, Failure> {
    partitions
        .into_iter()
        .map(|partition| {
            Ok(source::Partition {
                id: partition.id,
                descriptor: json::write(&partition.slice)?,
                window: partition.window.map(Into::into),
                estimated_records: partition.estimated_records,
            })
        })
        .collect()
}
