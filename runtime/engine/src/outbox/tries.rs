//! When a delivery is tried again, and when no more.

use std::time::Duration;
use tidegate_domain::backoff::Backoff;

/// Between two tries of one delivery.
pub(super) const BETWEEN: Backoff = Backoff {
    first_ms: 5_000,
    ceiling_ms: 60 * 60 * 1_000,
};
/// How long a subscriber that fails is sent nothing: at the most a minute, so that one
/// event that it cannot take does not hold up the others for long.
pub(super) const REST: Backoff = Backoff {
    first_ms: 1_000,
    ceiling_ms: 60_000,
};
/// After this long a failure counts as the first again.
pub(super) const FORGET: Duration = Duration::from_secs(10 * 60);
/// How long a delivery is tried, in milliseconds.
pub(super) const PATIENCE_MS: u64 = 24 * 60 * 60 * 1_000;

/// The time of the next try after `failures` of them; none where the delivery is given
/// up. The last is at the end of its time.
pub(super) fn next_at_ms(failures: u32, since_ms: u64, now_ms: u64, random: u64) -> Option<u64> {
    let end_ms = since_ms.saturating_add(PATIENCE_MS);
    let at_ms = now_ms.saturating_add(BETWEEN.wait_ms(failures, random));
    (now_ms < end_ms).then(|| at_ms.min(end_ms))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Follows a subscriber that never answers, in steps of its own time.
    fn tries(random: u64) -> (u32, u64) {
        let (since_ms, mut now_ms, mut failures) = (1_000, 1_000, 0);
        loop {
            failures += 1;
            match next_at_ms(failures, since_ms, now_ms, random) {
                Some(at_ms) => now_ms = at_ms,
                None => return (failures, now_ms - since_ms),
            }
        }
    }

    #[test]
    fn a_dead_subscriber_is_tried_for_a_day_and_then_no_more() {
        for (random, at_least, at_most) in [(u64::MAX, 30, 40), (u64::MAX / 2, 50, 70)] {
            let (failures, after_ms) = tries(random);
            assert!((at_least..=at_most).contains(&failures), "{failures}");
            assert_eq!(after_ms, PATIENCE_MS);
        }
    }

    #[test]
    fn waits_grow_to_an_hour_and_are_spread() {
        let wait = |failures, random| next_at_ms(failures, 0, 0, random).unwrap();
        assert_eq!(wait(1, u64::MAX), 5_000);
        assert_eq!(wait(3, u64::MAX), 20_000);
        assert_eq!(wait(30, u64::MAX), BETWEEN.ceiling_ms);
        assert_eq!(wait(30, 0), 0);
    }
}
