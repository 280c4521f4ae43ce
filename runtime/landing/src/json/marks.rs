//! Where a string of JSON may end: quotes, backslashes and control characters, found 64
//! bytes at a time, because most strings are shorter than a search for their end takes
//! to begin.

use wide::u8x16;

const BLOCK: usize = 64;
const LANES: usize = 16;

/// The marks of the block that was looked at last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// Which block of the text it is, counted from its start.
    block: usize,
    /// A bit for each byte of the block, the first byte's the lowest.
    bits: u64,
}

impl Marks {
    pub(super) fn new() -> Self {
        Marks {
            block: usize::MAX,
            bits: 0,
        }
    }

    /// The first marked byte at `at` or behind it; the text's length where there is none.
    #[inline]
    pub(super) fn next(&mut self, bytes: &[u8], at: usize) -> usize {
        let mut at = at;
        while at < bytes.len() {
            let block = at / BLOCK;
            if block != self.block {
                *self = Marks {
                    block,
                    bits: marked(bytes, block * BLOCK),
                };
            }
            let ahead = self.bits >> (at % BLOCK);
            if ahead != 0 {
                return at + ahead.trailing_zeros() as usize;
            }
            at = (block + 1) * BLOCK;
        }
        bytes.len()
    }
}

/// The bits of the block that starts there. Behind the text nothing is marked.
#[inline]
fn marked(bytes: &[u8], start: usize) -> u64 {
    let rest = &bytes[start..];
    match rest.first_chunk::<BLOCK>() {
        Some(block) => marked_in(block),
        None => {
            let mut block = [b' '; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            marked_in(&block)
        }
    }
}

#[inline]
fn marked_in(block: &[u8; BLOCK]) -> u64 {
    let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    let control = u8x16::splat(0x1f);
    let (lanes, _) = block.as_chunks::<LANES>();
    lanes.iter().rev().fold(0, |bits, lane| {
        let lane = u8x16::new(*lane);
        let is_control = lane.min(control).simd_eq(lane);
        let marked = lane.simd_eq(quote) | lane.simd_eq(backslash) | is_control;
        bits << LANES | u64::from(marked.to_bitmask())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_are_where_a_look_at_each_byte_finds_them(
            bytes in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'"'), 6 => Just(b'a')], 0..300),
            starts in prop::collection::vec(0_usize..320, 1..8),
        ) {
            let is_marked = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let mut marks = Marks::new();
            for start in starts {
                let found = bytes.iter().skip(start).position(is_marked);
                let expected = found.map_or(bytes.len(), |at| start + at);
                prop_assert_eq!(marks.next(&bytes, start), expected);
            }
        }
    }
}
