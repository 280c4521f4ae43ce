//! Linear memories that a test can look into when their instance ends.
//!
//! The component model hides a guest's memory from its host, so the only way to
//! prove that a secret or a record never got there is to own the memory.

use crate::config::MemoryInspector;
use crate::settings::MEMORY_MIB_MAX;
use memmap2::{MmapMut, MmapRaw};
use std::sync::Arc;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Makes memories and shows each to the inspector when it is dropped.
pub(crate) struct InspectedMemories {
    inspector: MemoryInspector,
}

impl InspectedMemories {
    pub(crate) fn new(inspector: MemoryInspector) -> Self {
        InspectedMemories { inspector }
    }
}

struct InspectedMemory {
    /// Mapped whole; the kernel gives zeroed pages as they are touched.
    pages: MmapRaw,
    bytes: usize,
    inspector: MemoryInspector,
}

#[expect(
    unsafe_code,
    reason = "each memory is a fresh, zeroed, page-aligned mapping of its own, whose base never \
              moves; the engine is set to no reservation and no guard, so compiled code checks \
              every access against `byte_size`"
)]
unsafe impl MemoryCreator for InspectedMemories {
    fn new_memory(
        &self,
        _kind: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        _reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let capacity = (MEMORY_MIB_MAX << 20) as usize;
        if guard_size_in_bytes > 0 || minimum > capacity {
            return Err(format!("a memory of {minimum} bytes cannot be inspected"));
        }
        let pages = MmapMut::map_anon(capacity)
            .map(MmapRaw::from)
            .map_err(|error| error.to_string())?;
        Ok(Box::new(InspectedMemory {
            pages,
            bytes: minimum,
            inspector: Arc::clone(&self.inspector),
        }))
    }
}

#[expect(
    unsafe_code,
    reason = "`as_ptr` stays the same for the life of the mapping, and `byte_size` never passes \
              the length of the mapping"
)]
unsafe impl LinearMemory for InspectedMemory {
    fn byte_size(&self) -> usize {
        self.bytes
    }

    fn byte_capacity(&self) -> usize {
        self.pages.len()
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.pages.len() {
            return Err(wasmtime::Error::msg("an inspected memory is full"));
        }
        self.bytes = new_size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.pages.as_mut_ptr()
    }
}

impl Drop for InspectedMemory {
    fn drop(&mut self) {
        #[expect(
            unsafe_code,
            reason = "the mapping is `pages.len() >= bytes` long and initialised by the kernel; \
                      the instance that wrote to it is gone, since it owned this"
        )]
        let bytes = unsafe { std::slice::from_raw_parts(self.pages.as_ptr(), self.bytes) };
        (self.inspector)(bytes);
    }
}
