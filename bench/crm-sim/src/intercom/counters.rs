//! What the simulator saw, counted on its own account.

use serde::{Deserialize, Serialize};

use crate::meter::Tally;

/// The sort of path that a request asked for; faults select by it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// The OAuth consent page.
    Authorize,
    /// The token endpoint.
    Token,
    /// A page of a list.
    List,
    /// A page of the companies' scroll.
    Scroll,
    /// One record.
    Read,
    /// A page of a search.
    Search,
    /// A write.
    Write,
    /// Teammates, teams, tags, segments, attributes, the workspace.
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
    /// Most requests of one app that arrived within one of the API's own ten-second
    /// windows, refused ones included.
    pub ten_second_max: u64,
    /// Requests that arrived in a window after the first refusal in it, longer after
    /// than a request may have been under way.
    pub after_refusal: u64,
    /// Scrolls that were opened.
    pub scrolls_opened: u64,
    /// Scrolls that were refused because another was open.
    pub scrolls_refused: u64,
}
