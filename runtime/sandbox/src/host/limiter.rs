//! Memory, tables and instances of one store.

use crate::settings::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use crate::usage::Meter;
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// Holds a store to its limits; memory counts over all its linear memories.
pub(crate) struct Limiter {
    pub(crate) meter: Arc<Meter>,
    pub(crate) memory_bytes_max: u64,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        Ok(self.meter.grow_memory(more, self.memory_bytes_max))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}
