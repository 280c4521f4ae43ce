//! Guests that misbehave: each ends with a typed fault, moves no cursor, and
//! leaves the sandbox as it was.

use crate::bench::{Bench, Kept, Lines, kept, request};
use crate::server::Server;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::Fault;
use tidegate_sandbox::{Budget, CallContext, CallUsage, Caps, Connector, Error, ReadOutcome};

struct Ended {
    outcome: Result<ReadOutcome, Error>,
    usage: CallUsage,
    kept: Kept,
    requests: usize,
}

async fn run(behaviour: &str, change: impl FnOnce(&mut CallContext)) -> Ended {
    let bench = Bench::new();
    let connector = bench.admit("hostile").await;
    let ended = run_in(&bench, &connector, behaviour, change).await;
    // Whatever happened, the next call works.
    let good = run_in(&bench, &connector, "ok", |_| {}).await;
    assert_eq!(good.kept.records().len(), 3);
    ended
}

async fn run_in(
    bench: &Bench,
    connector: &Connector,
    behaviour: &str,
    change: impl FnOnce(&mut CallContext),
) -> Ended {
    let server = Server::start(|_| json!({"results": [{"id": "1"}]}).to_string()).await;
    let mut context = bench.context(connector, &server);
    change(&mut context);
    let config = json!({"behaviour": behaviour}).to_string();
    let report = connector
        .read(
            context,
            Box::new(Kept::default()),
            request(&config, "records", "{}"),
        )
        .await;
    let requests = server.heads().len();
    Ended {
        outcome: report.outcome,
        usage: report.usage,
        kept: kept(report.sink),
        requests,
    }
}

/// What a guest that came to its end says of its probes.
fn told(ended: &Ended) -> Value {
    match &ended.outcome {
        Ok(ReadOutcome::Done { state }) => serde_json::from_str(state).unwrap(),
        other => panic!("expected `done`, not {other:?}"),
    }
}

fn budget(cpu_ms: u64, wall_ms: u64) -> Option<Budget> {
    Some(Budget {
        cpu: Duration::from_millis(cpu_ms),
        wall: Duration::from_millis(wall_ms),
        grace: Duration::ZERO,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_ends_when_its_cpu_time_is_spent_and_is_charged_for_it() {
    let ended = run("spin", |context| context.budget = budget(200, 60_000)).await;
    let error = ended.outcome.unwrap_err();
    assert!(
        matches!(&error, Error::Limit { limit, .. } if limit.contains("CPU")),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Guest);
    assert!(ended.usage.cpu_us >= 200_000, "{:?}", ended.usage);
    assert!(ended.kept.saves.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_ends_on_the_wall_clock_too() {
    let ended = run("spin", |context| context.budget = budget(60_000, 300)).await;
    let error = ended.outcome.unwrap_err();
    assert!(
        matches!(&error, Error::Limit { limit, .. } if limit.contains("wall")),
        "{error}"
    );
    assert!(ended.usage.wall_ms >= 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_guest_that_does_not_listen_is_dropped() {
    let ended = run("spin", |context| {
        context.budget = budget(60_000, 60_000);
        context.cancel.cancel();
    })
    .await;
    let error = ended.outcome.unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spinning_guests_do_not_keep_others_from_running() {
    let bench = Bench::new();
    let connector = bench.admit("hostile").await;
    let spin = || {
        run_in(&bench, &connector, "spin", |context| {
            context.budget = budget(500, 60_000)
        })
    };
    let (first, second, third, good) = tokio::join!(
        spin(),
        spin(),
        spin(),
        run_in(&bench, &connector, "ok", |_| {}),
    );
    assert_eq!(good.kept.records().len(), 3);
    for ended in [first, second, third] {
        assert!(matches!(ended.outcome, Err(Error::Limit { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stops_growing_at_its_limit() {
    let ended = run("grow", |_| {}).await;
    let grown_mib = told(&ended)["grown_mib"].as_u64().unwrap();
    assert!((32..64).contains(&grown_mib), "{grown_mib}");
    assert!(ended.usage.peak_memory_bytes <= 64 << 20);
    assert!(ended.usage.peak_memory_bytes > 32 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_after_records_moves_no_cursor_and_says_where_it_was() {
    let ended = run("trap-after-emit", |_| {}).await;
    let error = ended.outcome.unwrap_err();
    let Error::Trap {
        backtrace,
        reason,
        connector,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(
        backtrace.contains("wasm function") || backtrace.contains('!'),
        "{backtrace:?}"
    );
    assert!(reason.contains("unreachable"), "{reason}");
    assert!(connector.starts_with("hostile@"));
    assert_eq!(error.fault(), Fault::Guest);
    assert_eq!((ended.kept.pages.len(), ended.kept.saves.len()), (1, 0));
    assert_eq!(ended.usage.emitted_records, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn panics_and_exits_end_the_guest_alone() {
    for behaviour in ["panic", "exit"] {
        let ended = run(behaviour, |_| {}).await;
        let error = ended.outcome.unwrap_err();
        assert!(matches!(error, Error::Trap { .. }), "{behaviour}: {error}");
        assert!(ended.kept.saves.is_empty());
        if behaviour == "exit" {
            assert!(error.to_string().contains("exit("), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_lines_is_cut_off_and_cleaned() {
    let lines = Arc::new(Lines::default());
    let sink = Arc::clone(&lines);
    let ended = run("log-flood", move |context| context.log = sink).await;
    assert_eq!(told(&ended)["lines"], 1_000);
    let caps = Caps::default();
    assert!(ended.usage.log_bytes <= caps.log_bytes_max);
    assert!(ended.usage.log_bytes_dropped > 0);
    let lines = lines.0.lock().unwrap();
    let bytes: usize = lines.iter().map(|line| line.message.len()).sum();
    assert!(!lines.is_empty() && bytes as u64 <= caps.log_bytes_max);
    assert!(
        lines
            .iter()
            .all(|line| !line.message.chars().any(char::is_control))
    );
    assert!(
        lines
            .iter()
            .all(|line| line.message.len() <= caps.log_line_bytes_max)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_headers_that_are_not_the_guests_are_refused_before_a_byte_leaves() {
    for behaviour in ["forbidden-host", "header-smuggling"] {
        let ended = run(behaviour, |_| {}).await;
        let told = told(&ended);
        assert_eq!(told["passed"], json!([]), "{behaviour}: {told:#}");
        assert!(told["refused"].as_array().unwrap().len() >= 14, "{told:#}");
        assert_eq!(ended.requests, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pointers_that_are_none_get_a_typed_answer() {
    let ended = run("bad-pointers", |_| {}).await;
    let told = told(&ended);
    let passed = told["passed"].as_array().unwrap();
    // A key that no record has is the record's fault; a window past the end is empty.
    let harmless = |probe: &Value| {
        let probe = probe.as_str().unwrap();
        probe.starts_with("key /") || probe == "slice"
    };
    assert!(passed.iter().all(harmless), "{told:#}");
    assert!(ended.kept.records().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_stands_still_is_an_error_not_a_loop() {
    let ended = run("stuck-cursor", |_| {}).await;
    let error = ended.outcome.unwrap_err();
    assert!(
        matches!(&error, Error::Contract { rule, .. } if rule.contains("does not move")),
        "{error}"
    );
    assert!(ended.kept.saves.len() <= 3);
    assert!(ended.requests <= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_splits_and_streams_against_the_rules_are_refused() {
    let huge = run("huge-state", |_| {}).await;
    assert!(matches!(huge.outcome, Err(Error::Limit { .. })));
    assert!(huge.kept.saves.is_empty());
    let split = run("split-after-save", |_| {}).await;
    assert!(matches!(split.outcome, Err(Error::Contract { .. })));
    assert_eq!(split.kept.saves.len(), 1);
    let stream = run("unknown-stream", |_| {}).await;
    assert_eq!(told(&stream)["passed"], json!([]));
    assert!(stream.kept.pages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_nested_without_end_are_not_landed() {
    let ended = run("deep-json", |_| {}).await;
    told(&ended);
    assert!(ended.kept.records().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_and_host_calls_run_out() {
    let handles = run("too-many-handles", |_| {}).await;
    let error = handles.outcome.unwrap_err();
    assert!(
        matches!(&error, Error::Limit { limit, .. } if limit.contains("handles")),
        "{error}"
    );
    assert!(handles.requests <= 1_001);
    let calls = run("host-flood", |context| context.caps.host_calls_max = 50_000).await;
    let error = calls.outcome.unwrap_err();
    assert!(
        matches!(&error, Error::Limit { limit, .. } if limit.contains("host calls")),
        "{error}"
    );
    assert!(calls.usage.host_calls <= 50_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_cannot_make_the_host_copy_without_bound() {
    let ended = run("big-ndjson", |_| {}).await;
    match &ended.outcome {
        Ok(_) => assert!(told(&ended)["mib"].as_u64().unwrap() <= 32),
        Err(error) => assert_eq!(error.fault(), Fault::Guest, "{error}"),
    }
    assert!(ended.usage.peak_memory_bytes <= 64 << 20);
    assert!(ended.kept.saves.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn emitted_bytes_run_out_with_a_typed_answer() {
    let ended = run("ok", |context| context.caps.emitted_bytes_max = 10).await;
    // The guest passes the host's answer on as its own failure.
    assert!(ended.outcome.is_err());
    assert!(ended.kept.pages.is_empty());
}
