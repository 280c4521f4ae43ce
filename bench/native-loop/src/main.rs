//! What an export by hand costs: one loop that pages through the contacts and
//! lands them, with no sandbox, no commit log and no recovery.

mod bucket;
mod lines;
mod source;
mod typed;
mod verbatim;

use anyhow::{Context as _, Result};
use bucket::Bucket;
use clap::{Parser, ValueEnum};
use lines::Records;
use native_loop::connection;
use native_loop::usage::{cpu_seconds, peak_rss_bytes, seconds};
use rustix::time::ClockId;
use serde::Deserialize;
use source::Source;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use tokio::task::JoinSet;

/// Pages through the contacts of a CRM and lands them in one file, or in one object.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    source: connection::Source,
    /// What to write.
    #[arg(long, value_enum)]
    format: Format,
    /// The file to write.
    #[arg(long)]
    file: PathBuf,
    /// Records that are asked for at once.
    #[arg(long, default_value_t = 100)]
    page_size: u32,
    /// Reads the list by so many windows of a day side by side; 0 reads it as one.
    #[arg(long, default_value_t = 0)]
    windows: u32,
    /// Of `jsonl.gz`; the default is Tidegate's.
    #[arg(long, default_value_t = 1)]
    gzip_level: u32,
    /// Parses each record and writes it again, as one who looks into it would.
    #[arg(long)]
    parse: bool,
    #[command(flatten)]
    bucket: Bucket,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    #[value(name = "jsonl.zst")]
    JsonlZst,
    #[value(name = "jsonl.gz")]
    JsonlGz,
    #[value(name = "parquet")]
    Parquet,
    /// Bodies as they came, not even counted.
    #[value(name = "bodies")]
    Bodies,
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
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&arguments.file)
        .context("cannot create the file")?;
    let mut landing = landing(&arguments, file)?;
    let records = read(&arguments, &mut *landing).await?;
    let file = landing.finish()?;
    if arguments.bucket.is_set() {
        arguments.bucket.put(file.try_clone()?).await?;
    } else {
        file.sync_all().context("cannot sync the file")?;
    }
    let line = serde_json::json!({
        "records": records,
        "bytes": file.metadata()?.len(),
        "seconds": seconds(ClockId::Monotonic) - began_s,
        "cpu_seconds": cpu_seconds(),
        "peak_rss_bytes": peak_rss_bytes()?,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn landing(arguments: &Arguments, file: File) -> Result<Box<dyn Landing>> {
    let level = arguments.gzip_level;
    let records = match arguments.parse {
        true => Records::Parsed,
        false => Records::Copied,
    };
    Ok(match arguments.format {
        Format::JsonlZst => Box::new(lines::zstd(file, records)?),
        Format::JsonlGz => Box::new(lines::gzip(file, level, records)),
        Format::Parquet => Box::new(typed::Rows::new(file)?),
        Format::Bodies => Box::new(verbatim::Bodies::new(file)),
    })
}

/// Reads all windows at once, each page by page; the number of records.
async fn read(arguments: &Arguments, landing: &mut dyn Landing) -> Result<u64> {
    let mut pages = JoinSet::new();
    let windows = (1..=arguments.windows).map(|day| Some(format!("2026-01-{day:02}")));
    let whole = (arguments.windows == 0).then_some(None);
    for window in windows.chain(whole) {
        let size = arguments.page_size;
        let source = Source::connect(&arguments.source, size, window).await?;
        pages.spawn(source.page(None));
    }
    let mut records = 0;
    while let Some(page) = pages.join_next().await {
        let source = page??;
        let read = landing.land(source.body())?;
        records += read.records;
        if let Some(after) = read.after {
            pages.spawn(source.page(Some(after)));
        }
    }
    Ok(records)
}
