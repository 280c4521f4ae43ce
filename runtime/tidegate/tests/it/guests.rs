//! Guests that give their place back, and guests that misbehave, through the whole
//! program: what was saved is landed, nothing else is, and the process lives to say so.

use crate::site::{Options, Site, guest, shown, summary};
use std::process::Output;

async fn run(behaviour: &str) -> (Site, Output) {
    let crm = crm_sim::hubspot::Config {
        contacts: 1,
        ..crm_sim::hubspot::Config::default()
    };
    let site = Site::new(crm, Options::default()).await;
    let folder = site.path("").display().to_string();
    site.write(
        "sync.yaml",
        &format!(
            "tenant: acme
sync: crm
connection: {{ id: hostile, connector: {}, config: {{ behaviour: {behaviour} }} }}
streams: [{{ name: records, mode: full_refresh, landing: overwrite }}]
target: {{ url: 'file://{folder}lake', format: jsonl.zst }}
",
            guest("hostile").display()
        ),
    );
    let output = site.run(site.sync()).await;
    assert!(
        output.status.code().is_some(),
        "the process died: {}",
        shown(&output)
    );
    (site, output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_waits_is_called_again_and_lands_once() {
    let (_site, output) = run("wait").await;
    let summary = summary(&output);
    assert_eq!(summary["state"], "succeeded", "{}", shown(&output));
    assert_eq!(summary["rows"], 2);
    assert!(
        summary["attempts"].as_u64().unwrap() > 1,
        "it did not park: {summary}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_gives_its_place_back_goes_on_from_its_checkpoint() {
    let (_site, output) = run("more").await;
    let summary = summary(&output);
    assert_eq!(summary["state"], "succeeded", "{}", shown(&output));
    assert_eq!(summary["rows"], 4);
    assert!(summary["guest_calls"].as_u64().unwrap() >= 6, "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_misbehaves_fails_its_stream_and_lands_nothing() {
    for behaviour in [
        "trap-after-emit",
        "more-for-ever",
        "huge-state",
        "split-after-save",
        "panic",
        "exit",
    ] {
        let (site, output) = run(behaviour).await;
        let summary = summary(&output);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{behaviour}: {}",
            shown(&output)
        );
        assert_eq!(
            summary["streams"]["records"]["outcome"]["fault"], "guest",
            "{behaviour}: {summary}"
        );
        assert_eq!(summary["rows"], 0, "{behaviour}");
        let log = site.path("lake/tenant=acme/sync=crm/stream=records/_log");
        let slots = std::fs::read_dir(log)
            .unwrap()
            .map(|slot| std::fs::read_to_string(slot.unwrap().path()).unwrap());
        let with_objects = slots.filter(|slot| slot.contains("\"objects\":[{")).count();
        assert_eq!(with_objects, 0, "{behaviour} landed rows");
    }
}
