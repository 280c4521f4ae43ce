//! Records in the order of their last modification: windows of time without a
//! look at what lies outside them.

use std::ops::Range;

use super::{Records, Shown, Snapshot, View, base_view};
use crate::overlay::Overlay;

/// A place in the order: modification time in milliseconds, then id.
pub(crate) type Moment = (i64, u64);

/// Which end comes first. Ids of records that share a millisecond follow the
/// same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeOrder {
    OldestFirst,
    NewestFirst,
}

impl Records {
    /// Records of a half-open range of moments, in order; `overlay` is this
    /// type's own. Archived records count by the time of their last version.
    pub(crate) fn by_time<'a>(
        &'a self,
        overlay: &'a Overlay,
        range: Range<Moment>,
        order: TimeOrder,
        shown: Shown,
        snapshot: Snapshot,
    ) -> impl Iterator<Item = View<'a>> + 'a {
        let end = range.end.max(range.start);
        let descending = order == TimeOrder::NewestFirst;
        // No generated record is archived.
        let generated = match shown {
            Shown::Archived => end..end,
            Shown::Live | Shown::All => range.start..end,
        };
        let mut base = self.generated_moments(generated, descending).peekable();
        let written: Box<dyn Iterator<Item = Moment>> = if snapshot >= overlay.snapshot() {
            let written = overlay.moments(range.start..end, shown);
            if descending {
                Box::new(written.rev())
            } else {
                Box::new(written)
            }
        } else {
            let written = overlay
                .moments_at(range.start..end, shown, snapshot)
                .into_iter();
            if descending {
                Box::new(written.rev())
            } else {
                Box::new(written)
            }
        };
        let mut written = written.peekable();
        std::iter::from_fn(move || {
            while base
                .peek()
                .is_some_and(|((_, id), _)| overlay.has(*id, snapshot))
            {
                base.next();
            }
            let take_base = match (base.peek(), written.peek()) {
                (Some((left, _)), Some(right)) => (left < right) != descending,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if take_base {
                let (_, index) = base.next()?;
                return Some(base_view(self.row(index)));
            }
            let (_, id) = written.next()?;
            self.view_at(overlay, id, snapshot)
        })
    }

    /// How many records the same range holds.
    pub(crate) fn count_between(&self, overlay: &Overlay, from_ms: i64, until_ms: i64) -> usize {
        let indices = self.timeline.modified_between(from_ms, until_ms);
        let overwritten = overlay.generated_in(indices.clone()).count();
        let written = overlay.moments((from_ms, 0)..(until_ms.max(from_ms), 0), Shown::Live);
        indices.len() - overwritten + written.count()
    }

    /// Generated records of a range with their indices, written over or not;
    /// no more is looked at than what is taken and its ties.
    fn generated_moments(
        &self,
        range: Range<Moment>,
        descending: bool,
    ) -> impl Iterator<Item = (Moment, u32)> + '_ {
        let until_ms = range.end.0.saturating_add(1);
        let mut rest = self.timeline.modified_between(range.start.0, until_ms);
        let mut ties: Vec<(Moment, u32)> = Vec::new();
        std::iter::from_fn(move || {
            loop {
                if let Some(next) = ties.pop() {
                    if range.contains(&next.0) {
                        return Some(next);
                    }
                    continue;
                }
                let mut time_ms = None;
                while !rest.is_empty() {
                    let index = if descending { rest.end - 1 } else { rest.start };
                    let modified_ms = self.timeline.modified_ms(index);
                    if *time_ms.get_or_insert(modified_ms) != modified_ms {
                        break;
                    }
                    let id = self.id_at(self.position_of_index(index));
                    ties.push(((modified_ms, id), index));
                    if descending {
                        rest.end -= 1;
                    } else {
                        rest.start += 1;
                    }
                }
                time_ms?;
                // Taken from the back.
                ties.sort_unstable_by(|left, right| {
                    let order = right.0.cmp(&left.0);
                    if descending { order.reverse() } else { order }
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, TimeOrder};
    use crate::generate::Grain;
    use crate::records::{Population, Records, Shown, Snapshot, Write};

    fn records() -> Records {
        Records::new(Population {
            count: 2_000,
            seed: 3,
            first_id: 101,
            tie_group: 3,
            tie_burst: 200,
            grain: Grain::Second,
        })
    }

    fn write(modified_ms: i64) -> Write {
        Write {
            modified_ms,
            applied_ms: modified_ms,
            changes: Vec::new(),
        }
    }

    fn moments(records: &Records, from: Moment, until: Moment, order: TimeOrder) -> Vec<Moment> {
        let overlay = records.overlay();
        let views = records.by_time(&overlay, from..until, order, Shown::Live, Snapshot::NOW);
        views
            .map(|view| (view.row.modified_ms, view.row.id))
            .collect()
    }

    /// Every live record by a walk in id order, sorted afterwards.
    fn walked(records: &Records, from: Moment, until: Moment) -> Vec<Moment> {
        let mut all = Vec::new();
        records.walk(0, usize::MAX - 1, Shown::Live, |view| {
            all.push((view.row.modified_ms, view.row.id));
        });
        all.retain(|moment| (from..until).contains(moment));
        all.sort_unstable();
        all
    }

    #[test]
    fn a_window_holds_what_a_walk_finds_in_it_in_either_order() {
        let records = records();
        let burst_ms = records.timeline.modified_ms(1_000);
        let edited = records.pick(300, 1);
        for (step, id) in (0..).zip(&edited) {
            records.edit(*id, write(burst_ms + step % 7 * 1000));
        }
        for id in records.pick(50, 2) {
            records.delete(id, write(burst_ms + 3000));
        }
        records.create(write(burst_ms));
        let within_ties = walked(&records, (burst_ms, 0), (burst_ms, u64::MAX))[20];
        for (from, until) in [
            ((i64::MIN, 0), (i64::MAX, 0)),
            ((burst_ms, 0), (burst_ms + 5000, 0)),
            (within_ties, (burst_ms + 1000, 0)),
            ((0, 0), within_ties),
            ((burst_ms, 7), (burst_ms, 7)),
        ] {
            let mut expected = walked(&records, from, until);
            assert_eq!(
                moments(&records, from, until, TimeOrder::OldestFirst),
                expected
            );
            expected.reverse();
            assert_eq!(
                moments(&records, from, until, TimeOrder::NewestFirst),
                expected
            );
        }
        let counted = records.count_between(&records.overlay(), burst_ms, burst_ms + 5000);
        assert_eq!(
            counted,
            walked(&records, (burst_ms, 0), (burst_ms + 5000, 0)).len()
        );
    }

    #[test]
    fn a_deleted_record_stays_at_its_deletion_until_it_is_brought_back() {
        let records = records();
        let id = records.pick(1, 9)[0];
        let deleted_ms = records
            .delete(id, write(i64::MAX / 4))
            .expect("it was live");
        assert!(records.edit(id, write(deleted_ms + 5000)).is_none());
        let found = |shown| {
            let overlay = records.overlay();
            let window = (deleted_ms, 0)..(i64::MAX, 0);
            let views = records.by_time(
                &overlay,
                window,
                TimeOrder::OldestFirst,
                shown,
                Snapshot::NOW,
            );
            views.map(|view| view.archived_ms).collect::<Vec<_>>()
        };
        assert_eq!(found(Shown::Live), []);
        assert_eq!(found(Shown::Archived), [Some(deleted_ms)]);
        assert_eq!(found(Shown::All), [Some(deleted_ms)]);
        assert_eq!(records.live_count(), 1_999);
        assert!(records.undelete(id, write(deleted_ms + 9000)).is_some());
        assert_eq!(found(Shown::Live), [None]);
        assert_eq!(found(Shown::Archived), []);
    }

    #[test]
    fn a_snapshot_shows_what_was_there_whatever_happens_later() {
        let records = records();
        let picked = records.pick(9, 4);
        records.edit(picked[0], write(1_800_000_000_000));
        records.delete(picked[1], write(1_800_000_001_000));
        let snapshot = records.snapshot();
        let seen = |snapshot| {
            let overlay = records.overlay();
            let by_id: Vec<Moment> = records
                .by_id(&overlay, 0, Shown::Live, snapshot)
                .map(|view| (view.row.modified_ms, view.row.id))
                .collect();
            let always = (i64::MIN, 0)..(i64::MAX, 0);
            let by_time: Vec<Moment> = records
                .by_time(
                    &overlay,
                    always,
                    TimeOrder::OldestFirst,
                    Shown::Live,
                    snapshot,
                )
                .map(|view| (view.row.modified_ms, view.row.id))
                .collect();
            let mut sorted = by_id.clone();
            sorted.sort_unstable();
            assert_eq!(by_time, sorted);
            by_id
        };
        let before = seen(snapshot);
        for id in &picked[..4] {
            records.edit(*id, write(1_900_000_000_000));
        }
        records.delete(picked[5], write(1_900_000_000_000));
        records.undelete(picked[1], write(1_900_000_000_000));
        records.create(write(1_900_000_000_000));
        assert_eq!(seen(snapshot), before);
        assert_ne!(seen(Snapshot::NOW), before);
    }
}
