//! What toolchains leave behind of WASI 0.2: everything is there, nothing leads
//! anywhere. No files, no sockets, no environment, no arguments; time and random
//! numbers come from the call, standard output and error go to its log.

use super::State;
use crate::context::WallClock;
use crate::log::{Gate, Level};
use async_trait::async_trait;
use bytes::Bytes;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
};

/// Bytes of one answer of random numbers.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// Bytes that standard output takes at once.
const WRITE_BYTES_MAX: usize = 8 << 10;

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Links what admission lets through, and neither sockets nor http.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    // Streams, clocks, random numbers, standard input, output and error.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    random::insecure::add_to_linker::<State, WasiRandom>(linker, |state| state.wasi.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, |state| state.wasi.random())?;
    cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    Ok(())
}

/// Everything refused; time stands still and random numbers are fixed.
pub(crate) fn offline() -> WasiCtx {
    builder(Arc::new(|| 0), [0; 32]).build()
}

/// Everything refused but the call's clock, its random numbers and its log.
pub(crate) fn of_call(clock: &WallClock, seed: [u8; 32], gate: &Gate) -> WasiCtx {
    builder(Arc::clone(clock), seed)
        .stdout(Pipe {
            gate: gate.clone(),
            level: Level::Info,
        })
        .stderr(Pipe {
            gate: gate.clone(),
            level: Level::Warn,
        })
        .build()
}

fn builder(clock: WallClock, seed: [u8; 32]) -> WasiCtxBuilder {
    let mut insecure = seed;
    insecure[0] ^= 0xFF;
    let began_ms = clock();
    let mut builder = WasiCtxBuilder::new();
    builder
        .secure_random(StdRng::from_seed(seed))
        .insecure_random(StdRng::from_seed(insecure))
        .insecure_random_seed(u128::from_le_bytes(
            *insecure.first_chunk().expect("32 bytes hold 16"),
        ))
        .max_random_size(RANDOM_BYTES_MAX)
        .monotonic_clock(Coarse {
            clock: Arc::clone(&clock),
            began_ms,
        })
        .wall_clock(Coarse { clock, began_ms });
    builder
}

/// Both WASI clocks, in whole milliseconds.
struct Coarse {
    clock: WallClock,
    began_ms: u64,
}

impl HostWallClock for Coarse {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis((self.clock)())
    }
}

impl HostMonotonicClock for Coarse {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        (self.clock)()
            .saturating_sub(self.began_ms)
            .saturating_mul(1_000_000)
    }
}

/// Standard output or error: each write is a line of the log.
#[derive(Clone)]
struct Pipe {
    gate: Gate,
    level: Level,
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 would ask for it.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.gate.write(self.level, line, &[]);
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}
