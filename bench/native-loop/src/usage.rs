//! What this process has cost so far, by the kernel's account.

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

/// User and system time of all threads.
pub fn cpu_seconds() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

/// A clock's time in seconds.
pub fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The kernel's own high-water mark. `ru_maxrss` would not do: it keeps that of the
/// process which started this one.
///
/// # Errors
/// Where the kernel does not tell.
pub fn peak_rss_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.context("the kernel names no VmHWM")?;
    let kib: u64 = peak.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(kib << 10)
}
