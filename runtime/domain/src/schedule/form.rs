//! The texts in a schedule, parsed once.

use crate::text_schema::text_schema;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Why a text in a schedule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidForm {
    /// No span of time, or one that is too short or too long.
    #[error("{0:?} is no pace: use a number and s, m, h or d, from 60s to 366d, such as 15m")]
    Every(String),
    /// No cron pattern, or one that never comes.
    #[error(
        "{0:?} is no cron pattern: use five fields (minute, hour, day, month, weekday) that come at some time, such as 0 3 * * *"
    )]
    Cron(String),
    /// No zone.
    #[error("{0:?} is no time zone: use an IANA name such as Europe/Paris")]
    Zone(String),
    /// No time of day.
    #[error("{0:?} is no time of day: use hh:mm, from 00:00 to 23:59")]
    TimeOfDay(String),
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Makes a type that is read from and written as text.
macro_rules! texts {
    ($($name:ident;)*) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidForm;
            fn try_from(text: String) -> Result<Self, InvalidForm> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(form: $name) -> String {
                form.to_string()
            }
        }
    )*};
}

texts! { Every; CronPattern; ZoneName; TimeOfDay; }

/// A pace: whole seconds, 60 at least. Shorter ones would start jobs faster than they
/// can say that there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Every {
    seconds: u64,
}

const EVERY_SECONDS: std::ops::RangeInclusive<u64> = 60..=366 * 86_400;
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Every {
    /// Parses `15m`, `1h30m` and the like.
    ///
    /// # Errors
    /// [`InvalidForm::Every`].
    pub fn parse(text: &str) -> Result<Self, InvalidForm> {
        let seconds = seconds(text).filter(|seconds| EVERY_SECONDS.contains(seconds));
        seconds
            .map(|seconds| Every { seconds })
            .ok_or_else(|| InvalidForm::Every(shown(text)))
    }

    /// In milliseconds.
    pub fn as_ms(self) -> u64 {
        self.seconds * 1_000
    }
}

fn seconds(text: &str) -> Option<u64> {
    let (mut sum, mut digits) = (0_u64, String::new());
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == letter)?;
        sum = sum.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    digits.is_empty().then_some(sum)
}

impl fmt::Display for Every {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.seconds;
        for (name, unit) in UNITS {
            if rest >= unit {
                write!(out, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

text_schema!(
    Every,
    "A pace from 60s to 366d, such as `15m` or `1h30m`.",
    "^([0-9]+[smhd])+$",
    32
);

/// A cron pattern of five fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CronPattern(Cron);

const CRON_CHARS_MAX: usize = 256;

impl CronPattern {
    /// Parses the text.
    ///
    /// # Errors
    /// [`InvalidForm::Cron`], also for a pattern that never comes.
    pub fn parse(text: &str) -> Result<Self, InvalidForm> {
        let invalid = || InvalidForm::Cron(shown(text));
        if text.len() > CRON_CHARS_MAX {
            return Err(invalid());
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(text).map_err(|_| invalid())?;
        // Any day serves: what comes at all, comes after it.
        let day = jiff::civil::date(2024, 1, 1).at(0, 0, 0, 0);
        cron.find_next_occurrence(&day, true)
            .map_err(|_| invalid())?;
        Ok(CronPattern(cron))
    }

    /// The first time after `now` at which it comes.
    pub(super) fn next_after(&self, now: &jiff::Zoned) -> Option<jiff::Timestamp> {
        let next = self.0.find_next_occurrence(now, false).ok()?;
        Some(next.timestamp())
    }
}

impl fmt::Display for CronPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_str())
    }
}

text_schema!(
    CronPattern,
    "A cron pattern of five fields: minute, hour, day of the month, month, day of the week, such as `0 3 * * *`.",
    "^\\S+(\\s+\\S+){4}$|^@[a-z]+$",
    CRON_CHARS_MAX
);

/// The name of a time zone in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

impl ZoneName {
    /// Parses the text.
    ///
    /// # Errors
    /// [`InvalidForm::Zone`] where the database has no such zone.
    pub fn parse(text: &str) -> Result<Self, InvalidForm> {
        zone(text).ok_or_else(|| InvalidForm::Zone(shown(text)))?;
        Ok(ZoneName(text.to_owned()))
    }

    /// The zone itself.
    pub(super) fn zone(&self) -> TimeZone {
        zone(&self.0).expect("it was found when the name was parsed, and the database is built in")
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

impl fmt::Display for ZoneName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

text_schema!(
    ZoneName,
    "A time zone by its IANA name, such as `Europe/Paris`.",
    "^[A-Za-z0-9_+/-]+$",
    64
);

/// A time of day, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

impl TimeOfDay {
    /// Parses `20:00`.
    ///
    /// # Errors
    /// [`InvalidForm::TimeOfDay`].
    pub fn parse(text: &str) -> Result<Self, InvalidForm> {
        let digits = |part: &str| {
            let two = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            two.then(|| part.parse::<i8>().ok()).flatten()
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Some((digits(hour)?, digits(minute)?)))
            .filter(|(hour, minute)| *hour < 24 && *minute < 60)
            .map(|(hour, minute)| TimeOfDay { hour, minute })
            .ok_or_else(|| InvalidForm::TimeOfDay(shown(text)))
    }

    /// On this day.
    pub(super) fn on(self, day: jiff::civil::Date) -> jiff::civil::DateTime {
        day.at(self.hour, self.minute, 0, 0)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02}:{:02}", self.hour, self.minute)
    }
}

text_schema!(
    TimeOfDay,
    "A time of day, such as `20:00`.",
    "^([01][0-9]|2[0-3]):[0-5][0-9]$",
    5
);

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl Weekday {
    /// Whether the day is one.
    pub(super) fn is(self, day: jiff::civil::Date) -> bool {
        day.weekday().to_monday_zero_offset() == self as i8
    }
}
