//! The last step of every answer: damage, compression, headers, counting.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::Exchange;
use super::reply::{Content, Reply};
use super::route::Target;
use crate::body::{Body, accepts_gzip, broken_off, compressed, damaged, pieces, whole};
use crate::meter::add;
use crate::salesforce::schema::describe::http_date;

/// A page whose records are no list.
const WRONG_SHAPE: &str =
    r#"{"records":{"0":{"attributes":"Account"}},"totalSize":"many","done":"no"}"#;

impl Exchange<'_> {
    /// Damages, compresses, labels and counts an answer.
    pub(super) fn finish(&self, reply: Reply) -> Response<Body> {
        let mut headers = HeaderMap::new();
        self.label(&mut headers, &reply);
        let body = match reply.content {
            Content::Pieces(receiver) => pieces(receiver),
            Content::Whole(body) => {
                let success = reply.status == 200;
                let (mut body, cut) = damaged(body, &self.damage, success, WRONG_SHAPE);
                if self.gzips() && !body.is_empty() {
                    body = compressed(&body);
                    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                let length = body.len();
                let sent = cut.map_or(length, |per_mille| length * usize::from(per_mille) / 1000);
                add(&self.org.meter.body_bytes, sent as u64);
                if cut.is_some() {
                    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
                    broken_off(body.slice(..sent))
                } else {
                    whole(body)
                }
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        response
    }

    fn label(&self, headers: &mut HeaderMap, reply: &Reply) {
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set(
            "strict-transport-security",
            "max-age=31536000; includeSubDomains".to_owned(),
        );
        set("x-robots-tag", "none".to_owned());
        // Clients go by the server's clock, and this server's is the simulated one.
        set("date", http_date(self.org.clock.now_ms()));
        set(
            "cache-control",
            "no-cache,must-revalidate,max-age=0,no-store,private".to_owned(),
        );
        if let Some(content_type) = reply.content_type {
            set("content-type", content_type.to_owned());
            set("vary", "Accept-Encoding".to_owned());
        }
        let data = !matches!(
            self.route.target,
            Target::Authorize
                | Target::Token
                | Target::Revoke
                | Target::Versions
                | Target::Streaming
                | Target::Missing
        );
        if data && reply.status != 401 {
            let (used, max) = self.org.limits.usage(self.org.clock.now_ms());
            // Several servers count on their own and agree later.
            let seen = used.saturating_sub(self.org.chance() % 4);
            set("sforce-limit-info", format!("api-usage={seen}/{max}"));
        }
        for (name, value) in &reply.headers {
            // Cookies come one by one.
            if let Ok(value) = HeaderValue::try_from(value.as_str()) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
    }

    /// Whether this answer is compressed.
    pub(super) fn gzips(&self) -> bool {
        self.org.config.gzip && accepts_gzip(self.headers)
    }
}
