//! OAuth from the command line to the provider and back, and a token that expires in
//! the middle of a sync.

use crate::site::{Options, Site, assert_same, shown};
use crm_sim::hubspot::{Fault, PathKind, Rule, When};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

/// One GET with a cookie, or none; the answer.
pub(crate) fn visit(url: &str, cookie: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A header of an answer.
pub(crate) fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let mut headers = answer.lines().filter_map(|line| line.split_once(':'));
    let found = headers.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found
        .unwrap_or_else(|| panic!("no {name}: {answer}"))
        .1
        .trim()
}

/// Runs `connections authorize` and plays the person who consents.
pub(crate) async fn authorize<C>(site: &Site<C>) {
    let file = site.path("sync.yaml");
    let mut command = site.tidegate(&["connections", "authorize", file.to_str().unwrap()]);
    command.stderr(Stdio::piped());
    let done = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = lines.map(|line| line.unwrap());
        let url = lines
            .find(|line| line.trim().starts_with("http"))
            .expect("an address is shown");
        let back = visit(url.trim(), "");
        let page = visit(header(&back, "location"), "");
        assert!(page.contains("go back to the terminal"), "{page}");
        let rest: Vec<_> = lines.collect();
        assert!(child.wait().unwrap().success(), "{rest:?}");
    });
    done.await.unwrap();
}

fn by_oauth() -> (crm_sim::hubspot::Config, Options) {
    let crm = crm_sim::hubspot::Config {
        contacts: 20_000,
        limit_scale: None,
        refresh_rotation: true,
        require_pkce: true,
        ..crm_sim::hubspot::Config::default()
    };
    let options = Options {
        oauth: true,
        stream: "mode: incremental, landing: append, fields: [email], partitions_max: 3, window: { since: 2010-01-01T00:00:00Z, until: 2026-01-01T00:00:00Z }",
        ..Options::default()
    };
    (crm, options)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expires_in_mid_sync_is_refreshed_once() {
    let (crm, options) = by_oauth();
    let site = Site::new(crm, options).await;
    authorize(&site).await;
    site.crm.install_fault(Rule {
        path: Some(PathKind::Search),
        when: When::Ordinal { skip: 20, take: 1 },
        fault: Fault::ExpireToken,
    });
    let summary = site.sync_to_end().await;
    assert_same(&site.landed().await, &site.truth(), "after a refresh");
    assert_eq!(summary["attempts"], 1, "a partition failed: {summary}");
    let counters = site.crm.counters();
    assert_eq!(counters.codes_exchanged, 1);
    assert_eq!(counters.refreshes, 1, "refreshes");
    assert_eq!(
        counters.refreshes_refused, 0,
        "a used refresh token was sent again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unauthorised_connection_says_what_to_run_and_secrets_stay_off_the_disk() {
    let (crm, options) = by_oauth();
    let site = Site::new(crm, options).await;
    let output = site.run(site.sync()).await;
    assert!(
        shown(&output).contains("connections authorize"),
        "{}",
        shown(&output)
    );
    authorize(&site).await;
    site.sync_to_end().await;
    let canary = site.crm.config().client_secret.as_bytes();
    for file in files_below(&site.path("state")) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(canary.len()).any(|window| window == canary);
        assert!(!found, "{} holds a secret", file.display());
    }
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path))
        } else {
            files.push(path)
        }
    }
    files
}
