//! One admitted component, and the calls that it answers.

use crate::bindings::source as wit;
use crate::bindings::types::Failure;
use crate::call::{self, Frame};
use crate::config::Budget;
use crate::context::CallContext;
use crate::host::{
    HANDLES_MAX, Lent, Limiter, Live, Progress, Reading, State, WayOut, wasi_of_call,
};
use crate::log::Gate;
use crate::sandbox::Shared;
use crate::scan::is_ours;
use crate::sink::Sink;
use crate::source::{PlanRequest, ReadReport, ReadRequest, StreamInfo};
use crate::usage::{CallUsage, Meter};
use crate::{Error, convert, manifest};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tidegate_broker::Call;
use tidegate_domain::Fault;
use tidegate_domain::id::Sha256;
use tidegate_domain::manifest::Manifest;
use tidegate_domain::stream::PlannedPartition;
use tidegate_domain::sync::Window;
use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre, ResourceTable};

/// An admitted component. Calls may run at the same time, each in an instance of
/// its own.
pub struct Connector {
    shared: Arc<Shared>,
    digest: Sha256,
    manifest: Arc<Manifest>,
    imports: Vec<String>,
    exports: Exports,
    /// Id and version, for messages.
    name: String,
    memory_bytes_max: u64,
    asks_to_run_blind: bool,
    instance_pre: InstancePre<State>,
    source: Option<wit::GuestIndices>,
}

/// What a component offers beside its manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// It reads.
    pub source: bool,
    /// It writes.
    pub destination: bool,
    /// It takes webhooks.
    pub webhook: bool,
}

fn trap_kind(error: &Error) -> &'static str {
    match error {
        Error::Limit { .. } => "limit",
        Error::Contract { .. } => "contract",
        _ => "guest",
    }
}

impl Exports {
    pub(crate) fn of(names: &[String]) -> Exports {
        let has = |interface| names.iter().any(|name| is_ours(name, interface));
        Exports {
            source: has("source"),
            destination: has("destination"),
            webhook: has("webhook"),
        }
    }
}

impl Connector {
    pub(crate) fn new(
        shared: Arc<Shared>,
        digest: Sha256,
        manifest: Arc<Manifest>,
        imports: Vec<String>,
        exports: Exports,
        instance_pre: InstancePre<State>,
    ) -> Result<Connector, Error> {
        let wishes = manifest::Wishes::of(&manifest).map_err(|reason| Error::Manifest {
            connector: digest.short().to_owned(),
            reason,
        })?;
        let unfit = |error: wasmtime::Error| Error::Unfit {
            connector: digest.short().to_owned(),
            reason: format!("{error:#}"),
        };
        let source = exports
            .source
            .then(|| wit::GuestIndices::new(&instance_pre))
            .transpose()
            .map_err(unfit)?;
        Ok(Connector {
            name: format!("{}@{}", manifest.id, manifest.version),
            memory_bytes_max: wishes.memory_mib << 20,
            asks_to_run_blind: wishes.blind,
            shared,
            digest,
            manifest,
            imports,
            exports,
            instance_pre,
            source,
        })
    }

    /// The sha256 of the component.
    pub fn digest(&self) -> &Sha256 {
        &self.digest
    }

    /// What it said of itself; the same for the same digest.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// What it offers.
    pub fn exports(&self) -> Exports {
        self.exports
    }

    /// The interfaces that it imports, sorted.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Probes credentials and permissions.
    ///
    /// # Errors
    /// The guest's own failure, or why it was stopped.
    pub async fn check(
        &self,
        context: CallContext,
        config: String,
    ) -> Result<((), CallUsage), Error> {
        let (answer, usage) = self
            .ask("check", context, None, |source, store, instance| {
                Box::pin(async move {
                    source
                        .load(&mut *store, &instance)?
                        .call_check(store, &config)
                        .await
                })
            })
            .await;
        Ok((answer?, usage))
    }

    /// Lists the streams of the account.
    ///
    /// # Errors
    /// As [`Connector::check`].
    pub async fn discover(
        &self,
        context: CallContext,
        config: String,
    ) -> Result<(Vec<StreamInfo>, CallUsage), Error> {
        let (answer, usage) = self
            .ask("discover", context, None, |source, store, instance| {
                Box::pin(async move {
                    source
                        .load(&mut *store, &instance)?
                        .call_discover(store, &config)
                        .await
                })
            })
            .await;
        let streams = convert::streams(answer?).map_err(|rule| self.broken("discover", rule))?;
        Ok((streams, usage))
    }

    /// Cuts a stream into partitions.
    ///
    /// # Errors
    /// As [`Connector::check`].
    pub async fn plan(
        &self,
        context: CallContext,
        request: PlanRequest,
    ) -> Result<(Vec<PlannedPartition>, CallUsage), Error> {
        let request = convert::plan_request(request);
        let (answer, usage) = self
            .ask("plan", context, None, |source, store, instance| {
                Box::pin(async move {
                    source
                        .load(&mut *store, &instance)?
                        .call_plan(store, &request)
                        .await
                })
            })
            .await;
        let partitions = convert::partitions(answer?, convert::PLAN_MAX)
            .map_err(|rule| self.broken("plan", rule))?;
        Ok((partitions, usage))
    }

    /// Reads one partition until it ends, is told to stop or fails.
    ///
    /// Dropping the future drops the instance, and the sink with it.
    pub async fn read(
        &self,
        context: CallContext,
        sink: Box<dyn Sink>,
        request: ReadRequest,
    ) -> ReadReport {
        let had_saved = request.state.is_some() || sink.has_saved();
        let caps = context.caps;
        let (sink, back) = Lent::new(sink);
        let since = |window: &Window| window.since_ms.to_string();
        let reading = Reading {
            sink,
            stream: request.stream.clone(),
            lower_bound: request.partition.window.as_ref().map(since),
            progress: Progress {
                state: request.state.clone(),
                ..Progress::default()
            },
        };
        let request = convert::read_request(request);
        let (answer, usage) = self
            .ask("read", context, Some(reading), |source, store, instance| {
                Box::pin(async move {
                    let guest = source.load(&mut *store, &instance)?;
                    let outcome = guest.call_read(&mut *store, &request).await?;
                    let (reading, _) = store.data_mut().reading()?;
                    let saved = reading.progress.saved;
                    Ok(outcome.map(|outcome| (outcome, saved)))
                })
            })
            .await;
        let outcome = answer.and_then(|(outcome, saved)| {
            convert::outcome(outcome, had_saved || saved, &caps)
                .map_err(|rule| self.broken("read", rule))
        });
        let sink = back
            .await
            .expect("a lent sink is sent home when its instance is dropped");
        ReadReport {
            outcome,
            sink,
            usage,
        }
    }

    async fn ask<T, B>(
        &self,
        call: &'static str,
        context: CallContext,
        reading: Option<Reading>,
        body: B,
    ) -> (Result<T, Error>, CallUsage)
    where
        T: Send + 'static,
        B: for<'s> FnOnce(
                wit::GuestIndices,
                &'s mut Store<State>,
                Instance,
            ) -> BoxFuture<'s, wasmtime::Result<Result<T, Failure>>>
            + Send
            + 'static,
    {
        let Some(source) = self.source.clone() else {
            let connector = self.name.clone();
            let export = "source";
            return (
                Err(Error::NoExport { connector, export }),
                CallUsage::default(),
            );
        };
        let budget = context.budget.unwrap_or_else(|| match &reading {
            Some(_) => Budget::read(),
            None => Budget::question(),
        });
        let began = Instant::now();
        let (meter, network) = (
            Arc::<Meter>::default(),
            Arc::<tidegate_broker::Meter>::default(),
        );
        let frame = Frame {
            connector: self.name.clone(),
            call,
            budget,
            cancel: context.cancel.clone(),
            meter: Arc::clone(&meter),
        };
        let in_call = Call {
            deadline: began + budget.wall,
            cancel: context.cancel.clone(),
            meter: Arc::clone(&network),
            origin: context.origin.clone(),
        };
        let state = self.state(context, budget, in_call, &meter, reading);
        let outcome = call::run(
            self.shared.floor(),
            self.instance_pre.clone(),
            state,
            frame,
            Box::new(move |store, instance| body(source, store, instance)),
        )
        .await;
        let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let answer = outcome
            .and_then(|answer| answer.map_err(|failure| Frame::failed(&self.name, call, failure)));
        let usage = meter.usage(wall_ms, network.usage());
        tracing::event!(target: "metric", tracing::Level::INFO, wasm.memory.usage = usage.peak_memory_bytes);
        if let Err(error) = &answer
            && error.fault() == Fault::Guest
        {
            tracing::event!(target: "metric", tracing::Level::INFO, wasm.trap = 1u64, wasm.trap.kind = trap_kind(error));
        }
        (answer, usage)
    }

    fn state(
        &self,
        context: CallContext,
        budget: Budget,
        call: Call,
        meter: &Arc<Meter>,
        reading: Option<Reading>,
    ) -> State {
        let gate = Gate::new(
            Arc::clone(&context.log),
            Arc::clone(meter),
            context.caps,
            context.secrets.values(),
        );
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        State {
            table,
            wasi: wasi_of_call(&context.clock, context.seed, &gate),
            limiter: Limiter {
                meter: Arc::clone(meter),
                memory_bytes_max: self.memory_bytes_max,
            },
            meter: Arc::clone(meter),
            live: Some(Box::new(Live {
                began_ms: (context.clock)(),
                budget,
                blind: context.blind || self.asks_to_run_blind,
                way_out: WayOut {
                    session: context.session.clone(),
                    call,
                    io: self.shared.io.clone(),
                },
                context,
                manifest: Arc::clone(&self.manifest),
                gate,
                reading,
                held_bytes: 0,
                kv_bytes: 0,
                blind_answers: 0,
            })),
        }
    }

    fn broken(&self, call: &'static str, rule: String) -> Error {
        Error::Contract {
            connector: self.name.clone(),
            call,
            rule,
        }
    }
}
