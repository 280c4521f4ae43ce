//! Single values of records: where they come from, and how they stand on the wire.

use crate::generate::{Generator, below, mix, number, write_value};
use crate::intercom::catalog;
use crate::intercom::config::Config;
use crate::intercom::kind::Kind;
use crate::json::escaped;
use crate::records::View;

/// How a value stands on the wire, and how searches compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Number,
    /// Seconds since the epoch; searches compare days.
    Seconds,
    Flag,
}

/// Where an unwritten value comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Cell(Generator),
    Id,
    Created,
    Updated,
    FullName,
    /// Of users their own system's number, of leads one that the API assigned.
    ExternalId,
    /// The number that the company has in its own system.
    CompanyId,
    Admin,
    Team,
    /// A moment after the creation, or null.
    Later {
        null_per_mille: u32,
    },
    /// True for so many of a thousand.
    Seldom(u32),
    Unset,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// The column of written values.
    pub(crate) column: u16,
    pub(crate) form: Form,
    pub(crate) source: Source,
}

impl Field {
    /// Appends the plain text and returns true, or returns false for null.
    pub(crate) fn text(
        &self,
        kind: Kind,
        config: &Config,
        view: &View<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let seconds = |ms: i64| (ms.max(0) / 1000).unsigned_abs();
        match self.source {
            Source::Id => out.extend_from_slice(kind.wire_id(view.row.id).as_bytes()),
            Source::Created => number(out, seconds(view.row.created_ms)),
            Source::Updated => number(out, seconds(view.row.modified_ms)),
            _ => match view.written(self.column) {
                Some(None) => return false,
                Some(Some(text)) => out.extend_from_slice(text.as_bytes()),
                None if view.blank && self.form == Form::Flag => out.extend_from_slice(b"false"),
                None if view.blank => return false,
                None => return self.generated(config, view, out),
            },
        }
        true
    }

    /// Appends the value as JSON.
    pub(crate) fn json(&self, kind: Kind, config: &Config, view: &View<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        if !self.text(kind, config, view, out) {
            out.extend_from_slice(b"null");
        } else if self.form == Form::Text {
            let text = out.split_off(start);
            escaped(&text, out);
        }
    }

    fn generated(&self, config: &Config, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        let salt = mix(u64::from(self.column) ^ 0x1c0);
        let hash = mix(view.row.hash ^ salt);
        match self.source {
            Source::Cell(generator) => return write_value(generator, salt, &view.row, out),
            Source::FullName => {
                write_value(Generator::FirstName, salt, &view.row, out);
                out.push(b' ');
                write_value(Generator::LastName, mix(salt), &view.row, out);
            }
            Source::ExternalId if is_lead(view) => {
                let text = format!(
                    "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                    hash >> 32,
                    hash & 0xffff,
                    (hash >> 16) & 0xfff,
                    mix(hash) >> 52,
                    mix(hash) & 0xffff_ffff_ffff
                );
                out.extend_from_slice(text.as_bytes());
            }
            Source::ExternalId => {
                out.extend_from_slice(b"user-");
                number(out, view.row.index);
            }
            Source::CompanyId => {
                out.extend_from_slice(b"company-");
                number(out, view.row.index);
            }
            Source::Admin | Source::Team if below(hash << 32, 4) == 0 => return false,
            Source::Admin => number(out, catalog::admin_id(below(hash, config.admins.max(1)))),
            Source::Team => number(out, catalog::team_id(below(hash, config.teams.max(1)))),
            Source::Later { null_per_mille } => {
                if below(hash << 32, 1000) < null_per_mille {
                    return false;
                }
                let span = (view.row.modified_ms - view.row.created_ms).max(1000) / 1000;
                let span = u32::try_from(span).unwrap_or(u32::MAX);
                let created = (view.row.created_ms / 1000).unsigned_abs();
                number(out, created + u64::from(below(hash, span)));
            }
            Source::Seldom(per_mille) => {
                let yes = below(hash, 1000) < per_mille;
                out.extend_from_slice(if yes { b"true" } else { b"false" });
            }
            _ => return false,
        }
        true
    }
}

/// Whether a contact is a lead: one in four of the generated ones.
pub(crate) fn is_lead(view: &View<'_>) -> bool {
    match view.written(super::schema::ROLE) {
        Some(role) => role == Some("lead"),
        None => !view.blank && view.row.index % 4 == 3,
    }
}
