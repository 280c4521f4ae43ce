//! One exchange: send, then read the whole body under every cap.

use crate::call::Meters;
use crate::decode::{Decoder, Encoding};
use crate::dial::{HttpClient, SendError};
use crate::{Config, FetchFault};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use std::time::Duration;
use tokio::time::timeout;

/// A whole answer.
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) fault: FetchFault,
    /// Whether the peer may have seen the request.
    pub(crate) reached: bool,
}

impl Broken {
    fn after(fault: FetchFault) -> Self {
        Self {
            fault,
            reached: true,
        }
    }
}

impl From<SendError> for Broken {
    fn from(error: SendError) -> Self {
        Self {
            reached: matches!(error, SendError::Broken(_)),
            fault: error.into(),
        }
    }
}

/// Sends and reads to the end. `answered` sees the headers as soon as they are
/// there, since that is when the provider has counted the request.
pub(crate) async fn exchange(
    client: &HttpClient<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    config: &Config,
    first_byte: Duration,
    body_bytes_max: u64,
    meters: Meters<'_>,
    answered: impl FnOnce(&HeaderMap),
) -> Result<Received, Broken> {
    let sent = request.body().size_hint().lower();
    meters.add(|meter| &meter.requests, 1);
    meters.add(|meter| &meter.bytes_sent, sent);
    let late = |_| Broken::after(FetchFault::Timeout("no answer began in time".to_owned()));
    let answer = timeout(first_byte, client.send(request)).await;
    let (head, body) = answer.map_err(late)??.into_parts();
    answered(&head.headers);
    check_headers(&head.headers, config).map_err(Broken::after)?;
    let expected_bytes = body.size_hint().exact();
    let decoder = Encoding::of(&head.headers)
        .and_then(|encoding| Decoder::new(encoding, config, body_bytes_max, expected_bytes))
        .map_err(Broken::after)?;
    let body = read(body, decoder, config, meters).await;
    let body = body.map_err(Broken::after)?;
    Ok(Received {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    })
}

fn check_headers(headers: &HeaderMap, config: &Config) -> Result<(), FetchFault> {
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    let bytes: usize = sizes.sum();
    if headers.len() > config.header_count_max || bytes > config.header_bytes_max {
        return Err(FetchFault::Protocol("too many headers".to_owned()));
    }
    Ok(())
}

async fn read(
    mut body: Incoming,
    mut decoder: Decoder,
    config: &Config,
    meters: Meters<'_>,
) -> Result<Bytes, FetchFault> {
    let idle = Duration::from_millis(config.idle_timeout_ms);
    let late = |_| FetchFault::Timeout("the body stood still".to_owned());
    while let Some(frame) = timeout(idle, body.frame()).await.map_err(late)? {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "a body was cut");
            FetchFault::Protocol("the body was cut".to_owned())
        })?;
        let Ok(chunk) = frame.into_data() else {
            continue; // trailers say nothing that the host acts on
        };
        meters.add(|meter| &meter.bytes_received, chunk.len() as u64);
        decoder.take(&chunk)?;
    }
    decoder.finish()
}
