//! JSON text, written straight into the response buffer.

use crate::generate::write_value;
use crate::records::{Cell, View};

/// Appends a cell as a JSON string, or null. `escapes` says whether its generated
/// text may hold characters that must be escaped.
pub(crate) fn text_cell(view: &View<'_>, cell: Cell, escapes: bool, out: &mut Vec<u8>) {
    if let Some(written) = view.written(cell.column) {
        match written {
            Some(text) => escaped(text.as_bytes(), out),
            None => out.extend_from_slice(b"null"),
        }
        return;
    }
    let start = out.len();
    out.push(b'"');
    let null = view.blank && !cell.generator.is_system();
    if null || !write_value(cell.generator, cell.salt, &view.row, out) {
        out.truncate(start);
        out.extend_from_slice(b"null");
        return;
    }
    if escapes {
        escape_from(start + 1, out);
    }
    out.push(b'"');
}

/// Appends text that needs no escape as a JSON string.
pub(crate) fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Appends text as a JSON string.
pub(crate) fn escaped(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.extend_from_slice(text);
    escape_from(start, out);
    out.push(b'"');
}

/// Escapes what was written since `start`, in place: from the back, so that
/// every byte moves once and nothing is allocated.
pub(crate) fn escape_from(start: usize, out: &mut Vec<u8>) {
    let extra: usize = out[start..]
        .iter()
        .filter(|byte| needs_escape(**byte))
        .map(|byte| escape(*byte).1 - 1)
        .sum();
    if extra == 0 {
        return;
    }
    let mut from = out.len();
    let mut to = from + extra;
    out.resize(to, 0);
    while from < to {
        from -= 1;
        let (text, length) = if needs_escape(out[from]) {
            escape(out[from])
        } else {
            ([out[from], 0, 0, 0, 0, 0], 1)
        };
        to -= length;
        out[to..to + length].copy_from_slice(&text[..length]);
    }
}

/// The escape of a byte and how much of the array it takes.
fn escape(byte: u8) -> ([u8; 6], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        b'"' | b'\\' => byte,
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            return ([b'\\', b'u', b'0', b'0', high, low], 6);
        }
    };
    ([b'\\', short, 0, 0, 0, 0], 2)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn escaped_text_reads_back_as_written() {
        for text in [
            "",
            "plain",
            "a\"b",
            "\\",
            "line\nbreak\ttab\r",
            "\u{1}x\u{1f}",
            "Größe 🚀\u{2028}",
        ] {
            let mut out = b"x".to_vec();
            escaped(text.as_bytes(), &mut out);
            let read: String = serde_json::from_slice(&out[1..]).expect("valid JSON");
            assert_eq!(read, text);
        }
    }
}
