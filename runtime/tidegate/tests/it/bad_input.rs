//! What people get wrong: each gets an error that names the thing and what to do,
//! and nothing is lost.

use crate::site::{Options, Site, assert_same, shown};
use std::process::Output;

async fn site() -> Site {
    let crm = crm_sim::hubspot::Config {
        contacts: 300,
        limit_scale: None,
        ..crm_sim::hubspot::Config::default()
    };
    Site::new(crm, Options::default()).await
}

async fn fails(site: &Site, expected: &[&str]) -> Output {
    let output = site.run(site.sync()).await;
    let text = shown(&output);
    assert!(
        !output.status.success() && output.status.code().is_some(),
        "{text}"
    );
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    output
}

async fn then_works(site: &Site) {
    site.write_documents(&Options::default());
    site.sync_to_end().await;
    assert_same(&site.landed().await, &site.truth(), "afterwards");
}

fn replace(site: &Site, from: &str, to: &str) {
    let text = std::fs::read_to_string(site.path("sync.yaml")).unwrap();
    assert!(text.contains(from), "{from:?} is not in: {text}");
    site.write("sync.yaml", &text.replace(from, to));
}

#[tokio::test(flavor = "multi_thread")]
async fn yaml_that_is_wrong_names_the_key() {
    let site = site().await;
    replace(&site, "tenant: acme", "tenant: acme\nspeed: high");
    fails(&site, &["sync.yaml", "speed"]).await;
    site.write("sync.yaml", "tenant: [");
    fails(&site, &["sync.yaml"]).await;
    std::fs::remove_file(site.path("sync.yaml")).unwrap();
    fails(&site, &["cannot read", "sync.yaml"]).await;
    then_works(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_component_is_refused() {
    let site = site().await;
    site.write("junk.wasm", "this is not wasm");
    let hubspot = crate::site::guest("hubspot");
    replace(&site, hubspot.to_str().unwrap(), "junk.wasm");
    fails(&site, &["junk.wasm", "component"]).await;
    then_works(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named() {
    let site = site().await;
    std::fs::remove_file(site.path("token")).unwrap();
    fails(&site, &["connection.secrets.token", "cannot be read"]).await;
    site.write("token", site.crm.private_app_token());
    then_works(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_that_nobody_serves_is_named() {
    let site = site().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    site.write("key", "k");
    site.write_documents(&Options {
        target: format!(
            "{{ url: 's3://nowhere/x', endpoint: 'http://{free}', path_style: true, access_key: '${{file:{{folder}}/key}}', secret_key: '${{file:{{folder}}/key}}' }}"
        ),
        ..Options::default()
    });
    site.allow_target(&format!("http://{free}"));
    fails(&site, &["nowhere"]).await;
    then_works(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_the_operator_did_not_allow_is_not_reached() {
    let site = site().await;
    site.write("key", "k");
    site.write_documents(&Options {
        target: "{ url: 's3://lake/x', endpoint: 'http://127.0.0.1:9', path_style: true, access_key: '${file:{folder}/key}', secret_key: '${file:{folder}/key}' }".to_owned(),
        ..Options::default()
    });
    fails(&site, &["lake"]).await;
    then_works(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_there_is_answered_with_those_that_are() {
    let site = site().await;
    replace(&site, "name: contacts", "name: kontakte");
    fails(&site, &["kontakte", "contacts"]).await;
    then_works(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_an_auth_fault_without_the_token() {
    let site = site().await;
    site.write("token", "pat-na1-canary-4711");
    let output = fails(&site, &["auth"]).await;
    assert!(!shown(&output).contains("canary-4711"));
    site.write("token", site.crm.private_app_token());
    then_works(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_told_that_the_directory_is_in_use() {
    let site = site().await;
    std::fs::create_dir_all(site.path("state/db")).unwrap();
    let held = tidegate_store::SqliteStore::open(&site.path("state/db")).unwrap();
    fails(&site, &["in use"]).await;
    drop(held);
    then_works(&site).await;
}

/// A file-size limit makes writes fail as a full disk does.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_stops_the_sync_and_loses_nothing() {
    let crm = crm_sim::hubspot::Config {
        contacts: 20_000,
        limit_scale: None,
        ..crm_sim::hubspot::Config::default()
    };
    let site = Site::new(
        crm,
        Options {
            batch: "{ rows_max: 8000 }",
            ..Options::default()
        },
    )
    .await;
    site.run(site.tidegate(&[
        "connector",
        "inspect",
        crate::site::guest("hubspot").to_str().unwrap(),
    ]))
    .await;
    let program = site.sync();
    let mut limited = site.tidegate(&[]);
    let mut line = String::from("ulimit -f 200; trap '' XFSZ; exec");
    for part in std::iter::once(program.get_program()).chain(program.get_args()) {
        line.push_str(&format!(" '{}'", part.to_str().unwrap()));
    }
    let environment: Vec<_> = limited
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
        .collect();
    limited = std::process::Command::new("sh");
    limited.args(["-c", &line]);
    for (name, value) in environment {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let output = site.run(limited).await;
    let text = shown(&output);
    assert!(
        !output.status.success() && output.status.code().is_some(),
        "{text}"
    );
    assert!(!text.contains("panicked"), "{text}");
    site.sync_to_end().await;
    assert_same(&site.landed().await, &site.truth(), "after a full disk");
}
