//! Crash points: always compiled in, armed by the environment, so that what is
//! tested is what ships.
//!
//! `TIDEGATE_CRASH=S3.after:2` kills the process (SIGKILL, nothing unwinds) the
//! second time it comes by the point `S3.after`. The points are listed in
//! [`tidegate_domain::crash`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate_domain::crash::{POINTS, REFRESH_POINTS};

struct Armed {
    point: String,
    passes_left: AtomicU32,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    ARMED
        .get_or_init(|| {
            let value = std::env::var("TIDEGATE_CRASH").ok()?;
            let (point, nth) = value.split_once(':').unwrap_or((&value, "1"));
            let passes_left = AtomicU32::new(nth.parse().ok()?);
            Some(Armed {
                point: point.to_owned(),
                passes_left,
            })
        })
        .as_ref()
}

/// Dies here if the environment says so.
pub fn point(name: &str) {
    debug_assert!(
        POINTS.contains(&name) || REFRESH_POINTS.contains(&name),
        "{name} is not listed"
    );
    let Some(armed) = armed().filter(|armed| armed.point == name) else {
        return;
    };
    if armed.passes_left.fetch_sub(1, Ordering::SeqCst) == 1 {
        let own = rustix::process::getpid();
        let killed = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        killed.expect("a process may signal itself");
        loop {
            std::thread::park(); // the signal is on its way
        }
    }
}
