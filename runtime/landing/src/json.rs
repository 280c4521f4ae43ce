//! A strict JSON scanner: it finds values in a text and leaves them there.
//!
//! What it passes over is checked against all of RFC 8259, without recursion and
//! within [`DEPTH_MAX`], because a record is landed as the bytes that it came in.
//! Lazy SIMD parsers were tried and refused: they accept `\u` with anything behind
//! it and recurse without bound over what they skip.

mod marks;
mod walk;

use marks::Marks;
pub(crate) use walk::{Paths, ROOT, Stray, Walk, names};

/// Containers inside one another, as deep as common readers go.
pub(crate) const DEPTH_MAX: u32 = 128;

/// A value's place in its text, quotes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }

    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }
}

/// Why a text is not JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) offset: usize,
    /// Well-formed so far, but deeper than [`DEPTH_MAX`].
    pub(crate) too_deep: bool,
}

/// A name of an object's member: what is between the quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    pub(crate) span: Span,
    pub(crate) escaped: bool,
}

/// A place in a text, moving forward.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    marks: Marks,
    /// A `\ud800` without its other half went by. The grammar allows it, most readers do not.
    pub(crate) lone_surrogate: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Scanner {
            text,
            at: 0,
            depth: 0,
            marks: Marks::new(),
            lone_surrogate: false,
        }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space; not taken. `None` at the end.
    #[inline]
    pub(crate) fn peek_or_end(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// The next byte that is not white space; not taken.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8, Malformed> {
        self.peek_or_end().ok_or_else(|| self.malformed())
    }

    /// Takes blanks up to and including a line's end; false where something else comes.
    pub(crate) fn end_line(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\r' | b'\t') => self.at += 1,
                Some(b'\n') => {
                    self.at += 1;
                    return true;
                }
                other => return other.is_none(),
            }
        }
    }

    pub(crate) fn malformed(&self) -> Malformed {
        Malformed {
            offset: self.at,
            too_deep: false,
        }
    }

    /// Nothing but white space may follow.
    pub(crate) fn finish(&mut self) -> Result<(), Malformed> {
        match self.peek_or_end() {
            None => Ok(()),
            Some(_) => Err(self.malformed()),
        }
    }

    /// Enters the container whose bracket is next.
    pub(crate) fn open(&mut self) -> Result<(), Malformed> {
        if self.depth == DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Inside an array, before an element: true, with the element next, or false
    /// with the array left.
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool, Malformed> {
        match self.peek()? {
            b']' => self.close(),
            b',' if !*first => {
                self.at += 1;
                Ok(true)
            }
            _ if *first => {
                *first = false;
                Ok(true)
            }
            _ => Err(self.malformed()),
        }
    }

    /// Inside an object, before a member: its name, with the value next, or none
    /// with the object left.
    #[inline]
    pub(crate) fn member(&mut self, first: &mut bool) -> Result<Option<Name>, Malformed> {
        match self.peek()? {
            b'}' => {
                self.close()?;
                return Ok(None);
            }
            b',' if !*first => self.at += 1,
            _ if *first => *first = false,
            _ => return Err(self.malformed()),
        }
        self.name().map(Some)
    }

    fn close(&mut self) -> Result<bool, Malformed> {
        self.depth -= 1;
        self.at += 1;
        Ok(false)
    }

    fn too_deep(&self) -> Malformed {
        Malformed {
            offset: self.at,
            too_deep: true,
        }
    }

    /// Passes over one value of any kind.
    #[inline]
    pub(crate) fn skip_value(&mut self) -> Result<Span, Malformed> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.skip_container(first)?,
            _ => self.scalar(first)?,
        }
        Ok(Span {
            start,
            end: self.at,
        })
    }

    /// Passes over a container with a stack of one bit per level: set in an object.
    fn skip_container(&mut self, first: u8) -> Result<(), Malformed> {
        let mut objects: u128 = 0;
        let mut open = 0;
        let mut next = first;
        loop {
            match next {
                b'{' | b'[' => {
                    if self.depth + open == DEPTH_MAX {
                        return Err(self.too_deep());
                    }
                    self.at += 1;
                    open += 1;
                    let object = next == b'{';
                    objects = objects << 1 | u128::from(object);
                    let inner = self.peek()?;
                    if inner != if object { b'}' } else { b']' } {
                        if object {
                            self.name()?;
                        }
                        next = self.peek()?;
                        continue;
                    }
                    self.at += 1;
                    open -= 1;
                    objects >>= 1;
                }
                b'"' => {
                    self.string()?;
                }
                _ => self.scalar(next)?,
            }
            loop {
                if open == 0 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if object {
                            self.name()?;
                        }
                        next = self.peek()?;
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return Err(self.malformed()),
                }
                self.at += 1;
                open -= 1;
                objects >>= 1;
            }
        }
    }

    /// Takes a member's name and its colon.
    #[inline]
    fn name(&mut self) -> Result<Name, Malformed> {
        if self.peek()? != b'"' {
            return Err(self.malformed());
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let span = Span {
            start,
            end: self.at - 1,
        };
        if self.peek()? != b':' {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(Name { span, escaped })
    }

    /// Takes a string whose opening quote is next; true where it has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Malformed> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = self.marks.next(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.malformed()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = unit(bytes, self.at).ok_or_else(|| self.malformed())?;
                self.at += 6;
                match unit {
                    0xD800..=0xDBFF if matches!(unit_at(bytes, self.at), Some(0xDC00..=0xDFFF)) => {
                        self.at += 6;
                    }
                    0xD800..=0xDFFF => self.lone_surrogate = true,
                    _ => {}
                }
            }
            _ => return Err(self.malformed()),
        }
        Ok(())
    }

    fn scalar(&mut self, first: u8) -> Result<(), Malformed> {
        match first {
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.malformed()),
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.malformed());
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 {
            Err(self.malformed())
        } else {
            Ok(())
        }
    }
}

fn unit_at(bytes: &[u8], at: usize) -> Option<u16> {
    match bytes.get(at..at + 2) {
        Some(br"\u") => unit(bytes, at),
        _ => None,
    }
}

/// The UTF-16 unit of a `\uXXXX` at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at + 2..at + 6)?.iter().try_fold(0, |unit, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(unit << 4 | digit as u16)
    })
}

/// Appends what the inside of a checked JSON string stands for. Half a surrogate
/// pair becomes U+FFFD.
pub(crate) fn unescape(inside: &str, out: &mut String) {
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let bytes = rest.as_bytes();
        let mut taken = at + 2;
        let plain = match bytes.get(at + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = unit(bytes, at).unwrap_or(0xFFFD);
                let second = unit_at(bytes, at + 6);
                taken = at + 6;
                match (first, second) {
                    (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                        taken = at + 12;
                        let high = u32::from(first - 0xD800) << 10;
                        let code = 0x10000 + high + u32::from(low - 0xDC00);
                        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                    _ => char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER),
                }
            }
            Some(other) => char::from(*other),
            None => break,
        };
        out.push(plain);
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// Appends a text as a JSON string, quotes included.
pub(crate) fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Appends a text as the inside of a JSON string.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'0', b'0', HEX[high], HEX[low]]);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests;
