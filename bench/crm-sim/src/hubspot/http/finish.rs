//! The last step of every answer: damage, compression, headers, counting.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::Exchange;
use super::reply::Reply;
use crate::body::{Body, accepts_gzip, broken_off, compressed, damaged, whole};
use crate::meter::add;

/// A page whose results are no list, with records that lack an id.
const WRONG_SHAPE: &str = r#"{"results":{"0":{"properties":{}}},"total":"many"}"#;

impl Exchange<'_> {
    /// Damages, compresses, labels and counts an answer.
    pub(super) fn finish(&self, reply: Reply) -> Response<Body> {
        let (mut body, cut) = damaged(
            reply.body.clone(),
            &self.damage,
            reply.status == 200,
            WRONG_SHAPE,
        );
        let gzip = self.account.config.gzip && !body.is_empty() && accepts_gzip(self.headers);
        if gzip {
            body = compressed(&body);
        }
        let sent = match cut {
            Some(per_mille) => body.len() * usize::from(per_mille) / 1000,
            None => body.len(),
        };
        add(&self.account.meter.body_bytes, sent as u64);
        add(
            &self.account.meter.throttled,
            u64::from(reply.status == 429),
        );
        let length = body.len();
        let mut response = Response::new(match cut {
            Some(_) => broken_off(body.slice(..sent)),
            None => whole(body),
        });
        *response.status_mut() =
            StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        self.label(headers, &reply);
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if cut.is_some() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    fn label(&self, headers: &mut HeaderMap, reply: &Reply) {
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("x-hubspot-correlation-id", self.correlation_id.to_owned());
        if let Some(content_type) = reply.content_type {
            set("content-type", content_type.to_owned());
            set("vary", "Accept-Encoding".to_owned());
        }
        if let Some(location) = &reply.location {
            set("location", location.clone());
        }
        if let Some(seconds) = reply.retry_after_s {
            set("retry-after", seconds.to_string());
        }
        if reply.status == 404 {
            set("x-hubspot-notfound", "true".to_owned());
        }
        if let Some((max, remaining)) = self.allowance.daily {
            set("x-hubspot-ratelimit-daily", max.to_string());
            set("x-hubspot-ratelimit-daily-remaining", remaining.to_string());
        }
        if let Some((max, remaining)) = self.allowance.interval {
            set(
                "x-hubspot-ratelimit-interval-milliseconds",
                "10000".to_owned(),
            );
            set("x-hubspot-ratelimit-max", max.to_string());
            set("x-hubspot-ratelimit-remaining", remaining.to_string());
        }
        if let Some((max, remaining)) = self.allowance.secondly {
            set("x-hubspot-ratelimit-secondly", max.to_string());
            set(
                "x-hubspot-ratelimit-secondly-remaining",
                remaining.to_string(),
            );
        }
    }
}
