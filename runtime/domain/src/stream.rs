//! The state of a stream, and the only way it changes.
//!
//! A stream's state is the vector of its partitions' states under a generation
//! and a plan. It is a fold: [`StreamState::apply`] takes one [`Change`], and the
//! same function serves the seal (on the staged state), the adoption of a slot
//! (on the published state) and the rebuild of a lost store from the log alone.
//! So the three can never disagree.

use crate::id::PartitionId;
use crate::sync::{Landing, Mode, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Partitions of one plan, those that splits added included: bounds what a connector
/// can make the host keep.
pub const PARTITIONS_MAX: usize = 100_000;

/// A partition as the connector planned it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPartition {
    /// Unique within the plan, and stable.
    pub id: PartitionId,
    /// JSON that only the connector understands.
    pub descriptor: String,
    /// The time window that it covers, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// For progress bars only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_records: Option<u64>,
}

/// How far a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// There is more to read.
    Open,
    /// Read to its end; its state seeds the next plan.
    Done,
    /// Replaced by smaller partitions.
    Split,
}

/// A partition and where reading got to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// What the connector planned.
    #[serde(flatten)]
    pub planned: PlannedPartition,
    /// The last saved cursor: JSON, opaque to the host; none before the first.
    pub state: Option<String>,
    /// How far it is.
    pub progress: Progress,
}

/// The whole state of a stream: what its log adds up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// 0 before the first `begin`.
    pub generation: u64,
    /// How this generation is read and landed; none before the first `begin`.
    pub kind: Option<GenerationKind>,
    /// A full refresh that has read everything.
    pub complete: bool,
    /// The number of the current plan; 0 before the first.
    pub run: u64,
    /// The partitions of the current plan.
    pub partitions: BTreeMap<PartitionId, PartitionState>,
}

/// How a generation is read and landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationKind {
    /// How it is read.
    pub mode: Mode,
    /// How it is landed.
    pub landing: Landing,
}

/// What one batch did to one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The state before the batch.
    pub before: Option<String>,
    /// The state after it.
    pub after: Option<String>,
    /// Whether and how the partition ended in this batch.
    #[serde(default)]
    pub end: End,
}

/// How a partition ended, if it did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It goes on.
    #[default]
    Open,
    /// Read to its end.
    Done,
    /// Replaced by these.
    Split(Vec<PlannedPartition>),
}

/// A cursor that a person sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorEdit {
    /// Where the partition is; the edit was decided on seeing this.
    pub before: Option<String>,
    /// Where it is to go on; none starts it over.
    pub after: Option<String>,
}

/// One entry of a stream's history: what a slot of its log does to its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// Opens a generation: everything is read anew.
    Begin {
        /// One more than the last.
        generation: u64,
        /// How it is read and landed.
        #[serde(flatten)]
        how: GenerationKind,
    },
    /// Replaces the partitions; only when none is open.
    Plan {
        /// One more than the last.
        run: u64,
        /// The new partitions.
        partitions: Vec<PlannedPartition>,
    },
    /// Moves cursors, and with them the rows of the batch's objects.
    Commit {
        /// By partition.
        steps: BTreeMap<PartitionId, Step>,
    },
    /// Sets cursors by hand. A partition that was read to its end stays so: its cursor
    /// seeds the next plan.
    Edit {
        /// By partition.
        edits: BTreeMap<PartitionId, CursorEdit>,
    },
    /// Says that a full refresh has read everything.
    Complete {
        /// The generation that is complete.
        generation: u64,
    },
}

impl Change {
    /// The word in the slot's `kind`.
    pub fn name(&self) -> &'static str {
        match self {
            Change::Begin { .. } => "begin",
            Change::Plan { .. } => "plan",
            Change::Commit { .. } => "commit",
            Change::Edit { .. } => "edit",
            Change::Complete { .. } => "complete",
        }
    }
}

/// Why a change does not follow from a state. In recovery this means that an
/// intent does not chain; at a seal it means that this owner was fenced or that a
/// saved cursor was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// A generation must be one more than the last.
    #[error("generation {found} does not follow {last}")]
    Generation {
        /// The one in the state.
        last: u64,
        /// The one in the change.
        found: u64,
    },
    /// A plan must be one more than the last, in a generation that has begun.
    #[error("plan {found} does not follow {last}")]
    Run {
        /// The one in the state.
        last: u64,
        /// The one in the change.
        found: u64,
    },
    /// A plan came while a partition was open.
    #[error("partition {partition} is still open")]
    StillOpen {
        /// The open one.
        partition: PartitionId,
    },
    /// A stream would have more partitions than a host keeps.
    #[error("a stream may have {max} partitions, splits included")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// Two partitions of one id.
    #[error("partition {partition} is there twice")]
    Twice {
        /// The doubled one.
        partition: PartitionId,
    },
    /// A step of a partition that the plan does not hold, or that has ended.
    #[error("partition {partition} is not open")]
    NotOpen {
        /// The missing one.
        partition: PartitionId,
    },
    /// An edit of a partition that the plan does not hold, or that was split.
    #[error("the plan has no partition {partition} with a cursor")]
    NoCursor {
        /// The missing one.
        partition: PartitionId,
    },
    /// A step or an edit whose `before` is not where the partition is.
    #[error("the cursor of partition {partition} is not where this change starts")]
    Cursor {
        /// The one that differs.
        partition: PartitionId,
    },
}

impl StreamState {
    /// The state after `change`.
    ///
    /// # Errors
    /// [`Break`] where the change does not chain from this state; nothing is
    /// changed then.
    pub fn apply(&self, change: &Change) -> Result<StreamState, Break> {
        let mut next = self.clone();
        match change {
            Change::Begin { generation, how } => {
                if *generation != self.generation + 1 {
                    return Err(Break::Generation {
                        last: self.generation,
                        found: *generation,
                    });
                }
                next = StreamState {
                    generation: *generation,
                    kind: Some(*how),
                    run: self.run,
                    ..StreamState::default()
                };
            }
            Change::Plan { run, partitions } => {
                if self.kind.is_none() || *run != self.run + 1 {
                    return Err(Break::Run {
                        last: self.run,
                        found: *run,
                    });
                }
                if let Some(open) = self.open_partitions().next() {
                    return Err(Break::StillOpen {
                        partition: open.planned.id.clone(),
                    });
                }
                next.run = *run;
                next.partitions.clear();
                next.add(partitions)?;
            }
            Change::Commit { steps } => {
                for (id, step) in steps {
                    next.take(id, step)?;
                }
            }
            Change::Edit { edits } => {
                for (id, edit) in edits {
                    next.set_cursor(id, edit)?;
                }
            }
            Change::Complete { generation } => {
                if *generation != self.generation {
                    return Err(Break::Generation {
                        last: self.generation,
                        found: *generation,
                    });
                }
                if let Some(open) = self.open_partitions().next() {
                    return Err(Break::StillOpen {
                        partition: open.planned.id.clone(),
                    });
                }
                next.complete = true;
            }
        }
        Ok(next)
    }

    /// The partitions that are not read to their end.
    pub fn open_partitions(&self) -> impl Iterator<Item = &PartitionState> {
        self.partitions
            .values()
            .filter(|partition| partition.progress == Progress::Open)
    }

    /// The ends of the current plan's partitions, which seed the next plan.
    pub fn ends(&self) -> impl Iterator<Item = &PartitionState> {
        self.partitions
            .values()
            .filter(|partition| partition.progress == Progress::Done)
    }

    /// Whether this generation had a plan and all of it was read.
    pub fn run_is_over(&self) -> bool {
        !self.partitions.is_empty() && self.open_partitions().next().is_none()
    }

    fn add(&mut self, planned: &[PlannedPartition]) -> Result<(), Break> {
        if self.partitions.len() + planned.len() > PARTITIONS_MAX {
            return Err(Break::TooMany {
                max: PARTITIONS_MAX,
            });
        }
        for partition in planned {
            let state = PartitionState {
                planned: partition.clone(),
                state: None,
                progress: Progress::Open,
            };
            if self
                .partitions
                .insert(partition.id.clone(), state)
                .is_some()
            {
                return Err(Break::Twice {
                    partition: partition.id.clone(),
                });
            }
        }
        Ok(())
    }

    fn set_cursor(&mut self, id: &PartitionId, edit: &CursorEdit) -> Result<(), Break> {
        let found = self.partitions.get_mut(id);
        let partition = found.filter(|partition| partition.progress != Progress::Split);
        let partition = partition.ok_or_else(|| Break::NoCursor {
            partition: id.clone(),
        })?;
        if partition.state != edit.before {
            return Err(Break::Cursor {
                partition: id.clone(),
            });
        }
        partition.state.clone_from(&edit.after);
        Ok(())
    }

    fn take(&mut self, id: &PartitionId, step: &Step) -> Result<(), Break> {
        let partition = self
            .partitions
            .get_mut(id)
            .filter(|partition| partition.progress == Progress::Open)
            .ok_or_else(|| Break::NotOpen {
                partition: id.clone(),
            })?;
        if partition.state != step.before {
            return Err(Break::Cursor {
                partition: id.clone(),
            });
        }
        partition.state.clone_from(&step.after);
        match &step.end {
            End::Open => {}
            End::Done => partition.progress = Progress::Done,
            End::Split(children) => {
                partition.progress = Progress::Split;
                self.add(children)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
