//! Compiling in a process that may die: the child's side and the parent's.
//!
//! Compile bombs are outside wasmtime's promise, and an allocation failure aborts
//! the process. So the child limits itself before it looks at the input, and the
//! parent kills it when it takes too long.

use crate::Error;
use crate::config::{CompileLimits, Compiler};
use crate::settings::{Memories, compiling_engine};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus, Stdio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Larger than any component that admission lets through.
const WASM_BYTES_MAX: u64 = 64 << 20;
/// StarlingMonkey's 12.8 MB compile to 33.5 MB.
const COMPILED_BYTES_MAX: u64 = 512 << 20;
const MESSAGE_BYTES_MAX: u64 = 4 << 10;

/// The whole life of a compiling process: limits itself as the arguments say,
/// reads a component from standard input, writes the compiled form to standard
/// output, or one line to standard error and fails.
///
/// Arguments: `--memory-mib N --cpu-s N [--inspected]`. Call it before any other
/// thread is started.
pub fn child_main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    match compile_standard_input(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // A parent that is gone needs no message.
            drop(writeln!(std::io::stderr(), "{reason}"));
            ExitCode::FAILURE
        }
    }
}

fn compile_standard_input(arguments: impl IntoIterator<Item = String>) -> Result<(), String> {
    let order = Order::parse(arguments)?;
    let limit = |resource, value| {
        let both = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        setrlimit(resource, both).map_err(|error| format!("cannot limit this process: {error}"))
    };
    limit(Resource::Core, 0)?;
    limit(Resource::As, order.memory_mib << 20)?;
    limit(Resource::Cpu, order.cpu_s)?;
    let mut wasm = Vec::new();
    std::io::stdin()
        .take(WASM_BYTES_MAX)
        .read_to_end(&mut wasm)
        .map_err(|error| format!("cannot read the component: {error}"))?;
    let compiled = compiling_engine(order.memories)
        .and_then(|engine| engine.precompile_component(&wasm))
        .map_err(|error| format!("{error:#}"))?;
    std::io::stdout()
        .write_all(&compiled)
        .map_err(|error| format!("cannot hand over the compiled component: {error}"))
}

struct Order {
    memory_mib: u64,
    cpu_s: u64,
    memories: Memories,
}

impl Order {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Order, String> {
        let (mut memory_mib, mut cpu_s, mut memories) = (None, None, Memories::Guarded);
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let mut number = || arguments.next().and_then(|text| text.parse().ok());
            match name.as_str() {
                "--memory-mib" => memory_mib = number(),
                "--cpu-s" => cpu_s = number(),
                "--inspected" => memories = Memories::Inspected,
                other => return Err(format!("unknown argument {other}")),
            }
        }
        match (memory_mib, cpu_s) {
            (Some(memory_mib), Some(cpu_s)) => Ok(Order {
                memory_mib,
                cpu_s,
                memories,
            }),
            _ => Err("--memory-mib and --cpu-s are needed".to_owned()),
        }
    }
}

/// Compiles in a child; the bytes that come back are to be trusted only as far as
/// the child's program is.
pub(crate) async fn compile(
    compiler: &Compiler,
    memories: Memories,
    name: &str,
    wasm: &[u8],
) -> Result<Vec<u8>, Error> {
    let Compiler::Child { exe, args, limits } = compiler;
    let failed = |source| Error::Compiler {
        exe: exe.clone(),
        source,
    };
    let mut command = Command::new(exe);
    command
        .args(args)
        .args(["--memory-mib", &limits.memory_mib.to_string()])
        .args(["--cpu-s", &limits.cpu_s.to_string()])
        .args((memories == Memories::Inspected).then_some("--inspected"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(failed(std::io::Error::other("the child has no pipes")));
    };
    let (mut compiled, mut message) = (Vec::new(), Vec::new());
    let exchange = async {
        let feed = async {
            // A child that died early shows in its status, not here.
            drop(stdin.write_all(wasm).await);
            drop(stdin);
            Ok(())
        };
        let mut stdout = stdout.take(COMPILED_BYTES_MAX);
        let mut stderr = stderr.take(MESSAGE_BYTES_MAX);
        tokio::try_join!(
            feed,
            stdout.read_to_end(&mut compiled),
            stderr.read_to_end(&mut message),
        )?;
        child.wait().await
    };
    let status = match tokio::time::timeout(limits.wall, exchange).await {
        Ok(status) => status.map_err(failed)?,
        // Dropping the child kills it.
        Err(_) => return Err(too_costly(name, limits)),
    };
    verdict(status, name, limits, &message).map(|()| compiled)
}

fn verdict(
    status: ExitStatus,
    name: &str,
    limits: &CompileLimits,
    message: &[u8],
) -> Result<(), Error> {
    if status.success() {
        Ok(())
    } else if status.signal().is_some() {
        // Out of time (SIGXCPU, SIGKILL) or out of memory (SIGABRT).
        Err(too_costly(name, limits))
    } else {
        let reason: String = String::from_utf8_lossy(message)
            .chars()
            .filter(|char| !char.is_control() || *char == '\n')
            .collect();
        Err(Error::Invalid {
            connector: name.to_owned(),
            reason: reason.trim().to_owned(),
        })
    }
}

fn too_costly(name: &str, limits: &CompileLimits) -> Error {
    Error::TooCostly {
        connector: name.to_owned(),
        cpu_s: limits.cpu_s,
        memory_mib: limits.memory_mib,
    }
}
