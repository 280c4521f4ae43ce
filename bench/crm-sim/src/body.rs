//! Response bodies as a server sends them: whole, in pieces, compressed, and damaged
//! on demand.

use std::convert::Infallible;
use std::io;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderMap};
use tokio::sync::mpsc;

use crate::faults::{Fault, WrongJson};

/// A response body: one buffer, a stream, or a cut one.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body that arrives whole.
pub(crate) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body that breaks off: the connection closes after these bytes.
pub(crate) fn broken_off(bytes: Bytes) -> Body {
    let frames = futures_util::stream::unfold(Some(bytes), |rest| async move {
        let broken = io::Error::new(io::ErrorKind::ConnectionReset, "cut on demand");
        match rest {
            Some(bytes) if !bytes.is_empty() => Some((Ok(Frame::data(bytes)), Some(Bytes::new()))),
            Some(_) => {
                // Lets the connection write out what it holds before the error.
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Err(broken), None))
            }
            None => None,
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// A body that arrives in the pieces that are sent into the channel.
pub(crate) fn pieces(receiver: mpsc::Receiver<Bytes>) -> Body {
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(piece)), receiver))
    });
    StreamBody::new(frames)
        .map_err(|never| -> io::Error { match never {} })
        .boxed_unsync()
}

/// A body after the damage that the faults ask for, and how much of it is sent when
/// it breaks off. `wrong_shape` is a document of the API whose members have the wrong
/// types; only successes lie.
pub(crate) fn damaged(
    mut body: Bytes,
    faults: &[Fault],
    success: bool,
    wrong_shape: &'static str,
) -> (Bytes, Option<u16>) {
    let mut cut = None;
    for fault in faults {
        match fault {
            Fault::WrongJson(wrong) if success => {
                body = match wrong {
                    WrongJson::Html => {
                        Bytes::from_static(b"<!DOCTYPE html><html><body>Sign in</body></html>")
                    }
                    WrongJson::Truncated => body.slice(..body.len() / 2),
                    WrongJson::Empty => Bytes::from_static(b"{}"),
                    WrongJson::WrongShape => Bytes::from_static(wrong_shape.as_bytes()),
                };
            }
            Fault::Cut(per_mille) => cut = Some((*per_mille).min(999)),
            _ => {}
        }
    }
    (body, cut)
}

/// Whether the client takes gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"))
}

/// The gzip of a body.
pub(crate) fn compressed(body: &Bytes) -> Bytes {
    let buffer = Vec::with_capacity(body.len() / 4);
    let mut encoder = flate2::write::GzEncoder::new(buffer, flate2::Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing to memory cannot fail")
        .into()
}
