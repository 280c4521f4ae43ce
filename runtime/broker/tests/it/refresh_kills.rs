//! A process that dies at any step of a rotating refresh: no grant is lost but those
//! whose answer was nowhere yet, and those only where the provider knows no grace.

use crate::fixture::{self, Fixture, signed};
use crate::server::{Reply, Seen, Server, reply};
use futures_util::StreamExt as _;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tidegate_broker::{Broker, FetchFault, Keyring, Session};
use tidegate_domain::crash::REFRESH_POINTS;
use tidegate_store::SqliteStore;

/// Set in a child: where its state is, and the provider's origin.
const CHILD_DIR: &str = "TIDEGATE_REFRESH_DIR";
const CHILD_ORIGIN: &str = "TIDEGATE_REFRESH_ORIGIN";

/// Trials that run at once; most of each is waiting for the dead one's right to end.
const AT_ONCE: usize = 8;

/// Rotates strictly: a refresh kills the token that it was made with, unless the
/// provider has a grace for answers that got lost.
#[derive(Default)]
struct Provider {
    issued: u64,
    has_grace: bool,
    refreshes: u64,
    served: u64,
}

impl Provider {
    fn answer(&mut self, seen: &Seen) -> Reply {
        if seen.path != "/token" {
            let newest = format!("Bearer access-{}", self.issued);
            let is_newest = seen.header("authorization") == Some(newest.as_str());
            self.served += u64::from(is_newest);
            return reply(if is_newest { 200 } else { 401 }, "{}");
        }
        let form = seen.form();
        let mut life_s = 0;
        if form["grant_type"] == "refresh_token" {
            self.refreshes += 1;
            life_s = 3600;
            let given = form["refresh_token"].as_str();
            let is_newest = given == format!("refresh-{}", self.issued);
            let is_last = given == format!("refresh-{}", self.issued - 1);
            if !(is_newest || self.has_grace && is_last) {
                return reply(400, r#"{"error":"invalid_grant"}"#);
            }
        }
        self.issued += 1;
        let number = self.issued;
        reply(
            200,
            format!(
                r#"{{"access_token":"access-{number}","refresh_token":"refresh-{number}","expires_in":{life_s}}}"#
            ),
        )
    }
}

/// The same state directory in every process.
fn session(dir: &Path, server: &Server, manifest_of: &Fixture) -> Session {
    let store = Arc::new(SqliteStore::open(&dir.join("state")).unwrap());
    let keyring = Arc::new(Keyring::open(&dir.join("keys/node.key")).unwrap());
    let mut config = fixture::config(server);
    config.spool_dir = dir.to_owned();
    config.salvage_dir = Some(dir.join("salvage"));
    config.retries_max = 0;
    config.token_timeout_ms = 1_000;
    config.refusal_confirmed_after_ms = 0;
    let broker = Broker::new(config, Arc::clone(&store) as _, store, keyring).unwrap();
    broker.session(manifest_of.connection())
}

/// What a child does: it authorises at first, and then wants a fresh token.
#[tokio::test]
async fn child_that_refreshes() {
    let (Ok(dir), Ok(origin)) = (std::env::var(CHILD_DIR), std::env::var(CHILD_ORIGIN)) else {
        return;
    };
    let mut server = Server::start(|_| std::future::pending()).await;
    server.origin = origin;
    let fixture = Fixture::new(&server);
    let session = session(Path::new(&dir), &server, &fixture);
    if !session.has_grant("oauth").await.unwrap() {
        fixture.authorise(&session).await;
    }
    loop {
        match fixture::fetch(&session, signed("/v1/x", "oauth")).await {
            Ok(_) | Err(FetchFault::Auth(_)) => return,
            Err(FetchFault::Connect(_)) => {}
            Err(fault) => panic!("{fault:?}"),
        }
    }
}

fn child(dir: &Path, origin: &str, crash: Option<&str>) -> std::process::ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "refresh_kills::child_that_refreshes"])
        .env(CHILD_DIR, dir)
        .env(CHILD_ORIGIN, origin)
        .env_remove("TIDEGATE_CRASH")
        .stdout(std::process::Stdio::null());
    if let Some(point) = crash {
        command.env("TIDEGATE_CRASH", point);
    }
    command.status().unwrap()
}

/// Whether the grant was lost, by the provider's own log.
async fn kill_at(point: &'static str, has_grace: bool) -> bool {
    let provider = Arc::new(Mutex::new(Provider {
        has_grace,
        ..Provider::default()
    }));
    let log = Arc::clone(&provider);
    let server = Server::start(move |seen| {
        let answer = log.lock().unwrap().answer(&seen);
        async move { Ok::<_, io::Error>(answer) }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (path, origin) = (dir.path().to_owned(), server.origin.clone());
    let (killed, restarted) = tokio::task::spawn_blocking(move || {
        let killed = child(&path, &origin, Some(point));
        (killed, child(&path, &origin, None))
    })
    .await
    .unwrap();
    assert!(killed.code().is_none(), "{point} did not kill: {killed}");
    assert!(restarted.success(), "{point}: {restarted}");
    let provider = provider.lock().unwrap();
    let lost = provider.served == 0;
    assert!(provider.refreshes <= 3, "{point}: {}", provider.refreshes);
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_a_rotating_refresh_loses_only_what_was_nowhere() {
    let is_proof = std::env::var_os("TIDEGATE_PROOF").is_some();
    let rounds = if is_proof { 63 } else { 1 };
    let mut table = String::from(
        "| killed at | kills | lost, provider without grace | lost, provider with grace |\n\
         |---|---|---|---|\n",
    );
    let trials = (0..rounds * 2 * REFRESH_POINTS.len()).map(|trial| {
        let (at, has_grace) = (trial / 2 % REFRESH_POINTS.len(), trial % 2 == 1);
        async move { (at, has_grace, kill_at(REFRESH_POINTS[at], has_grace).await) }
    });
    let mut lost = vec![[0_usize; 2]; REFRESH_POINTS.len()];
    let mut ended = futures_util::stream::iter(trials).buffer_unordered(AT_ONCE);
    while let Some((at, has_grace, is_lost)) = ended.next().await {
        lost[at][usize::from(has_grace)] += usize::from(is_lost);
    }
    let (kills, mut lost_in_all) = (rounds * 2 * REFRESH_POINTS.len(), 0);
    for (point, lost) in REFRESH_POINTS.iter().zip(lost) {
        // The answer is in memory alone: to the provider it is an answer that got lost.
        let is_dropped = matches!(*point, "R2.after" | "R3.before");
        let expected = if is_dropped { rounds } else { 0 };
        assert_eq!(lost, [expected, 0], "{point}");
        lost_in_all += lost[0];
        writeln!(
            table,
            "| {point} | {} | {} | {} |",
            rounds * 2,
            lost[0],
            lost[1]
        )
        .unwrap();
    }
    if let (true, Some(dir)) = (is_proof, std::env::var_os("TIDEGATE_PROOF_DIR")) {
        let page = format!(
            "{kills} kills (SIGKILL) over the {} steps of a \
             refresh against a provider that rotates; the figures are from its log. {lost_in_all} \
             grants were lost: exactly those whose answer was in the memory of the dead process \
             alone, at a provider that takes no old token again.\n\n{table}",
            REFRESH_POINTS.len()
        );
        std::fs::write(Path::new(&dir).join("refresh-kills.md"), page).unwrap();
    }
}
