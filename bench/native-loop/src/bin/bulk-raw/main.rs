//! The limit of a Bulk export: the same pages of results fetched, and the same bytes put
//! on S3, with no look at what they hold.

mod put;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use clap::Parser;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use native_loop::connection::{Connection, Source};
use put::{Bucket, Upload};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write as _;
use std::time::Duration;
use tokio::task::JoinSet;

const JOBS: &str = "/services/data/v62.0/jobs/query";
const POLL: Duration = Duration::from_millis(50);
const PART_BYTES: usize = 8 << 20;

/// Fetches the results of Bulk jobs and puts them on S3 as they come.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    source: Source,
    /// A query in SOQL: a job, and an object on S3. May be repeated; all run at once.
    #[arg(long = "query", required = true)]
    queries: Vec<String>,
    /// Records of a page of results.
    #[arg(long, default_value_t = 25_000)]
    page_records: u32,
    #[command(flatten)]
    bucket: Bucket,
}

/// What was moved.
#[derive(Clone, Copy, Default, Serialize)]
struct Moved {
    records: u64,
    bytes: u64,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    state: String,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let client = arguments.bucket.client();
    let mut exports = JoinSet::new();
    for (at, query) in arguments.queries.iter().enumerate() {
        let source = Jobs(arguments.source.connect().await?);
        let upload = Upload::begin(&client, &arguments.bucket, &format!("{at}.csv")).await?;
        exports.spawn(export(
            source,
            query.clone(),
            arguments.page_records,
            upload,
        ));
    }
    let mut all = Moved::default();
    while let Some(moved) = exports.join_next().await {
        let moved = moved??;
        all.records += moved.records;
        all.bytes += moved.bytes;
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&all)?)?;
    Ok(())
}

async fn export(
    mut source: Jobs,
    query: String,
    page_records: u32,
    mut upload: Upload,
) -> Result<Moved> {
    let job = source.make_job(&query).await?;
    let mut moved = Moved::default();
    let mut locator = None;
    let mut part = BytesMut::with_capacity(PART_BYTES);
    loop {
        let mut page = source.page(&job, page_records, locator.as_deref()).await?;
        moved.records += header(&page, "sforce-numberofrecords")?.parse::<u64>()?;
        let next = header(&page, "sforce-locator")?.to_owned();
        while let Some(frame) = page.frame().await {
            let Ok(mut piece) = frame?.into_data() else {
                continue;
            };
            moved.bytes += piece.len() as u64;
            while part.len() + piece.len() >= PART_BYTES {
                let rest = piece.split_off(PART_BYTES - part.len());
                part.extend_from_slice(&piece);
                let full = std::mem::replace(&mut part, BytesMut::with_capacity(PART_BYTES));
                upload.put(full.freeze()).await?;
                piece = rest;
            }
            part.extend_from_slice(&piece);
        }
        // The text "null" ends it.
        if next == "null" {
            break;
        }
        locator = Some(next);
    }
    upload.finish(part.freeze()).await?;
    Ok(moved)
}

fn header<'a>(page: &'a Response<Incoming>, name: &str) -> Result<&'a str> {
    let value = page.headers().get(name);
    let value = value.with_context(|| format!("a page of results has no {name}"))?;
    Ok(value.to_str()?)
}

/// Bulk jobs, asked over one connection.
struct Jobs(Connection<Full<Bytes>>);

impl Jobs {
    /// Makes a job and waits until its results are there.
    async fn make_job(&mut self, query: &str) -> Result<String> {
        let asked = json!({
            "operation": "queryAll",
            "query": query,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        });
        let body = Bytes::from(asked.to_string());
        let mut job: Job = self.job(Method::POST, JOBS, body).await?;
        loop {
            match job.state.as_str() {
                "JobComplete" => return Ok(job.id),
                "UploadComplete" | "InProgress" => tokio::time::sleep(POLL).await,
                state => bail!("the job is {state}"),
            }
            let path = format!("{JOBS}/{}", job.id);
            job = self.job(Method::GET, &path, Bytes::new()).await?;
        }
    }

    async fn job(&mut self, method: Method, path: &str, body: Bytes) -> Result<Job> {
        let answer = self.ask(method, path, "application/json", body).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }

    async fn page(
        &mut self,
        job: &str,
        page_records: u32,
        locator: Option<&str>,
    ) -> Result<Response<Incoming>> {
        let mut path = format!("{JOBS}/{job}/results?maxRecords={page_records}");
        if let Some(locator) = locator {
            path.push_str("&locator=");
            path.extend(url::form_urlencoded::byte_serialize(locator.as_bytes()));
        }
        self.ask(Method::GET, &path, "text/csv", Bytes::new()).await
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, "application/json");
        let response = self.0.send(request, Full::new(body)).await?;
        let status = response.status();
        ensure!(status == StatusCode::OK, "{path} answered {status}");
        Ok(response)
    }
}
