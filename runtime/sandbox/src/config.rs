//! What a sandbox is built from: places, limits, and how components are compiled.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a sandbox is set up; one per process.
#[derive(Clone)]
pub struct Config {
    /// Where compiled components are kept; only this process's user may write there.
    pub cache_dir: PathBuf,
    /// Who compiles.
    pub compiler: Compiler,
    /// How many instances may live at once; address space is reserved for each.
    pub instances_max: u32,
    /// Threads that run guests and nothing else.
    pub threads: usize,
    /// What a component may look like.
    pub admission: Admission,
    /// Called with each linear memory when its instance is dropped. For tests that
    /// hunt for what must not be there: instances are then slow, since each memory
    /// access is checked in code.
    pub inspect_memory: Option<MemoryInspector>,
}

/// Sees a linear memory at the end of its life.
pub type MemoryInspector = Arc<dyn Fn(&[u8]) + Send + Sync>;

impl Config {
    /// The defaults, with this place and this compiler.
    pub fn new(cache_dir: PathBuf, compiler: Compiler) -> Self {
        Config {
            cache_dir,
            compiler,
            instances_max: 200,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            admission: Admission::default(),
            inspect_memory: None,
        }
    }
}

/// Who compiles components: a process of its own, because a component can make
/// the compiler take all time and memory, and an allocation failure aborts.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// Starts `exe` with `args` and the arguments of [`crate::compile::child_main`].
    Child {
        /// The program.
        exe: PathBuf,
        /// What comes before our arguments, such as a hidden subcommand.
        args: Vec<String>,
        /// What one compilation may take.
        limits: CompileLimits,
    },
}

/// What one compilation may take.
#[derive(Clone, Copy, Debug)]
pub struct CompileLimits {
    /// Address space of the child, in MiB.
    pub memory_mib: u64,
    /// CPU time of the child, in seconds.
    pub cpu_s: u64,
    /// Wall clock; the child is killed after it.
    pub wall: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        CompileLimits {
            memory_mib: 2_048,
            cpu_s: 60,
            wall: Duration::from_secs(180),
        }
    }
}

/// What a component may look like before anything but the scan touches it. The
/// defaults leave room for Python (38 modules, 18 MB) and StarlingMonkey (12 MB).
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Bytes of the component.
    pub component_bytes_max: usize,
    /// Core modules.
    pub modules_max: u32,
    /// Components in components.
    pub components_max: u32,
    /// How deep they may be nested.
    pub nesting_max: u32,
    /// Functions over all modules.
    pub functions_max: u32,
    /// Bytes of one function's body.
    pub body_bytes_max: usize,
    /// Locals of one function.
    pub locals_max: u64,
    /// Locals times control blocks of one function: what compile time and memory
    /// grow with.
    pub locals_blocks_max: u64,
    /// Targets of one `br_table`.
    pub branch_targets_max: u32,
    /// Data and element segments over all modules.
    pub segments_max: u32,
    /// Imports and exports of the component, and of each module.
    pub names_max: u32,
}

impl Default for Admission {
    fn default() -> Self {
        Admission {
            component_bytes_max: 32 << 20,
            modules_max: 100,
            components_max: 100,
            nesting_max: 8,
            functions_max: 100_000,
            body_bytes_max: 1 << 20,
            locals_max: 20_000,
            locals_blocks_max: 40_000_000,
            branch_targets_max: 16_384,
            segments_max: 100_000,
            names_max: 10_000,
        }
    }
}

/// What one call may take of a guest's own doing.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// CPU time, the host's work for the guest included.
    pub cpu: Duration,
    /// Wall clock; the instance is dropped after it.
    pub wall: Duration,
    /// How long a cancelled call may go on, to save and return.
    pub grace: Duration,
}

impl Budget {
    /// For `check`, `discover` and `plan`.
    pub fn question() -> Self {
        Budget {
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(120),
            grace: Duration::from_secs(1),
        }
    }

    /// For one `read`.
    pub fn read() -> Self {
        Budget {
            cpu: Duration::from_secs(600),
            wall: Duration::from_secs(3_600),
            grace: Duration::from_secs(5),
        }
    }
}

/// What one call may ask of the host.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Calls of imports.
    pub host_calls_max: u64,
    /// Bytes of log lines, standard output and error included; the rest is dropped.
    pub log_bytes_max: u64,
    /// Bytes of one log line.
    pub log_line_bytes_max: usize,
    /// Bytes of all records emitted.
    pub emitted_bytes_max: u64,
    /// Bytes of the bodies that a guest holds at once; large ones are on disk.
    pub held_bytes_max: u64,
    /// Bytes of one state.
    pub state_bytes_max: usize,
    /// Bytes of one hint.
    pub kv_value_bytes_max: usize,
    /// Bytes of all hints of the connection.
    pub kv_scope_bytes_max: u64,
    /// Bytes of hints read and written in one call.
    pub kv_call_bytes_max: u64,
    /// Requests in flight of one `fetch-many` or `pipeline`.
    pub in_flight_max: u32,
    /// Requests queued in one `fetch-many` or `pipeline`.
    pub queued_max: usize,
    /// Answers to pointers that reach inside records, for a blind connector.
    pub blind_answers_max: u64,
    /// Bytes of one answer to a blind connector.
    pub blind_answer_bytes_max: usize,
    /// Series of metrics.
    pub series_max: usize,
    /// How often one state may be saved while records go by.
    pub still_cursor_max: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Caps {
            host_calls_max: 1_000_000,
            log_bytes_max: 1 << 20,
            log_line_bytes_max: 8 << 10,
            emitted_bytes_max: 1 << 40,
            held_bytes_max: 1 << 30,
            state_bytes_max: 64 << 10,
            kv_value_bytes_max: 64 << 10,
            kv_scope_bytes_max: 1 << 20,
            kv_call_bytes_max: 16 << 20,
            in_flight_max: 8,
            queued_max: 100,
            blind_answers_max: 1_000_000,
            blind_answer_bytes_max: 4 << 10,
            series_max: 64,
            still_cursor_max: 3,
        }
    }
}
