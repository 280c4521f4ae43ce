//! The project's own commands, behind the cargo aliases of `.cargo/config.toml`.
//!
//! Everything it says goes to stderr, so that stdout belongs to what it starts.
#![expect(clippy::print_stderr, reason = "a command line tool")]

mod ci;
mod demo;
mod drivers;
mod fuzz;
mod guests;
mod node;
mod other_guests;
mod peers;
mod project;
mod proof;
mod python;
mod recordings;
mod seaweed;
mod stages;
mod tools;

use project::Project;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo demo [-- --records N --dir DIR --json]   build everything and show a sync
       cargo ci                                       everything that must pass before a change lands
       cargo proof [-- NAMES]                         the long proofs, or tests by name; writes docs/proof/
       cargo bench-peers [-- --only SCENARIO ...]     the bench beside the peers; writes bench/REPORT.md
       cargo bench-guests                             the bench's connectors in JavaScript and Python";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    // cargo hands the `--` of `cargo demo -- --json` on.
    let rest: Vec<String> = arguments.skip_while(|argument| argument == "--").collect();
    let outcome = Project::locate().and_then(|project| match command.as_str() {
        "demo" => demo::run(&project, &rest),
        "ci" => ci::run(&project),
        "proof" => proof::run(&project, &rest),
        "bench-peers" => peers::run(&project, &rest),
        "bench-guests" => other_guests::build(&project),
        _ => Err(anyhow::anyhow!(USAGE)),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
