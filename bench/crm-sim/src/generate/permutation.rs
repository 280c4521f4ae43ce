//! A keyed permutation of `0..count`: ids look unordered, yet the index of a
//! record can be computed back from its id.

use super::{below, mix};

const ROUNDS: u64 = 4;

/// A Feistel network over a grid of `width * height >= count` cells, walked
/// until it lands inside `0..count`. The grid is at most one row too large, so
/// a walk is almost always a single step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permutation {
    count: u32,
    width: u32,
    height: u32,
    key: u64,
}

impl Permutation {
    pub(crate) fn new(count: u32, key: u64) -> Permutation {
        let width = count.isqrt().max(1);
        let height = count.div_ceil(width).max(1);
        Permutation {
            count,
            width,
            height,
            key,
        }
    }

    /// The place of an index in id order. `index` must be below the count.
    pub(crate) fn position(&self, index: u32) -> u32 {
        debug_assert!(index < self.count);
        let mut cell = index;
        loop {
            let (mut x, mut y) = (cell % self.width, cell / self.width);
            for round in 0..ROUNDS {
                if round % 2 == 0 {
                    x = add(x, self.shift(round, y, self.width), self.width);
                } else {
                    y = add(y, self.shift(round, x, self.height), self.height);
                }
            }
            cell = x + y * self.width;
            if cell < self.count {
                return cell;
            }
        }
    }

    /// The index at a place in id order. `position` must be below the count.
    pub(crate) fn index(&self, position: u32) -> u32 {
        debug_assert!(position < self.count);
        let mut cell = position;
        loop {
            let (mut x, mut y) = (cell % self.width, cell / self.width);
            for round in (0..ROUNDS).rev() {
                if round % 2 == 0 {
                    x = subtract(x, self.shift(round, y, self.width), self.width);
                } else {
                    y = subtract(y, self.shift(round, x, self.height), self.height);
                }
            }
            cell = x + y * self.width;
            if cell < self.count {
                return cell;
            }
        }
    }

    fn shift(&self, round: u64, other: u32, bound: u32) -> u32 {
        below(mix(self.key ^ (round << 32) ^ u64::from(other)), bound)
    }
}

fn add(value: u32, by: u32, modulus: u32) -> u32 {
    let sum = value + by;
    if sum >= modulus { sum - modulus } else { sum }
}

fn subtract(value: u32, by: u32, modulus: u32) -> u32 {
    if value >= by {
        value - by
    } else {
        value + modulus - by
    }
}

#[cfg(test)]
mod tests {
    use super::Permutation;

    #[test]
    fn every_index_has_one_position_and_comes_back_from_it() {
        for count in [1, 2, 3, 5, 16, 17, 1000, 4099] {
            let permutation = Permutation::new(count, 7);
            let mut seen = vec![false; count as usize];
            for index in 0..count {
                let position = permutation.position(index);
                assert!(!std::mem::replace(&mut seen[position as usize], true));
                assert_eq!(permutation.index(position), index, "of {count}");
            }
        }
    }

    #[test]
    fn positions_are_not_in_index_order() {
        let permutation = Permutation::new(10_000, 1);
        let rising = (1..10_000)
            .filter(|index| permutation.position(*index) > permutation.position(index - 1))
            .count();
        assert!((4_000..6_000).contains(&rising), "{rising}");
    }
}
