//! The state of one instance, and what its imports share.

mod body;
mod checkpoint;
mod emit;
mod http;
mod kv;
mod limiter;
mod pipeline;
mod report;
mod vault;
mod wasi;

#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub use self::body::Body;
pub(crate) use self::checkpoint::check_state;
pub(crate) use self::limiter::Limiter;
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub use self::pipeline::Pipeline;
pub(crate) use self::wasi::{
    add_to_linker as add_wasi_to_linker, of_call as wasi_of_call, offline as wasi_offline,
};

use crate::config::{Budget, Caps};
use crate::context::{CallContext, WallClock};
use crate::error::{Stop, stop};
use crate::log::Gate;
use crate::sink::Sink;
use crate::source::StreamInfo;
use crate::usage::Meter;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tidegate_broker::{Call, Session};
use tidegate_domain::manifest::Manifest;
use tokio::sync::oneshot;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;

/// Handles of one instance.
pub(crate) const HANDLES_MAX: usize = 1_000;

/// Everything that belongs to one instance.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Arc<Meter>,
    /// None while a component describes itself: then it has no host.
    pub(crate) live: Option<Box<Live>>,
}

/// What a call works with.
pub(crate) struct Live {
    pub(crate) context: CallContext,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) way_out: WayOut,
    pub(crate) gate: Gate,
    pub(crate) began_ms: u64,
    pub(crate) budget: Budget,
    /// Whether bodies of data endpoints are closed to the guest.
    pub(crate) blind: bool,
    pub(crate) reading: Option<Reading>,
    /// Bytes of the bodies whose handles are open.
    pub(crate) held_bytes: u64,
    pub(crate) kv_bytes: u64,
    pub(crate) blind_answers: u64,
}

/// How a call's requests leave.
#[derive(Clone)]
pub(crate) struct WayOut {
    pub(crate) session: Session,
    pub(crate) call: Call,
    /// Where requests run: guests do not slow them down.
    pub(crate) io: tokio::runtime::Handle,
}

/// What only a read has.
pub(crate) struct Reading {
    pub(crate) sink: Lent,
    pub(crate) stream: StreamInfo,
    /// Where the partition's window begins: what was created before is an update.
    pub(crate) lower_bound: Option<String>,
    pub(crate) progress: Progress,
}

/// How a read gets on; the rules of the contract look at it.
#[derive(Default)]
pub(crate) struct Progress {
    /// The last saved state; at first the one that the call began with.
    pub(crate) state: Option<String>,
    /// Whether this call saved.
    pub(crate) saved: bool,
    /// Whether a request was sent since the last save.
    pub(crate) fetched: bool,
    /// Whether records went by since the last save.
    pub(crate) emitted: bool,
    /// How often in a row the state stood still while records went by.
    pub(crate) still: u32,
}

/// A sink that finds its way home whatever happens to the instance.
pub(crate) struct Lent {
    sink: Option<Box<dyn Sink>>,
    home: Option<oneshot::Sender<Box<dyn Sink>>>,
}

impl Lent {
    pub(crate) fn new(sink: Box<dyn Sink>) -> (Lent, oneshot::Receiver<Box<dyn Sink>>) {
        let (home, back) = oneshot::channel();
        (
            Lent {
                sink: Some(sink),
                home: Some(home),
            },
            back,
        )
    }

    pub(crate) fn sink(&mut self) -> &mut dyn Sink {
        self.sink
            .as_deref_mut()
            .expect("the sink leaves only on drop")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(sink), Some(home)) = (self.sink.take(), self.home.take()) {
            // The owner may be gone as well; then the sink ends here.
            drop(home.send(sink));
        }
    }
}

impl State {
    /// Every import begins here: it counts the call and finds what it works with.
    pub(crate) fn enter(&mut self) -> wasmtime::Result<&mut Live> {
        let Some(live) = self.live.as_deref_mut() else {
            return stop(Stop::Contract(
                "a component has no host while it describes itself".to_owned(),
            ));
        };
        let calls_max = live.context.caps.host_calls_max;
        if self.meter.host_calls.fetch_add(1, Relaxed) >= calls_max {
            return stop(Stop::Limit(format!("{calls_max} host calls")));
        }
        Ok(live)
    }

    /// What only a read has; the import has entered already.
    pub(crate) fn reading(&mut self) -> wasmtime::Result<(&mut Reading, &Caps)> {
        match self.live.as_deref_mut() {
            Some(Live {
                reading: Some(reading),
                context,
                ..
            }) => Ok((reading, &context.caps)),
            _ => stop(Stop::Contract(
                "emit and checkpoint work only in a read".to_owned(),
            )),
        }
    }
}

impl Live {
    pub(crate) fn now_ms(&self) -> u64 {
        let clock: &WallClock = &self.context.clock;
        clock()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.context.cancel.is_cancelled()
    }
}
