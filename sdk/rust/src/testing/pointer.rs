//! JSON pointers (RFC 6901) and the manifest's patterns of them.

use serde_json::Value;

/// The value at a pointer; `Err` for a text that is no pointer.
pub(super) fn find<'a>(value: &'a Value, pointer: &str) -> Result<Option<&'a Value>, String> {
    check(pointer)?;
    Ok(value.pointer(pointer))
}

pub(super) fn check(pointer: &str) -> Result<(), String> {
    let starts = pointer.is_empty() || pointer.starts_with('/');
    let escapes = pointer
        .split('~')
        .skip(1)
        .all(|rest| rest.starts_with(['0', '1']));
    if starts && escapes {
        Ok(())
    } else {
        Err(format!("{pointer:?} is not a JSON pointer"))
    }
}

/// Whether a pointer is one of a pattern, in which "*" stands for any step.
pub(super) fn matches(pattern: &str, pointer: &str) -> bool {
    let (mut pattern, mut pointer) = (pattern.split('/'), pointer.split('/'));
    loop {
        match (pattern.next(), pointer.next()) {
            (None, None) => return true,
            (Some(asked), Some(step)) if asked == "*" || asked == step => {}
            _ => return false,
        }
    }
}
