//! Running one call: a fresh store, the clocks that end it, and what its end means.

use crate::Error;
use crate::bindings::types::Failure;
use crate::config::Budget;
use crate::error::Stop;
use crate::host::{HANDLES_MAX, State};
use crate::usage::{Meter, Metered};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tidegate_domain::Fault;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Bytes that one import may make the host copy out of a guest.
const HOSTCALL_FUEL: usize = 32 << 20;
/// Frames of a backtrace are short; a guest's names are not ours.
const BACKTRACE_BYTES_MAX: usize = 4 << 10;

/// Who is called, and within what.
pub(crate) struct Frame {
    /// Id and version, or the start of the digest before they are known.
    pub(crate) connector: String,
    /// What is called.
    pub(crate) call: &'static str,
    pub(crate) budget: Budget,
    pub(crate) cancel: CancellationToken,
    pub(crate) meter: Arc<Meter>,
}

/// The calls into an instance.
pub(crate) type Body<T> = Box<
    dyn for<'s> FnOnce(&'s mut Store<State>, Instance) -> BoxFuture<'s, wasmtime::Result<T>> + Send,
>;

/// Where instances run, and how many at once: each has its place in the pool.
pub(crate) struct Floor<'a> {
    pub(crate) guests: &'a tokio::runtime::Handle,
    pub(crate) places: Arc<Semaphore>,
}

/// Runs a call in a fresh instance on the guests' runtime, once there is a place
/// for it. When this returns, the instance is gone.
pub(crate) async fn run<T: Send + 'static>(
    floor: Floor<'_>,
    instance_pre: InstancePre<State>,
    state: State,
    frame: Frame,
    body: Body<T>,
) -> Result<T, Error> {
    let connector = frame.connector.clone();
    let call = frame.call;
    let place = floor.places.acquire_owned().await;
    let place = place.map_err(|_| Error::Closed)?;
    let span = tracing::info_span!("guest.call", connector.name = %connector, guest.call = call);
    let running = async move {
        let outcome = within_limits(instance_pre, state, frame, body).await;
        drop(place);
        outcome
    };
    let task = AbortOnDropHandle::new(floor.guests.spawn(running.instrument(span)));
    task.await.unwrap_or_else(|error| {
        if error.is_cancelled() {
            return Err(Error::Closed);
        }
        Err(Error::Host {
            connector,
            call,
            what: "the sandbox",
            fault: Fault::Host,
            source: Box::new(error),
        })
    })
}

async fn within_limits<T: Send + 'static>(
    instance_pre: InstancePre<State>,
    state: State,
    frame: Frame,
    body: Body<T>,
) -> Result<T, Error> {
    let memory_bytes_max = state.limiter.memory_bytes_max;
    let budget = frame.budget;
    let store = store(&instance_pre, state, &frame);
    let metered = Metered {
        future: Box::pin(async move {
            let mut store = store;
            let instance = instance_pre.instantiate_async(&mut store).await?;
            body(&mut store, instance).await
        }),
        meter: &frame.meter,
    };
    let patience = async {
        frame.cancel.cancelled().await;
        tokio::time::sleep(budget.grace).await;
    };
    // Each branch that wins drops the guest's future, and its store with it.
    tokio::select! {
        ended = tokio::time::timeout(budget.wall, metered) => match ended {
            Ok(outcome) => outcome.map_err(|error| frame.explain(error, memory_bytes_max)),
            Err(_) => Err(Error::Limit {
                connector: frame.connector.clone(),
                call: frame.call,
                limit: format!("{} s of wall clock", budget.wall.as_secs_f64()),
            }),
        },
        () = patience => Err(Error::Cancelled {
            connector: frame.connector.clone(),
            call: frame.call,
        }),
    }
}

fn store(instance_pre: &InstancePre<State>, state: State, frame: &Frame) -> Store<State> {
    let mut store = Store::new(instance_pre.engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(HOSTCALL_FUEL);
    store.set_max_component_handles(HANDLES_MAX);
    store.set_epoch_deadline(1);
    let meter = Arc::clone(&frame.meter);
    let cpu = frame.budget.cpu;
    store.epoch_deadline_callback(move |_| {
        if u128::from(meter.cpu_ns()) > cpu.as_nanos() {
            let limit = format!("{} s of CPU time", cpu.as_secs_f64());
            return Err(wasmtime::Error::new(Stop::Limit(limit)));
        }
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

impl Frame {
    /// What it means that a guest did not return.
    fn explain(&self, error: wasmtime::Error, memory_bytes_max: u64) -> Error {
        let backtrace = error
            .downcast_ref::<WasmBacktrace>()
            .map(|backtrace| shorten(&backtrace.to_string()))
            .unwrap_or_default();
        let (connector, call) = (self.connector.clone(), self.call);
        let error = match error.downcast::<Stop>() {
            Ok(Stop::Limit(limit)) => {
                return Error::Limit {
                    connector,
                    call,
                    limit,
                };
            }
            Ok(Stop::Contract(rule)) => {
                return Error::Contract {
                    connector,
                    call,
                    rule,
                };
            }
            Ok(Stop::Closed) => return Error::Closed,
            Ok(Stop::Host {
                what,
                fault,
                source,
            }) => {
                return Error::Host {
                    connector,
                    call,
                    what,
                    fault,
                    source,
                };
            }
            Err(error) => error,
        };
        if self.meter.memory_refused() {
            let limit = format!("{} MiB of memory", memory_bytes_max >> 20);
            return Error::Limit {
                connector,
                call,
                limit,
            };
        }
        if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
            let limit = "1 MiB of stack".to_owned();
            return Error::Limit {
                connector,
                call,
                limit,
            };
        }
        let reason = match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => format!("it left with exit({code})"),
            None => shorten(&error.root_cause().to_string()),
        };
        Error::Trap {
            connector,
            call,
            reason,
            backtrace,
        }
    }

    /// A failure that a guest reported.
    pub(crate) fn failed(connector: &str, call: &'static str, failure: Failure) -> Error {
        let (fault, until_ms, message) = match failure {
            Failure::Auth(message) => (Fault::Auth, None, message),
            Failure::Config(message) | Failure::Unsupported(message) | Failure::Fatal(message) => {
                (Fault::Config, None, message)
            }
            Failure::Throttled(until_ms) => (
                Fault::Throttled,
                until_ms,
                "the remote system asked to slow down".to_owned(),
            ),
            Failure::Transient(message) => (Fault::Transient, None, message),
            Failure::StaleCursor(message) => (Fault::StaleCursor, None, message),
            Failure::Protocol(message) => (Fault::Protocol, None, message),
        };
        Error::Failure {
            connector: connector.to_owned(),
            call,
            fault,
            until_ms,
            message: shorten(&message),
        }
    }
}

/// A text of a guest, for an error: bounded, with no control characters but line
/// ends.
fn shorten(text: &str) -> String {
    let mut kept = String::new();
    for char in text.chars() {
        if kept.len() + char.len_utf8() > BACKTRACE_BYTES_MAX {
            break;
        }
        kept.push(if char.is_control() && char != '\n' {
            ' '
        } else {
            char
        });
    }
    kept
}
