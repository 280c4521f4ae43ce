//! The people who work in the CRM: between runs, and while one is reading.

use super::{Crm, Stream};
use crm_sim::Simulator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_store::clock::now_ms;

/// Between two changes while a run is reading.
const PACE: Duration = Duration::from_millis(50);

/// How many were changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) edited: usize,
    pub(crate) late: usize,
    pub(crate) created: usize,
    pub(crate) deleted: usize,
    pub(crate) back: usize,
    pub(crate) meanwhile: usize,
}

#[derive(Default)]
struct State {
    /// How far the CRM's clock is behind ours.
    behind_ms: i64,
    done: Done,
    /// By kind: deleted and not brought back.
    deleted: BTreeMap<&'static str, Vec<String>>,
    /// By kind: changed while the last run was reading.
    unsettled: BTreeMap<&'static str, BTreeSet<String>>,
}

#[derive(Clone)]
pub(crate) struct People {
    simulator: Arc<dyn Simulator>,
    streams: &'static [Stream],
    state: Arc<Mutex<State>>,
}

impl People {
    pub(crate) fn new(simulator: Arc<dyn Simulator>, crm: &Crm) -> People {
        let state = State {
            behind_ms: crm.clock_behind_ms,
            ..State::default()
        };
        People {
            simulator,
            streams: crm.streams,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The CRM's time.
    pub(crate) fn now_ms(&self) -> i64 {
        i64::try_from(now_ms()).unwrap() - self.state.lock().unwrap().behind_ms
    }

    /// Lets time pass in the CRM, as far as it is behind ours.
    pub(crate) fn pass(&self, by_ms: i64) {
        let mut state = self.state.lock().unwrap();
        let by_ms = by_ms.min(state.behind_ms);
        state.behind_ms -= by_ms;
        drop(state);
        let body = json!({ "clock_advance_ms": by_ms });
        self.simulator.steer("POST", "settings", &body).unwrap();
    }

    pub(crate) fn done(&self) -> Done {
        self.state.lock().unwrap().done
    }

    /// Forgets what was changed while the last run was reading.
    pub(crate) fn begin_run(&self) {
        self.state.lock().unwrap().unsettled.clear();
    }

    /// What was changed since the run began.
    pub(crate) fn unsettled(&self, stream: &Stream) -> BTreeSet<String> {
        let mut state = self.state.lock().unwrap();
        state.unsettled.remove(stream.kind).unwrap_or_default()
    }

    /// A day's work between two runs. Some of it is dated `late_ms`, as the commit of a
    /// transaction that began then.
    pub(crate) fn change(&self, late_ms: i64) {
        let now_ms = self.now_ms();
        for stream in self.streams {
            let count = self.simulator.current(stream.kind).unwrap().count();
            let share = (count / 100).max(20);
            let edit = |count: usize, from_ms: i64, until_ms: i64| {
                let body = json!({"kind": stream.kind, "count": count, "from_ms": from_ms, "until_ms": until_ms});
                let edited = self.steer("edit", &body)["edited"].clone();
                edited.as_array().unwrap().len()
            };
            let edited = edit(share, now_ms - 30_000, now_ms)
                + edit(stream.ties.min(count / 3), now_ms - 7_000, now_ms - 7_000);
            let late = edit(share / 4, late_ms, late_ms);
            let created = self.ids("create", &json!({"kind": stream.kind, "count": share / 2}));
            let deleted = self.ids("delete", &json!({"kind": stream.kind, "count": share / 5}));
            let mut state = self.state.lock().unwrap();
            let gone = state.deleted.entry(stream.kind).or_default();
            let back = match stream.undeletes {
                true => gone.split_off(gone.len() / 2),
                false => Vec::new(),
            };
            gone.extend(deleted.iter().cloned());
            let back = match back.is_empty() {
                true => back,
                false => self.ids("undelete", &json!({"kind": stream.kind, "ids": back})),
            };
            let done = &mut state.done;
            done.edited += edited + late;
            done.late += late;
            done.created += created.len();
            done.deleted += deleted.len();
            done.back += back.len();
        }
    }

    /// Works without an end: edits, creates and deletes while a run reads.
    pub(crate) async fn work(&self) -> Infallible {
        let mut pace = tokio::time::interval(PACE);
        loop {
            pace.tick().await;
            for stream in self.streams {
                let some = |count: usize| json!({"kind": stream.kind, "count": count});
                let edited = self.steer("edit", &some(2))["edited"].clone();
                let edited = edited.as_array().unwrap().iter();
                let mut ids: Vec<String> = edited
                    .map(|one| one["id"].as_str().unwrap().to_owned())
                    .collect();
                ids.extend(self.ids("create", &some(1)));
                ids.extend(self.ids("delete", &some(1)));
                let mut state = self.state.lock().unwrap();
                state.done.meanwhile += ids.len();
                state.unsettled.entry(stream.kind).or_default().extend(ids);
            }
        }
    }

    fn ids(&self, control: &str, body: &Value) -> Vec<String> {
        let ids = self.steer(control, body)["ids"].clone();
        let ids = ids.as_array().unwrap().iter();
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    fn steer(&self, control: &str, body: &Value) -> Value {
        self.simulator.steer("POST", control, body).unwrap()
    }
}
