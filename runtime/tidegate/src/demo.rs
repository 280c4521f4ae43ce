//! `tidegate demo`: the main job end to end on one machine, with real parts at every
//! step: a simulated CRM behind OAuth and rate limits, an S3 endpoint, the sandbox,
//! the commit protocol. The connector and the S3 client are those of production; an
//! operator's mapping leads them to loopback.

mod crm;
mod tally;

use crate::cli::{DemoArgs, Place};
use crate::node;
use crate::report::{self, grouped, print_line, say};
use crate::sync_run::{self, Document, Prepared};
use crate::{authorize, lake};
use anyhow::{Context as _, Result, ensure};
use crm::{Crm, Done, LIMIT_SCALE};
use s3_local::S3Local;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tally::Tally;
use tidegate_domain::job::JobState;
use tidegate_domain::record::Format;
use tidegate_landing::lake::duckdb_view;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const ACCESS_KEY: &str = "demo";
const SECRET_KEY: &str = "demo-secret-key";
const BUCKET: &str = "lake";
/// Runs the demo.
pub(crate) async fn run(json: bool, arguments: DemoArgs) -> Result<ExitCode> {
    let (folder, kept) = folder(&arguments)?;
    let began = Instant::now();
    let stage = Stage::set(&folder, &arguments).await?;
    say(&format!(
        "A simulated {} with {} {} at {}, an S3 endpoint at {}",
        stage.crm.profile.title,
        grouped(arguments.records),
        stage.crm.profile.records,
        stage.crm.simulator.base_url(),
        stage.s3.endpoint()
    ));

    let place = stage.place(json);
    let operator = node::operator_file(&place)?;
    report::mappings(&operator.broker, false);
    let document = Document::read(&stage.sync_file)?;
    say("Compiling the connector and starting the sandbox ...");
    let node = node::open(&place, operator).await?;
    let prepared = sync_run::prepare(&node, &document, CancellationToken::new()).await?;
    for method in authorize::methods(prepared.context.source.connector.manifest(), &document.file) {
        let mut browser = JoinSet::new();
        authorize::through(&prepared.session, method, 0, false, async |url| {
            consent(url, &mut browser).await
        })
        .await?;
        say("Authorised by OAuth (code with PKCE); the tokens are encrypted in the store");
    }

    let records = stage.crm.profile.records;
    say(&format!("\nHistorical sync: all {records}"));
    pass(&prepared).await?;
    let history_end = tally::last_slot(&place, &document).await?;

    let Done {
        edited,
        created,
        deleted,
    } = stage.change(&arguments)?;
    // Some APIs tell times to the second, and a second that still runs is the next run's.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    say(&format!(
        "\nIn the CRM, {edited} {records} were edited, {created} created and {deleted} deleted. Incremental sync:"
    ));
    let prepared = sync_run::prepare(&node, &document, CancellationToken::new()).await?;
    pass(&prepared).await?;
    let peak_rss_bytes = report::peak_rss_bytes(); // before what landed is read back
    let seconds = began.elapsed().as_secs_f64();
    let history = tally::of(&place, &document, 0..=history_end).await?;
    let increment = tally::of(&place, &document, history_end + 1..=u64::MAX).await?;
    ensure!(
        history.distinct_keys == arguments.records,
        "{} {records} landed, {} were expected",
        history.distinct_keys,
        arguments.records
    );
    let figures = serde_json::json!({
        "records": history.rows + increment.rows,
        "distinct_keys": history.distinct_keys,
        "incremental": { "upserts": increment.upserts, "deletes": increment.deletes },
        "objects": history.objects + increment.objects,
        "bytes": history.bytes + increment.bytes,
        "requests": stage.crm.requests()?,
        "seconds": seconds,
        "peak_rss_bytes": peak_rss_bytes,
        "lake": stage.lake_path(),
    });
    show(&place, &stage, &document, &history, &increment, kept).await?;
    stage.clear(kept).await;
    if json {
        print_line(&figures.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// The demo's directory, and whether it stays.
fn folder(arguments: &DemoArgs) -> Result<(PathBuf, bool)> {
    let folder = match &arguments.dir {
        Some(folder) => folder.clone(),
        None => tempfile::Builder::new()
            .prefix("tidegate-demo-")
            .tempdir()
            .context("cannot make a temporary directory")?
            .keep(),
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    let used = folder.join("state").exists();
    ensure!(
        !used,
        "{} holds an earlier demo; remove it or choose another --dir",
        folder.display()
    );
    Ok((folder, arguments.dir.is_some()))
}

/// One run of the sync, with its summary.
async fn pass(prepared: &Prepared) -> Result<()> {
    let began = Instant::now();
    let ran = sync_run::run_prepared(prepared, false).await?;
    report::job(&ran, prepared, began.elapsed(), false, None);
    ensure!(
        ran.state == JobState::Succeeded,
        "the sync did not succeed; the reason stands above"
    );
    Ok(())
}

/// Plays the person: opens the consent page and follows it to the loopback address.
async fn consent(url: String, browser: &mut JoinSet<()>) -> Result<()> {
    let landed = visit(&url)
        .await?
        .context("the consent page did not lead back")?;
    // The answer is served only after this returns.
    browser.spawn(async move {
        if let Err(error) = visit(&landed).await {
            say(&format!("the loopback address did not answer: {error}"));
        }
    });
    Ok(())
}

/// One GET; where it leads to, if it is a redirect.
async fn visit(url: &str) -> Result<Option<String>> {
    use http_body_util::Empty;
    let uri: hyper::Uri = url.parse()?;
    let address = uri
        .authority()
        .context("the address has no host")?
        .to_string();
    let stream = tokio::net::TcpStream::connect(&address).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let request = hyper::Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header("host", &address)
        .body(Empty::<bytes::Bytes>::new())?;
    let answered = async move {
        let response = sender.send_request(request).await?;
        let location = response.headers().get("location");
        Ok::<_, anyhow::Error>(
            location
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        )
    };
    // The connection ends when its sender is dropped, or when the peer closes it.
    let (answered, _) = tokio::join!(answered, connection);
    answered
}

/// The simulated world and the files that describe the sync to run in it.
struct Stage {
    folder: PathBuf,
    crm: Crm,
    s3: S3Local,
    sync_file: PathBuf,
    operator_file: PathBuf,
}

impl Stage {
    async fn set(folder: &Path, arguments: &DemoArgs) -> Result<Stage> {
        let records =
            u32::try_from(arguments.records).context("--records: 10,000,000 at the most")?;
        let crm = Crm::start(&arguments.connector, records).await?;
        let s3 = S3Local::start(&folder.join("s3"), 0, ACCESS_KEY, SECRET_KEY).await?;
        s3.create_bucket(BUCKET)?;
        let stage = Stage {
            sync_file: folder.join("sync.yaml"),
            operator_file: folder.join("operator.yaml"),
            folder: folder.to_owned(),
            crm,
            s3,
        };
        stage.write_files(arguments)?;
        Ok(stage)
    }

    fn write_files(&self, arguments: &DemoArgs) -> Result<()> {
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        let folder = self.folder.display();
        let profile = self.crm.profile;
        let mut auth = String::new();
        let mut secrets = vec![
            ("access-key", ACCESS_KEY.to_owned()),
            ("secret-key", SECRET_KEY.to_owned()),
        ];
        if let Some((client_id, client_secret)) = self.crm.simulator.app() {
            auth = format!(
                "  oauth_app:\n    client_id: {client_id}\n    client_secret: ${{file:{folder}/client-secret}}\n"
            );
            secrets.push(("client-secret", client_secret));
        }
        let keys = self.crm.simulator.keys();
        if !keys.is_empty() {
            auth.push_str("  secrets:\n");
        }
        for (name, secret) in keys {
            auth.push_str(&format!("    {name}: ${{file:{folder}/crm-{name}}}\n"));
            write(&self.folder.join(format!("crm-{name}")), &secret)?;
        }
        for (name, secret) in secrets {
            write(&self.folder.join(name), &secret)?;
        }
        let component = match &arguments.component {
            Some(component) => component.clone(),
            None => format!(
                "guest-connectors/target/wasm32-wasip2/release/{}.wasm",
                profile.name
            )
            .into(),
        };
        let component = std::path::absolute(component)?;
        ensure!(
            component.is_file(),
            "{} is not there; `cargo demo` builds it, or name a component with --component",
            component.display()
        );
        let format: Format = arguments.format;
        write(
            &self.sync_file,
            &format!(
                "tenant: demo
sync: {name}
connection:
  id: {name}
  connector: {component}
  config: {config}
{auth}streams:
  - name: {stream}
    mode: incremental
    landing: append_dedup
target:
  url: s3://{BUCKET}/crm
  format: {format}
  endpoint: {endpoint}
  path_style: true
  access_key: ${{file:{folder}/access-key}}
  secret_key: ${{file:{folder}/secret-key}}
",
                name = profile.name,
                component = component.display(),
                config = profile.config,
                stream = profile.stream,
                format = format.extension(),
                endpoint = self.s3.endpoint(),
            ),
        )?;
        let origins = self.crm.simulator.origins();
        let mappings: String = origins
            .iter()
            .map(|origin| {
                format!(
                    "    - {{ from: '{origin}', to: '{}' }}\n",
                    self.crm.simulator.base_url()
                )
            })
            .collect();
        write(
            &self.operator_file,
            &format!(
                "broker:
  limit_scale: {LIMIT_SCALE}
  mappings:
{mappings}target_origins: ['{s3}']
",
                s3 = self.s3.endpoint(),
            ),
        )
    }

    fn place(&self, json: bool) -> Place {
        Place {
            state: Some(self.folder.join("state")),
            operator: Some(self.operator_file.clone()),
            json,
        }
    }

    /// What changes between the runs: of a hundred records one is edited.
    fn change(&self, arguments: &DemoArgs) -> Result<Done> {
        let share = usize::try_from(arguments.records / 100).unwrap_or(usize::MAX);
        self.crm.change(share.max(1))
    }

    fn lake_path(&self) -> PathBuf {
        self.folder.join("s3").join(BUCKET).join("crm")
    }

    /// Where an object of the bucket is on this machine's disk.
    fn local_path(&self, location: &str) -> String {
        let below = location.trim_start_matches("s3://");
        self.folder.join("s3").join(below).display().to_string()
    }

    async fn clear(self, kept: bool) {
        self.crm.simulator.shutdown().await;
        self.s3.shutdown().await;
        if kept {
            say(&format!(
                "Everything is kept under {}",
                self.folder.display()
            ));
        } else if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            say(&format!(
                "{} could not be removed: {error}",
                self.folder.display()
            ));
        } else {
            say("Everything was removed again; --dir DIR keeps it");
        }
    }
}

/// Shows what landed, as a reader sees it.
async fn show(
    place: &Place,
    stage: &Stage,
    document: &Document,
    history: &Tally,
    increment: &Tally,
    kept: bool,
) -> Result<()> {
    say("\nWhat the commit log shows:");
    let mut sql = String::new();
    for mut view in lake::views(place, document).await? {
        for seen in &mut view.objects {
            seen.location = stage.local_path(&seen.location);
        }
        sql.push_str(&duckdb_view(&view));
        for seen in &view.objects {
            say(&format!(
                "  slot {:>3}  {:>9} rows  {:>9.1} kB  {}",
                seen.slot,
                grouped(seen.object.rows),
                seen.object.bytes as f64 / 1e3,
                seen.object.key
            ));
        }
    }
    say(&format!(
        "  history: {} rows of {} distinct {}; increment: {} upserts, {} deletes",
        grouped(history.rows),
        grouped(history.distinct_keys),
        stage.crm.profile.records,
        grouped(increment.upserts),
        grouped(increment.deletes)
    ));
    say(&format!(
        "  {:.1} MB in {} objects under {}",
        (history.bytes + increment.bytes) as f64 / 1e6,
        history.objects + increment.objects,
        stage.lake_path().display()
    ));
    if kept {
        let file = stage.folder.join("view.sql");
        std::fs::write(&file, sql)?;
        say(&format!("  look:  duckdb -init {}", file.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn the_demo_documents_parse_like_any_other() {
        let text = "tenant: demo\nsync: a\nconnection: { id: a, connector: b }\nstreams: [{ name: c }]\ntarget: { url: 's3://lake/crm', format: jsonl.zst, access_key: '${env:A}', secret_key: '${env:B}' }\n";
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("sync.yaml");
        std::fs::write(&path, text).expect("it can be written");
        let file = config::SyncFile::read(&path).expect("it is valid");
        assert_eq!(file.target.format, Format::JsonlZstd);
    }
}
