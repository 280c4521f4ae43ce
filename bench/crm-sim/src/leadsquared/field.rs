//! Single values of records. All of them are texts on the wire.

use crate::generate::{Generator, below, mix, number, write_value};
use crate::json::escaped;
use crate::leadsquared::catalog;
use crate::leadsquared::config::Config;
use crate::leadsquared::dates;
use crate::leadsquared::kind::Kind;
use crate::records::View;

/// Where an unwritten value comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Cell(Generator),
    Id,
    /// A number that rises with creation.
    AutoId,
    Created,
    Modified,
    Owner,
    /// The lead that an activity or an opportunity belongs to.
    Lead,
    /// The code of an activity's type.
    Event,
    /// An activity's own values, all in one text.
    Pairs,
    Fixed(&'static str),
    Unset,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// What the metadata calls the type of its values.
    pub(crate) data_type: &'static str,
    /// The column of written values.
    pub(crate) column: u16,
    pub(crate) source: Source,
}

/// A view with what its values need to know.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) kind: Kind,
    pub(crate) config: &'a Config,
    /// Ids of leads by their index.
    pub(crate) lead: &'a dyn Fn(u32) -> u64,
}

impl Field {
    /// Appends the text and returns true, or returns false for an empty value.
    pub(crate) fn text(&self, place: &Place<'_>, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        match self.source {
            Source::Id => out.extend_from_slice(place.kind.wire_id(view.row.id).as_bytes()),
            Source::Created => out.extend_from_slice(dates::plain(view.row.created_ms).as_bytes()),
            Source::Modified => {
                out.extend_from_slice(dates::plain(view.row.modified_ms).as_bytes());
            }
            _ => match view.written(self.column) {
                Some(written) => out.extend_from_slice(written.unwrap_or("").as_bytes()),
                None if view.blank => return false,
                None => return self.generated(place, view, out),
            },
        }
        true
    }

    /// The text, empty for an empty value.
    pub(crate) fn string(&self, place: &Place<'_>, view: &View<'_>) -> String {
        let mut out = Vec::new();
        self.text(place, view, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the value as JSON. Empty values are null or an empty text, as it comes.
    pub(crate) fn json(&self, place: &Place<'_>, view: &View<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        if self.text(place, view, out) {
            let text = out.split_off(start);
            escaped(&text, out);
        } else if self.column.is_multiple_of(2) {
            out.extend_from_slice(b"null");
        } else {
            out.extend_from_slice(b"\"\"");
        }
    }

    fn generated(&self, place: &Place<'_>, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        let salt = mix(u64::from(self.column) ^ 0x15_d0);
        let hash = mix(view.row.hash ^ salt);
        let config = place.config;
        match self.source {
            Source::Cell(generator) => return write_value(generator, salt, &view.row, out),
            Source::AutoId => number(out, view.row.index + 1),
            Source::Owner => {
                let user = below(hash, config.users.max(1));
                out.extend_from_slice(catalog::user_id(user).as_bytes());
            }
            Source::Event => number(out, u64::from(catalog::event_of(view.row.hash))),
            Source::Pairs => {
                let (status, seconds) = (below(hash, 2), below(mix(hash), 900));
                let text = format!("Status{{=}}{status}{{next}}CallDuration{{=}}{seconds}");
                out.extend_from_slice(text.as_bytes());
            }
            Source::Fixed(text) => out.extend_from_slice(text.as_bytes()),
            Source::Lead if config.leads > 0 => {
                let lead = view.row.index % u64::from(config.leads);
                let lead = (place.lead)(u32::try_from(lead).unwrap_or(0));
                out.extend_from_slice(Kind::Leads.wire_id(lead).as_bytes());
            }
            Source::Lead | Source::Unset | Source::Id | Source::Created | Source::Modified => {
                return false;
            }
        }
        true
    }
}
