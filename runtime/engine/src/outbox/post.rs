//! One POST to a subscriber, through the broker's dialer: `https` only, but for what
//! the operator mapped; no redirect is followed; the answer's body is not kept.

use crate::error::Error;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use std::time::Duration;
use tidegate_broker::dial::{Dialer, HttpClient, SendError, http_client};
use tidegate_broker::{Config, Mapping, Origin};
use tokio::time::timeout;
use url::{Position, Url};

/// For the whole exchange, from the name's resolution to the end of the answer.
pub(super) const DEADLINE: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read, so that its connection can serve again; past them
/// it is cut.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A message, ready to be sent.
pub(super) struct Signed {
    pub(super) id: String,
    pub(super) at_s: u64,
    pub(super) signature: String,
    pub(super) body: String,
}

/// Why a subscriber does not have the message. The text names hosts and no path, which
/// may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) error: String,
    /// How long the subscriber asked to be left alone, in milliseconds.
    pub(super) retry_after_ms: Option<u64>,
    /// Whether trying again is in vain.
    pub(super) is_final: bool,
}

impl Failed {
    /// It may go better the next time.
    pub(super) fn again(error: impl Into<String>) -> Failed {
        Failed {
            error: error.into(),
            retry_after_ms: None,
            is_final: false,
        }
    }

    /// It never will.
    pub(super) fn last(error: impl Into<String>) -> Failed {
        Failed {
            is_final: true,
            ..Failed::again(error)
        }
    }
}

/// Sends messages.
pub(super) struct Poster {
    mappings: Vec<Mapping>,
    /// Reaches what the address filter lets pass.
    direct: HttpClient<Full<Bytes>>,
    /// Reaches where mappings lead too; used for a mapped origin only, so that no
    /// tenant names such a place itself.
    mapped: HttpClient<Full<Bytes>>,
}

impl Poster {
    pub(super) fn new(config: &Config) -> Result<Poster, Error> {
        let dialer = Dialer::new(config)?;
        Ok(Poster {
            mappings: config.mappings.clone(),
            direct: http_client(&dialer.reaching(&[])),
            mapped: http_client(&dialer),
        })
    }

    /// Sends the message once.
    pub(super) async fn post(&self, url: &str, message: Signed) -> Result<(), Failed> {
        let (client, uri) = self.way(url)?;
        let request = request(uri, message)?;
        let exchange = async {
            let answer = client.send(request).await.map_err(unsent)?;
            let judged = judge(&answer);
            drain(answer).await;
            judged
        };
        let late = |_| Failed::again(format!("no answer within {} s", DEADLINE.as_secs()));
        timeout(DEADLINE, exchange).await.map_err(late)?
    }

    /// The client that may go there, and where it goes.
    fn way(&self, url: &str) -> Result<(&HttpClient<Full<Bytes>>, Uri), Failed> {
        let refused = || Failed::again("the address is not an https one");
        let url = Url::parse(url).map_err(|_| refused())?;
        let origin = Origin::of(&url).ok_or_else(refused)?;
        if origin.scheme != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err(refused());
        }
        let mapping = self.mappings.iter().find(|one| one.from == origin);
        let (client, origin) = match mapping {
            Some(mapping) => (&self.mapped, &mapping.to),
            None => (&self.direct, &origin),
        };
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let uri = format!("{origin}{path}").parse().map_err(|_| refused())?;
        Ok((client, uri))
    }
}

fn request(uri: Uri, message: Signed) -> Result<Request<Full<Bytes>>, Failed> {
    let Signed {
        id,
        at_s,
        signature,
        body,
    } = message;
    let json = HeaderValue::from_static("application/json");
    let agent = HeaderValue::from_static(concat!("Tidegate/", env!("CARGO_PKG_VERSION")));
    Request::post(uri)
        .header(CONTENT_TYPE, json)
        .header(USER_AGENT, agent)
        .header("webhook-id", id)
        .header("webhook-timestamp", at_s)
        .header("webhook-signature", signature)
        .body(Full::from(body))
        .map_err(|error| Failed::again(error.to_string()))
}

fn unsent(error: SendError) -> Failed {
    match error {
        SendError::Dial(error) => Failed::again(format!("not connected: {error}")),
        SendError::Broken(host) => Failed::again(format!("{host}: the connection broke")),
    }
}

/// Whether the subscriber has it. 410 is how it says that it wants no more of this.
fn judge<B>(answer: &Response<B>) -> Result<(), Failed> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let error = match status {
        StatusCode::GONE => return Err(Failed::last("answered 410: it is gone for good")),
        _ if status.is_redirection() => {
            format!("answered {}: redirects are not followed", status.as_u16())
        }
        _ => format!("answered {}", status.as_u16()),
    };
    let asked = answer.headers().get(RETRY_AFTER);
    let seconds: Option<u64> = asked.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Err(Failed {
        retry_after_ms: seconds.map(|seconds| seconds.saturating_mul(1_000)),
        ..Failed::again(error)
    })
}

/// Reads the answer's body away. One that breaks or is too long costs its connection.
async fn drain<B>(answer: Response<B>)
where
    B: BodyExt<Data = Bytes> + Unpin,
{
    let mut body = answer.into_body();
    let mut left = ANSWER_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
