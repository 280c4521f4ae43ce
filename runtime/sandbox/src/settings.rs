//! The one place that configures wasmtime: for the engine that runs guests and for
//! the child that compiles them, which must agree.

use crate::Error;
use crate::config::Config;
use crate::inspect::InspectedMemories;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use wasmtime::{Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Memory that a manifest may ask for at the most.
pub(crate) const MEMORY_MIB_MAX: u64 = 256;
/// Memory where the manifest does not ask.
pub(crate) const MEMORY_MIB_DEFAULT: u64 = 64;
/// Elements of one table; StarlingMonkey takes 7,744, Python 5,842.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Core instances of one component; Python takes 38.
pub(crate) const CORE_INSTANCES_MAX: u32 = 64;
/// Linear memories of one component; QuickJS takes 3.
pub(crate) const MEMORIES_MAX: u32 = 4;
/// Tables of one component.
pub(crate) const TABLES_MAX: u32 = 16;

/// What a place keeps of a memory and of a table, made as new by writing over it: below
/// this, giving pages back and faulting them in again costs more.
const MEMORY_KEPT_BYTES: usize = 128 << 10;
const TABLE_KEPT_BYTES: usize = 16 << 10;

/// How linear memories are laid out; compiled code depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memories {
    /// Reserved whole, out-of-bounds accesses fault.
    Guarded,
    /// Ours to look into; every access is checked in code.
    Inspected,
}

/// The engine that runs guests.
pub(crate) fn engine(config: &Config) -> Result<Engine, Error> {
    let mut settings = match &config.inspect_memory {
        None => {
            let mut settings = base(Memories::Guarded);
            settings.allocation_strategy(pool(config.instances_max));
            settings
        }
        Some(inspector) => {
            let mut settings = base(Memories::Inspected);
            settings.with_host_memory(Arc::new(InspectedMemories::new(Arc::clone(inspector))));
            settings
        }
    };
    settings.async_stack_size(2 << 20);
    settings.async_stack_zeroing(true);
    Engine::new(&settings).map_err(|source| Error::Engine {
        source: source.into(),
    })
}

/// The engine of the compiling child: it reserves nothing.
pub(crate) fn compiling_engine(memories: Memories) -> wasmtime::Result<Engine> {
    Engine::new(&base(memories))
}

/// Changes whenever compiled code of another engine could not be loaded: it covers
/// wasmtime's version, its settings and the features of this CPU.
pub(crate) fn settings_hash(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn base(memories: Memories) -> wasmtime::Config {
    let mut settings = wasmtime::Config::new();
    settings
        .epoch_interruption(true)
        .consume_fuel(false)
        .concurrency_support(false)
        .max_wasm_stack(1 << 20)
        .memory_init_cow(true)
        .generate_address_map(true)
        .wasm_component_model(true)
        .wasm_extended_const(true)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        // For what wasmtime puts between the components of a component, such as QuickJS
        // and its loader: it copies from memory to memory. Modules with more than one
        // are refused at admission.
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    if memories == Memories::Inspected {
        settings
            .memory_reservation(0)
            .memory_reservation_for_growth(0)
            .memory_guard_size(0)
            .guard_before_linear_memory(false)
            .memory_init_cow(false)
            .memory_may_move(true);
    }
    settings
}

fn pool(instances_max: u32) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances_max)
        .total_stacks(instances_max)
        .total_core_instances(instances_max * CORE_INSTANCES_MAX)
        .total_memories(instances_max * MEMORIES_MAX)
        .total_tables(instances_max * TABLES_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_keep_resident(TABLE_KEPT_BYTES)
        .max_memory_size((MEMORY_MIB_MAX << 20) as usize);
    InstanceAllocationStrategy::Pooling(pool)
}
