//! The vendors' own clients, unmodified: programs that drive a simulator and end well
//! only if everything is as their vendor's API is.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Runs a script of `tests/` with the Python that `TIDEGATE_TEST_PYTHON` names, where it
/// names one; `cargo ci` does, with the packages of `bench/requirements.txt`.
pub(crate) async fn python(script: &str, arguments: &[&str]) {
    let Some(python) = std::env::var_os("TIDEGATE_TEST_PYTHON") else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(script);
    let mut command = Command::new(python);
    command.arg(script).args(arguments);
    succeed(command).await;
}

/// Runs a script of the directory that `TIDEGATE_TEST_NODE` names, where it names one:
/// a copy of `tests/node` with its packages installed. `TIDEGATE_TEST_NODE_PROGRAM` says
/// which Node.js, if it is not the one on the path.
pub(crate) async fn node(script: &str, arguments: &[&str]) {
    let Some(packages) = std::env::var_os("TIDEGATE_TEST_NODE") else {
        return;
    };
    let program = std::env::var_os("TIDEGATE_TEST_NODE_PROGRAM");
    let mut command = Command::new(program.unwrap_or(OsString::from("node")));
    command
        .arg(Path::new(&packages).join(script))
        .args(arguments);
    succeed(command).await;
}

/// Waits for the program beside the simulator, which answers meanwhile.
async fn succeed(mut command: Command) {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
}
