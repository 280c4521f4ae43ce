//! What can be shown without a sandbox: the well-behaved case, and that every
//! probe is reported when nothing refuses it.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use tidegate_sdk::{
    Outcome,
    testing::{Answer, Job, MemoryHost},
};

use crate::Hostile;

fn told(behaviour: &str) -> (MemoryHost, serde_json::Value) {
    let memory = MemoryHost::new(|_| Answer::json(&json!({"results": [{"id": "1"}]})));
    let job = Job {
        config: json!({"behaviour": behaviour}),
        ..Job::new("records")
    };
    let Outcome::Done(told) = memory.run::<Hostile>(&job, &json!({})).unwrap() else {
        panic!("{behaviour} is expected to end in `done`");
    };
    (memory, told)
}

#[test]
fn the_good_behaviour_emits_three_records() {
    let (memory, told) = told("ok");
    assert_eq!(told, json!({"records": 3}));
    assert_eq!(memory.emitted().len(), 3);
}

#[test]
fn probes_that_get_through_are_reported() {
    let (memory, told) = told("forbidden-host");
    assert_eq!(
        told["passed"].as_array().unwrap().len(),
        memory.requests().len()
    );
    assert_eq!(told["refused"], json!([]));
}

#[test]
fn refused_probes_are_reported_with_the_reason() {
    let (_, told) = told("unknown-stream");
    assert_eq!(told["passed"], json!([]));
    assert_eq!(told["refused"].as_array().unwrap().len(), 4);
}

#[test]
fn a_split_after_a_save_is_refused() {
    let job = Job {
        config: json!({"behaviour": "split-after-save"}),
        ..Job::new("records")
    };
    assert!(
        MemoryHost::default()
            .run::<Hostile>(&job, &json!({}))
            .is_err()
    );
}
