//! One exchange: send, then read the whole body under every cap.

use crate::call::Meters;
use crate::dial::{HttpClient, SendError};
use crate::spool::Spool;
use crate::{Config, Error, FetchFault};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use std::io::{self, Write};

/// Below this, no ratio is suspicious.
const RATIO_FROM_BYTES: u64 = 1 << 20;

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
    body_bytes_max: u64,
    meters: Meters<'_>,
    answered: impl FnOnce(&HeaderMap),
) -> Result<Received, Broken> {
    let sent = request.body().size_hint().lower();
    meters.add(|meter| &meter.requests, 1);
    meters.add(|meter| &meter.bytes_sent, sent);
    let (head, body) = client.send(request).await?.into_parts();
    answered(&head.headers);
    check_headers(&head.headers, config).map_err(Broken::after)?;
    let gzip = is_gzip(&head.headers).map_err(Broken::after)?;
    let sink = Sink::new(config, body_bytes_max);
    let body = read(body, sink, gzip, meters)
        .await
        .map_err(Broken::after)?;
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

fn is_gzip(headers: &HeaderMap) -> Result<bool, FetchFault> {
    let mut encodings = headers.get_all(http::header::CONTENT_ENCODING).iter();
    let encoding = encodings.next().map(http::HeaderValue::as_bytes);
    match (
        encoding.map(<[u8]>::to_ascii_lowercase).as_deref(),
        encodings.next(),
    ) {
        (None | Some(b"" | b"identity"), None) => Ok(false),
        (Some(b"gzip" | b"x-gzip"), None) => Ok(true),
        _ => Err(FetchFault::Protocol(
            "the body has an encoding that was not asked for".to_owned(),
        )),
    }
}

async fn read(
    mut body: Incoming,
    mut sink: Sink,
    gzip: bool,
    meters: Meters<'_>,
) -> Result<Bytes, FetchFault> {
    if body.size_hint().lower() > sink.bytes_max && !gzip {
        return Err(FetchFault::TooLarge(sink.bytes_max));
    }
    if let Some(bytes) = body.size_hint().exact().filter(|_| !gzip) {
        sink.spool.expect(bytes);
    }
    let mut decoder = Decoder::new(sink, gzip);
    while let Some(frame) = body.frame().await {
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

/// The end of a body, plain or compressed.
enum Decoder {
    Plain(Sink),
    Gzip {
        decoder: Box<MultiGzDecoder<Sink>>,
        /// An answer without a body may still say gzip.
        empty: bool,
    },
}

impl Decoder {
    fn new(sink: Sink, gzip: bool) -> Self {
        if gzip {
            Decoder::Gzip {
                decoder: Box::new(MultiGzDecoder::new(sink)),
                empty: true,
            }
        } else {
            Decoder::Plain(sink)
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), FetchFault> {
        match self {
            Decoder::Plain(sink) => {
                sink.received += chunk.len() as u64;
                let taken = sink.write_all(chunk);
                taken.map_err(|error| sink.fault(error))
            }
            Decoder::Gzip { decoder, empty } => {
                *empty &= chunk.is_empty();
                decoder.get_mut().received += chunk.len() as u64;
                let taken = decoder.write_all(chunk);
                taken.map_err(|error| decoder.get_mut().fault(error))
            }
        }
    }

    fn finish(self) -> Result<Bytes, FetchFault> {
        let sink = match self {
            Decoder::Plain(sink) => sink,
            Decoder::Gzip { empty: true, .. } => return Ok(Bytes::new()),
            Decoder::Gzip { mut decoder, .. } => {
                if let Err(error) = decoder.try_finish() {
                    return Err(decoder.get_mut().fault(error));
                }
                let unread = decoder.finish();
                unread.map_err(|_| FetchFault::Protocol("the body was cut".to_owned()))?
            }
        };
        let spool = sink.spool;
        spool
            .finish()
            .map_err(|error| FetchFault::Host(Error::Spool(error)))
    }
}

/// Counts what comes out of the decoder, and stops it at the caps.
struct Sink {
    spool: Spool,
    bytes_max: u64,
    ratio_max: u64,
    received: u64,
    excess: bool,
    disk: bool,
}

impl Sink {
    fn new(config: &Config, bytes_max: u64) -> Self {
        Self {
            spool: Spool::new(&config.spool_dir, config.body_memory_bytes_max),
            bytes_max,
            ratio_max: config.decompression_ratio_max,
            received: 0,
            excess: false,
            disk: false,
        }
    }

    /// What an error of the decoder stands for.
    fn fault(&self, error: io::Error) -> FetchFault {
        if self.excess {
            FetchFault::TooLarge(self.bytes_max)
        } else if self.disk {
            FetchFault::Host(Error::Spool(error))
        } else {
            FetchFault::Protocol("the compressed body is broken or cut".to_owned())
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let decoded = self.spool.bytes() + bytes.len() as u64;
        let ratio = decoded / self.received.max(1);
        if decoded > self.bytes_max || (decoded > RATIO_FROM_BYTES && ratio > self.ratio_max) {
            self.excess = true;
            return Err(io::Error::other("larger than allowed"));
        }
        let written = self.spool.write(bytes);
        self.disk = written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.spool.flush()
    }
}
