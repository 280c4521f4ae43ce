//! Between the SDK's types and the contract's: no logic, only spelling.

use super::bindings::exports::tidegate::connector::{manifest, source};
use super::bindings::tidegate::connector::{checkpoint, emit, http, kv, log, types, vault};
use crate::manifest::LimitRule;
use crate::{
    Auth, Change, CursorOrder, Digest, Directive, EmitFault, Encoding, Endpoint, Extraction,
    Failure, Format, HttpFault, KeyPart, KvFault, Level, Limit, Manifest, Method, Payload, Period,
    Place, Request, ResponseClass, ResponseRule, Role, Scope, Stream, Summary, SyncMode, Target,
    VaultFault, Window,
};

/// Enumerations that are spelled alike on both sides.
macro_rules! same_cases {
    ($from:ty => $into:ty: $($case:ident),+) => {
        impl From<$from> for $into {
            fn from(value: $from) -> Self {
                match value {
                    $(<$from>::$case => Self::$case,)+
                }
            }
        }
    };
}

same_cases!(Method => http::Method: Get, Head, Post, Put, Patch, Delete);
same_cases!(Change => emit::Change: Upsert, Create, Update, Delete);
same_cases!(Format => emit::Format: Json, Ndjson, Csv);
same_cases!(CursorOrder => emit::CursorOrder: Text, Number, Timestamp);
same_cases!(Level => log::Level: Trace, Debug, Info, Warn, Error);
same_cases!(Digest => vault::Digest: Sha1, Sha256, Sha512);
same_cases!(Encoding => vault::Encoding: Hex, HexUpper, Base64, Base64Url);
same_cases!(checkpoint::Directive => Directive: Proceed, YieldSoon, Stop);
same_cases!(SyncMode => types::SyncMode: FullRefresh, Incremental, Live);
same_cases!(types::SyncMode => SyncMode: FullRefresh, Incremental, Live);
same_cases!(Role => manifest::EndpointRole: Data, Metadata);
same_cases!(Scope => manifest::LimitScope: Connection, RemoteAccount, Application);
same_cases!(
    ResponseClass => manifest::ResponseClass:
    ThrottledShort, ThrottledLong, Auth, Transient, Permanent, Success
);

impl From<&Request> for http::Request {
    fn from(request: &Request) -> Self {
        let request = request.clone();
        Self {
            method: request.method.into(),
            target: match request.target {
                Target::Endpoint {
                    endpoint,
                    path,
                    query,
                } => http::Target::Endpoint(http::EndpointPath {
                    endpoint,
                    path,
                    query,
                }),
                Target::Absolute(url) => http::Target::Absolute(url),
            },
            headers: request
                .headers
                .into_iter()
                .map(|(name, value)| http::Header { name, value })
                .collect(),
            payload: match request.payload {
                Payload::None => http::Payload::None,
                Payload::Json(text) => http::Payload::Json(text),
                Payload::Form(fields) => http::Payload::Form(fields),
                Payload::Raw {
                    content_type,
                    bytes,
                } => http::Payload::Raw(http::RawPayload {
                    content_type,
                    bytes,
                }),
            },
            auth: request.auth,
            bucket: request.bucket,
            cost: request.cost,
            idempotency_key: request.idempotency_key,
            timeout_ms: request.timeout_ms,
            max_body_bytes: request.body_bytes_max,
        }
    }
}

impl From<&Extraction> for emit::Extraction {
    fn from(how: &Extraction) -> Self {
        let how = how.clone();
        Self {
            format: how.format.into(),
            records: how.records,
            key: how.key,
            cursor: how.cursor.map(|(pointer, order)| emit::CursorField {
                pointer,
                order: order.into(),
            }),
            project: how.project,
            kind: how.kind.into(),
            deleted: how.deleted,
            created: how.created,
            present: how.present,
            floor: how.floor,
            pairs: how.pairs.map(|pairs| emit::Pairs {
                at: pairs.at,
                name: pairs.name,
                value: pairs.value,
            }),
        }
    }
}

impl From<emit::Summary> for Summary {
    fn from(summary: emit::Summary) -> Self {
        Self {
            records: summary.records,
            bytes: summary.bytes,
            deletes: summary.deletes,
            rejected: summary.rejected,
            skipped: summary.skipped,
            min_cursor: summary.min_cursor,
            max_cursor: summary.max_cursor,
            first_key: summary.first_key,
            last_key: summary.last_key,
        }
    }
}

impl From<http::Fault> for HttpFault {
    fn from(fault: http::Fault) -> Self {
        match fault {
            http::Fault::Denied(text) => Self::Denied(text),
            http::Fault::Throttled(at_ms) => Self::Throttled(at_ms),
            http::Fault::Auth(text) => Self::Auth(text),
            http::Fault::Dns(text) => Self::Dns(text),
            http::Fault::Connect(text) => Self::Connect(text),
            http::Fault::Tls(text) => Self::Tls(text),
            http::Fault::Timeout(text) => Self::Timeout(text),
            http::Fault::TooLarge(bytes) => Self::TooLarge(bytes),
            http::Fault::Protocol(text) => Self::Protocol(text),
            http::Fault::Cancelled => Self::Cancelled,
            http::Fault::Invalid(text) => Self::Invalid(text),
        }
    }
}

impl From<emit::Fault> for EmitFault {
    fn from(fault: emit::Fault) -> Self {
        match fault {
            emit::Fault::UnknownStream(name) => Self::UnknownStream(name),
            emit::Fault::Malformed(text) => Self::Malformed(text),
            emit::Fault::TooLarge(bytes) => Self::TooLarge(bytes),
            emit::Fault::Stopping => Self::Stopping,
        }
    }
}

impl From<kv::Fault> for KvFault {
    fn from(fault: kv::Fault) -> Self {
        match fault {
            kv::Fault::TooLarge => Self::TooLarge,
            kv::Fault::Quota => Self::Quota,
            kv::Fault::Conflict => Self::Conflict,
            kv::Fault::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl From<vault::Fault> for VaultFault {
    fn from(fault: vault::Fault) -> Self {
        match fault {
            vault::Fault::UnknownSecret(name) => Self::UnknownSecret(name),
            vault::Fault::Denied(text) => Self::Denied(text),
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Auth(text) => Self::Auth(text),
            Failure::Config(text) => Self::Config(text),
            Failure::Throttled(at_ms) => Self::Throttled(at_ms),
            Failure::Transient(text) => Self::Transient(text),
            Failure::StaleCursor(text) => Self::StaleCursor(text),
            Failure::Protocol(text) => Self::Protocol(text),
            Failure::Unsupported(text) => Self::Unsupported(text),
            Failure::Fatal(text) => Self::Fatal(text),
        }
    }
}

impl From<source::Window> for Window {
    fn from(window: source::Window) -> Self {
        Self {
            since: window.since,
            until: window.until,
        }
    }
}

impl From<Window> for source::Window {
    fn from(window: Window) -> Self {
        Self {
            since: window.since,
            until: window.until,
        }
    }
}

impl From<Stream> for source::StreamInfo {
    fn from(stream: Stream) -> Self {
        Self {
            name: stream.name,
            schema: stream.schema.to_string(),
            primary_key: stream.primary_key,
            cursor_field: stream.cursor_field,
            sync_modes: stream.sync_modes.into_iter().map(Into::into).collect(),
            has_deletes: stream.has_deletes,
            splittable: stream.splittable,
            extra: "{}".to_owned(),
        }
    }
}

fn all<T: Into<U>, U>(values: Vec<T>) -> Vec<U> {
    values.into_iter().map(Into::into).collect()
}

impl From<Manifest> for manifest::Spec {
    fn from(manifest: Manifest) -> Self {
        Self {
            id: manifest.id,
            title: manifest.title,
            version: manifest.version,
            config_schema: manifest.config_schema.to_string(),
            endpoints: all(manifest.endpoints),
            allowed_hosts: manifest.allowed_hosts,
            auth: manifest
                .auth
                .into_iter()
                .map(|(name, auth)| manifest::AuthMethod {
                    name,
                    kind: auth.into(),
                })
                .collect(),
            limits: all(manifest.limits),
            secrets: manifest.secrets,
            response_headers: manifest.response_headers,
            responses: all(manifest.responses),
            paging_pointers: manifest.paging_pointers,
            extra: manifest.extra.to_string(),
        }
    }
}

impl From<Endpoint> for manifest::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            name: endpoint.name,
            base_url: endpoint.base_url,
            role: endpoint.role.into(),
            paths: endpoint.paths,
            cookies: endpoint.cookies,
        }
    }
}

impl From<KeyPart> for manifest::KeyPart {
    fn from(part: KeyPart) -> Self {
        Self {
            secret: part.secret,
            place: match part.place {
                Place::Header(name) => manifest::KeyPlace::Header(name),
                Place::Query(name) => manifest::KeyPlace::Query(name),
            },
            prefix: part.prefix,
        }
    }
}

impl From<Auth> for manifest::AuthKind {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::OAuthCode(code) => Self::Oauth2Code(manifest::OauthCode {
                authorize_url: code.authorize_url,
                token_url: code.token_url,
                scopes: code.scopes,
                pkce: code.pkce,
                basic_client_auth: code.basic_client_auth,
                keep: code.keep,
            }),
            Auth::OAuthClient(client) => Self::Oauth2Client(manifest::OauthClient {
                token_url: client.token_url,
                scopes: client.scopes,
                basic_client_auth: client.basic_client_auth,
                keep: client.keep,
            }),
            Auth::OAuthJwt(jwt) => Self::Oauth2Jwt(manifest::OauthJwt {
                token_url: jwt.token_url,
                audience: jwt.audience,
                scopes: jwt.scopes,
                keep: jwt.keep,
            }),
            Auth::Keys(parts) => Self::StaticKeys(all(parts)),
            Auth::SignedJwt {
                algorithm,
                claims,
                lifetime_s,
            } => Self::SignedJwt(manifest::SignedJwt {
                algorithm,
                claims,
                lifetime_s,
            }),
            Auth::AwsSigV4 { service, region } => {
                Self::AwsSigv4(manifest::AwsSigv4 { service, region })
            }
            Auth::Basic => Self::Basic,
        }
    }
}

impl From<ResponseRule> for manifest::ResponseRule {
    fn from(rule: ResponseRule) -> Self {
        Self {
            status: (rule.first, rule.last),
            body: rule.body,
            class: rule.class.into(),
        }
    }
}

impl From<Limit> for manifest::Limit {
    fn from(limit: Limit) -> Self {
        Self {
            buckets: limit.buckets,
            scope: limit.scope.into(),
            rule: match limit.rule {
                LimitRule::Paced(burst) => manifest::LimitRule::Paced(burst),
                LimitRule::Rolling => manifest::LimitRule::Rolling,
                LimitRule::Fixed => manifest::LimitRule::Fixed,
                LimitRule::Calendar(period) => manifest::LimitRule::Calendar(period.into()),
                LimitRule::Concurrent => manifest::LimitRule::Concurrent,
            },
            capacity: limit.capacity,
            per_ms: limit.per_ms,
            remaining_header: limit.remaining_header,
            reset_header: limit.reset_header,
        }
    }
}

impl From<Period> for manifest::CalendarWindow {
    fn from(period: Period) -> Self {
        let (period, zone) = match period {
            Period::Day(zone) => (manifest::CalendarPeriod::Day, zone),
            Period::Month(zone) => (manifest::CalendarPeriod::Month, zone),
        };
        Self { period, zone }
    }
}
