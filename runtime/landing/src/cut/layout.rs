//! Where the records of a body lie.

use super::{CutError, Outline};
use crate::json::{Scanner, Span, names, unescape};

/// Takes the records of a body one by one.
pub(super) trait Records {
    /// Takes the value that is next.
    fn record(&mut self, scanner: &mut Scanner<'_>) -> Result<(), CutError>;

    /// Forgets all records so far: the member that held them comes once more, and of
    /// members with the same name the last one counts.
    fn restart(&mut self);
}

pub(super) enum Layout {
    /// One value per line.
    Lines,
    /// An array inside a document.
    Document { pointer: String, names: Vec<String> },
}

impl Layout {
    pub(super) fn document(pointer: &str) -> Result<Self, CutError> {
        Ok(Layout::Document {
            names: names(pointer).ok_or_else(|| CutError::pointer(pointer))?,
            pointer: pointer.to_owned(),
        })
    }

    /// Hands over each record of the text, and checks the text to its end. Where it
    /// is one object, its members are noted in `outline`.
    pub(super) fn read(
        &self,
        text: &str,
        records: &mut impl Records,
        outline: &mut Outline,
    ) -> Result<(), CutError> {
        let mut scanner = Scanner::new(text);
        match self {
            Layout::Lines => read_lines(&mut scanner, records),
            Layout::Document { pointer, names } => {
                let found = descend(&mut scanner, names, records, Some(outline))?;
                scanner.finish()?;
                outline.close();
                if !found {
                    let pointer = pointer.clone();
                    return Err(CutError::NoRecords { pointer });
                }
                Ok(())
            }
        }
    }
}

fn read_lines(scanner: &mut Scanner<'_>, records: &mut impl Records) -> Result<(), CutError> {
    while scanner.peek_or_end().is_some() {
        records.record(scanner)?;
        if !scanner.end_line() {
            return Err(scanner.malformed().into());
        }
    }
    Ok(())
}

fn descend(
    scanner: &mut Scanner<'_>,
    names: &[String],
    records: &mut impl Records,
    mut outline: Option<&mut Outline>,
) -> Result<bool, CutError> {
    let Some((name, inner)) = names.split_first() else {
        return read_records(scanner, records);
    };
    let mut found = false;
    let mut first = true;
    match scanner.peek()? {
        b'{' => {
            scanner.open()?;
            while let Some(member) = scanner.member(&mut first)? {
                let text = member.span.of(scanner.text());
                scanner.peek()?;
                let start = scanner.at();
                if text == name || member.escaped && unescaped(text) == *name {
                    records.restart();
                    found = descend(scanner, inner, records, None)?;
                } else {
                    scanner.skip_value()?;
                }
                if let Some(outline) = outline.as_deref_mut() {
                    let end = scanner.at();
                    outline.note(scanner.text(), member, Span { start, end });
                }
            }
        }
        b'[' => {
            scanner.open()?;
            let mut index = 0_usize;
            while scanner.element(&mut first)? {
                if *name == index.to_string() {
                    found = descend(scanner, inner, records, None)?;
                } else {
                    scanner.skip_value()?;
                }
                index += 1;
            }
        }
        _ => {
            scanner.skip_value()?;
        }
    }
    Ok(found)
}

fn read_records(scanner: &mut Scanner<'_>, records: &mut impl Records) -> Result<bool, CutError> {
    let mut first = true;
    match scanner.peek()? {
        b'[' => {
            scanner.open()?;
            while scanner.element(&mut first)? {
                records.record(scanner)?;
            }
            Ok(true)
        }
        b'{' => records.record(scanner).map(|()| true),
        // Some sources write null for an empty list.
        next => {
            scanner.skip_value()?;
            Ok(next == b'n')
        }
    }
}

fn unescaped(inside: &str) -> String {
    let mut out = String::with_capacity(inside.len());
    unescape(inside, &mut out);
    out
}
