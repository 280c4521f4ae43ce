//! The last step of every answer: damage, compression, headers, counting.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::Exchange;
use super::reply::Reply;
use crate::body::{Body, accepts_gzip, broken_off, compressed, damaged, whole};
use crate::generate::mix;
use crate::meter::add;
use crate::pipedrive::counters::PathKind;

/// A page whose data is no list, with records that lack an id.
const WRONG_SHAPE: &str = r#"{"success":true,"data":{"0":{"name":1}},"additional_data":[]}"#;
/// The window that the rate headers speak of, in seconds: never anything else.
const RESET_S: &str = "2";

impl Exchange<'_> {
    /// Damages, compresses, labels and counts an answer.
    pub(super) fn finish(&self, reply: Reply) -> Response<Body> {
        let success = (200..300).contains(&reply.status);
        let (mut body, cut) = damaged(reply.body.clone(), &self.damage, success, WRONG_SHAPE);
        let gzip = self.account.config.gzip && !body.is_empty() && accepts_gzip(self.headers);
        if gzip {
            body = compressed(&body);
        }
        let sent = match cut {
            Some(per_mille) => body.len() * usize::from(per_mille) / 1000,
            None => body.len(),
        };
        let meter = &self.account.meter;
        add(&meter.body_bytes, sent as u64);
        add(&meter.throttled, u64::from(reply.status == 429));
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
        if let Some(content_type) = reply.content_type {
            set("content-type", content_type.to_owned());
        }
        if let Some(location) = &reply.location {
            set("location", location.clone());
        }
        if let Some(seconds) = reply.retry_after_s {
            set("retry-after", seconds.to_string());
        }
        let serial = self.account.meter.serial();
        set("server", "cloudflare".to_owned());
        set("cf-ray", format!("{:016x}-FOR", mix(serial)));
        let Some((limit, remaining)) = self.allowance.burst else {
            return;
        };
        set("x-ratelimit-limit", limit.to_string());
        set("x-ratelimit-remaining", remaining.to_string());
        set("x-ratelimit-reset", RESET_S.to_owned());
        set(
            "x-correlation-id",
            format!("{:032x}", u128::from(mix(!serial))),
        );
        for (name, value) in [
            ("cache-control", "no-cache"),
            ("cf-cache-status", "DYNAMIC"),
            (
                "strict-transport-security",
                "max-age=31536000; includeSubDomains",
            ),
            (
                "access-control-expose-headers",
                "X-RateLimit-Remaining, X-RateLimit-Limit, X-RateLimit-Reset",
            ),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "1; mode=block"),
        ] {
            set(name, value.to_owned());
        }
        // Searches are answered by another service.
        if self.target.route.path_kind() != PathKind::Search {
            set("access-control-allow-origin", "*".to_owned());
            set("vary", "Accept-Encoding".to_owned());
            set("x-frame-options", "SAMEORIGIN".to_owned());
        }
        if let Some(left) = self.allowance.writes_left {
            set("x-daily-requests-left", left.to_string());
        }
        if let (true, Some((limit, left))) =
            (self.account.config.daily_headers, self.allowance.daily)
        {
            set("x-daily-ratelimit-token-limit", limit.to_string());
            set("x-daily-ratelimit-token-remaining", left.to_string());
        }
    }
}
