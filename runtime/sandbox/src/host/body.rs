//! Response bodies: a guest holds a number, the bytes stay here.

use super::{Live, State};
use crate::bindings::http::{self, Fault};
use bytes::Bytes;
use tidegate_landing::cut::{self, CutError};
use wasmtime::component::Resource;

/// Characters of a text for a guest that may echo what the guest sent.
const ECHO_CHARS_MAX: usize = 200;

/// A response body.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) sent_at_ms: u64,
    /// Known once its records were cut.
    pub(super) outline: cut::Outline,
    /// It holds records and the connector runs blind.
    pub(super) is_closed: bool,
}

impl http::HostBody for State {
    fn size(&mut self, body: Resource<Body>) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.table.get(&body)?.bytes.len() as u64)
    }

    fn bytes(&mut self, body: Resource<Body>) -> wasmtime::Result<Result<Vec<u8>, Fault>> {
        self.enter()?;
        Ok(self
            .table
            .get(&body)?
            .readable()
            .map(|bytes| bytes.to_vec()))
    }

    fn slice(
        &mut self,
        body: Resource<Body>,
        offset: u64,
        len: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Fault>> {
        self.enter()?;
        Ok(self.table.get(&body)?.readable().map(|bytes| {
            let start = usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
            let end = start.saturating_add(len as usize).min(bytes.len());
            bytes[start..end].to_vec()
        }))
    }

    fn text(&mut self, body: Resource<Body>) -> wasmtime::Result<Result<String, Fault>> {
        self.enter()?;
        Ok(self.table.get(&body)?.readable().and_then(|bytes| {
            std::str::from_utf8(bytes)
                .map(str::to_owned)
                .map_err(|_| Fault::Protocol("the body is not UTF-8 text".to_owned()))
        }))
    }

    fn get(
        &mut self,
        body: Resource<Body>,
        pointer: String,
    ) -> wasmtime::Result<Result<Option<String>, Fault>> {
        let found = self.look_up(&body, std::slice::from_ref(&pointer))?;
        Ok(found.map(|mut values| values.pop().flatten()))
    }

    fn get_many(
        &mut self,
        body: Resource<Body>,
        pointers: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<String>>, Fault>> {
        self.look_up(&body, &pointers)
    }

    fn count(
        &mut self,
        body: Resource<Body>,
        pointer: String,
    ) -> wasmtime::Result<Result<Option<u32>, Fault>> {
        self.enter()?;
        let State { table, live, .. } = self;
        let body = table.get(&body)?;
        let open = live
            .as_deref_mut()
            .map_or(Ok(()), |live| body.allow(&pointer, live));
        Ok(open.and_then(|()| cut::count(&body.bytes, &pointer).map_err(fault_of_cut)))
    }

    async fn drop(&mut self, body: Resource<Body>) -> wasmtime::Result<()> {
        let body = self.table.delete(body)?;
        if let Some(live) = self.live.as_deref_mut() {
            live.held_bytes -= body.bytes.len() as u64;
        }
        Ok(())
    }
}

impl State {
    fn look_up(
        &mut self,
        body: &Resource<Body>,
        pointers: &[String],
    ) -> wasmtime::Result<Result<Vec<Option<String>>, Fault>> {
        self.enter()?;
        let State { table, live, .. } = self;
        let body = table.get(body)?;
        if let Some(live) = live.as_deref_mut() {
            for pointer in pointers {
                if let Err(fault) = body.allow(pointer, live) {
                    return Ok(Err(fault));
                }
            }
        }
        let answer_bytes_max = match live.as_deref() {
            Some(live) if body.is_closed => live.context.caps.blind_answer_bytes_max,
            _ => usize::MAX,
        };
        let found = match body.outline.get_many(&body.bytes, pointers) {
            Ok(found) => found,
            Err(error) => return Ok(Err(fault_of_cut(error))),
        };
        if found
            .iter()
            .flatten()
            .any(|value| value.len() > answer_bytes_max)
        {
            return Ok(Err(Fault::Denied(format!(
                "blind: a paging value is larger than {answer_bytes_max} bytes"
            ))));
        }
        Ok(Ok(found
            .into_iter()
            .map(|value| value.map(str::to_owned))
            .collect()))
    }
}

impl Body {
    fn readable(&self) -> Result<&Bytes, Fault> {
        if self.is_closed {
            return Err(Fault::Denied(
                "blind: this connector may not read bodies of data endpoints; emit them with from-body"
                    .to_owned(),
            ));
        }
        Ok(&self.bytes)
    }

    /// A blind connector gets answers only where its manifest says that paging is.
    fn allow(&self, pointer: &str, live: &mut Live) -> Result<(), Fault> {
        if !self.is_closed {
            return Ok(());
        }
        let patterns = &live.manifest.paging_pointers;
        let Some(pattern) = patterns.iter().find(|pattern| matches(pattern, pointer)) else {
            return Err(Fault::Denied(format!(
                "blind: {:?} matches no entry of the manifest's paging-pointers",
                brief(pointer)
            )));
        };
        if pattern.split('/').any(|part| part == "*") {
            live.blind_answers += 1;
            if live.blind_answers > live.context.caps.blind_answers_max {
                return Err(Fault::Denied(format!(
                    "blind: more than {} answers from inside records",
                    live.context.caps.blind_answers_max
                )));
            }
        }
        Ok(())
    }
}

fn fault_of_cut(error: CutError) -> Fault {
    match error {
        CutError::Extraction { reason } => Fault::Invalid(brief(&reason)),
        other => Fault::Protocol(brief(&other.to_string())),
    }
}

/// The beginning of a text.
pub(super) fn brief(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

/// Whether a pointer is one of a pattern's; `*` stands for one name or index.
fn matches(pattern: &str, pointer: &str) -> bool {
    let (mut pattern, mut pointer) = (pattern.split('/'), pointer.split('/'));
    loop {
        match (pattern.next(), pointer.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == found || expected == "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_matches_whole_pointers_of_its_own_depth_only() {
        assert!(matches("/paging/next/after", "/paging/next/after"));
        assert!(matches("/items/*/id", "/items/17/id"));
        for (pattern, pointer) in [
            ("/paging/next/after", "/paging/next"),
            ("/paging/next/after", "/paging/next/after/x"),
            ("/paging", ""),
            ("/items/*/id", "/items/17/name"),
            ("/items/*/id", "/items/id"),
            ("/items/*/id", "/items/1/2/id"),
            ("/items/*/id", "items/1/id"),
        ] {
            assert!(!matches(pattern, pointer), "{pattern} took {pointer}");
        }
    }
}
