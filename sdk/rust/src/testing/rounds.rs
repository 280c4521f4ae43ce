//! Whole runs of a stream, as an engine does them, and what they leave behind.

use std::{cmp::Ordering, collections::BTreeMap, collections::VecDeque};

use serde_json::Value;

use super::{Emitted, Job, MemoryHost, order};
use crate::{Change, CursorOrder, Failure, Outcome, Partition, PartitionEnd, Plan, Source};

/// Partitions that a run is planned for.
const PARTITIONS_MAX: u32 = 4;

impl MemoryHost {
    /// One run of a stream: plans it after the ends of the last run, and reads every
    /// partition and what it splits into. A wait passes at once. Returns the ends that
    /// seed the next run.
    ///
    /// # Errors
    /// What planning or reading fails with; [`Failure::Fatal`] where two partitions
    /// have one id.
    pub fn sync<S: Source>(
        &self,
        job: &Job,
        previous: Vec<PartitionEnd<S>>,
    ) -> Result<Vec<PartitionEnd<S>>, Failure> {
        let plan = Plan::<S> {
            config: serde_json::from_value(job.config.clone())?,
            stream: job.stream.clone(),
            mode: job.mode,
            window: None,
            partitions_max: PARTITIONS_MAX,
            previous,
        };
        let mut open: VecDeque<Partition<S::Slice>> = S::plan(&self.host(), plan)?.into();
        let mut ends: Vec<PartitionEnd<S>> = Vec::new();
        while let Some(partition) = open.pop_front() {
            if ends.iter().any(|end| end.id == partition.id) {
                let text = format!("two partitions are called {}", partition.id);
                return Err(Failure::Fatal(text));
            }
            match self.to_the_end::<S>(job, &partition)? {
                Outcome::Split(parts) => open.extend(parts),
                Outcome::Done(cursor) => ends.push(PartitionEnd {
                    id: partition.id,
                    slice: partition.slice,
                    cursor,
                }),
                Outcome::More | Outcome::WaitUntil(_) => unreachable!("these were gone on with"),
            }
        }
        Ok(ends)
    }

    fn to_the_end<S: Source>(
        &self,
        job: &Job,
        partition: &Partition<S::Slice>,
    ) -> Result<Outcome<S>, Failure> {
        let before = self.saves().len();
        let mut job = Job {
            since: partition.window.map(|window| window.since),
            ..job.clone()
        };
        loop {
            match self.run::<S>(&job, &partition.slice)? {
                Outcome::WaitUntil(at_ms) => {
                    self.set_clock(at_ms);
                    if self.saves().len() > before {
                        job.state = self.saves().pop();
                    }
                }
                outcome => return Ok(outcome),
            }
        }
    }

    /// What a reader of everything that was emitted sees: the newest record of each
    /// key, by version and then by arrival, without those that are deleted.
    #[must_use]
    pub fn landed(&self) -> BTreeMap<String, Value> {
        let mut newest: BTreeMap<String, Emitted> = BTreeMap::new();
        for emitted in self.emitted() {
            let known = newest.get(&emitted.key);
            if known.is_none_or(|known| !is_newer(known, &emitted)) {
                newest.insert(emitted.key.clone(), emitted);
            }
        }
        newest
            .into_iter()
            .filter(|(_, emitted)| emitted.change != Change::Delete)
            .map(|(key, emitted)| (key, emitted.record))
            .collect()
    }
}

/// Numbers before moments before text, as the views over what landed order versions.
fn is_newer(one: &Emitted, other: &Emitted) -> bool {
    let number = |text: &str| text.parse::<f64>().is_ok();
    match (&one.cursor, &other.cursor) {
        (Some(one), Some(other)) => match (number(one), number(other)) {
            (true, false) => true,
            (false, true) => false,
            (true, true) => order::compare(one, other, CursorOrder::Number) == Ordering::Greater,
            (false, false) => {
                order::compare(one, other, CursorOrder::Timestamp) == Ordering::Greater
            }
        },
        (one, other) => one.is_some() && other.is_none(),
    }
}
