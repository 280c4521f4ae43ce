//! What a handler answers with, and its way onto the wire: damage, compression,
//! counting.

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::body::{Body, accepts_gzip, broken_off, compressed, damaged, whole};
use crate::faults::Fault;
use crate::meter::{Meter, add};

/// An answer before the headers that every answer of its API has.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Reply {
        Reply {
            body: body.into(),
            ..Reply::empty(status).with("content-type", "application/json; charset=utf-8")
        }
    }

    pub(crate) fn value(status: u16, value: &Value) -> Reply {
        Reply::json(status, value.to_string().into_bytes())
    }

    pub(crate) fn html(status: u16, body: &'static str) -> Reply {
        Reply {
            body: Bytes::from_static(body.as_bytes()),
            ..Reply::empty(status).with("content-type", "text/html; charset=utf-8")
        }
    }

    pub(crate) fn empty(status: u16) -> Reply {
        Reply {
            status,
            body: Bytes::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn redirect(location: &str) -> Reply {
        Reply::empty(302).with("location", location)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// Damages, compresses, labels and counts the answer. `gzip` is the request's
    /// headers where the simulator compresses at all.
    pub(crate) fn deliver<P>(
        self,
        damage: &[Fault],
        wrong_shape: &'static str,
        gzip: Option<&HeaderMap>,
        meter: &Meter<P>,
    ) -> Response<Body> {
        let (mut body, cut) = damaged(self.body, damage, self.status == 200, wrong_shape);
        let gzip = !body.is_empty() && gzip.is_some_and(accepts_gzip);
        if gzip {
            body = compressed(&body);
        }
        let length = body.len();
        let sent = cut.map_or(length, |per_mille| length * usize::from(per_mille) / 1000);
        add(&meter.body_bytes, sent as u64);
        add(&meter.throttled, u64::from(self.status == 429));
        let mut response = Response::new(match cut {
            Some(_) => broken_off(body.slice(..sent)),
            None => whole(body),
        });
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if cut.is_some() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

/// How many records a page may hold when a fault asks for short ones.
pub(crate) fn short_page(damage: &[Fault]) -> usize {
    let short = damage.iter().filter_map(|fault| match fault {
        Fault::ShortPage(keep) => Some(*keep),
        _ => None,
    });
    short.min().unwrap_or(usize::MAX)
}
