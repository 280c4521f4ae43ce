//! The fuzzers of `fuzz/`: built with libFuzzer, run for a while each, and what they did.
//!
//! Coverage comes from stable flags of the compiler. Sanitizers need a nightly one: what
//! the C of zstd does with hostile bytes is not watched here, only what comes of it.

use crate::project::{Project, run};
use anyhow::{Context as _, bail};
use std::fmt::Write as _;

const DOORS: [&str; 5] = [
    "address",
    "headers",
    "limit_headers",
    "body",
    "response_rules",
];

/// Named, so that build scripts and macros are not instrumented.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table";

/// Fuzzes each door of the broker for so long, and leaves a page of it. The bytes at
/// which one breaks are kept in `target/fuzz/`.
pub(crate) fn run_all(project: &Project, seconds: u32) -> anyhow::Result<()> {
    build(project)?;
    let mut page = format!(
        "# The broker's doors under libFuzzer\n\nEach for {seconds} seconds from an empty corpus, one process each.\n\n\
         | door | inputs | kept | edges | peak memory, MB |\n|---|---:|---:|---:|---:|\n"
    );
    for door in DOORS {
        let said = knock(project, door, seconds)?;
        let figure = |name: &str| {
            let lines = said.lines().rev();
            let mut found = lines.filter_map(|line| line.split_once(name).map(|(_, rest)| rest));
            let words = found.next().map(str::split_whitespace);
            words
                .and_then(|mut words| words.next())
                .unwrap_or("?")
                .to_owned()
        };
        writeln!(
            page,
            "| {door} | {} | {} | {} | {} |",
            figure("stat::number_of_executed_units:"),
            figure("stat::new_units_added:"),
            figure(" cov: "),
            figure("stat::peak_rss_mb:"),
        )?;
    }
    page.push_str("\nNo door broke.\n");
    Ok(std::fs::write(
        project.path("target/proof/fuzzing.md"),
        page,
    )?)
}

fn build(project: &Project) -> anyhow::Result<()> {
    let build = ["build", "--manifest-path", "fuzz/Cargo.toml", "--release"];
    run(project
        .cargo(build)
        .args(["--target", TARGET])
        .env("RUSTFLAGS", COVERAGE))
}

/// What the fuzzer said.
fn knock(project: &Project, door: &str, seconds: u32) -> anyhow::Result<String> {
    let kept = project.path("target/fuzz");
    let corpus = kept.join(door);
    if corpus.exists() {
        std::fs::remove_dir_all(&corpus)?;
    }
    std::fs::create_dir_all(&corpus)?;
    let binary = project.path(&format!("fuzz/target/{TARGET}/release/{door}"));
    let output = project
        .command(binary)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/{door}-", kept.display()))
        .args(["-rss_limit_mb=1024", "-print_final_stats=1"])
        .arg(&corpus)
        .output()
        .with_context(|| format!("the fuzzer of {door} does not start"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("the door {door} broke; its bytes are in target/fuzz\n{said}");
    }
    Ok(said)
}
