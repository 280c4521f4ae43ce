//! Unedited records as pure functions of a seed and an index: nothing is stored.

mod permutation;
mod timeline;
mod value;
mod words;

pub(crate) use permutation::Permutation;
pub(crate) use timeline::{Grain, Timeline};
pub(crate) use value::{Generator, email_index, number, write_value};

/// What is fixed about one generated record before any property is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) index: u64,
    pub(crate) id: u64,
    /// Randomness of this record; each property mixes in its own salt.
    pub(crate) hash: u64,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
}

/// A well-spread 64-bit function of its argument (the splitmix64 finaliser).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `bound`, uniform for a uniform `hash`.
pub(crate) fn below(hash: u64, bound: u32) -> u32 {
    let product = (hash >> 32) * u64::from(bound);
    u32::try_from(product >> 32).unwrap_or(0)
}
