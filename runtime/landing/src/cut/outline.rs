//! Where the members of a document lie, noted while its records are cut, so that a
//! guest that then asks for the next page's token costs no second pass over them.

use super::{CutError, pointer, utf8};
use crate::json::{Name, Span, names, unescape};

/// Members that are noted; a document with more is read again.
const MEMBERS_MAX: usize = 64;

/// The members of one whole, well-formed document. Empty where none is known, and
/// then every answer is read from the document.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    members: Vec<(String, Span)>,
    is_whole: bool,
}

impl Outline {
    /// Notes a member. Of members with the same name the last one counts.
    pub(super) fn note(&mut self, text: &str, name: Name, value: Span) {
        if self.members.len() <= MEMBERS_MAX {
            let inside = name.span.of(text);
            let mut plain = String::with_capacity(inside.len());
            unescape(inside, &mut plain);
            self.members.push((plain, value));
        }
    }

    /// The document was an object, and was read to its end.
    pub(super) fn close(&mut self) {
        self.is_whole = !self.members.is_empty() && self.members.len() <= MEMBERS_MAX;
    }

    /// [`super::get_many`] on the document that was outlined, `body`.
    ///
    /// # Errors
    /// As [`super::get`].
    pub fn get_many<'a>(
        &self,
        body: &'a [u8],
        pointers: &[impl AsRef<str>],
    ) -> Result<Vec<Option<&'a str>>, CutError> {
        let is_below_a_member = |pointer: &str| pointer.starts_with('/');
        if !self.is_whole || !pointers.iter().all(|one| is_below_a_member(one.as_ref())) {
            return pointer::get_many(body, pointers);
        }
        pointers
            .iter()
            .map(|pointer| self.get(body, pointer.as_ref()))
            .collect()
    }

    fn get<'a>(&self, body: &'a [u8], pointer: &str) -> Result<Option<&'a str>, CutError> {
        let path = names(pointer).ok_or_else(|| CutError::pointer(pointer))?;
        let inner = pointer[1..].find('/').map_or("", |at| &pointer[1 + at..]);
        let named = |member: &&(String, Span)| path.first() == Some(&member.0);
        match self.members.iter().rev().find(named) {
            None => Ok(None),
            Some((_, value)) if inner.is_empty() => utf8(&body[value.start..value.end]).map(Some),
            Some((_, value)) => pointer::get(&body[value.start..value.end], inner),
        }
    }
}
