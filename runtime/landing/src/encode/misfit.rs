//! Which fields fitted no column, and in how many rows: what tells a sync, while it
//! reads, that its source is not what discovery found.

/// Fields of one file that are told apart.
const NAMES_MAX: usize = 64;

/// Why a value fitted no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Nothing is known of its field.
    Unknown,
    /// It is not of its column's type.
    Mistyped,
}

/// A field of which values fitted no column. They are in `_tg_extra`, under this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The names that lead to it, joined with `__`.
    pub name: String,
    /// Why.
    pub why: Why,
    /// How many values.
    pub values: u64,
}

/// Counts values by field.
#[derive(Default)]
pub(super) struct Misfits {
    found: Vec<Found>,
}

struct Found {
    why: Why,
    outer: Box<str>,
    /// Still escaped.
    name: Option<Box<str>>,
    values: u64,
}

impl Misfits {
    /// Counts a value under the names that lead to it. Records of one stream mostly
    /// have the same few, so they are compared one by one.
    pub(super) fn add(&mut self, why: Why, outer: &str, name: Option<&str>) {
        let same = |found: &&mut Found| {
            found.why == why && &*found.outer == outer && found.name.as_deref() == name
        };
        if let Some(found) = self.found.iter_mut().find(same) {
            found.values += 1;
        } else if self.found.len() < NAMES_MAX {
            self.found.push(Found {
                why,
                outer: outer.into(),
                name: name.map(Into::into),
                values: 1,
            });
        }
    }

    pub(super) fn list(&self) -> Vec<Misfit> {
        let joined = |found: &Found| match (&*found.outer, &found.name) {
            (outer, None) => outer.to_owned(),
            ("", Some(name)) => name.to_string(),
            (outer, Some(name)) => format!("{outer}__{name}"),
        };
        let found = self.found.iter().map(|found| Misfit {
            name: joined(found),
            why: found.why,
            values: found.values,
        });
        found.collect()
    }
}

/// Adds up what several files say of the same field.
pub(crate) fn merge(into: &mut Vec<Misfit>, more: Vec<Misfit>) {
    for misfit in more {
        let same = |known: &&mut Misfit| known.name == misfit.name && known.why == misfit.why;
        match into.iter_mut().find(same) {
            Some(known) => known.values += misfit.values,
            None => into.push(misfit),
        }
    }
}
