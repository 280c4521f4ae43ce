//! What the host does for the bench's blind connector, with no guest to tell it: the same
//! session, cutter, stream writer and commit protocol in a plain loop. Beside `tidegate
//! sync run` on the same source it shows what the sandbox costs.
//!
//! `cargo run --release -p host-loop --bin without-guest -- --help`

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::Parser;
use native_loop::connection;
use native_loop::usage::{cpu_seconds, peak_rss_bytes};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_broker::{Call, Connection, Mapping, Meter, Method, Origin, Payload, Request, Target};
use tidegate_domain::batch::BatchPolicy;
use tidegate_domain::id::{JobId, PartitionId, StreamKey};
use tidegate_domain::job::Class;
use tidegate_domain::record::{CursorOrder, Format};
use tidegate_domain::schema::Columns;
use tidegate_domain::stream::{Change, GenerationKind, PlannedPartition};
use tidegate_domain::sync::{Landing, Mode};
use tidegate_engine::source::Source;
use tidegate_engine::target::TargetSettings;
use tidegate_engine::{CompileLimits, Compiler, Config, Node};
use tidegate_landing::cipher::StreamCipher;
use tidegate_landing::cut::{CutLimits, Extraction, Outline, cut_outlined};
use tidegate_landing::partition::PartitionWriter;
use tidegate_landing::recover::Stream;
use tidegate_landing::writer::{Settings, StreamWriter};
use tidegate_sandbox::StreamInfo;
use tidegate_store::flow::RequestOrigin;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const LIST: &str = "/crm/v3/objects/contacts";
const NEXT: &str = "/paging/next/after";
const DAY: Duration = Duration::from_secs(86_400);

/// Lands the list of contacts as a blind sync of it would.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    source: connection::Source,
    /// The bench's connector. It is asked what the source is like, and reads nothing.
    #[arg(long)]
    component: PathBuf,
    /// The program `tidegate`, which compiles it.
    #[arg(long)]
    tidegate: PathBuf,
    /// The node's directory.
    #[arg(long)]
    state: PathBuf,
    /// Where to land, `file:///directory`.
    #[arg(long)]
    target: String,
    /// `jsonl.zst` or `parquet`, for example.
    #[arg(long, value_parser = format)]
    format: Format,
    /// The name of the sync.
    #[arg(long, default_value = "without-guest")]
    sync: String,
    /// Contacts on a page.
    #[arg(long, default_value_t = 100)]
    page_size: u32,
}

fn format(name: &str) -> Result<Format, serde_json::Error> {
    serde_json::from_value(name.into())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let node = open(&arguments).await?;
    let source = source(&node, &arguments).await?;
    let (streams, _) = source.discover(&CancellationToken::new(), None).await?;
    let contacts = streams.into_iter().next().context("there is no stream")?;
    let writer = writer(&node, &arguments, &contacts).await?;
    let read = Read {
        call: call(&contacts)?,
        partition: PartitionWriter::new(
            writer.handle(),
            PartitionId::parse("list")?,
            node.spool_dir.clone(),
        ),
        page_size: arguments.page_size,
        source,
    };
    // Away from the main thread, which no part of a sync runs on either.
    let mut reading = JoinSet::new();
    reading.spawn(read.run());
    while let Some(ended) = reading.join_next().await {
        ended??;
    }
    let generation = writer.handle().state().generation;
    let complete = Change::Complete { generation };
    writer.handle().change(complete).await?;
    let landed = writer.close().await?;
    node.broker.close().await;
    let line = serde_json::json!({
        "records": landed.rows,
        "bytes": landed.bytes,
        "cpu_seconds": cpu_seconds(),
        "peak_rss_bytes": peak_rss_bytes()?,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

async fn open(arguments: &Arguments) -> Result<Node> {
    let mut config = Config::default();
    config.broker.mappings.push(Mapping {
        from: Origin::try_from("https://api.hubapi.com".to_owned())?,
        to: Origin::try_from(arguments.source.base_url.clone())?,
    });
    let compiler = Compiler::Child {
        exe: arguments.tidegate.clone(),
        args: vec!["compile-component".to_owned()],
        limits: CompileLimits::default(),
    };
    Ok(Node::open(&arguments.state, compiler, config).await?)
}

/// The connection, as `tidegate sync run` makes it.
async fn source(node: &Node, arguments: &Arguments) -> Result<Source> {
    let wasm = std::fs::read(&arguments.component).context("cannot read the component")?;
    let connector = node.sandbox.admit(Bytes::from(wasm)).await?;
    let secret = SecretString::from(arguments.source.token.clone());
    let secrets = BTreeMap::from([("token".to_owned(), secret)]);
    let config = serde_json::Map::from_iter([("page_size".to_owned(), arguments.page_size.into())]);
    let connection = Connection {
        tenant: "bench".to_owned().try_into()?,
        id: "pages".to_owned().try_into()?,
        manifest: Arc::clone(connector.manifest()),
        config: config.clone(),
        secrets: secrets.clone(),
        oauth_app: None,
        account: None,
        quota_share: None,
        class: Class::Incremental,
        connector: Some(connector.digest().clone()),
    };
    Ok(Source {
        tenant: connection.tenant.clone(),
        connection: connection.id.clone(),
        connector,
        session: node.broker.session(connection),
        secrets: Arc::new(secrets),
        blind: true,
        config: serde_json::Value::Object(config).to_string(),
        hints: Arc::clone(&node.store) as _,
    })
}

/// The writer of a stream that was begun and planned.
async fn writer(node: &Node, arguments: &Arguments, contacts: &StreamInfo) -> Result<StreamWriter> {
    let target = TargetSettings {
        url: arguments.target.clone(),
        operations: Vec::new(),
        endpoint: None,
        region: String::new(),
        path_style: false,
        access_key: None,
        secret_key: None,
    };
    let key = StreamKey {
        tenant: "bench".to_owned().try_into()?,
        sync: arguments.sync.clone().try_into()?,
        stream: contacts.name.clone().try_into()?,
    };
    let stream = Stream {
        key: key.clone(),
        store: Arc::clone(&node.store) as _,
        target: node.target(&target).await?,
        staging: Arc::clone(&node.staging),
        cipher: StreamCipher::new(Arc::clone(&node.keyring), Arc::clone(&node.store) as _, key),
        lease_ms: node.config.lease_ms,
    };
    let columns = Columns::from_json_schema(&contacts.schema, &contacts.primary_key)?;
    let needs_columns = matches!(arguments.format, Format::Parquet | Format::CsvGzip);
    let settings = Settings {
        policy: BatchPolicy::default(),
        format: arguments.format,
        columns: needs_columns.then(|| Arc::new(columns)),
        gate: None,
    };
    let writer = StreamWriter::open(stream, settings).await?;
    let how = GenerationKind {
        mode: Mode::FullRefresh,
        landing: Landing::Append,
    };
    let list = PlannedPartition {
        id: PartitionId::parse("list")?,
        descriptor: "{}".to_owned(),
        window: None,
        estimated_records: None,
    };
    let handle = writer.handle();
    let generation = handle.state().generation + 1;
    handle.change(Change::Begin { generation, how }).await?;
    let plan = Change::Plan {
        run: handle.state().run + 1,
        partitions: vec![list],
    };
    handle.change(plan).await?;
    Ok(writer)
}

fn call(contacts: &StreamInfo) -> Result<Call> {
    let origin = RequestOrigin {
        job: JobId::parse("job-without-guest")?,
        attempt: 1,
        stream: Some(contacts.name.clone().try_into()?),
        partition: Some("list".to_owned()),
    };
    Ok(Call {
        deadline: Instant::now() + DAY,
        cancel: CancellationToken::new(),
        meter: Arc::<Meter>::default(),
        origin: Some(Arc::new(origin)),
    })
}

struct Read {
    source: Source,
    call: Call,
    partition: PartitionWriter,
    page_size: u32,
}

impl Read {
    /// Page by page, as the guest asks for it: fetch, cut, look for the next, save.
    async fn run(mut self) -> Result<()> {
        let (how, limits) = (extraction(), CutLimits::default());
        let mut after = None;
        loop {
            let request = self.request(after.as_deref());
            let page = self.source.session.fetch(request, &self.call).await?;
            ensure!(page.status == 200, "the source answered {}", page.status);
            let mut outline = Outline::default();
            let cut = cut_outlined(
                &page.body,
                &how,
                page.sent_at_ms,
                &limits,
                None,
                &mut outline,
            );
            let (rows, summary) = cut?;
            ensure!(summary.rejected == 0, "a record was refused");
            self.partition.push(rows).await?;
            let found = outline.get_many(&page.body, &[NEXT])?;
            let Some(next) = found.into_iter().next().flatten() else {
                break;
            };
            after = Some(serde_json::from_str::<String>(next)?);
            self.partition.save(next.to_owned()).await?;
        }
        Ok(self.partition.finish("null".to_owned()).await?)
    }

    fn request(&self, after: Option<&str>) -> Request {
        let mut query = vec![("limit".to_owned(), self.page_size.to_string())];
        query.extend(after.map(|after| ("after".to_owned(), after.to_owned())));
        Request {
            method: Method::Get,
            target: Target::Endpoint {
                endpoint: "api".to_owned(),
                path: LIST.to_owned(),
                query,
            },
            headers: Vec::new(),
            payload: Payload::None,
            auth: Some("private_app".to_owned()),
            bucket: None,
            cost: 1,
            idempotency_key: None,
            timeout_ms: None,
            body_bytes_max: None,
        }
    }
}

/// What the connector says of a page.
fn extraction() -> Extraction {
    Extraction {
        records: "/results".to_owned(),
        key: vec!["/id".to_owned()],
        cursor: Some(("/updatedAt".to_owned(), CursorOrder::Timestamp)),
        deleted: Some("/archived".to_owned()),
        ..Extraction::default()
    }
}
