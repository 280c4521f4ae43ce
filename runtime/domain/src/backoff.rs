//! How long to wait before another try: exponential, capped, with full jitter, so
//! that callers who failed together do not come back together.

/// The shape of a back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first wait in milliseconds; it doubles with each try.
    pub first_ms: u64,
    /// The ceiling of every wait in milliseconds.
    pub ceiling_ms: u64,
}

impl Backoff {
    /// Milliseconds to wait after `failures` failures (1 after the first).
    /// `random` is any value, drawn evenly.
    pub fn wait_ms(self, failures: u32, random: u64) -> u64 {
        let ceiling = self.ceiling_after(failures);
        let scaled = (u128::from(random) * (u128::from(ceiling) + 1)) >> 64;
        u64::try_from(scaled).unwrap_or(ceiling)
    }

    /// The most that [`Backoff::wait_ms`] gives.
    pub fn ceiling_after(self, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(63);
        self.first_ms
            .saturating_mul(1 << doublings)
            .min(self.ceiling_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first_ms: 200,
        ceiling_ms: 30_000,
    };

    #[test]
    fn the_wait_spreads_evenly_below_a_ceiling_that_doubles() {
        assert_eq!(BACKOFF.wait_ms(1, 0), 0);
        assert_eq!(BACKOFF.wait_ms(1, u64::MAX), 200);
        assert_eq!(BACKOFF.wait_ms(1, u64::MAX / 2), 100);
        assert_eq!(BACKOFF.wait_ms(3, u64::MAX), 800);
    }

    #[test]
    fn no_number_of_failures_overflows() {
        for failures in [0, 1, 9, 64, 65, u32::MAX] {
            assert!(BACKOFF.wait_ms(failures, u64::MAX) <= BACKOFF.ceiling_ms);
        }
        assert_eq!(BACKOFF.wait_ms(u32::MAX, u64::MAX), BACKOFF.ceiling_ms);
    }
}
