//! Which operation a method and a path name, under either URL scheme.

mod links;

use hyper::Method;

use crate::hubspot::counters::PathKind;
use crate::hubspot::kind::Kind;

/// Date versions that stand where `v3` stands in the classic scheme.
const DATE_VERSIONS: [&str; 3] = ["2025-09", "2026-03", "2026-09"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Authorize,
    /// The token endpoint; true for the versions with the longer answer.
    Token {
        modern: bool,
    },
    AccessToken(String),
    RefreshToken {
        token: String,
        delete: bool,
    },
    Introspect,
    Revoke,
    List(Kind),
    Read(Kind, String),
    Search(Kind),
    Create(Kind),
    Update(Kind, String),
    Archive(Kind, String),
    Batch(Kind, Batch),
    Merge(Kind),
    /// Associations between records of two kinds.
    Linked(Kind, Kind, Linked),
    /// Associations as version 1 knew them, by the number of their kind.
    LegacyLinks {
        id: String,
        type_id: String,
    },
    LegacyLink {
        remove: bool,
    },
    /// Webhooks of an application.
    Hooks(String, Hooks),
    Properties(Kind),
    Property(Kind, String),
    Schemas,
    Schema(Kind),
    Details,
    LegacyDetails,
    DailyUsage,
    Owners,
    Pipelines(Kind),
    /// A path with an object type that does not exist.
    UnknownType(String),
    WrongMethod,
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    Read,
    Create,
    Update,
    Upsert,
    Archive,
}

/// What is asked about associations between two kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// Those of one record, in the form of version 3 or 4.
    Of {
        id: String,
        modern: bool,
    },
    /// Associates two records; with the plain kind of association where `plain` is set.
    Put {
        id: String,
        to: String,
        plain: bool,
    },
    /// Ends every association of two records.
    Delete {
        id: String,
        to: String,
    },
    Labels,
    BatchRead {
        modern: bool,
    },
    BatchCreate {
        modern: bool,
        plain: bool,
    },
    BatchArchive {
        modern: bool,
    },
    BatchArchiveLabels,
}

/// What is asked about an application's webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hooks {
    ReadSettings,
    Configure,
    Clear,
    List,
    Subscribe,
    Read(String),
    Activate(String),
    ActivateMany,
    Unsubscribe(String),
}

/// How a route finds the kind that a path names.
pub(crate) type KindOf<'a> = &'a dyn Fn(&str) -> Option<Kind>;

impl Route {
    pub(crate) fn parse(method: &Method, path: &str, kind_of: KindOf<'_>) -> Route {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let post = method == Method::POST;
        let get = method == Method::GET;
        match segments.as_slice() {
            ["oauth", "authorize"] if get => Route::Authorize,
            ["oauth", version, "token"] if post => Route::Token {
                modern: *version != "v1",
            },
            ["oauth", "v1", "access-tokens", token] if get => {
                Route::AccessToken((*token).to_owned())
            }
            ["oauth", "v1", "refresh-tokens", token] if get || method == Method::DELETE => {
                Route::RefreshToken {
                    token: (*token).to_owned(),
                    delete: !get,
                }
            }
            ["oauth", "v3" | "2026-03", "token", "introspect"] if post => Route::Introspect,
            ["oauth", "v3" | "2026-03", "token", "revoke"] if post => Route::Revoke,
            ["oauth", _, "token", ..] | ["oauth", "authorize"] => Route::WrongMethod,
            ["crm", "v4", rest @ ..] => links::modern(method, rest, kind_of),
            ["crm-associations", "v1", rest @ ..] => links::legacy(method, rest),
            ["crm", "v3", rest @ ..] | ["crm-object-schemas", "v3", rest @ ..] => {
                Route::crm(method, rest, kind_of)
            }
            ["crm", area, version, rest @ ..] if DATE_VERSIONS.contains(version) => {
                let rest: Vec<&str> = [area].into_iter().chain(rest).copied().collect();
                // Associations by date are those of version 4.
                match (*area, links::modern(method, &rest, kind_of)) {
                    ("associations", route) => route,
                    ("objects", route @ Route::Linked(..)) => route,
                    _ => Route::crm(method, &rest, kind_of),
                }
            }
            ["crm-object-schemas", version, rest @ ..] if DATE_VERSIONS.contains(version) => {
                Route::crm(method, rest, kind_of)
            }
            ["account-info", "v3" | "2026-03", "details"] if get => Route::Details,
            ["account-info", _, "api-usage", "daily", ..] if get => Route::DailyUsage,
            ["webhooks", "v3", app, rest @ ..] => match Hooks::parse(method, rest) {
                Some(hooks) => Route::Hooks((*app).to_owned(), hooks),
                None => Route::Missing,
            },
            ["integrations", "v1", "me"] if get => Route::LegacyDetails,
            _ => Route::Missing,
        }
    }

    fn crm(method: &Method, segments: &[&str], kind_of: KindOf<'_>) -> Route {
        match segments {
            ["objects", name, id, "associations", to] if method == Method::GET => {
                links::of(name, to, kind_of, || Linked::Of {
                    id: (*id).to_owned(),
                    modern: false,
                })
            }
            ["associations", from, to, rest @ ..] => links::batch(method, from, to, rest, kind_of),
            ["objects", name, rest @ ..] => match kind_of(name) {
                Some(kind) => Route::objects(method, kind, rest),
                None => Route::UnknownType((*name).to_owned()),
            },
            ["properties", name, rest @ ..] => match (kind_of(name), rest) {
                _ if method != Method::GET => Route::WrongMethod,
                (Some(kind), []) => Route::Properties(kind),
                (Some(kind), [property]) => Route::Property(kind, (*property).to_owned()),
                (None, _) => Route::UnknownType((*name).to_owned()),
                _ => Route::Missing,
            },
            ["schemas"] if method == Method::GET => Route::Schemas,
            ["schemas", name] if method == Method::GET => match kind_of(name) {
                Some(kind) => Route::Schema(kind),
                None => Route::UnknownType((*name).to_owned()),
            },
            ["owners"] if method == Method::GET => Route::Owners,
            ["pipelines", name] if method == Method::GET => match kind_of(name) {
                Some(kind) => Route::Pipelines(kind),
                None => Route::UnknownType((*name).to_owned()),
            },
            _ => Route::Missing,
        }
    }

    fn objects(method: &Method, kind: Kind, rest: &[&str]) -> Route {
        match (method.as_str(), rest) {
            ("GET", []) => Route::List(kind),
            ("POST", []) => Route::Create(kind),
            ("POST", ["search"]) => Route::Search(kind),
            ("POST", ["batch", "read"]) => Route::Batch(kind, Batch::Read),
            ("POST", ["batch", "create"]) => Route::Batch(kind, Batch::Create),
            ("POST", ["batch", "update"]) => Route::Batch(kind, Batch::Update),
            ("POST", ["batch", "upsert"]) => Route::Batch(kind, Batch::Upsert),
            ("POST", ["batch", "archive"]) => Route::Batch(kind, Batch::Archive),
            ("POST", ["merge"]) => Route::Merge(kind),
            ("GET", [id]) => Route::Read(kind, (*id).to_owned()),
            ("PATCH", [id]) => Route::Update(kind, (*id).to_owned()),
            ("DELETE", [id]) => Route::Archive(kind, (*id).to_owned()),
            (_, [] | [_] | ["batch", _]) => Route::WrongMethod,
            _ => Route::Missing,
        }
    }

    pub(crate) fn path_kind(&self) -> PathKind {
        match self {
            Route::Authorize => PathKind::Authorize,
            Route::Token { .. }
            | Route::AccessToken(_)
            | Route::RefreshToken { .. }
            | Route::Introspect
            | Route::Revoke => PathKind::Token,
            Route::List(_) => PathKind::List,
            Route::Read(..) => PathKind::Read,
            Route::Search(_) => PathKind::Search,
            Route::Create(_)
            | Route::Update(..)
            | Route::Archive(..)
            | Route::Batch(..)
            | Route::Merge(_) => PathKind::Batch,
            Route::Linked(..) | Route::LegacyLinks { .. } | Route::LegacyLink { .. } => {
                PathKind::Associations
            }
            Route::Hooks(..) => PathKind::Webhooks,
            Route::Properties(_) | Route::Property(..) => PathKind::Properties,
            Route::Schemas | Route::Schema(_) => PathKind::Schemas,
            Route::Details
            | Route::LegacyDetails
            | Route::DailyUsage
            | Route::Owners
            | Route::Pipelines(_) => PathKind::Account,
            Route::UnknownType(_) | Route::WrongMethod | Route::Missing => PathKind::Unknown,
        }
    }

    /// The scopes that the route asks of a token.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let (kind, verb) = match self {
            Route::List(kind) | Route::Read(kind, _) | Route::Search(kind) => (kind, "read"),
            Route::Batch(kind, Batch::Read) | Route::Pipelines(kind) => (kind, "read"),
            Route::Create(kind)
            | Route::Update(kind, _)
            | Route::Archive(kind, _)
            | Route::Batch(kind, _)
            | Route::Merge(kind) => (kind, "write"),
            Route::Linked(from, to, what) => {
                let verb = what.verb();
                return vec![from.scope(verb), to.scope(verb)];
            }
            Route::Schemas | Route::Schema(Kind::Custom(_)) => {
                return vec!["crm.schemas.custom.read".to_owned()];
            }
            Route::Owners => return vec!["crm.objects.owners.read".to_owned()],
            _ => return Vec::new(),
        };
        vec![kind.scope(verb)]
    }
}

impl Hooks {
    fn parse(method: &Method, segments: &[&str]) -> Option<Hooks> {
        Some(match (method.as_str(), segments) {
            ("GET", ["settings"]) => Hooks::ReadSettings,
            ("PUT", ["settings"]) => Hooks::Configure,
            ("DELETE", ["settings"]) => Hooks::Clear,
            ("GET", ["subscriptions"]) => Hooks::List,
            ("POST", ["subscriptions"]) => Hooks::Subscribe,
            ("POST", ["subscriptions", "batch", "update"]) => Hooks::ActivateMany,
            ("GET", ["subscriptions", id]) => Hooks::Read((*id).to_owned()),
            ("PATCH", ["subscriptions", id]) => Hooks::Activate((*id).to_owned()),
            ("DELETE", ["subscriptions", id]) => Hooks::Unsubscribe((*id).to_owned()),
            _ => return None,
        })
    }
}

impl Linked {
    fn verb(&self) -> &'static str {
        match self {
            Linked::Of { .. } | Linked::Labels | Linked::BatchRead { .. } => "read",
            _ => "write",
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::{Kind, Linked, Route};

    #[test]
    fn classic_and_date_prefixes_name_the_same_operation() {
        for path in [
            "/crm/v3/objects/CONTACT/search",
            "/crm/objects/2026-03/contacts/search",
            "/crm/objects/2025-09/0-1/search",
        ] {
            assert_eq!(
                Route::parse(&Method::POST, path, &Kind::parse),
                Route::Search(Kind::Contacts),
                "{path}"
            );
        }
        assert_eq!(
            Route::parse(&Method::GET, "/crm/objects/2019-01/contacts", &Kind::parse),
            Route::Missing
        );
        assert_eq!(
            Route::parse(&Method::POST, "/oauth/2026-03/token", &Kind::parse),
            Route::Token { modern: true }
        );
    }
    #[test]
    fn associations_are_found_under_every_version() {
        let of = |path| Route::parse(&Method::GET, path, &Kind::parse);
        let linked = |modern| {
            let id = "7".to_owned();
            Route::Linked(Kind::Deals, Kind::Contacts, Linked::Of { id, modern })
        };
        assert_eq!(
            of("/crm/v3/objects/deals/7/associations/0-1"),
            linked(false)
        );
        assert_eq!(
            of("/crm/v4/objects/deals/7/associations/contact"),
            linked(true)
        );
        assert_eq!(
            of("/crm/objects/2026-03/deals/7/associations/contact"),
            linked(true)
        );
        let read = Route::parse(
            &Method::POST,
            "/crm/v4/associations/deals/contacts/batch/read",
            &Kind::parse,
        );
        let what = Linked::BatchRead { modern: true };
        assert_eq!(read, Route::Linked(Kind::Deals, Kind::Contacts, what));
    }
}
