//! OAuth from the command line: the provider sends the person's browser back to a
//! loopback address that this process listens on for one answer (RFC 8252).

use crate::config::SyncFile;
use crate::report;
use anyhow::{Context as _, Result, bail};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io::IsTerminal as _;
use std::time::Duration;
use tidegate_broker::Session;
use tidegate_domain::manifest::{AuthKind, Manifest};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How long a person has to consent.
const PATIENCE: Duration = Duration::from_secs(600);

/// The auth methods that a person must consent to.
pub(crate) fn methods<'a>(manifest: &'a Manifest, file: &SyncFile) -> Vec<&'a str> {
    if file.connection.oauth_app.is_none() {
        return Vec::new();
    }
    let by_code = manifest
        .auth
        .iter()
        .filter(|method| matches!(method.kind, AuthKind::Oauth2Code(_)));
    by_code.map(|method| method.name.as_str()).collect()
}

/// Authorises what has no grant yet, if there is a person to ask.
pub(crate) async fn ensure(
    session: &Session,
    manifest: &Manifest,
    file: &SyncFile,
    json: bool,
) -> Result<()> {
    for method in methods(manifest, file) {
        if session.has_grant(method).await? {
            continue;
        }
        if json || !std::io::stderr().is_terminal() {
            bail!(
                "connection {} is not authorised; run `tidegate connections authorize <the sync file>` first",
                file.connection.id
            );
        }
        by_person(session, method, redirect_port(file)).await?;
    }
    Ok(())
}

/// The loopback port that the provider knows; 0 takes any.
pub(crate) fn redirect_port(file: &SyncFile) -> u16 {
    let app = file.connection.oauth_app.as_ref();
    app.map_or(0, |app| app.redirect_port)
}

/// Shows the address and waits for the person.
pub(crate) async fn by_person(session: &Session, method: &str, redirect_port: u16) -> Result<()> {
    through(session, method, redirect_port, async |url| {
        report::say("Open this address in your browser and consent:");
        report::say(&format!("\n  {url}\n"));
        report::say("Waiting for the answer (10 minutes at the most) ...");
        Ok(())
    })
    .await
}

/// Runs the whole exchange; `visit` brings the person to the address.
pub(crate) async fn through(
    session: &Session,
    method: &str,
    redirect_port: u16,
    visit: impl AsyncFnOnce(String) -> Result<()>,
) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", redirect_port))
        .await
        .with_context(|| {
            format!("cannot listen on 127.0.0.1:{redirect_port}; is the port taken?")
        })?;
    let port = listener.local_addr()?.port();
    let pending = session
        .authorize_url(method, &format!("http://127.0.0.1:{port}/callback"))
        .await?;
    visit(pending.url.clone()).await?;
    let answer = tokio::time::timeout(PATIENCE, callback(listener)).await;
    let answer = answer.context("nobody consented in time; run the command again")??;
    session
        .complete_authorization(pending, &answer.code, &answer.state)
        .await?;
    Ok(())
}

struct Answer {
    code: String,
    state: String,
}

/// Serves until the provider's answer has come.
async fn callback(listener: TcpListener) -> Result<Answer> {
    let (sender, mut answers) = mpsc::channel(1);
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .context("the loopback address failed")?;
        let sender = sender.clone();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let sender = sender.clone();
            async move { Ok::<_, std::convert::Infallible>(answer(&request, &sender)) }
        });
        // A browser may open connections that it never uses, so each gets little time.
        let connection = hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let served = tokio::time::timeout(Duration::from_secs(5), connection).await;
        if let Ok(Err(error)) = served {
            tracing::debug!(%error, "a connection to the loopback address failed");
        }
        if let Ok(answer) = answers.try_recv() {
            return answer;
        }
    }
}

fn answer(
    request: &Request<hyper::body::Incoming>,
    sender: &mpsc::Sender<Result<Answer>>,
) -> Response<Full<Bytes>> {
    let reply = |status, text: &'static str| {
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/callback" {
        return reply(StatusCode::NOT_FOUND, "not here\n");
    }
    let query = request.uri().query().unwrap_or_default();
    let value = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let (result, page) = match (value("code"), value("state")) {
        (Some(code), Some(state)) => (
            Ok(Answer { code, state }),
            reply(
                StatusCode::OK,
                "Authorised. You can close this page and go back to the terminal.\n",
            ),
        ),
        _ => {
            let reason = value("error").unwrap_or_else(|| "no code was given".to_owned());
            let safe: String = reason
                .chars()
                .filter(char::is_ascii_graphic)
                .take(80)
                .collect();
            (
                Err(anyhow::anyhow!("the provider refused: {safe}")),
                reply(
                    StatusCode::BAD_REQUEST,
                    "Not authorised. See the terminal.\n",
                ),
            )
        }
    };
    if sender.try_send(result).is_err() {
        tracing::debug!("a second answer came and was ignored");
    }
    page
}
