//! What an export by hand costs: one loop that pages through the contacts and
//! lands them, with no sandbox, no commit log and no recovery.

mod lines;
mod source;
mod typed;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use source::Source;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

/// Pages through the contacts of a CRM and lands them in one file.
#[derive(Debug, Parser)]
struct Arguments {
    /// `http://127.0.0.1:8800`.
    #[arg(long)]
    base_url: String,
    /// The token of a private app.
    #[arg(long)]
    token: String,
    /// What to write.
    #[arg(long, value_enum)]
    format: Format,
    /// The file to write.
    #[arg(long)]
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    #[value(name = "jsonl.zst")]
    JsonlZst,
    #[value(name = "jsonl.gz")]
    JsonlGz,
    #[value(name = "parquet")]
    Parquet,
}

/// A list page; records as their landing wants them.
#[derive(Deserialize)]
struct Page<R> {
    results: Vec<R>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    next: Next,
}

#[derive(Deserialize)]
struct Next {
    after: String,
}

impl<R> Page<R> {
    fn read(self) -> Read {
        Read {
            records: self.results.len() as u64,
            after: self.paging.map(|paging| paging.next.after),
        }
    }
}

/// What the loop needs to know of a page that has landed.
struct Read {
    records: u64,
    after: Option<String>,
}

/// Where pages land.
trait Landing {
    fn land(&mut self, body: &[u8]) -> Result<Read>;

    /// Writes what is held and returns the file, which is not synced yet.
    fn finish(self: Box<Self>) -> Result<File>;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let began_s = seconds(ClockId::Monotonic);
    let mut source = Source::connect(&arguments.base_url, &arguments.token).await?;
    let file = File::create(&arguments.file).context("cannot create the file")?;
    let mut landing: Box<dyn Landing> = match arguments.format {
        Format::JsonlZst => Box::new(lines::zstd(file)?),
        Format::JsonlGz => Box::new(lines::gzip(file)),
        Format::Parquet => Box::new(typed::Rows::new(file)?),
    };
    let mut records = 0;
    let mut after = None;
    loop {
        let read = landing.land(source.page(after.as_deref()).await?)?;
        records += read.records;
        after = read.after;
        if after.is_none() {
            break;
        }
    }
    let file = landing.finish()?;
    file.sync_all().context("cannot sync the file")?;
    let line = serde_json::json!({
        "records": records,
        "bytes": file.metadata()?.len(),
        "seconds": seconds(ClockId::Monotonic) - began_s,
        "cpu_seconds": seconds(ClockId::ProcessCPUTime),
        "peak_rss_bytes": peak_rss_bytes()?,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The kernel's own high-water mark. `ru_maxrss` would not do: it keeps that of the
/// process which started this one.
fn peak_rss_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.context("the kernel names no VmHWM")?;
    let kib: u64 = peak.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(kib << 10)
}
