//! The bench's source: a token-protected list with the face of HubSpot's contacts, which
//! costs next to nothing to serve, so that it bounds nobody who reads it.

mod answer;
mod limit;
mod records;

use answer::Source;
use clap::Parser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves pages of contacts until it is stopped.
#[derive(Debug, Parser)]
struct Arguments {
    /// Contacts in the list.
    #[arg(long, default_value_t = 100_000)]
    records: u64,
    /// Windows of one day that the list can be read by, from 2026-01-01.
    #[arg(long, default_value_t = 12)]
    windows: u64,
    /// Milliseconds that each answer takes.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Pages per second that are answered; the others are refused with 429.
    #[arg(long)]
    per_second: Option<f64>,
    /// 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let source = Arc::new(Source::new(
        arguments.records,
        arguments.windows,
        Duration::from_millis(arguments.latency_ms),
        arguments.per_second,
    ));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = TcpListener::bind(address).await?;
    let ready = serde_json::json!({
        "base_url": format!("http://{}", listener.local_addr()?),
        "token": answer::TOKEN,
    });
    writeln!(std::io::stdout(), "{ready}")?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let source = Arc::clone(&source);
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            let respond = service_fn(move |request| answer::respond(Arc::clone(&source), request));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), respond);
            // A client that hangs up is none of our business.
            served.await.ok();
        });
    }
}
