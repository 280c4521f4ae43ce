//! Faults on demand: which request fails, and how.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::generate::mix;

/// What happens to a request instead of, or on top of, its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// This status with an error envelope (5xx), or as an edge answers.
    Status(u16),
    /// The answer comes this many milliseconds late.
    Delay(u64),
    /// `Content-Length` promises everything, this many bytes of a thousand
    /// arrive, and the connection closes.
    Cut(u16),
    /// The API's own answer to too many requests of this kind; seconds in
    /// `Retry-After` if given.
    Throttle {
        /// Value of the `Retry-After` header, which some of the real APIs omit.
        retry_after_s: Option<u32>,
    },
    /// The API's own failure of this name, such as `UNABLE_TO_LOCK_ROW`.
    Problem(String),
    /// The presented access token expires now, early.
    ExpireToken,
    /// A 302 to this address.
    Redirect(String),
    /// Status 200 with a body that is not what was asked for.
    WrongJson(WrongJson),
    /// At most this many records, with paging as if it were a full page.
    ShortPage(usize),
}

/// Ways in which a 200 can lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrongJson {
    /// An HTML page labelled as JSON.
    Html,
    /// The right answer without its last half, properly framed.
    Truncated,
    /// An object without members.
    Empty,
    /// Members of the right names and wrong types, records that lack an id.
    WrongShape,
}

/// Which of the matching requests are hit. Requests count from the rule's
/// installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// Every one.
    Always,
    /// Lets `skip` pass, then hits `take`.
    Ordinal {
        /// Requests that pass first.
        skip: u64,
        /// Requests that are hit then.
        take: u64,
    },
    /// Hits this many of a thousand, decided by the seed and the ordinal.
    Share {
        /// Hits of a thousand requests.
        per_mille: u32,
        /// Same seed, same ordinals.
        seed: u64,
    },
}

/// A fault with the requests it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "P: Deserialize<'de>", serialize = "P: Serialize")
)]
pub struct Rule<P> {
    /// The kind of path; all of them if absent.
    #[serde(default = "none")]
    pub path: Option<P>,
    /// Which of those requests.
    pub when: When,
    /// What happens to them.
    pub fault: Fault,
}

fn none<P>() -> Option<P> {
    None
}

/// The installed rules.
#[derive(Debug)]
pub(crate) struct Faults<P> {
    rules: Mutex<Vec<Installed<P>>>,
}

#[derive(Debug)]
struct Installed<P> {
    rule: Rule<P>,
    seen: u64,
}

impl<P> Default for Faults<P> {
    fn default() -> Faults<P> {
        Faults {
            rules: Mutex::default(),
        }
    }
}

impl<P: Copy + Eq> Faults<P> {
    pub(crate) fn install(&self, rule: Rule<P>) {
        self.lock().push(Installed { rule, seen: 0 });
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn rules(&self) -> Vec<Rule<P>> {
        let rules = self.lock();
        rules
            .iter()
            .map(|installed| installed.rule.clone())
            .collect()
    }

    /// The faults that strike a request, in order of installation.
    pub(crate) fn strike(&self, path: P) -> Vec<Fault> {
        let mut rules = self.lock();
        rules
            .iter_mut()
            .filter(|installed| installed.rule.path.is_none_or(|kind| kind == path))
            .filter_map(Installed::strike)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Installed<P>>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> Installed<P> {
    fn strike(&mut self) -> Option<Fault> {
        let ordinal = self.seen;
        self.seen += 1;
        let hit = match self.rule.when {
            When::Always => true,
            When::Ordinal { skip, take } => (skip..skip.saturating_add(take)).contains(&ordinal),
            When::Share { per_mille, seed } => {
                mix(seed ^ mix(ordinal)) % 1000 < u64::from(per_mille)
            }
        };
        hit.then(|| self.rule.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults, Rule, When};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum PathKind {
        List,
        Search,
    }

    fn hits(when: When, requests: usize) -> Vec<usize> {
        let faults = Faults::default();
        faults.install(Rule {
            path: Some(PathKind::List),
            when,
            fault: Fault::Status(503),
        });
        assert!(faults.strike(PathKind::Search).is_empty());
        (0..requests)
            .filter(|_| !faults.strike(PathKind::List).is_empty())
            .collect()
    }

    #[test]
    fn ordinals_hit_exactly_the_named_requests() {
        assert_eq!(hits(When::Ordinal { skip: 2, take: 3 }, 10), [2, 3, 4]);
    }

    #[test]
    fn shares_are_repeatable_and_about_right() {
        let share = When::Share {
            per_mille: 100,
            seed: 9,
        };
        let first = hits(share, 10_000);
        assert_eq!(first, hits(share, 10_000));
        assert!((800..1_200).contains(&first.len()), "{}", first.len());
    }
}
