//! Which operation a method and a path name.

use hyper::Method;

use crate::intercom::counters::PathKind;
use crate::intercom::kind::Kind;

/// An operation of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Authorize,
    Token,
    Me,
    Admins,
    Admin(String),
    Teams,
    Team(String),
    Tags,
    Segments,
    Attributes,
    List(Kind),
    Search(Kind),
    Read(Kind, String),
    Delete(Kind, String),
    ContactByExternalId(String),
    ContactTags(String),
    ContactNotes(String),
    ContactCompanies(String),
    CreateContact,
    UpdateContact(String),
    ArchiveContact(String),
    UnarchiveContact(String),
    TagContact(String),
    UntagContact(String, String),
    AttachCompany(String),
    DetachCompany(String, String),
    UpsertCompany,
    Scroll,
    CompanyContacts(String),
    DeletedConversations,
    Missing,
}

impl Route {
    pub(crate) fn parse(method: &Method, path: &str) -> Route {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["oauth"]) => Route::Authorize,
            ("POST", ["auth", "eagle", "token"]) => Route::Token,
            ("GET", ["me"]) => Route::Me,
            ("GET", ["admins"]) => Route::Admins,
            ("GET", ["admins", id]) => Route::Admin((*id).to_owned()),
            ("GET", ["teams"]) => Route::Teams,
            ("GET", ["teams", id]) => Route::Team((*id).to_owned()),
            ("GET", ["tags"]) => Route::Tags,
            ("GET", ["segments"]) => Route::Segments,
            ("GET", ["data_attributes"]) => Route::Attributes,
            ("GET", ["contacts"]) => Route::List(Kind::Contacts),
            ("GET", ["companies"]) => Route::List(Kind::Companies),
            ("POST", ["companies", "list"]) => Route::List(Kind::Companies),
            ("GET", ["conversations"]) => Route::List(Kind::Conversations),
            ("POST", ["contacts", "search"]) => Route::Search(Kind::Contacts),
            ("POST", ["conversations", "search"]) => Route::Search(Kind::Conversations),
            ("GET", ["companies", "scroll"]) => Route::Scroll,
            ("POST", ["companies"]) => Route::UpsertCompany,
            ("GET", ["companies", id, "contacts"]) => Route::CompanyContacts((*id).to_owned()),
            ("GET", ["conversations", "deleted"]) => Route::DeletedConversations,
            (method, ["contacts", rest @ ..]) => Route::contacts(method, rest),
            (method, [name, id]) => match (Kind::parse(name), method) {
                (Some(kind), "GET") => Route::Read(kind, (*id).to_owned()),
                (Some(kind), "DELETE") => Route::Delete(kind, (*id).to_owned()),
                _ => Route::Missing,
            },
            _ => Route::Missing,
        }
    }

    fn contacts(method: &str, segments: &[&str]) -> Route {
        match (method, segments) {
            ("POST", []) => Route::CreateContact,
            ("GET", ["find_by_external_id", id]) => Route::ContactByExternalId((*id).to_owned()),
            ("GET", [id]) => Route::Read(Kind::Contacts, (*id).to_owned()),
            ("PUT", [id]) => Route::UpdateContact((*id).to_owned()),
            ("DELETE", [id]) => Route::Delete(Kind::Contacts, (*id).to_owned()),
            ("POST", [id, "archive"]) => Route::ArchiveContact((*id).to_owned()),
            ("POST", [id, "unarchive"]) => Route::UnarchiveContact((*id).to_owned()),
            ("GET", [id, "tags"]) => Route::ContactTags((*id).to_owned()),
            ("POST", [id, "tags"]) => Route::TagContact((*id).to_owned()),
            ("DELETE", [id, "tags", tag]) => {
                Route::UntagContact((*id).to_owned(), (*tag).to_owned())
            }
            ("GET", [id, "notes"]) => Route::ContactNotes((*id).to_owned()),
            ("GET", [id, "companies"]) => Route::ContactCompanies((*id).to_owned()),
            ("POST", [id, "companies"]) => Route::AttachCompany((*id).to_owned()),
            ("DELETE", [id, "companies", company]) => {
                Route::DetachCompany((*id).to_owned(), (*company).to_owned())
            }
            _ => Route::Missing,
        }
    }

    pub(crate) fn path_kind(&self) -> PathKind {
        match self {
            Route::Authorize => PathKind::Authorize,
            Route::Token => PathKind::Token,
            Route::Me
            | Route::Admins
            | Route::Admin(_)
            | Route::Teams
            | Route::Team(_)
            | Route::Tags
            | Route::Segments
            | Route::Attributes => PathKind::Catalog,
            Route::List(_)
            | Route::ContactTags(_)
            | Route::ContactNotes(_)
            | Route::ContactCompanies(_)
            | Route::CompanyContacts(_)
            | Route::DeletedConversations => PathKind::List,
            Route::Search(_) => PathKind::Search,
            Route::Read(..) | Route::ContactByExternalId(_) => PathKind::Read,
            Route::Scroll => PathKind::Scroll,
            Route::Delete(..)
            | Route::CreateContact
            | Route::UpdateContact(_)
            | Route::ArchiveContact(_)
            | Route::UnarchiveContact(_)
            | Route::TagContact(_)
            | Route::UntagContact(..)
            | Route::AttachCompany(_)
            | Route::DetachCompany(..)
            | Route::UpsertCompany => PathKind::Write,
            Route::Missing => PathKind::Unknown,
        }
    }
}
