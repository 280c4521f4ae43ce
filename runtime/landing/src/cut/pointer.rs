//! Single values of a body, for a guest's paging logic.

use super::{CutError, utf8};
use crate::json::{Paths, Scanner, Span, Walk};

/// The raw JSON text at a pointer; none where nothing is there.
///
/// # Errors
/// [`CutError`] where the body is not JSON or the pointer is none.
pub fn get<'a>(body: &'a [u8], pointer: &str) -> Result<Option<&'a str>, CutError> {
    let found = get_many(body, std::slice::from_ref(&pointer))?;
    Ok(found.into_iter().next().flatten())
}

/// The raw JSON texts at many pointers, in one pass.
///
/// # Errors
/// As [`get`].
pub fn get_many<'a>(
    body: &'a [u8],
    pointers: &[impl AsRef<str>],
) -> Result<Vec<Option<&'a str>>, CutError> {
    let text = utf8(body)?;
    let mut paths = Paths::new();
    let mut slots = Vec::with_capacity(pointers.len());
    for pointer in pointers {
        let pointer = pointer.as_ref();
        slots.push(
            paths
                .add(pointer)
                .ok_or_else(|| CutError::pointer(pointer))?,
        );
    }
    let mut scanner = Scanner::new(text);
    let mut walk = Walk::new(&paths);
    walk.walk(&mut scanner, &paths, &mut |_| {})?;
    scanner.finish()?;
    let raw = |span: Span| span.of(text);
    Ok(slots
        .into_iter()
        .map(|slot| walk.found(slot).map(raw))
        .collect())
}

/// The length of the array or object at a pointer; none where neither is there.
///
/// # Errors
/// As [`get`].
pub fn count(body: &[u8], pointer: &str) -> Result<Option<u32>, CutError> {
    let Some(raw) = get(body, pointer)? else {
        return Ok(None);
    };
    let mut scanner = Scanner::new(raw);
    let (mut first, mut count) = (true, 0);
    match scanner.peek()? {
        b'[' => {
            scanner.open()?;
            while scanner.element(&mut first)? {
                scanner.skip_value()?;
                count += 1;
            }
        }
        b'{' => {
            scanner.open()?;
            while scanner.member(&mut first)?.is_some() {
                scanner.skip_value()?;
                count += 1;
            }
        }
        _ => return Ok(None),
    }
    Ok(Some(count))
}
