//! Bodies behind handles, for seeing and for blind connectors.

use std::{cell::OnceCell, fmt};

use serde_json::Value;

use super::pointer;
use crate::{HttpFault, Manifest, Request, Role, Target};

/// What a blind connector may know of an answer; `None` is all of it.
pub(super) fn blind_pointers(manifest: &Manifest, request: &Request) -> Option<Vec<String>> {
    let metadata = match &request.target {
        Target::Endpoint { endpoint, .. } => manifest
            .endpoints
            .iter()
            .any(|known| known.name == *endpoint && known.role == Role::Metadata),
        Target::Absolute(_) => false,
    };
    (!metadata).then(|| manifest.paging_pointers.clone())
}

pub(crate) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Set for a blind connector: the pointers that it is answered.
    pub(super) allowed: Option<Vec<String>>,
    /// What the bytes say, once somebody asked.
    document: OnceCell<Value>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

impl Body {
    pub(super) fn new(bytes: Vec<u8>, allowed: Option<Vec<String>>) -> Self {
        Self {
            bytes,
            allowed,
            document: OnceCell::new(),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn bytes(&self) -> Result<Vec<u8>, HttpFault> {
        if self.allowed.is_some() {
            return Err(HttpFault::Denied("the connector runs blind".to_owned()));
        }
        Ok(self.bytes.clone())
    }

    pub(crate) fn slice(&self, offset: u64, length: u32) -> Result<Vec<u8>, HttpFault> {
        let bytes = self.bytes()?;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let end = start.saturating_add(length as usize).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    pub(crate) fn text(&self) -> Result<String, HttpFault> {
        String::from_utf8(self.bytes()?).map_err(|error| HttpFault::Protocol(error.to_string()))
    }

    pub(crate) fn get(&self, pointer: &str) -> Result<Option<String>, HttpFault> {
        Ok(self.find(pointer)?.map(|value| value.to_string()))
    }

    pub(crate) fn get_many(&self, pointers: &[&str]) -> Result<Vec<Option<String>>, HttpFault> {
        pointers.iter().map(|pointer| self.get(pointer)).collect()
    }

    pub(crate) fn count(&self, pointer: &str) -> Result<Option<u32>, HttpFault> {
        let length = self.find(pointer)?.and_then(|value| match value {
            Value::Array(elements) => Some(elements.len()),
            Value::Object(fields) => Some(fields.len()),
            _ => None,
        });
        Ok(length.map(|length| u32::try_from(length).unwrap_or(u32::MAX)))
    }

    fn find(&self, pointer: &str) -> Result<Option<Value>, HttpFault> {
        if let Some(allowed) = &self.allowed
            && !allowed
                .iter()
                .any(|pattern| pointer::matches(pattern, pointer))
        {
            return Err(HttpFault::Denied(format!(
                "{pointer:?} is not a paging pointer"
            )));
        }
        pointer::check(pointer).map_err(HttpFault::Invalid)?;
        if self.document.get().is_none() {
            let parsed = serde_json::from_slice(&self.bytes)
                .map_err(|error| HttpFault::Protocol(error.to_string()))?;
            self.document.get_or_init(|| parsed);
        }
        let document = self.document.get();
        Ok(document
            .and_then(|document| document.pointer(pointer))
            .cloned())
    }
}
