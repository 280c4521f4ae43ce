//! The words of a query, each with its place for error messages.

use crate::salesforce::problem::Problem;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, a keyword, a number, a date or a time.
    Word(String),
    /// A quoted text, unescaped.
    Text(String),
    /// One of `( ) , = != < <= > >=`.
    Symbol(&'static str),
}

/// A token with the byte at which it begins.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// Symbols, longer ones first.
const SYMBOLS: [(&str, &str); 10] = [
    ("!=", "!="),
    ("<>", "!="),
    ("<=", "<="),
    (">=", ">="),
    ("(", "("),
    (")", ")"),
    (",", ","),
    ("=", "="),
    ("<", "<"),
    (">", ">"),
];

/// Characters of the line that are shown before and after the place of an error.
const CONTEXT: usize = 40;

/// The lines that point at a place of a query, as every error message begins.
pub(super) fn pointer(query: &str, at: usize) -> String {
    let before = query.get(..at).unwrap_or(query);
    let row = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = query[line_start..].lines().next().unwrap_or("");
    let column = before[line_start.min(before.len())..].chars().count();
    let skipped = column.saturating_sub(CONTEXT);
    let shown: String = line.chars().skip(skipped).take(2 * CONTEXT).collect();
    let indent = " ".repeat(column - skipped);
    format!(
        "\n{shown}\n{indent}^\nERROR at Row:{row}:Column:{}\n",
        column + 1
    )
}

/// Splits a query into its tokens.
pub(super) fn tokens(query: &str) -> Result<Vec<Placed>, Problem> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(character) = query[at..].chars().next() {
        let rest = &query[at..];
        if character.is_whitespace() {
            at += character.len_utf8();
            continue;
        }
        let (token, length) = if character == '\'' {
            text(query, at)?
        } else if let Some((spelling, symbol)) = SYMBOLS
            .iter()
            .find(|(spelling, _)| rest.starts_with(spelling))
        {
            (Token::Symbol(symbol), spelling.len())
        } else {
            let length = rest
                .find(|character: char| !is_word(character))
                .unwrap_or(rest.len());
            if length == 0 {
                return Err(Problem::malformed_query(format!(
                    "{}unexpected token: '{character}'",
                    pointer(query, at)
                )));
            }
            (Token::Word(rest[..length].to_owned()), length)
        };
        found.push(Placed { token, at });
        at += length;
    }
    Ok(found)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | ':' | '+' | '-')
}

/// A quoted text that begins at a place, and how many bytes it takes.
fn text(query: &str, at: usize) -> Result<(Token, usize), Problem> {
    let mut text = String::new();
    let mut characters = query[at + 1..].char_indices();
    while let Some((offset, character)) = characters.next() {
        match character {
            '\'' => return Ok((Token::Text(text), offset + 2)),
            '\\' => {
                let escaped = characters.next().map(|(_, escaped)| escaped);
                text.push(match escaped {
                    Some('n' | 'N') => '\n',
                    Some('r' | 'R') => '\r',
                    Some('t' | 'T') => '\t',
                    Some('b' | 'B') => '\u{8}',
                    Some('f' | 'F') => '\u{c}',
                    Some(plain @ ('\\' | '\'' | '"' | '_' | '%')) => plain,
                    _ => {
                        return Err(Problem::malformed_query(format!(
                            "{}Invalid string literal: illegal character sequence",
                            pointer(query, at)
                        )));
                    }
                });
            }
            _ => text.push(character),
        }
    }
    Err(Problem::malformed_query(format!(
        "{}line 1:{at} no viable alternative at character '<EOF>'",
        pointer(query, at)
    )))
}
