//! When an open batch is sealed: one pure decision.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The bounds of a batch; whichever is met first seals it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchPolicy {
    /// Encoded bytes of all its files.
    pub bytes_max: u64,
    /// Rows of all its files.
    pub rows_max: u64,
    /// Milliseconds since its first row or step.
    pub age_max_ms: u64,
}

impl Default for BatchPolicy {
    fn default() -> Self {
        BatchPolicy {
            bytes_max: 128 << 20,
            rows_max: 1_000_000,
            age_max_ms: 60_000,
        }
    }
}

/// What is known of the open batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenBatch {
    /// Encoded bytes so far.
    pub bytes: u64,
    /// Rows so far.
    pub rows: u64,
    /// Milliseconds since its first row or step; none while it is empty.
    pub age_ms: Option<u64>,
}

/// What to do with the open batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is in it.
    Idle,
    /// Go on, and ask again after this many milliseconds at the latest.
    Fill {
        /// Milliseconds until its age alone seals it.
        remaining_ms: u64,
    },
    /// Seal it now.
    Seal,
}

impl BatchPolicy {
    /// The same, but sealed at this age (milliseconds) at the latest.
    #[must_use]
    pub fn at_most(self, age_max_ms: u64) -> BatchPolicy {
        BatchPolicy {
            age_max_ms: self.age_max_ms.min(age_max_ms),
            ..self
        }
    }

    /// Whether the open batch is full.
    pub fn decide(&self, open: OpenBatch) -> Decision {
        let Some(age_ms) = open.age_ms else {
            return Decision::Idle;
        };
        let full = open.bytes >= self.bytes_max || open.rows >= self.rows_max;
        match self.age_max_ms.checked_sub(age_ms) {
            Some(remaining_ms) if remaining_ms > 0 && !full => Decision::Fill { remaining_ms },
            _ => Decision::Seal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_read_is_sealed_sooner_and_never_later() {
        let policy = BatchPolicy::default();
        assert_eq!(policy.at_most(15_000).age_max_ms, 15_000);
        assert_eq!(policy.at_most(15_000).rows_max, policy.rows_max);
        assert_eq!(policy.at_most(90_000).age_max_ms, 60_000);
    }

    #[test]
    fn a_batch_is_sealed_by_whichever_bound_it_meets_first() {
        let policy = BatchPolicy {
            bytes_max: 100,
            rows_max: 10,
            age_max_ms: 1_000,
        };
        let rows: &[(&str, u64, u64, Option<u64>, Decision)] = &[
            ("empty", 0, 0, None, Decision::Idle),
            (
                "young and small",
                99,
                9,
                Some(1),
                Decision::Fill { remaining_ms: 999 },
            ),
            (
                "cursor only",
                0,
                0,
                Some(999),
                Decision::Fill { remaining_ms: 1 },
            ),
            ("too many bytes", 100, 1, Some(0), Decision::Seal),
            ("too many rows", 1, 10, Some(0), Decision::Seal),
            ("too old", 1, 1, Some(1_000), Decision::Seal),
            ("clock ran far", 1, 1, Some(u64::MAX), Decision::Seal),
        ];
        for (name, bytes, rows, age_ms, expected) in rows {
            let open = OpenBatch {
                bytes: *bytes,
                rows: *rows,
                age_ms: *age_ms,
            };
            assert_eq!(policy.decide(open), *expected, "{name}");
        }
    }
}
