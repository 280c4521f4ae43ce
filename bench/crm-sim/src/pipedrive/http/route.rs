//! Which part of the API a method and a path name, and what it costs.

use hyper::Method;

use crate::pipedrive::counters::PathKind;
use crate::pipedrive::kind::Kind;
use crate::pipedrive::render::Dialect;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Authorize,
    Token,
    Revoke,
    List(Kind),
    /// Deals that are archived are listed here alone.
    ArchivedDeals,
    Read(Kind, String),
    Create(Kind),
    Update(Kind, String),
    Delete(Kind, String),
    /// Several at once, of the first version.
    DeleteMany(Kind),
    Search(Option<Kind>),
    /// What changed lately, of the first version.
    Recents,
    Fields(Kind),
    Field(Kind, String),
    CreateField(Kind),
    DeleteField(Kind, String),
    DeleteFields(Kind),
    Users,
    User(String),
    Pipelines,
    Pipeline(String),
    Stages,
    Stage(String),
    Filters,
    CreateFilter,
    DeleteFilters,
    Currencies,
    Webhooks,
    CreateWebhook,
    DeleteWebhook(String),
    WrongMethod,
    Missing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) dialect: Dialect,
    pub(super) route: Route,
}

impl Target {
    pub(super) fn parse(method: &Method, path: &str) -> Target {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let method = method.as_str();
        let (dialect, route) = match segments.as_slice() {
            ["oauth", rest @ ..] => (Dialect::First, oauth(method, rest)),
            ["v1", rest @ ..] | ["api", "v1", rest @ ..] => {
                (Dialect::First, route(method, rest, Dialect::First))
            }
            ["api", "v2", rest @ ..] => (Dialect::Second, route(method, rest, Dialect::Second)),
            _ => (Dialect::First, Route::Missing),
        };
        Target { dialect, route }
    }

    /// Whether the first version once served it, for a type that the second one serves.
    pub(super) fn is_retired_kind(&self) -> bool {
        self.dialect == Dialect::First
            && match &self.route {
                Route::List(kind)
                | Route::Read(kind, _)
                | Route::Create(kind)
                | Route::Update(kind, _)
                | Route::Delete(kind, _)
                | Route::DeleteMany(kind) => *kind != Kind::Leads,
                Route::Pipelines | Route::Pipeline(_) | Route::Stages | Route::Stage(_) => true,
                _ => false,
            }
    }
}

fn oauth(method: &str, rest: &[&str]) -> Route {
    match (method, rest) {
        ("GET", ["authorize"]) => Route::Authorize,
        ("POST", ["token"]) => Route::Token,
        ("POST", ["revoke"]) => Route::Revoke,
        (_, ["authorize" | "token" | "revoke"]) => Route::WrongMethod,
        _ => Route::Missing,
    }
}

fn route(method: &str, rest: &[&str], dialect: Dialect) -> Route {
    let first = dialect == Dialect::First;
    match (method, rest) {
        ("GET", ["itemSearch"]) => Route::Search(None),
        ("GET", ["recents"]) if first => Route::Recents,
        ("GET", ["users"]) if first => Route::Users,
        ("GET", ["users", id]) if first => Route::User((*id).to_owned()),
        ("GET", ["pipelines"]) => Route::Pipelines,
        ("GET", ["pipelines", id]) => Route::Pipeline((*id).to_owned()),
        ("GET", ["stages"]) => Route::Stages,
        ("GET", ["stages", id]) => Route::Stage((*id).to_owned()),
        ("GET", ["filters"]) if first => Route::Filters,
        ("POST", ["filters"]) if first => Route::CreateFilter,
        ("DELETE", ["filters"]) if first => Route::DeleteFilters,
        ("GET", ["currencies"]) if first => Route::Currencies,
        ("GET", ["webhooks"]) if first => Route::Webhooks,
        ("POST", ["webhooks"]) if first => Route::CreateWebhook,
        ("DELETE", ["webhooks", id]) if first => Route::DeleteWebhook((*id).to_owned()),
        (_, ["itemSearch" | "pipelines" | "stages"]) => Route::WrongMethod,
        (_, ["recents" | "users" | "filters" | "currencies" | "webhooks"]) if first => {
            Route::WrongMethod
        }
        (_, [name, more @ ..]) => match name.strip_suffix("Fields").and_then(Kind::from_singular) {
            Some(Kind::Leads) | None => records(method, name, more, dialect),
            Some(kind) => fields(method, kind, more),
        },
        _ => Route::Missing,
    }
}

fn fields(method: &str, kind: Kind, more: &[&str]) -> Route {
    match (method, more) {
        ("GET", []) => Route::Fields(kind),
        ("POST", []) if kind.has_custom_fields() => Route::CreateField(kind),
        ("DELETE", []) => Route::DeleteFields(kind),
        ("GET", [field]) => Route::Field(kind, (*field).to_owned()),
        ("DELETE", [field]) => Route::DeleteField(kind, (*field).to_owned()),
        (_, [] | [_]) => Route::WrongMethod,
        _ => Route::Missing,
    }
}

fn records(method: &str, name: &str, more: &[&str], dialect: Dialect) -> Route {
    let first = dialect == Dialect::First;
    let Some(kind) = Kind::parse(name) else {
        return Route::Missing;
    };
    if kind == Kind::Leads && !first {
        return match (method, more) {
            ("GET", ["search"]) => Route::Search(Some(kind)),
            _ => Route::Missing,
        };
    }
    // Leads are the only records of the first version that are patched.
    let update = if first && kind != Kind::Leads {
        "PUT"
    } else {
        "PATCH"
    };
    match (method, more) {
        ("GET", []) => Route::List(kind),
        ("POST", []) => Route::Create(kind),
        ("DELETE", []) if first && kind != Kind::Leads => Route::DeleteMany(kind),
        ("GET", ["search"]) if kind != Kind::Activities => Route::Search(Some(kind)),
        ("GET", ["archived"]) if kind == Kind::Deals => Route::ArchivedDeals,
        ("GET", [id]) => Route::Read(kind, (*id).to_owned()),
        ("DELETE", [id]) => Route::Delete(kind, (*id).to_owned()),
        (method, [id]) if method == update => Route::Update(kind, (*id).to_owned()),
        (_, [] | [_]) => Route::WrongMethod,
        _ => Route::Missing,
    }
}

impl Route {
    pub(super) fn path_kind(&self) -> PathKind {
        match self {
            Route::Authorize => PathKind::Authorize,
            Route::Token | Route::Revoke => PathKind::Token,
            Route::List(_) | Route::ArchivedDeals | Route::Recents => PathKind::List,
            Route::Read(..) => PathKind::Read,
            Route::Search(_) => PathKind::Search,
            Route::Create(_) | Route::Update(..) | Route::Delete(..) | Route::DeleteMany(_) => {
                PathKind::Write
            }
            Route::Fields(_)
            | Route::Field(..)
            | Route::CreateField(_)
            | Route::DeleteField(..)
            | Route::DeleteFields(_) => PathKind::Fields,
            Route::Users
            | Route::User(_)
            | Route::Pipelines
            | Route::Pipeline(_)
            | Route::Stages
            | Route::Stage(_)
            | Route::Filters
            | Route::CreateFilter
            | Route::DeleteFilters
            | Route::Currencies => PathKind::Account,
            Route::Webhooks | Route::CreateWebhook | Route::DeleteWebhook(_) => PathKind::Webhooks,
            Route::WrongMethod | Route::Missing => PathKind::Unknown,
        }
    }

    /// Units of the daily budget.
    pub(super) fn cost(&self, dialect: Dialect) -> u64 {
        let (first, second) = match self {
            Route::Search(_) => (40, 20),
            Route::List(_) | Route::ArchivedDeals | Route::Recents => (20, 10),
            Route::Fields(_)
            | Route::Users
            | Route::Pipelines
            | Route::Stages
            | Route::Filters
            | Route::Currencies => (20, 10),
            Route::Create(_)
            | Route::Update(..)
            | Route::CreateField(_)
            | Route::CreateFilter
            | Route::CreateWebhook => (10, 5),
            Route::Delete(..)
            | Route::DeleteMany(_)
            | Route::DeleteField(..)
            | Route::DeleteFields(_)
            | Route::DeleteFilters => (6, 3),
            _ => (2, 1),
        };
        match dialect {
            Dialect::First => first,
            Dialect::Second => second,
        }
    }

    /// Scopes of which one is enough; none where any token will do.
    pub(super) fn scopes(&self, method: &Method) -> Vec<String> {
        let open = |name: &str| {
            let mut scopes = vec![format!("{name}:full")];
            if method == Method::GET {
                scopes.push(format!("{name}:read"));
            }
            scopes
        };
        match self {
            Route::List(kind)
            | Route::Read(kind, _)
            | Route::Create(kind)
            | Route::Update(kind, _)
            | Route::Delete(kind, _)
            | Route::DeleteMany(kind) => open(kind.scope()),
            Route::ArchivedDeals => open("deals"),
            Route::Search(Some(kind)) => {
                let mut scopes = open(kind.scope());
                scopes.push("search:read".to_owned());
                scopes
            }
            Route::Search(None) => vec!["search:read".to_owned()],
            Route::Fields(kind)
            | Route::Field(kind, _)
            | Route::CreateField(kind)
            | Route::DeleteField(kind, _)
            | Route::DeleteFields(kind) => {
                let mut scopes = vec!["admin".to_owned()];
                if method == Method::GET {
                    scopes.extend(open(kind.scope()));
                }
                scopes
            }
            Route::Users => vec!["users:read".to_owned(), "admin".to_owned()],
            Route::User(id) if id != "me" => vec!["users:read".to_owned(), "admin".to_owned()],
            Route::Pipelines | Route::Pipeline(_) | Route::Stages | Route::Stage(_) => {
                let mut scopes = open("deals");
                scopes.push("admin".to_owned());
                scopes
            }
            Route::Webhooks | Route::CreateWebhook | Route::DeleteWebhook(_) => {
                let mut scopes = open("webhooks");
                scopes.push("admin".to_owned());
                scopes
            }
            _ => Vec::new(),
        }
    }
}
