//! Secrets that a job really uses, looked for everywhere that it leaves something: through
//! an authorisation, a refresh with rotation, a death in the middle, a guest that traps,
//! and objects on S3.

use crate::oauth::authorize;
use crate::site::{Options, Site, guest, shown};
use s3_local::S3Local;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Everything that went to and fro between the host and the provider.
type Wire = Arc<Mutex<Vec<u8>>>;

/// Passes everything on, and keeps it: what is a secret is taken from the wire.
async fn tap(crm: SocketAddr) -> (SocketAddr, Wire, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (wire, mut tasks) = (Wire::default(), JoinSet::new());
    let kept = Arc::clone(&wire);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(crm).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            connections.spawn(copy(from_client, to_server, Arc::clone(&kept)));
            connections.spawn(copy(from_server, to_client, Arc::clone(&kept)));
        }
    });
    (address, wire, tasks)
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    kept: Wire,
) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        kept.lock().unwrap().extend_from_slice(&piece[..count]);
        if to.write_all(&piece[..count]).await.is_err() {
            break;
        }
    }
}

/// The values of these names in JSON and in forms.
fn secrets_of(wire: &Wire) -> BTreeSet<String> {
    let wire = wire.lock().unwrap();
    let text = String::from_utf8_lossy(&wire);
    let mut found = BTreeSet::new();
    for name in [
        "access_token",
        "refresh_token",
        "code",
        "code_verifier",
        "client_secret",
    ] {
        for mark in [format!("\"{name}\":\""), format!("{name}=")] {
            for (at, _) in text.match_indices(&mark) {
                let rest = &text[at + mark.len()..];
                let is_part =
                    |letter: char| letter.is_ascii_alphanumeric() || "-_.~".contains(letter);
                let value: String = rest.chars().take_while(|letter| is_part(*letter)).collect();
                // Words such as the name of a grant type are no secrets.
                if value.len() >= 16 {
                    found.insert(value);
                }
            }
        }
    }
    found
}

fn assert_hidden(secrets: &BTreeSet<String>, sink: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in secrets {
        assert!(!text.contains(secret), "{sink} holds {}…", &secret[..6]);
    }
}

/// All files below a folder; the site's own documents hold the secrets on purpose.
fn search(secrets: &BTreeSet<String>, folder: &Path, searched: &mut u32) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(secrets, &path, searched);
        } else {
            *searched += 1;
            assert_hidden(
                secrets,
                &path.display().to_string(),
                &std::fs::read(&path).unwrap(),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_job_that_dies_and_goes_on_is_anywhere_but_on_the_wire() {
    let objects = tempfile::tempdir().unwrap();
    let s3 = S3Local::start(objects.path(), 0, "test", "canary-s3-secret-4711")
        .await
        .unwrap();
    s3.create_bucket("lake").unwrap();
    let crm = crm_sim::hubspot::Config {
        contacts: 2_000,
        limit_scale: None,
        refresh_rotation: true,
        require_pkce: true,
        client_secret: "canary-client-secret-0815".to_owned(),
        ..crm_sim::hubspot::Config::default()
    };
    let options = Options {
        target: format!(
            "{{ url: 's3://lake/canary', format: jsonl.zst, endpoint: '{}', path_style: true, access_key: '${{file:{{folder}}/access}}', secret_key: '${{file:{{folder}}/secret}}' }}",
            s3.endpoint()
        ),
        oauth: true,
        ..Options::default()
    };
    let site = Site::new(crm, options).await;
    site.write("access", "test");
    site.write("secret", "canary-s3-secret-4711");
    site.allow_target(&s3.endpoint());
    let url = site.crm.base_url().to_owned();
    let server = url.strip_prefix("http://").unwrap().parse().unwrap();
    let (address, wire, _tasks) = tap(server).await;
    let operator = std::fs::read_to_string(site.path("operator.yaml")).unwrap();
    // A person's browser goes to the provider itself.
    let api = format!("'https://api.hubapi.com', to: '{url}'");
    let tapped = format!("'https://api.hubapi.com', to: 'http://{address}'");
    assert!(operator.contains(&api));
    site.write("operator.yaml", &operator.replace(&api, &tapped));
    authorize(&site).await;

    let mut printed = Vec::new();
    for crash in [Some("S3.after:2"), None] {
        // Every process needs a newer pair than the one before.
        site.crm.expire_access_tokens();
        let mut command = site.sync();
        command
            .env("TIDEGATE_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        if let Some(point) = crash {
            command.env("TIDEGATE_CRASH", point);
        }
        let output = site.run(command).await;
        assert_eq!(
            output.status.success(),
            crash.is_none(),
            "{}",
            shown(&output)
        );
        printed.extend([output.stdout, output.stderr]);
    }
    // What is wrong is told with what is known of it: a refused grant, and a guest that traps.
    site.crm.uninstall_app();
    let output = site.run(site.sync()).await;
    assert!(!output.status.success());
    printed.extend([output.stdout, output.stderr]);
    let document = std::fs::read_to_string(site.path("sync.yaml")).unwrap();
    let (real, hostile) = (guest("hubspot"), guest("hostile"));
    let trapping = document.replace(&real.display().to_string(), &hostile.display().to_string());
    site.write("sync.yaml", &trapping);
    let output = site.run(site.sync()).await;
    assert!(!output.status.success());
    printed.extend([output.stdout, output.stderr]);

    let mut secrets = secrets_of(&wire);
    assert!(
        secrets.len() >= 6,
        "the code, its proof, three pairs: {}",
        secrets.len()
    );
    secrets.insert("canary-client-secret-0815".to_owned());
    secrets.insert("canary-s3-secret-4711".to_owned());
    secrets.insert(site.crm.private_app_token().to_owned());
    for bytes in &printed {
        assert_hidden(&secrets, "what a process printed", bytes);
    }
    assert!(
        printed.iter().any(|bytes| bytes.len() > 10_000),
        "nothing was logged"
    );
    let mut searched = 0;
    search(&secrets, &site.path("state"), &mut searched);
    let in_state = searched;
    search(&secrets, objects.path(), &mut searched);
    assert!(
        in_state >= 3 && searched > in_state,
        "{in_state} {searched}"
    );
}
