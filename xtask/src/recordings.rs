//! Recorded traffic of the real APIs, replayed against the simulators that the tests
//! built. Only the environment knows where recordings lie.

use crate::project::{Project, run};
use crate::python::Python;
use anyhow::Context as _;

/// Names a directory of `<api>.jsonl.gz`.
const RECORDINGS: &str = "TIDEGATE_TEST_RECORDINGS";

/// Replays every recording, and fails at a difference that nobody has explained.
pub(crate) fn replay(project: &Project, python: &Python) -> anyhow::Result<()> {
    let Some(recordings) = std::env::var_os(RECORDINGS) else {
        eprintln!("skipped: {RECORDINGS} names no directory of recordings");
        return Ok(());
    };
    // Beside this very binary, wherever the caller put the target directory.
    let own = std::env::current_exe()?;
    let binaries = own.parent().context("a binary lies in a directory")?;
    run(project
        .command(python.interpreter())
        .arg("bench/replay_recordings.py")
        .arg(recordings)
        .arg(binaries.join("crm-sim"))
        .args(["--page", "target/fidelity.md"]))
}
