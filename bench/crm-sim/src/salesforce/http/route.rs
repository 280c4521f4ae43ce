//! What a path names. A slash at its end never matters, nor does the case of a job's
//! results.

use hyper::Method;

use crate::salesforce::counters::PathKind;

/// The oldest and the newest version that are served.
pub(crate) const VERSIONS: std::ops::RangeInclusive<u32> = 31..=68;

/// The first version whose streaming API can replay.
const STREAMING_SINCE: f32 = 37.0;

/// A path, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// `62.0`; empty where the path has none.
    pub(crate) version: String,
    pub(crate) target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Authorize,
    Token,
    Revoke,
    /// Who a user is, by the organisation's and the user's id, or the caller.
    Identity(Option<(String, String)>),
    Versions,
    Resources,
    Limits,
    Sobjects,
    Sobject(String),
    Describe(String),
    Updated(String),
    Deleted(String),
    Record(String, String),
    /// The file of a record.
    Blob(String, String, String),
    ExternalId(String, String, String),
    Query {
        all: bool,
    },
    QueryMore(String),
    Batch,
    Composite,
    /// `composite/sobjects`, with an object or with an object and an external id.
    Collections(Vec<String>),
    BulkQueries,
    BulkQuery(String),
    BulkResults(String),
    Ingests,
    Ingest(String),
    IngestBatches(String),
    /// `successfulResults`, `failedResults` or `unprocessedrecords`, in lower case.
    IngestResults(String, String),
    /// The streaming API.
    Streaming,
    Missing,
}

impl Route {
    pub(crate) fn parse(path: &str) -> Route {
        let segments: Vec<String> = path.trim_matches('/').split('/').map(decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let bare = |target| Route {
            version: String::new(),
            target,
        };
        match segments.as_slice() {
            ["services", "oauth2", "authorize"] => bare(Target::Authorize),
            ["services", "oauth2", "token"] => bare(Target::Token),
            ["services", "oauth2", "revoke"] => bare(Target::Revoke),
            ["services", "oauth2", "userinfo"] => bare(Target::Identity(None)),
            // Some clients add the kind of message to the address.
            ["cometd", version] | ["cometd", version, _] => bare(match version.parse::<f32>() {
                Ok(version) if version >= STREAMING_SINCE => Target::Streaming,
                _ => Target::Missing,
            }),
            ["id", org, user] => bare(Target::Identity(Some((owned(org), owned(user))))),
            ["services", "data"] => bare(Target::Versions),
            ["services", "data", version, rest @ ..] => match known_version(version) {
                Some(version) => Route {
                    version,
                    target: Target::data(rest),
                },
                None => bare(Target::Missing),
            },
            _ => bare(Target::Missing),
        }
    }

    pub(crate) fn path_kind(&self, method: &Method) -> PathKind {
        let write = method != Method::GET && method != Method::HEAD;
        match &self.target {
            Target::Authorize => PathKind::Authorize,
            Target::Token | Target::Revoke => PathKind::Token,
            Target::Identity(_) => PathKind::Identity,
            Target::Versions | Target::Resources | Target::Limits => PathKind::Service,
            Target::Sobject(_) if write => PathKind::Write,
            Target::Sobjects | Target::Sobject(_) | Target::Describe(_) => PathKind::Describe,
            Target::Updated(_) | Target::Deleted(_) => PathKind::Replication,
            Target::Record(..) | Target::ExternalId(..) if write => PathKind::Write,
            Target::Record(..) | Target::Blob(..) | Target::ExternalId(..) => PathKind::Read,
            Target::Query { .. } => PathKind::Query,
            Target::QueryMore(_) => PathKind::QueryMore,
            Target::Batch | Target::Composite | Target::Collections(_) => PathKind::Composite,
            Target::BulkQueries | Target::BulkQuery(_) => PathKind::BulkQuery,
            Target::BulkResults(_) => PathKind::BulkResults,
            Target::Ingests
            | Target::Ingest(_)
            | Target::IngestBatches(_)
            | Target::IngestResults(..) => PathKind::BulkIngest,
            Target::Streaming => PathKind::Streaming,
            Target::Missing => PathKind::Unknown,
        }
    }
}

impl Target {
    fn data(segments: &[&str]) -> Target {
        match segments {
            [] => Target::Resources,
            ["limits"] => Target::Limits,
            ["query"] => Target::Query { all: false },
            ["queryAll"] => Target::Query { all: true },
            ["query" | "queryAll", locator] => Target::QueryMore(owned(locator)),
            ["sobjects"] => Target::Sobjects,
            ["sobjects", object] => Target::Sobject(owned(object)),
            ["sobjects", object, "describe"] => Target::Describe(owned(object)),
            ["sobjects", object, "updated"] => Target::Updated(owned(object)),
            ["sobjects", object, "deleted"] => Target::Deleted(owned(object)),
            ["sobjects", object, id] => Target::Record(owned(object), owned(id)),
            ["sobjects", object, id, field]
                if crate::salesforce::wire_id::parse_wire_id(id).is_some() =>
            {
                Target::Blob(owned(object), owned(id), owned(field))
            }
            ["sobjects", object, field, value] => {
                Target::ExternalId(owned(object), owned(field), owned(value))
            }
            ["composite"] => Target::Composite,
            ["composite", "batch"] => Target::Batch,
            ["composite", "sobjects", rest @ ..] if rest.len() <= 2 => {
                Target::Collections(rest.iter().copied().map(owned).collect())
            }
            ["jobs", "query"] => Target::BulkQueries,
            ["jobs", "query", id] => Target::BulkQuery(owned(id)),
            ["jobs", "query", id, "results"] => Target::BulkResults(owned(id)),
            ["jobs", "ingest"] => Target::Ingests,
            ["jobs", "ingest", id] => Target::Ingest(owned(id)),
            ["jobs", "ingest", id, "batches"] => Target::IngestBatches(owned(id)),
            ["jobs", "ingest", id, results] => {
                Target::IngestResults(owned(id), results.to_ascii_lowercase())
            }
            _ => Target::Missing,
        }
    }
}

fn owned(text: &str) -> String {
    text.to_owned()
}

/// A path segment without its percent signs.
fn decoded(segment: &str) -> String {
    // A plus is itself in a path.
    let pair = format!("x={}", segment.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// `62.0` of `v62.0`, if it is served.
fn known_version(text: &str) -> Option<String> {
    let number = text.strip_prefix('v')?;
    let major: u32 = number.strip_suffix(".0")?.parse().ok()?;
    VERSIONS.contains(&major).then(|| format!("{major}.0"))
}

#[cfg(test)]
mod tests {
    use super::{Route, Target};

    #[test]
    fn paths_are_read_with_and_without_a_slash_at_the_end() {
        for path in ["/services/data/v62.0/query/", "/services/data/v62.0/query"] {
            let route = Route::parse(path);
            assert_eq!(route.version, "62.0");
            assert_eq!(route.target, Target::Query { all: false });
        }
        let results = "/services/data/v50.0/jobs/ingest/750x/unprocessedRecords";
        assert_eq!(
            Route::parse(results).target,
            Target::IngestResults("750x".to_owned(), "unprocessedrecords".to_owned())
        );
        let external = "/services/data/v50.0/sobjects/Account/External_Id__c/a%2Fb+c";
        assert_eq!(
            Route::parse(external).target,
            Target::ExternalId(
                "Account".to_owned(),
                "External_Id__c".to_owned(),
                "a/b+c".to_owned()
            )
        );
        for path in [
            "/services/data/v20.0/query",
            "/services/data/62/query",
            "/x",
        ] {
            assert_eq!(Route::parse(path).target, Target::Missing, "{path}");
        }
    }
}
