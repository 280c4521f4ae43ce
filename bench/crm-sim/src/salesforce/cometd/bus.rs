//! The retained events of an org, under replay ids that rise and leave gaps.

use std::collections::VecDeque;

use crate::generate::mix;
use crate::salesforce::cometd::channel::Channel;

/// Events in one answer at most.
const EVENTS_MAX: usize = 200;
/// From here only new events; from here all retained ones.
const REPLAY_NEW: i64 = -1;
const REPLAY_ALL: i64 = -2;

/// One published event.
#[derive(Debug)]
struct Event {
    replay_id: u64,
    channel: Channel,
    expires_ms: i64,
    /// The `data` member, as JSON text.
    body: Box<str>,
}

/// A replay id that the org never gave out, or that it keeps no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidReplayId(pub(crate) i64);

/// An event on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) replay_id: u64,
    /// The subscription that it comes over, by place.
    pub(crate) subscription: usize,
    pub(crate) body: Box<str>,
}

#[derive(Debug)]
pub(crate) struct Bus {
    seed: u64,
    serial: u64,
    last_id: u64,
    /// Oldest first.
    events: VecDeque<Event>,
}

impl Bus {
    pub(crate) fn new(seed: u64) -> Bus {
        Bus {
            seed,
            serial: 0,
            last_id: mix(seed) % 1_000_000,
            events: VecDeque::new(),
        }
    }

    /// Publishes an event; `body` gets its replay id. Ids mostly follow one another, and
    /// sometimes jump, since other events of the org take some.
    pub(crate) fn publish(
        &mut self,
        channel: Channel,
        now_ms: i64,
        body: impl FnOnce(u64) -> String,
    ) -> u64 {
        self.expire(now_ms);
        self.serial += 1;
        let hash = mix(self.seed ^ mix(self.serial));
        let step = if hash & 3 == 0 {
            2 + (hash >> 8) % 40
        } else {
            1
        };
        self.last_id += step;
        self.events.push_back(Event {
            replay_id: self.last_id,
            expires_ms: now_ms + channel.retention_ms(),
            channel,
            body: body(self.last_id).into(),
        });
        self.last_id
    }

    /// Where a subscription starts: after this id.
    pub(crate) fn position(&mut self, replay: i64, now_ms: i64) -> Result<u64, InvalidReplayId> {
        self.expire(now_ms);
        match replay {
            REPLAY_NEW => Ok(self.last_id),
            REPLAY_ALL => Ok(0),
            _ => {
                let known = u64::try_from(replay).ok().filter(|id| self.retains(*id));
                known.ok_or(InvalidReplayId(replay))
            }
        }
    }

    fn retains(&self, replay_id: u64) -> bool {
        let found = self
            .events
            .binary_search_by_key(&replay_id, |event| event.replay_id);
        found.is_ok()
    }

    /// The next events for subscriptions, each a channel with the id that it has reached;
    /// in the order of their ids.
    pub(crate) fn after(&mut self, reached: &[(Channel, u64)], now_ms: i64) -> Vec<Delivery> {
        self.expire(now_ms);
        let Some(first) = reached.iter().map(|(_, id)| *id).min() else {
            return Vec::new();
        };
        let start = self
            .events
            .partition_point(|event| event.replay_id <= first);
        let mut deliveries = Vec::new();
        for event in self.events.range(start..) {
            for (subscription, (channel, id)) in reached.iter().enumerate() {
                if event.replay_id > *id && channel.carries(&event.channel) {
                    deliveries.push(Delivery {
                        replay_id: event.replay_id,
                        subscription,
                        body: event.body.clone(),
                    });
                }
            }
            if deliveries.len() >= EVENTS_MAX {
                break;
            }
        }
        deliveries
    }

    /// Forgets every event: each id given out so far becomes invalid.
    pub(crate) fn purge(&mut self) {
        self.events.clear();
    }

    fn expire(&mut self, now_ms: i64) {
        // The kinds of events are kept for different times, so the oldest is not always
        // the first to go.
        if self.events.iter().any(|event| event.expires_ms <= now_ms) {
            self.events.retain(|event| event.expires_ms > now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bus, InvalidReplayId};
    use crate::salesforce::cometd::channel::Channel;

    const HOUR_MS: i64 = 3_600_000;

    fn changes(entity: &str) -> Channel {
        Channel::Changes(entity.to_owned())
    }

    fn filled() -> (Bus, Vec<u64>) {
        let mut bus = Bus::new(1);
        let ids = (0..100).map(|hour| bus.publish(changes("Account"), hour * HOUR_MS, body));
        let ids = ids.collect();
        (bus, ids)
    }

    fn body(replay_id: u64) -> String {
        replay_id.to_string()
    }

    #[test]
    fn replay_ids_rise_and_leave_gaps() {
        let (_, ids) = filled();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.windows(2).any(|pair| pair[1] - pair[0] > 1));
    }

    #[test]
    fn a_subscription_starts_new_at_all_or_after_a_retained_id() {
        let (mut bus, ids) = filled();
        let now_ms = 99 * HOUR_MS;
        assert_eq!(bus.position(-1, now_ms), Ok(ids[99]));
        assert_eq!(bus.position(-2, now_ms), Ok(0));
        assert_eq!(bus.position(ids[99] as i64, now_ms), Ok(ids[99]));
        // 72 hours ago exactly, and an id that was never given out.
        for replay in [ids[27] as i64, ids[99] as i64 + 1, -3] {
            assert_eq!(bus.position(replay, now_ms), Err(InvalidReplayId(replay)));
        }
        assert_eq!(bus.position(ids[28] as i64, now_ms), Ok(ids[28]));
        bus.purge();
        assert!(bus.position(ids[99] as i64, now_ms).is_err());
    }

    #[test]
    fn events_come_in_the_order_of_their_ids_over_every_channel_that_carries_them() {
        let mut bus = Bus::new(7);
        let account = bus.publish(changes("Account"), 0, body);
        let contact = bus.publish(changes("Contact"), 0, body);
        let reached = [(changes("Contact"), 0), (Channel::AllChanges, account)];
        let found = bus.after(&reached, 0);
        let found: Vec<(u64, usize)> = found
            .iter()
            .map(|delivery| (delivery.replay_id, delivery.subscription))
            .collect();
        assert_eq!(found, [(contact, 0), (contact, 1)]);
        assert!(bus.after(&[], 0).is_empty());
        assert!(
            bus.after(&reached, 72 * HOUR_MS).is_empty(),
            "kept too long"
        );
    }
}
