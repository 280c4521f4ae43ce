//! What the simulator saw, counted on its own account.

use serde::{Deserialize, Serialize};

use crate::meter::Tally;

/// The sort of path that a request asked for; faults select by it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// A page of records.
    List,
    /// One lead, by its id, address, phone number or a word.
    Read,
    /// A write of one record.
    Write,
    /// A write of many.
    Bulk,
    /// A deletion, which is a GET.
    Delete,
    /// Fields, activity types, opportunity types, users.
    Catalog,
    /// Anything that does not exist.
    Unknown,
}

/// The counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// What every API counts.
    #[serde(flatten)]
    pub tally: Tally<PathKind>,
    /// Most calls that arrived within any five seconds, refused ones included.
    pub five_second_max: u64,
    /// Most bulk calls that arrived within any five seconds, refused ones included.
    pub bulk_five_second_max: u64,
    /// Calls let through today.
    pub today: u64,
}
