//! The value of one property of one generated record, as plain text.

use super::words;
use super::{Row, below, mix};
use crate::clock::{Instant, date_bytes, iso_bytes};

/// How a property's value follows from a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Generator {
    ObjectId,
    Created,
    Modified,
    /// Ends in the index, so that a lookup by address needs no scan.
    Email,
    /// Ends in the index, for the same reason.
    Domain,
    Website,
    FirstName,
    LastName,
    City,
    Country,
    Company,
    JobTitle,
    Notes,
    DealName,
    Street,
    Phone,
    PostCode,
    /// An owner's id, or null for one record in eight.
    Owner,
    /// One of the options, or null for `null_per_mille` in 1000.
    Choice {
        options: &'static [(&'static str, &'static str)],
        null_per_mille: u32,
    },
    /// One or two of the options, joined with `;`.
    Choices {
        options: &'static [(&'static str, &'static str)],
    },
    /// A whole number below the bound, or null.
    Count {
        below: u32,
        null_per_mille: u32,
    },
    /// A number with two decimals, or null.
    Money {
        below: u32,
        null_per_mille: u32,
    },
    Flag,
    /// True for this many of a thousand.
    Share {
        per_mille: u32,
    },
    Day,
    Moment,
    /// Null unless somebody wrote a value.
    Unset,
}

impl Generator {
    /// Whether even a record that is otherwise empty has this value.
    pub(crate) fn is_system(self) -> bool {
        matches!(
            self,
            Generator::ObjectId | Generator::Created | Generator::Modified
        )
    }

    /// Whether the text may hold characters that JSON must escape.
    pub(crate) fn escapes(self) -> bool {
        matches!(
            self,
            Generator::Company | Generator::JobTitle | Generator::Notes | Generator::DealName
        )
    }
}

/// Appends the value's text and returns true, or returns false for null.
pub(crate) fn write_value(generator: Generator, salt: u64, row: &Row, out: &mut Vec<u8>) -> bool {
    let hash = mix(row.hash ^ salt);
    match generator {
        Generator::ObjectId => number(out, row.id),
        Generator::Created => out.extend_from_slice(&Instant::new(row.created_ms)),
        Generator::Modified => out.extend_from_slice(&Instant::new(row.modified_ms)),
        Generator::Email => {
            out.extend_from_slice(b"user.");
            number(out, u64::from(below(hash, 1000)));
            out.push(b'-');
            number(out, row.index);
            out.extend_from_slice(b"@example.com");
        }
        Generator::Domain => {
            out.extend_from_slice(b"c");
            number(out, u64::from(below(hash, 100)));
            out.push(b'-');
            number(out, row.index);
            out.extend_from_slice(b".example.com");
        }
        Generator::Website => {
            out.extend_from_slice(b"https://www.example.com/");
            number(out, u64::from(below(hash, 1_000_000)));
        }
        Generator::FirstName => word(out, hash, words::FIRST_NAMES),
        Generator::LastName => word(out, hash, words::LAST_NAMES),
        Generator::City => word(out, hash, words::CITIES),
        Generator::Country => word(out, hash, words::COUNTRIES),
        Generator::Company => word(out, hash, words::COMPANIES),
        Generator::JobTitle => word(out, hash, words::JOB_TITLES),
        Generator::Notes => {
            word(out, hash, words::NOTE_OPENINGS);
            out.push(b' ');
            word(out, mix(hash), words::NOTE_CLOSINGS);
        }
        Generator::DealName => {
            word(out, hash, words::COMPANIES);
            out.extend_from_slice(b" - ");
            word(out, mix(hash), words::DEAL_SUBJECTS);
        }
        Generator::Street => {
            word(out, hash, words::STREETS);
            out.push(b' ');
            number(out, u64::from(below(mix(hash), 400) + 1));
        }
        _ => return write_plain(generator, hash, row, out),
    }
    true
}

fn write_plain(generator: Generator, hash: u64, row: &Row, out: &mut Vec<u8>) -> bool {
    // The low bits decide null, the high bits decide the value.
    let null = |per_mille: u32| below(hash << 32, 1000) < per_mille;
    match generator {
        Generator::Phone => {
            out.extend_from_slice(b"+49 30 ");
            number(out, 1_000_000 + u64::from(below(hash, 9_000_000)));
        }
        Generator::PostCode => number(out, 10_000 + u64::from(below(hash, 90_000))),
        Generator::Owner => {
            if null(125) {
                return false;
            }
            number(out, 40_000_001 + u64::from(below(hash, 24)));
        }
        Generator::Choice {
            options,
            null_per_mille,
        } => {
            if null(null_per_mille) {
                return false;
            }
            out.extend_from_slice(option(hash, options));
        }
        Generator::Choices { options } => {
            let first = option(hash, options);
            let second = option(mix(hash), options);
            out.extend_from_slice(first);
            if first != second {
                out.push(b';');
                out.extend_from_slice(second);
            }
        }
        Generator::Count {
            below: bound,
            null_per_mille,
        } => {
            if null(null_per_mille) {
                return false;
            }
            number(out, u64::from(below(hash, bound)));
        }
        Generator::Money {
            below: bound,
            null_per_mille,
        } => {
            if null(null_per_mille) {
                return false;
            }
            number(out, u64::from(below(hash, bound)));
            let cents = u8::try_from(below(mix(hash), 100)).unwrap_or(0);
            out.extend_from_slice(&[b'.', b'0' + cents / 10, b'0' + cents % 10]);
        }
        Generator::Flag => out.extend_from_slice(if hash & 1 == 0 { b"true" } else { b"false" }),
        Generator::Share { per_mille } => {
            let yes = below(hash, 1000) < per_mille;
            out.extend_from_slice(if yes { b"true" } else { b"false" });
        }
        Generator::Day => {
            let day = row.created_ms / 86_400_000 + i64::from(below(hash, 730));
            out.extend_from_slice(&date_bytes(day));
        }
        Generator::Moment => {
            let moment = row.created_ms + i64::from(below(hash, 2_000_000_000)) * 10;
            out.extend_from_slice(&iso_bytes(moment));
        }
        _ => return false,
    }
    true
}

/// The index that a generated address or domain names, if it looks like one.
pub(crate) fn email_index(text: &str) -> Option<u64> {
    let local = text
        .strip_suffix("@example.com")
        .or_else(|| text.strip_suffix(".example.com"))?;
    local.rsplit_once('-')?.1.parse().ok()
}

/// Appends a number in decimal.
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = value;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

fn word(out: &mut Vec<u8>, hash: u64, list: &[&str]) {
    let at = below(hash, u32::try_from(list.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(list[at as usize].as_bytes());
}

fn option(hash: u64, options: &[(&'static str, &'static str)]) -> &'static [u8] {
    let at = below(hash, u32::try_from(options.len()).unwrap_or(u32::MAX));
    options[at as usize].0.as_bytes()
}
