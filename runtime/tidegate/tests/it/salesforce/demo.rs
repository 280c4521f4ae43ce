//! The demo of Salesforce is that of HubSpot: the same flags, the same account of itself.

use crate::site::{guest, shown, summary};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Runs the demo and returns the JSON that it ends with.
async fn demo(connector: &'static str) -> Value {
    let component = guest(connector);
    let output = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["--json", "demo", "--connector", connector])
            .args(["--records", "3000", "--format", "jsonl.zst", "--component"])
            .arg(component)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    summary(&output)
}

fn names(figures: &Value) -> BTreeSet<String> {
    let of = |value: &Value| -> Vec<String> {
        let members = value.as_object().into_iter().flatten();
        members.map(|(name, _)| name.clone()).collect()
    };
    let inner = of(&figures["incremental"]).into_iter();
    let inner = inner.map(|name| format!("incremental.{name}"));
    of(figures).into_iter().chain(inner).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_of_salesforce_takes_the_flags_of_hubspots_and_tells_the_same() {
    let (hubspot, salesforce) = (demo("hubspot").await, demo("salesforce").await);
    assert_eq!(names(&salesforce), names(&hubspot));
    assert_eq!(salesforce["distinct_keys"], 3_000);
    let changed = &salesforce["incremental"];
    assert!(changed["upserts"].as_u64().unwrap() >= 45, "{changed}");
    assert!(changed["deletes"].as_u64().unwrap() >= 3, "{changed}");
}
