//! The paths of associations.

use hyper::Method;

use super::{KindOf, Linked, Route};

/// Everything below `/crm/v4`.
pub(super) fn modern(method: &Method, segments: &[&str], kind_of: KindOf<'_>) -> Route {
    match (method.as_str(), segments) {
        ("GET", ["objects", from, id, "associations", to]) => {
            of(from, to, kind_of, || Linked::Of {
                id: (*id).to_owned(),
                modern: true,
            })
        }
        ("PUT", ["objects", from, id, "associations", "default", to, to_id]) => {
            of(from, to, kind_of, || Linked::Put {
                id: (*id).to_owned(),
                to: (*to_id).to_owned(),
                plain: true,
            })
        }
        ("PUT", ["objects", from, id, "associations", to, to_id]) => {
            of(from, to, kind_of, || Linked::Put {
                id: (*id).to_owned(),
                to: (*to_id).to_owned(),
                plain: false,
            })
        }
        ("DELETE", ["objects", from, id, "associations", to, to_id]) => {
            of(from, to, kind_of, || Linked::Delete {
                id: (*id).to_owned(),
                to: (*to_id).to_owned(),
            })
        }
        (_, ["objects", _, _, "associations", ..]) => Route::WrongMethod,
        ("GET", ["associations", from, to, "labels"]) => of(from, to, kind_of, || Linked::Labels),
        ("POST", ["associations", from, to, rest @ ..]) => {
            let what = match rest {
                ["batch", "read"] => Linked::BatchRead { modern: true },
                ["batch", "create"] => Linked::BatchCreate {
                    modern: true,
                    plain: false,
                },
                ["batch", "associate", "default"] => Linked::BatchCreate {
                    modern: true,
                    plain: true,
                },
                ["batch", "archive"] => Linked::BatchArchive { modern: true },
                ["batch", "labels", "archive"] => Linked::BatchArchiveLabels,
                _ => return Route::Missing,
            };
            of(from, to, kind_of, || what)
        }
        _ => Route::Missing,
    }
}

/// `/crm/v3/associations/{from}/{to}/batch/...`.
pub(super) fn batch(
    method: &Method,
    from: &str,
    to: &str,
    rest: &[&str],
    kind_of: KindOf<'_>,
) -> Route {
    let what = match rest {
        ["batch", _] if method != Method::POST => return Route::WrongMethod,
        ["batch", "read"] => Linked::BatchRead { modern: false },
        ["batch", "create"] => Linked::BatchCreate {
            modern: false,
            plain: false,
        },
        ["batch", "archive"] => Linked::BatchArchive { modern: false },
        _ => return Route::Missing,
    };
    of(from, to, kind_of, || what)
}

/// Everything below `/crm-associations/v1`.
pub(super) fn legacy(method: &Method, segments: &[&str]) -> Route {
    match (method.as_str(), segments) {
        ("GET", ["associations", id, _, type_id]) => Route::LegacyLinks {
            id: (*id).to_owned(),
            type_id: (*type_id).to_owned(),
        },
        ("PUT", ["associations"]) => Route::LegacyLink { remove: false },
        ("PUT", ["associations", "delete"]) => Route::LegacyLink { remove: true },
        _ => Route::Missing,
    }
}

pub(super) fn of(
    from: &str,
    to: &str,
    kind_of: KindOf<'_>,
    what: impl FnOnce() -> Linked,
) -> Route {
    match (kind_of(from), kind_of(to)) {
        (Some(from), Some(to)) => Route::Linked(from, to, what()),
        (None, _) => Route::UnknownType(from.to_owned()),
        (_, None) => Route::UnknownType(to.to_owned()),
    }
}
