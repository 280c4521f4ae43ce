//! What fits no column, gathered into one JSON object per row.

use crate::json::escape;

/// The `_tg_extra` of the row being written.
#[derive(Default)]
pub(super) struct Extra {
    json: Vec<u8>,
}

impl Extra {
    /// Begins a row.
    pub(super) fn clear(&mut self) {
        self.json.clear();
    }

    /// Adds a value under the names that lead to it, joined with `__`; the last name
    /// may still be escaped.
    pub(super) fn add(&mut self, outer: &str, escaped_name: Option<&str>, value: &str) {
        let opening: &[u8] = if self.json.is_empty() { b"{\"" } else { b",\"" };
        self.json.extend_from_slice(opening);
        escape(outer, &mut self.json);
        if let Some(name) = escaped_name {
            if !outer.is_empty() {
                self.json.extend_from_slice(b"__");
            }
            self.json.extend_from_slice(name.as_bytes());
        }
        self.json.extend_from_slice(b"\":");
        self.json.extend_from_slice(value.as_bytes());
    }

    /// Ends the row: the object's text; none where everything fitted.
    pub(super) fn close(&mut self) -> Option<&str> {
        if self.json.is_empty() {
            return None;
        }
        self.json.push(b'}');
        std::str::from_utf8(&self.json).ok()
    }
}
