//! Random histories of one stream, against a model of a few lines.

use crate::fixtures::{LONG_MS, change, intent, key, seal, sha256, sqlite, state, token};
use proptest::prelude::*;
use tidegate_domain::id::StreamKey;
use tidegate_store::streams::{IntentState, Lease, Reconciliation, StreamRow};
use tidegate_store::{Error, Store};

const OWNERS: u8 = 3;

/// One call. `by` is the owner whose latest lease is used, lost or not.
#[derive(Clone, Debug)]
enum Call {
    Acquire {
        owner: u8,
        floor: u64,
        long: bool,
    },
    Renew {
        by: u8,
    },
    Expire {
        by: u8,
    },
    Release {
        by: u8,
    },
    Seal {
        by: u8,
        position_off: u64,
        batch_off: u64,
    },
    Upload {
        by: u8,
        nth: u64,
    },
    Commit {
        by: u8,
        nth: u64,
        slot_off: u64,
    },
    Reconcile {
        by: u8,
        adopt: usize,
        keep: usize,
        fences: u64,
        wrong: bool,
    },
}

fn call() -> impl Strategy<Value = Call> {
    let by = 0..OWNERS;
    // Mostly right, so that histories get long.
    let off = || prop_oneof![6 => Just(0_u64), 1 => Just(1)];
    let wrong = prop::bool::weighted(0.1);
    prop_oneof![
        3 => (by.clone(), 0..4_u64, prop::bool::weighted(0.3))
            .prop_map(|(owner, floor, long)| Call::Acquire { owner, floor, long }),
        1 => by.clone().prop_map(|by| Call::Renew { by }),
        1 => by.clone().prop_map(|by| Call::Expire { by }),
        1 => by.clone().prop_map(|by| Call::Release { by }),
        8 => (by.clone(), off(), off()).prop_map(|(by, position_off, batch_off)| Call::Seal {
            by,
            position_off,
            batch_off
        }),
        2 => (by.clone(), 0..3_u64).prop_map(|(by, nth)| Call::Upload { by, nth }),
        6 => (by.clone(), off(), off())
            .prop_map(|(by, nth, slot_off)| Call::Commit { by, nth, slot_off }),
        3 => (by, 0..3_usize, 0..3_usize, 0..2_u64, wrong).prop_map(
            |(by, adopt, keep, fences, wrong)| Call::Reconcile { by, adopt, keep, fences, wrong }
        ),
    ]
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Fenced,
    Held,
    Refused,
}

fn outcome<T>(result: Result<T, Error>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(Error::Fenced { .. }) => Outcome::Fenced,
        Err(Error::Held { .. }) => Outcome::Held,
        Err(Error::Statement { .. }) => Outcome::Refused,
        Err(other) => panic!("{other:?}"),
    }
}

/// Positions stand for states; an intent is its batch, its position and its state.
#[derive(Default)]
struct Model {
    epoch: u64,
    owner: Option<u8>,
    running: bool,
    staged: u64,
    published: u64,
    intents: Vec<(u64, u64, IntentState)>,
    log_tail: u64,
    log_tail_sha256: Option<u8>,
    next_batch: u64,
    leases: [Option<Lease>; OWNERS as usize],
}

impl Model {
    fn row(&self) -> StreamRow {
        let intents = self.intents.iter().map(|(batch, position, state)| {
            let mut intent = intent(*batch, *position);
            intent.state = *state;
            intent
        });
        StreamRow {
            staged: state(self.staged),
            published: state(self.published),
            log_tail: self.log_tail,
            log_tail_sha256: self.log_tail_sha256.map(sha256),
            next_batch: self.next_batch,
            epoch: self.epoch,
            intents: intents.collect(),
        }
    }

    fn guards(&self, by: u8) -> bool {
        let lease = self.leases[usize::from(by)].as_ref();
        self.owner == Some(by) && lease.is_some_and(|lease| lease.epoch == self.epoch)
    }

    /// A lease for `by`: its latest, or one that it never had.
    fn lease(&self, by: u8, key: &StreamKey) -> Lease {
        let never = Lease {
            key: key.clone(),
            epoch: 0,
            owner: token(by),
            released_before: true,
        };
        self.leases[usize::from(by)].clone().unwrap_or(never)
    }
}

async fn acquire(
    store: &dyn Store,
    model: &mut Model,
    key: &StreamKey,
    (owner, floor, long): (u8, u64, bool),
) {
    let lifetime_ms = if long { LONG_MS } else { 0 };
    let got = store.acquire(key, token(owner), floor, lifetime_ms).await;
    if model.running && model.owner != Some(owner) {
        assert_eq!(outcome(got), Outcome::Held);
        return;
    }
    let lease = got.unwrap();
    let expected = Lease {
        key: key.clone(),
        epoch: model.epoch.max(floor) + 1,
        owner: token(owner),
        released_before: model.owner.is_none(),
    };
    assert_eq!(lease, expected);
    model.epoch = lease.epoch;
    (model.owner, model.running) = (Some(owner), long);
    model.leases[usize::from(owner)] = Some(lease);
}

/// Runs a call on both sides; says what the store did and what it should have.
async fn step(
    store: &dyn Store,
    model: &mut Model,
    key: &StreamKey,
    call: Call,
) -> (Outcome, Outcome) {
    let guarded = |model: &Model, by, allowed: bool| match (model.guards(by), allowed) {
        (false, _) => Outcome::Fenced,
        (true, false) => Outcome::Refused,
        (true, true) => Outcome::Done,
    };
    match call {
        Call::Acquire { owner, floor, long } => {
            acquire(store, model, key, (owner, floor, long)).await;
            (Outcome::Done, Outcome::Done)
        }
        Call::Renew { by } => {
            let got = outcome(store.renew(&model.lease(by, key), LONG_MS).await);
            model.running |= model.guards(by);
            (got, guarded(model, by, true))
        }
        Call::Expire { by } => {
            let got = outcome(store.expire(&model.lease(by, key)).await);
            model.running &= !model.guards(by);
            (got, guarded(model, by, true))
        }
        Call::Release { by } => {
            let got = outcome(store.release(&model.lease(by, key)).await);
            let expected = guarded(model, by, true);
            if expected == Outcome::Done {
                (model.owner, model.running) = (None, false);
            }
            (got, expected)
        }
        Call::Seal {
            by,
            position_off,
            batch_off,
        } => {
            let (position, batch) = (model.staged + position_off, model.next_batch + batch_off);
            let got = outcome(seal(store, &model.lease(by, key), batch, position).await);
            let expected = match guarded(model, by, batch_off == 0) {
                _ if position_off > 0 => Outcome::Fenced,
                expected => expected,
            };
            if expected == Outcome::Done {
                model.intents.push((batch, position, IntentState::Sealed));
                model.staged += 1;
                model.next_batch += 1;
            }
            (got, expected)
        }
        Call::Upload { by, nth } => {
            let batch = model.intents.first().map_or(0, |first| first.0) + nth;
            let got = outcome(store.mark_uploaded(&model.lease(by, key), batch).await);
            let at = model.intents.iter().position(|intent| intent.0 == batch);
            let expected = guarded(model, by, at.is_some());
            if let (Outcome::Done, Some(at)) = (&expected, at) {
                model.intents[at].2 = IntentState::Uploaded;
            }
            (got, expected)
        }
        Call::Commit { by, nth, slot_off } => {
            let batch = model.intents.first().map_or(0, |first| first.0) + nth;
            let (slot, published) = (model.log_tail + slot_off, state(model.published + 1));
            let lease = model.lease(by, key);
            let got = store
                .mark_committed(&lease, batch, slot, &sha256(1), &published, Vec::new())
                .await;
            let allowed = nth == 0 && slot_off == 0 && !model.intents.is_empty();
            let expected = guarded(model, by, allowed);
            if expected == Outcome::Done {
                model.intents.remove(0);
                model.published += 1;
                model.log_tail += 1;
                model.log_tail_sha256 = Some(1);
            }
            (outcome(got), expected)
        }
        Call::Reconcile {
            by,
            adopt,
            keep,
            fences,
            wrong,
        } => {
            let adopt = adopt.min(model.intents.len());
            let keep = keep.min(model.intents.len() - adopt);
            let batches: Vec<u64> = model.intents.iter().map(|intent| intent.0).collect();
            let published = model.published + adopt as u64;
            let staged = published + keep as u64;
            let log_tail = model.log_tail + adopt as u64 + fences;
            let found = Reconciliation {
                published: state(published),
                log_tail,
                log_tail_sha256: Some(sha256(2)),
                adopted: batches[..adopt].to_vec(),
                abandoned: batches[adopt + keep..].to_vec(),
                staged: state(staged + u64::from(wrong)),
                next_batch: model.next_batch + fences,
                events: Vec::new(),
            };
            let got = outcome(store.reconcile(&model.lease(by, key), found).await);
            let expected = guarded(model, by, !wrong);
            if expected == Outcome::Done {
                model.intents = model.intents[adopt..adopt + keep].to_vec();
                (model.published, model.staged) = (published, staged);
                (model.log_tail, model.log_tail_sha256) = (log_tail, Some(2));
                model.next_batch += fences;
            }
            (got, expected)
        }
    }
}

#[test]
fn random_histories_agree_with_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (store, _dir) = sqlite();
    let streams = std::cell::Cell::new(0_u64);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(96)
    };
    proptest!(config, |(calls in prop::collection::vec(call(), 1..60))| {
        streams.set(streams.get() + 1);
        let key = key(&format!("s{}", streams.get()));
        runtime.block_on(async {
            let mut model = Model::default();
            for call in calls {
                let (got, expected) = step(&*store, &mut model, &key, call.clone()).await;
                assert_eq!(got, expected, "{call:?}");
                assert_eq!(store.load(&key).await.unwrap(), model.row(), "{call:?}");
            }
        });
    });
}

#[test]
fn the_history_that_positions_stand_for_chains() {
    for position in 0..20 {
        assert_eq!(
            state(position).apply(&change(position)).unwrap(),
            state(position + 1)
        );
    }
}
