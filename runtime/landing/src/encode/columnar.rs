//! One pass over a record that yields a cell for each column, and the rest.

mod tabular;

use self::tabular::Fitting;
use super::extra::Extra;
use super::misfit::{Misfits, Why};
use super::{EncodeError, Misfit};
use crate::json::{Paths, Scanner, Walk, unescape};
use crate::moment::{Moment, days};
use crate::page::{Page, Scratch};
use std::borrow::Cow;
use std::ops::Range;
use tidegate_domain::schema::{Column, ColumnType, Columns, DECIMAL_DIGITS_MAX};

/// A value as its column holds it.
#[derive(Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Boolean(bool),
    Integer(i64),
    /// Unscaled: the column's scale tells where its point is.
    Decimal(i128),
    /// Days since the epoch.
    Date(i32),
    /// Milliseconds since the epoch.
    Timestamp(i64),
}

/// Columns, ready to be cut out of records.
pub(super) struct Cutter {
    paths: Paths,
    walk: Walk,
    columns: Vec<Target>,
    /// By node of `paths`: the names that lead to it, joined with `__`.
    outer: Vec<String>,
    extra: Extra,
    misfits: Misfits,
    /// Of the table that was seen last.
    fitting: Option<Fitting>,
}

struct Target {
    name: String,
    /// None where new rows leave the column empty.
    slot: Option<usize>,
    kind: ColumnType,
}

impl Cutter {
    pub(super) fn new(columns: &Columns) -> Self {
        let mut paths = Paths::new();
        let mut slot = |column: &Column| match column.retired {
            true => None,
            false => paths.add(&column.pointer),
        };
        let columns = columns.as_slice().iter();
        let columns = columns
            .map(|column| Target {
                name: column.name.clone(),
                slot: slot(column),
                kind: column.kind,
            })
            .collect();
        let mut outer = vec![String::new(); paths.len()];
        let mut unnamed = vec![0];
        while let Some(node) = unnamed.pop() {
            for child in paths.children(node) {
                let joint = if node == 0 { "" } else { "__" };
                outer[*child] = format!("{}{joint}{}", outer[node], paths.name(*child));
                unnamed.push(*child);
            }
        }
        Cutter {
            walk: Walk::new(&paths),
            paths,
            columns,
            outer,
            extra: Extra::default(),
            misfits: Misfits::default(),
            fitting: None,
        }
    }

    /// [`Cutter::row`] of a row of a page, however it is written there.
    pub(super) fn row_of<'r>(
        &mut self,
        page: &'r Page,
        row: &Range<u32>,
        scratch: &'r mut Scratch,
        each: impl FnMut(usize, Cell<'r>, &'r str),
    ) -> Result<Option<&str>, EncodeError> {
        if let Some(table) = &page.table {
            let values = page.values(row, &mut scratch.row);
            return self.row_of_csv(table, &values.ok_or(EncodeError::Record)?, each);
        }
        let record = simdutf8::basic::from_utf8(page.record(row, scratch));
        self.row(record.map_err(|_| EncodeError::Record)?, each)
    }

    /// Hands each column's cell and its JSON text to `each`, in order, and returns
    /// what fitted none of them, as a JSON object.
    pub(super) fn row<'r>(
        &mut self,
        record: &'r str,
        mut each: impl FnMut(usize, Cell<'r>, &'r str),
    ) -> Result<Option<&str>, EncodeError> {
        let (outer, extra, misfits) = (&self.outer, &mut self.extra, &mut self.misfits);
        extra.clear();
        let mut scanner = Scanner::new(record);
        let mut stray = |stray: crate::json::Stray| {
            let value = stray.value.of(record);
            if value != "null" {
                let name = stray.name.map(|name| name.of(record));
                extra.add(&outer[stray.node], name, value);
                let why = match name {
                    Some(_) => Why::Unknown,
                    None => Why::Mistyped,
                };
                misfits.add(why, &outer[stray.node], name);
            }
        };
        self.walk
            .walk(&mut scanner, &self.paths, &mut stray)
            .map_err(|_| EncodeError::Record)?;
        for (at, column) in self.columns.iter().enumerate() {
            let raw = column.slot.and_then(|slot| self.walk.found(slot));
            let raw = raw.map_or("null", |span| span.of(record));
            let cell = parse(column.kind, raw).unwrap_or_else(|| {
                self.extra.add(&column.name, None, raw);
                self.misfits.add(Why::Mistyped, &column.name, None);
                Cell::Null
            });
            each(at, cell, raw);
        }
        Ok(self.extra.close())
    }

    /// What fitted no column of the rows so far.
    pub(super) fn misfits(&self) -> Vec<Misfit> {
        self.misfits.list()
    }
}

/// A value's cell; none where it is none of the column's type.
fn parse(kind: ColumnType, raw: &str) -> Option<Cell<'_>> {
    if raw == "null" {
        return Some(Cell::Null);
    }
    if kind == ColumnType::Json {
        return Some(Cell::Text(Cow::Borrowed(raw)));
    }
    let text = match raw.as_bytes() {
        [b'"', .., b'"'] => unquoted(&raw[1..raw.len() - 1]),
        [b'{' | b'[', ..] => return None,
        _ => Cow::Borrowed(raw),
    };
    if text.is_empty() && kind != ColumnType::Text {
        // How CSV and many forms write that there is no value.
        return Some(Cell::Null);
    }
    typed(kind, text)
}

/// A text's cell; none where it is none of the column's type.
fn typed(kind: ColumnType, text: Cow<'_, str>) -> Option<Cell<'_>> {
    match kind {
        ColumnType::Text | ColumnType::Json => Some(Cell::Text(text)),
        ColumnType::Boolean => match &*text {
            "true" | "True" | "TRUE" => Some(Cell::Boolean(true)),
            "false" | "False" | "FALSE" => Some(Cell::Boolean(false)),
            _ => None,
        },
        ColumnType::Integer => text.parse().ok().map(Cell::Integer),
        ColumnType::Decimal { precision, scale } => {
            decimal(&text, precision, scale).map(Cell::Decimal)
        }
        ColumnType::Date => days(&text).map(Cell::Date),
        ColumnType::Timestamp => Moment::parse(&text)?.epoch_ms().map(Cell::Timestamp),
    }
}

fn unquoted(inside: &str) -> Cow<'_, str> {
    if !inside.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    unescape(inside, &mut out);
    Cow::Owned(out)
}

/// A decimal, unscaled; none where digits would be lost.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    if let Some((digits, power)) = text.split_once(['e', 'E']) {
        return decimal(&plain(digits, power.parse().ok()?)?, precision, scale);
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let scale = usize::from(scale);
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > scale {
        return None;
    }
    let zeros = std::iter::repeat_n(b'0', scale - fraction.len());
    let mut digits = whole.bytes().chain(fraction.bytes()).chain(zeros);
    let unscaled = digits.try_fold(0_i128, |sum, digit| {
        sum.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
    })?;
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (unscaled < limit).then_some(if negative { -unscaled } else { unscaled })
}

/// A decimal times a power of ten, written without the power.
fn plain(number: &str, power: i32) -> Option<String> {
    const POWER_MAX: u32 = 2 * DECIMAL_DIGITS_MAX as u32;
    if number.len() > POWER_MAX as usize || power.unsigned_abs() > POWER_MAX {
        return None;
    }
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let zeros = "0".repeat(power.unsigned_abs() as usize);
    Some(if power >= 0 {
        let moved = format!("{fraction}{zeros}");
        let (behind, rest) = moved.split_at_checked(power.unsigned_abs() as usize)?;
        format!("{sign}{whole}{behind}.{rest}")
    } else {
        let moved = format!("{zeros}{whole}");
        let (rest, behind) = moved.split_at_checked(whole.len())?;
        format!("{sign}0{rest}.{behind}{fraction}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ColumnType::{Boolean, Date, Decimal, Integer, Json, Text, Timestamp};

    #[test]
    fn values_become_the_cells_of_their_type_or_nothing() {
        let text = |text: &'static str| Some(Cell::Text(Cow::Borrowed(text)));
        let money = Decimal {
            precision: 6,
            scale: 2,
        };
        let table: &[(ColumnType, &str, Option<Cell<'_>>)] = &[
            (Text, "null", Some(Cell::Null)),
            (Text, r#""a\u00e4\ud834\udd1e\n""#, text("aä𝄞\n")),
            (Text, "1e400", text("1e400")),
            (
                Text,
                "12345678901234567890.10",
                text("12345678901234567890.10"),
            ),
            (Text, "true", text("true")),
            (Text, r#""""#, text("")),
            (Text, r#"{"a":1}"#, None),
            (Json, r#"{"a": 1}"#, text(r#"{"a": 1}"#)),
            (Json, r#""a""#, text(r#""a""#)),
            (Boolean, "true", Some(Cell::Boolean(true))),
            (Boolean, r#""False""#, Some(Cell::Boolean(false))),
            (Boolean, "1", None),
            (Boolean, r#""""#, Some(Cell::Null)),
            (
                Integer,
                "-9223372036854775808",
                Some(Cell::Integer(i64::MIN)),
            ),
            (Integer, "9223372036854775808", None),
            (Integer, r#""42""#, Some(Cell::Integer(42))),
            (Integer, "1.0", None),
            (Integer, "[1]", None),
            (money, "1234.5", Some(Cell::Decimal(123_450))),
            (money, r#""-0.010""#, Some(Cell::Decimal(-1))),
            (money, "0.001", None),
            (money, "12345", None),
            (money, "1e2", Some(Cell::Decimal(10_000))),
            (money, "-1.2345E+3", Some(Cell::Decimal(-123_450))),
            (money, "1234.5E-1", Some(Cell::Decimal(12_345))),
            (money, "0E0", Some(Cell::Decimal(0))),
            (money, "1.5E7", None),
            (money, "12E-3", None),
            (money, "1E2147483648", None),
            (money, "1E-999", None),
            (money, "1e", None),
            (money, "xE2", None),
            (money, "éE-2", None),
            (money, r#"".5""#, None),
            (Date, r#""1970-01-02""#, Some(Cell::Date(1))),
            (Date, r#""1970-01-02T00:00:00Z""#, None),
            (
                Timestamp,
                r#""1970-01-01T00:00:01.5Z""#,
                Some(Cell::Timestamp(1_500)),
            ),
            (Timestamp, "1500", Some(Cell::Timestamp(1_500))),
            (Timestamp, r#""soon""#, None),
        ];
        for (kind, raw, expected) in table {
            assert_eq!(parse(*kind, raw), *expected, "{kind:?} {raw}");
        }
    }
}
