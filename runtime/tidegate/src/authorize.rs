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
        by_person(session, method, redirect_port(file), false).await?;
    }
    Ok(())
}

/// The loopback port that the provider knows; 0 takes any.
pub(crate) fn redirect_port(file: &SyncFile) -> u16 {
    let app = file.connection.oauth_app.as_ref();
    app.map_or(0, |app| app.redirect_port)
}

/// Shows the address and waits for the person.
pub(crate) async fn by_person(
    session: &Session,
    method: &str,
    redirect_port: u16,
    is_confirmed: bool,
) -> Result<()> {
    through(session, method, redirect_port, is_confirmed, async |url| {
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
    is_confirmed: bool,
    visit: impl AsyncFnOnce(String) -> Result<()>,
) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", redirect_port))
        .await
        .with_context(|| {
            format!("cannot listen on 127.0.0.1:{redirect_port}; is the port taken?")
        })?;
    let port = listener.local_addr()?.port();
    let pending = session
        .authorize_url(
            method,
            &format!("http://127.0.0.1:{port}/callback"),
            is_confirmed,
        )
        .await?;
    visit(pending.url.clone()).await?;
    let answer = tokio::time::timeout(PATIENCE, callback(listener, &pending.state)).await;
    let code = answer.context("nobody consented in time; run the command again")??;
    let state = pending.state.clone();
    session
        .complete_authorization(pending, &code, &state)
        .await?;
    Ok(())
}

/// Serves until the provider's answer has come: the one with this state. Anybody on
/// this machine can send others, and they end nothing.
async fn callback(listener: TcpListener, state: &str) -> Result<String> {
    let (sender, mut answers) = mpsc::channel(1);
    loop {
        let (stream, _) = listener
            .accept()
            .await
            .context("the loopback address failed")?;
        let (sender, state) = (sender.clone(), state.to_owned());
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let answer = answer(&request, &state, &sender);
            async move { Ok::<_, std::convert::Infallible>(answer) }
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
    expected_state: &str,
    sender: &mpsc::Sender<Result<String>>,
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
    if value("state").as_deref() != Some(expected_state) {
        return reply(
            StatusCode::BAD_REQUEST,
            "This answer belongs to another authorisation.\n",
        );
    }
    let (result, page) = match value("code") {
        Some(code) => (
            Ok(code),
            reply(
                StatusCode::OK,
                "Authorised. You can close this page and go back to the terminal.\n",
            ),
        ),
        None => {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn send(port: u16, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_with_another_state_end_nothing_and_the_right_one_does() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let browser = async {
            for path in [
                "/callback?code=theirs&state=other",
                "/callback?code=theirs",
                "/callback?error=access_denied&state=other",
                "/callback?error=access_denied",
            ] {
                assert!(send(port, path).await.starts_with("HTTP/1.1 400"), "{path}");
            }
            assert!(send(port, "/favicon.ico").await.starts_with("HTTP/1.1 404"));
            let right = send(port, "/callback?code=ours&state=right").await;
            assert!(right.starts_with("HTTP/1.1 200"));
        };
        let (code, ()) = tokio::join!(callback(listener, "right"), browser);
        assert_eq!(code.unwrap(), "ours");
    }

    #[tokio::test]
    async fn a_refusal_with_the_right_state_ends_the_wait() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let path = "/callback?error=access_denied&state=right";
        let (code, _) = tokio::join!(callback(listener, "right"), send(port, path));
        assert!(code.unwrap_err().to_string().contains("access_denied"));
    }
}
