//! `tidegate serve`: API, schedules and workers in one process, from its settings to
//! its last answer.

mod environment;
mod first_start;
mod health;
mod settings;

pub(crate) use first_start::mint_locally;

use crate::cli::{Place, ServeArgs};
use crate::node;
use crate::report::{print_line, say};
use crate::telemetry::{Format, Telemetry};
use anyhow::{Context as _, Result, bail};
use health::Readiness;
use opentelemetry::KeyValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use settings::{ENDING_MS, Settings};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tidegate_api::Api;
use tidegate_engine::Node;
use tidegate_engine::scheduler::Scheduler;
use tidegate_engine::worker::{Drained, Handle, Worker};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long answers under way have when everything else has ended.
const ANSWERS: Duration = Duration::from_millis(ENDING_MS / 2);
/// The exit code of a process that was told twice to end.
const KILLED: i32 = 130;

/// `tidegate serve`.
pub(crate) async fn run(place: &Place, arguments: &ServeArgs) -> Result<ExitCode> {
    if let Some(file) = &place.operator {
        bail!(
            "the settings of {} belong below `node:` of the service's own file (--config)",
            file.display()
        );
    }
    let mut settings = Settings::read(arguments.config.as_deref(), std::env::vars())?;
    if let Some(state) = &place.state {
        settings.state.clone_from(state);
    }
    settings.check()?;
    if arguments.print_config {
        print_line(&settings.text()?);
    }
    if arguments.check || arguments.print_config {
        return Ok(ExitCode::SUCCESS);
    }
    let format = match place.json {
        true => Format::Json,
        false => Format::Human,
    };
    let format = settings.telemetry.log.unwrap_or(format);
    let telemetry = Telemetry::start(&settings.telemetry, format)?;
    let served = Box::pin(serve(settings, &telemetry, place.json)).await;
    if let Err(error) = &served {
        tracing::error!(error = %format!("{error:#}"), "the service ends");
    }
    drop(tokio::task::spawn_blocking(move || telemetry.stop()).await);
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(mut settings: Settings, telemetry: &Telemetry, json: bool) -> Result<()> {
    let mut signals = Signals::new()?;
    let api_listener = bind("listen", settings.listen).await?;
    let health_listener = bind("health_listen", settings.health_listen).await?;
    let addresses = Addresses {
        api: api_listener.local_addr()?,
        health: health_listener.local_addr()?,
    };
    if settings.api.public_url == tidegate_api::Config::default().public_url {
        settings.api.public_url = format!("http://{}", addresses.api);
    }
    if !addresses.api.ip().is_loopback() && !settings.api.public_url.starts_with("https://") {
        tracing::warn!(
            address = %addresses.api,
            "the API is reached from other machines in clear text, keys included; put TLS before \
             it and set api.public_url"
        );
    }
    let node = Node::open(&settings.state, node::compiler()?, settings.node.clone()).await?;
    let node = Arc::new(node);
    for own in [addresses.api, addresses.health] {
        node.broker.dialer().keep_off(own);
    }
    let service = Service::start(&settings, &node, (api_listener, health_listener), telemetry)?;
    let key = first_start::begin(&*node.store).await?;
    announce(&settings, addresses, key.as_ref(), json);
    service.run(&settings, &mut signals).await
}

/// Where the service listens.
#[derive(Clone, Copy)]
struct Addresses {
    api: SocketAddr,
    health: SocketAddr,
}

async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        let variable = name.to_uppercase();
        format!(
            "{name}: cannot listen on {address}; is another service there? set {name} in the settings, or TIDEGATE_{variable}, to another"
        )
    })
}

/// The parts that run, and how each is told to end.
struct Service {
    worker: JoinSet<Drained>,
    parts: JoinSet<()>,
    draining: CancellationToken,
    stop_work: CancellationToken,
    stop_answers: CancellationToken,
}

impl Service {
    fn start(
        settings: &Settings,
        node: &Arc<Node>,
        (api_listener, health_listener): (TcpListener, TcpListener),
        telemetry: &Telemetry,
    ) -> Result<Service> {
        let draining = CancellationToken::new();
        let stop_work = CancellationToken::new();
        let stop_answers = CancellationToken::new();
        let (worker, handle) = Worker::new(Arc::clone(node));
        let api = settings.api.clone();
        let api = Api::new(Arc::clone(node), handle.clone(), api, draining.clone())?;
        watch(settings, telemetry, (node, &handle));
        let mut parts = JoinSet::new();
        let router = tidegate_api::router(&api);
        let stop = stop_answers.clone();
        parts.spawn(tidegate_api::serve(api_listener, router, stop, ANSWERS));
        let readiness = Readiness {
            store: Arc::clone(&node.store),
            state: settings.state.clone(),
            disk_free_bytes_min: settings.disk_free_bytes_min,
            draining: draining.clone(),
        };
        let (figures, stop) = (telemetry.figures(), stop_answers.clone());
        parts.spawn(health::serve(health_listener, readiness, figures, stop));
        let scheduler = Scheduler::new(Arc::clone(node), handle);
        parts.spawn(scheduler.run(stop_work.clone()));
        let outbox = tidegate_engine::outbox::Outbox::new(Arc::clone(node))?;
        parts.spawn(outbox.run(stop_work.clone()));
        let mut workers = JoinSet::new();
        workers.spawn(worker.run(stop_work.clone()));
        Ok(Service {
            worker: workers,
            parts,
            draining,
            stop_work,
            stop_answers,
        })
    }

    /// Runs until a signal, then ends in order: not ready, no new work, what runs is
    /// saved and given back, the last answers.
    async fn run(mut self, settings: &Settings, signals: &mut Signals) -> Result<()> {
        tokio::select! {
            () = signals.next() => {}
            _ = self.worker.join_next() => bail!("the worker died; see the log"),
            ended = self.parts.join_next() => {
                ended.transpose().context("a part of the service died; see the log")?;
                bail!("a part of the service ended by itself");
            }
        }
        tracing::info!(grace_ms = settings.grace_ms, "draining");
        self.draining.cancel();
        self.stop_work.cancel();
        let end = async {
            let drained = self.worker.join_next().await;
            self.stop_answers.cancel();
            while self.parts.join_next().await.is_some() {}
            drained
        };
        tokio::select! {
            ended = tokio::time::timeout(settings.grace(), end) => match ended {
                Ok(Some(Ok(Drained { cut_off: 0 }))) => tracing::info!("ended; nothing is under way"),
                Ok(Some(Ok(Drained { cut_off }))) => {
                    tracing::warn!(cut_off, "ended; jobs that did not save in time are taken again");
                }
                Ok(_) => tracing::error!("the worker died while it ended"),
                Err(_) => tracing::warn!("the grace is over; what is left is taken again"),
            },
            () = signals.next() => {
                tracing::warn!("told twice to end: ending at once");
                std::process::exit(KILLED);
            }
        }
        Ok(())
    }
}

/// Figures that nobody counts: they are looked at when they are read.
fn watch(settings: &Settings, telemetry: &Telemetry, (node, handle): (&Arc<Node>, &Handle)) {
    let meter = telemetry.meter();
    watch_live(telemetry, handle.clone());
    let handle = handle.clone();
    meter
        .i64_observable_up_down_counter("connector.job.running")
        .with_unit("{job}")
        .with_description("Jobs that run on this node.")
        .with_callback(move |seen| {
            seen.observe(i64::try_from(handle.running()).unwrap_or(i64::MAX), &[]);
        })
        .build();
    // Weak, or the database would stay open until the telemetry ends.
    let node = Arc::downgrade(node);
    meter
        .i64_observable_up_down_counter("wasm.instance.running")
        .with_unit("{instance}")
        .with_description("Instances of connectors that are alive.")
        .with_callback(move |seen| {
            if let Some(node) = node.upgrade() {
                let instances = node.sandbox.instances();
                seen.observe(i64::try_from(instances).unwrap_or(i64::MAX), &[]);
            }
        })
        .build();
    let state = settings.state.clone();
    meter
        .u64_observable_gauge("state.filesystem.free")
        .with_unit("By")
        .with_description("What the disk of the state directory has left.")
        .with_callback(move |seen| {
            if let Some(free) = health::disk_free_bytes(&state) {
                seen.observe(free, &[]);
            }
        })
        .build();
}

/// One series for each stream that is followed: the only figure that names tenants, and
/// bounded by the node's own cap on live jobs.
fn watch_live(telemetry: &Telemetry, handle: Handle) {
    telemetry
        .meter()
        .f64_observable_gauge("connector.live.lag")
        .with_unit("s")
        .with_description("How far a stream that is read live is behind its source, by what is proven to be read.")
        .with_callback(move |seen| {
            for (of, lag_ms) in handle.lags() {
                let labels = [
                    KeyValue::new("tenant.id", of.tenant.to_string()),
                    KeyValue::new("sync.id", of.sync.to_string()),
                    KeyValue::new("stream.name", of.stream.to_string()),
                ];
                let seconds = Duration::from_millis(lag_ms).as_secs_f64();
                seen.observe(seconds, &labels);
            }
        })
        .build();
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Says where the service is; at the first start also its key, which nothing else ever
/// shows.
fn announce(settings: &Settings, addresses: Addresses, key: Option<&SecretString>, json: bool) {
    let Addresses { api, health } = addresses;
    let state = settings.state.display().to_string();
    if json {
        let mut started = json!({
            "started": true,
            "api": format!("http://{api}"),
            "health": format!("http://{health}"),
            "public_url": settings.api.public_url,
            "state": state,
        });
        if let Some(key) = key {
            started["admin_key"] = key.expose_secret().into();
        }
        return print_line(&started.to_string());
    }
    say(&format!("Tidegate {} is ready", env!("CARGO_PKG_VERSION")));
    say(&format!(
        "  API     http://{api}/v1  (described by http://{api}/v1/openapi.json)"
    ));
    say(&format!(
        "  health  http://{health}/readyz, /healthz, /metrics"
    ));
    say(&format!("  state   {state}"));
    if let Some(key) = key {
        say("This is the first start. The administrator's key is shown once, and kept nowhere:");
        print_line(key.expose_secret());
        say("  export TIDEGATE_KEY=<that key>");
        say("  another key:       tidegate keys create --role tenant-admin");
        say("  if all are lost:   stop the service, then");
        say(&format!(
            "                     tidegate --state {state} keys create --local --role platform-admin"
        ));
    }
}
