//! `cargo bench-peers`: Tidegate beside what one would pick instead. Here everything is
//! built, installed and started; `bench/suite` measures and reports.

use crate::project::{self, Project};
use crate::python::{self, Environment, Python};
use crate::seaweed::Seaweed;
use crate::{guests, other_guests, tools};
use anyhow::Context as _;
use std::path::Path;

/// Below it, each peer has an environment of its own: no two agree on versions.
const HOMES: &str = "target/bench";

const SUITE: Environment = Environment {
    home: "target/bench/suite",
    requirements: "bench/suite/requirements.txt",
};

/// By the names that the suite looks for.
const PEERS: [Environment; 5] = [
    Environment {
        home: "target/bench/dlt",
        requirements: "bench/peers/requirements/dlt.txt",
    },
    Environment {
        home: "target/bench/airbyte",
        requirements: "bench/peers/requirements/airbyte.txt",
    },
    Environment {
        home: "target/bench/singer",
        requirements: "bench/peers/requirements/singer.txt",
    },
    Environment {
        home: "target/bench/singer-target",
        requirements: "bench/peers/requirements/singer-target.txt",
    },
    Environment {
        home: "target/bench/sling",
        requirements: "bench/peers/requirements/sling.txt",
    },
];

/// What the suite starts.
const PACKAGES: [&str; 5] = [
    "tidegate",
    "crm-sim",
    "page-source",
    "native-loop",
    "host-loop",
];

/// Builds everything for speed, runs the suite with these arguments, and writes the report.
pub(crate) fn run(project: &Project, arguments: &[String]) -> anyhow::Result<()> {
    tools::wasm_target(project)?;
    guests::build(project, guests::ALL)?;
    other_guests::build(project)?;
    let build = ["build", "--locked", "--release"].into_iter();
    let packages = PACKAGES.iter().flat_map(|name| ["-p", name]);
    project::run(&mut project.cargo(build.chain(packages)))?;
    let readers = Python::prepare(project, &python::READERS)?;
    let seaweed = Seaweed::start(project, &readers)?;
    // Beside this very binary, wherever the caller put the target directory.
    let own = std::env::current_exe()?;
    let target = own
        .ancestors()
        .nth(2)
        .context("a binary lies below target/")?;
    measure(project, &seaweed, &target.join("release"), arguments)
}

/// Whether every scenario still works, with what the tests built.
pub(crate) fn try_out(project: &Project, seaweed: &Seaweed) -> anyhow::Result<()> {
    // The tests are built already, and asked for so that nothing is built in another way;
    // a binary of a package without integration tests is only linked here.
    project::run(&mut project.cargo(["build", "--locked", "--workspace", "--bins", "--tests"]))?;
    let own = std::env::current_exe()?;
    let binaries = own.parent().context("a binary lies in a directory")?;
    measure(project, seaweed, binaries, &["--small".to_owned()])
}

fn measure(
    project: &Project,
    seaweed: &Seaweed,
    binaries: &Path,
    arguments: &[String],
) -> anyhow::Result<()> {
    for peer in &PEERS {
        Python::prepare(project, peer)?;
    }
    let suite = Python::prepare(project, &SUITE)?;
    let python = |module: &str| {
        let mut command = project.command(suite.interpreter());
        command
            .current_dir(project.path("bench"))
            .args(["-m", module]);
        command
    };
    // A bench whose own checks cannot fail proves nothing.
    project::run(python("unittest").arg("suite.tests"))?;
    project::run(
        python("suite")
            .arg("--bin-dir")
            .arg(binaries)
            .arg("--homes")
            .arg(project.path(HOMES))
            .args(arguments)
            .envs(seaweed.environment()),
    )
}
