//! What of a request is checked once, before any try.

use super::Inner;
use crate::cookie::Jar;
use crate::grant::{self, Grant};
use crate::request::Payload;
use crate::{FetchFault, Request, header};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tidegate_domain::manifest::{AuthKind, AuthMethod};

/// A request whose parts were checked once, for every try.
pub(super) struct Checked<'a> {
    pub(super) request: &'a Request,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) method: Option<&'a AuthMethod>,
    pub(super) grant: Option<Grant>,
    pub(super) units: u64,
    pub(super) jar: &'a Jar,
}

impl Inner {
    pub(super) fn check<'a>(
        &'a self,
        request: &'a Request,
        jar: &'a Jar,
    ) -> Result<Checked<'a>, FetchFault> {
        let missing = || FetchFault::Invalid("the manifest has no such auth method".to_owned());
        let name = request.auth.as_deref();
        let method = match name {
            Some(name) => Some(self.method(name).map_err(|_| missing())?),
            None => None,
        };
        let signed = method.map(grant::signed_headers).unwrap_or_default();
        let config = &self.shared.config;
        let mut headers = header::outgoing(&request.headers, &signed, config)?;
        let body = body(&request.payload, &mut headers)?;
        let encodings = HeaderValue::from_static(crate::decode::ACCEPTED);
        headers.insert(http::header::ACCEPT_ENCODING, encodings);
        headers
            .entry(http::header::USER_AGENT)
            .or_insert(HeaderValue::from_static("tidegate"));
        let grant = match method.map(|method| &method.kind) {
            Some(AuthKind::Oauth2Code(_) | AuthKind::Oauth2Client(_) | AuthKind::Oauth2Jwt(_)) => {
                Some(
                    self.grant(name.unwrap_or_default())
                        .map_err(FetchFault::Host)?,
                )
            }
            _ => None,
        };
        Ok(Checked {
            request,
            headers,
            body,
            method,
            grant,
            units: u64::from(request.cost.max(1)),
            jar,
        })
    }
}

fn body(payload: &Payload, headers: &mut HeaderMap) -> Result<Bytes, FetchFault> {
    let (content_type, body) = match payload {
        Payload::None => return Ok(Bytes::new()),
        Payload::Json(text) => ("application/json", Bytes::from(text.clone())),
        Payload::Form(pairs) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs);
            (
                "application/x-www-form-urlencoded",
                Bytes::from(form.finish()),
            )
        }
        Payload::Raw {
            content_type,
            bytes,
        } => (content_type.as_str(), bytes.clone()),
    };
    let value = HeaderValue::from_str(content_type)
        .map_err(|_| FetchFault::Invalid("the content type".to_owned()))?;
    // A vendor's own JSON type may be set as a header.
    headers.entry(http::header::CONTENT_TYPE).or_insert(value);
    Ok(body)
}
