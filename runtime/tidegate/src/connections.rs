//! `tidegate connections`: authorise and check, here or on a service.

use crate::authorize;
use crate::cli::{ConnectionsCommand, Named, Place, ServerArgs};
use crate::node;
use crate::remote::Remote;
use crate::report::{print_line, say};
use crate::sync_run::{self, Document};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use tidegate_domain::id::ConnectionId;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a person has, as the service's own page; and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(600);
const PERIOD: Duration = Duration::from_secs(1);

/// `tidegate connections …`.
pub(crate) async fn run(
    place: &Place,
    server: &ServerArgs,
    command: ConnectionsCommand,
) -> Result<ExitCode> {
    use ConnectionsCommand::{Authorize, Check};
    match command {
        Authorize {
            connection,
            again,
            confirm,
        } => match connection {
            Named::File(file) => authorize(place, &file, again, confirm).await,
            Named::Id(id) => {
                let remote = Remote::new(server)?;
                authorize_on_service(&remote, &id, again, confirm, place.json).await
            }
        },
        Check { connection } => match connection {
            Named::File(file) => check(place, &file).await,
            Named::Id(id) => check_on_service(&Remote::new(server)?, &id, place.json).await,
        },
    }
}

async fn authorize(place: &Place, path: &Path, again: bool, confirm: bool) -> Result<ExitCode> {
    let document = Document::read(path)?;
    let node = node::open(place, node::operator_file(place)?).await?;
    let prepared = sync_run::prepare(&node, &document, CancellationToken::new()).await?;
    let (connector, session) = (&prepared.context.source.connector, &prepared.session);
    let methods = authorize::methods(connector.manifest(), &document.file);
    if methods.is_empty() {
        bail!(
            "{}: connection.oauth_app is missing, so there is nothing to authorise",
            path.display()
        );
    }
    for method in methods {
        if !again && session.has_grant(method).await? {
            say_authorized_already(method);
            continue;
        }
        let port = authorize::redirect_port(&document.file);
        authorize::by_person(session, method, port, confirm).await?;
        say(&format!("{method}: authorised"));
    }
    Ok(ExitCode::SUCCESS)
}

fn say_authorized_already(method: &str) {
    say(&format!(
        "{method}: authorised already; use --again to replace the grant"
    ));
}

/// The service's page leads the person to the provider and back; here it is only
/// waited for.
async fn authorize_on_service(
    remote: &Remote,
    id: &ConnectionId,
    again: bool,
    confirm: bool,
    json: bool,
) -> Result<ExitCode> {
    let standings = standings(remote, id).await?;
    if standings.is_empty() {
        bail!("connection {id} has no method that a person authorises");
    }
    for Standing { method, state, .. } in standings {
        if state == "active" && !again {
            say_authorized_already(&method);
            continue;
        }
        let asked = json!({ "method": method, "confirm": confirm });
        let path = format!("/v1/connections/{id}/authorize");
        let begun = remote.post(&path, Some(&asked)).await?;
        if json {
            print_line(&begun.to_string());
        } else {
            say("Open this address in your browser and consent:");
            let url = begun["authorize_url"].as_str();
            say(&format!(
                "\n  {}\n",
                url.context("the service sent no address")?
            ));
        }
        say("Waiting for the answer (10 minutes at the most) ...");
        wait(remote, id, &method, &begun["begun_at_ms"]).await?;
        say(&format!("{method}: authorised"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Until the authorisation that began then has ended, well or not.
async fn wait(remote: &Remote, id: &ConnectionId, method: &str, begun_at_ms: &Value) -> Result<()> {
    let begun_at_ms = begun_at_ms.as_u64().context("the service sent no time")?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let standings = standings(remote, id).await?;
        let last = standings.into_iter().find(|it| it.method == method);
        match last.and_then(|it| it.last) {
            Some(last) if last.ended_at_ms >= begun_at_ms => {
                return last.error.map_or(Ok(()), |error| {
                    bail!("{method}: {error}; run the command again")
                });
            }
            _ => sleep(PERIOD).await,
        }
    }
    bail!("nobody consented in time; run the command again")
}

/// How a connection stands with a method that a person authorises.
#[derive(Deserialize)]
struct Standing {
    method: String,
    state: String,
    last: Option<LastTry>,
}

#[derive(Deserialize)]
struct LastTry {
    ended_at_ms: u64,
    error: Option<String>,
}

async fn standings(remote: &Remote, id: &ConnectionId) -> Result<Vec<Standing>> {
    let path = format!("/v1/connections/{id}/authorizations");
    let mut answer = remote.get(&path).await?;
    serde_json::from_value(answer["items"].take()).context("the service's answer is no list")
}

async fn check(place: &Place, path: &Path) -> Result<ExitCode> {
    let document = Document::read(path)?;
    let node = node::open(place, node::operator_file(place)?).await?;
    let prepared = sync_run::prepare(&node, &document, CancellationToken::new()).await?;
    let context = &prepared.context;
    context.source.check(&context.stop).await?;
    say(&format!("connection {} works", document.file.connection.id));
    Ok(ExitCode::SUCCESS)
}

async fn check_on_service(remote: &Remote, id: &ConnectionId, json: bool) -> Result<ExitCode> {
    let path = format!("/v1/connections/{id}/check");
    let verdict = remote.post(&path, None).await?;
    let works = verdict["works"] == true;
    if json {
        print_line(&verdict.to_string());
    } else if works {
        say(&format!("connection {id} works"));
    } else {
        let reason = verdict["reason"].as_str().unwrap_or_default();
        say(&format!("connection {id} does not work: {reason}"));
    }
    Ok(ExitCode::from(u8::from(!works)))
}
