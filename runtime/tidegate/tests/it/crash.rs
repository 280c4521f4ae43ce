//! The process is killed, really, at every step of the commit protocol and at random
//! moments; afterwards the log shows the source's records, each once.

use crate::site::{Options, Site, assert_same, is_proof, proof_fragment, shown};
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;
use tidegate_domain::crash::POINTS;

const SIGKILL: i32 = 9;

fn crm(contacts: u32) -> crm_sim::hubspot::Config {
    crm_sim::hubspot::Config {
        contacts,
        limit_scale: None,
        tie_burst: 30,
        ..crm_sim::hubspot::Config::default()
    }
}

/// Runs the sync with a crash point armed. True when it died there.
async fn dies_at(site: &Site, point: &str, pass: u32) -> bool {
    let mut command = site.sync();
    command.env("TIDEGATE_CRASH", format!("{point}:{pass}"));
    let output = site.run(command).await;
    let killed = output.status.signal() == Some(SIGKILL);
    assert!(
        killed || output.status.success(),
        "{point}:{pass}: {}",
        shown(&output)
    );
    killed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_every_step_of_the_protocol_loses_and_doubles_nothing() {
    let passes: &[u32] = if is_proof() { &[1, 2, 4] } else { &[2] };
    let mut killed = 0;
    let mut report = String::from("| crash point | kills | lost | doubled |\n|---|---|---|---|\n");
    for point in POINTS {
        let mut kills = 0;
        for pass in passes {
            let site = Site::new(crm(1_500), Options::default()).await;
            // Only an owner that follows a dead one fences, so the steps of recovery
            // are met after a first kill.
            if point.starts_with('A') {
                assert!(
                    dies_at(&site, "S6.before", 2).await,
                    "the first kill did not happen"
                );
            }
            let pass = if point.starts_with('A') { 1 } else { *pass };
            kills += u32::from(dies_at(&site, point, pass).await);
            site.sync_to_end().await;
            assert_same(
                &site.landed().await,
                &site.truth(),
                &format!("{point}:{pass}"),
            );
        }
        assert!(kills > 0, "{point} was never met");
        killed += kills;
        writeln!(report, "| {point} | {kills} | 0 | 0 |").unwrap();
    }
    writeln!(
        report,
        "\n{killed} kills at {} points: 0 lost, 0 doubled",
        POINTS.len()
    )
    .unwrap();
    proof_fragment("crash-points", &report);
}

/// A history of 20,000 records in three windows, the last of which is over the API's
/// cap and is split; killed at random moments until it is through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_random_moments_lose_and_double_nothing() {
    let wanted = if is_proof() { 100 } else { 6 };
    let (mut kills, mut runs, mut seed) = (0, 0, 0x9E37_79B9_7F4A_7C15_u64);
    while kills < wanted {
        let site = Site::new(crm(20_000), windows()).await;
        // Compiled before, or every kill would hit the compiler and none the sync.
        let hubspot = crate::site::guest("hubspot");
        let inspect = site.tidegate(&["connector", "inspect", hubspot.to_str().unwrap()]);
        assert!(site.run(inspect).await.status.success());
        runs += 1;
        loop {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let after = Duration::from_millis(60 + seed % 500);
            let mut child = site
                .sync()
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            tokio::time::sleep(after).await;
            child.kill().unwrap();
            let status = tokio::task::spawn_blocking(move || child.wait().unwrap())
                .await
                .unwrap();
            if status.success() {
                break;
            }
            assert_eq!(
                status.signal(),
                Some(SIGKILL),
                "the program failed on its own"
            );
            kills += 1;
            if kills >= wanted {
                site.sync_to_end().await;
                break;
            }
        }
        assert_same(&site.landed().await, &site.truth(), "after random kills");
    }
    proof_fragment(
        "random-kills",
        &format!(
            "{kills} kills at random moments of {runs} runs of 20,000 records in three windows and a split: 0 lost, 0 doubled\n"
        ),
    );
}

/// Windows over the whole simulated history; two thirds of a year of it is in the
/// first, so that it is over the search cap of 10,000 and is split.
fn windows() -> Options {
    Options {
        stream: "mode: incremental, landing: append, fields: [email], partitions_max: 3, window: { since: 2010-01-01T00:00:00Z, until: 2026-01-01T00:00:00Z }",
        batch: "{ rows_max: 1500 }",
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_over_the_cap_is_split_until_it_fits() {
    let site = Site::new(crm(50_000), windows()).await;
    let summary = site.sync_to_end().await;
    assert_eq!(summary["rows"], 50_000);
    assert_same(&site.landed().await, &site.truth(), "a split window");
    let plans = std::fs::read_to_string(first_plan(&site)).unwrap();
    assert!(plans.contains("\"partitions\":3"), "{plans}");
}

fn first_plan(site: &Site) -> std::path::PathBuf {
    site.path("lake/tenant=acme/sync=crm/stream=contacts/_log/00000000000000000001.json")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_checkpoints_commits_and_goes_on_from_there() {
    let site = Site::new(crm(60_000), Options::default()).await;
    let mut child = site
        .sync()
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap())
        .await
        .unwrap();
    assert!(matches!(status.code(), Some(0 | 4)), "{status}");
    let before: u32 = if status.code() == Some(4) {
        site.landed().await.values().sum()
    } else {
        60_000
    };
    site.sync_to_end().await;
    assert_same(&site.landed().await, &site.truth(), "after a stop");
    assert!(before <= 60_000);
}
