#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use jiff::Timestamp;
use proptest::prelude::*;

fn ms(text: &str) -> u64 {
    let instant: Timestamp = text.parse().unwrap();
    u64::try_from(instant.as_millisecond()).unwrap()
}

fn text(epoch_ms: u64) -> String {
    let instant = Timestamp::from_millisecond(i64::try_from(epoch_ms).unwrap()).unwrap();
    instant.to_string()
}

fn schedule(json: &str) -> Schedule {
    serde_json::from_str(json).unwrap()
}

/// Where each next time is, as UTC.
fn check(cron: &str, zone: &str, from: &str, expected: &[&str]) {
    let schedule = schedule(&format!(r#"{{"cron": "{cron}", "time_zone": "{zone}"}}"#));
    let mut now_ms = ms(from);
    for expected in expected {
        now_ms = schedule.next_after(now_ms, 7).unwrap();
        assert_eq!(text(now_ms), *expected, "{cron} in {zone} after {from}");
    }
}

#[test]
fn a_daily_time_moves_with_the_clocks() {
    check(
        "0 3 * * *",
        "Europe/Paris",
        "2026-03-27T12:00:00Z",
        // On 29 March at 02:00 it becomes 03:00.
        &[
            "2026-03-28T02:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T01:00:00Z",
        ],
    );
    check(
        "0 3 * * *",
        "America/New_York",
        "2026-10-31T12:00:00Z",
        // On 1 November at 02:00 it becomes 01:00.
        &["2026-11-01T08:00:00Z", "2026-11-02T08:00:00Z"],
    );
}

#[test]
fn a_daily_time_that_spring_skips_runs_right_after_the_gap() {
    check(
        "30 2 * * *",
        "Europe/Paris",
        "2026-03-28T12:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    );
    check(
        "30 2 * * *",
        "America/New_York",
        "2026-03-07T12:00:00Z",
        &["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
    );
}

#[test]
fn a_daily_time_that_autumn_repeats_runs_once() {
    check(
        "30 2 * * *",
        "Europe/Paris",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    );
    check(
        "30 1 * * *",
        "America/New_York",
        "2026-10-31T12:00:00Z",
        &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
    );
}

#[test]
fn an_hourly_pattern_keeps_its_pace_when_clocks_change() {
    check(
        "0 * * * *",
        "Europe/Paris",
        "2026-03-29T00:30:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
    );
    check(
        "0 * * * *",
        "Europe/Paris",
        "2026-10-24T23:30:00Z",
        &[
            "2026-10-25T00:00:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T02:00:00Z",
        ],
    );
    check(
        "*/30 * * * *",
        "America/New_York",
        "2026-11-01T05:15:00Z",
        &[
            "2026-11-01T05:30:00Z",
            "2026-11-01T06:00:00Z",
            "2026-11-01T06:30:00Z",
        ],
    );
}

#[test]
fn without_a_zone_it_is_utc() {
    let plain = schedule(r#"{"cron": "0 3 * * 1"}"#);
    let next = plain.next_after(ms("2026-11-22T00:00:00Z"), 0).unwrap();
    assert_eq!(text(next), "2026-11-23T03:00:00Z");
}

#[test]
fn syncs_of_one_pace_are_spread_over_it() {
    let schedule = schedule(r#"{"every": "15m"}"#);
    let now_ms = ms("2026-11-22T00:00:00Z");
    for (spread, expected) in [
        (0, "2026-11-22T00:15:00Z"),
        (1, "2026-11-22T00:00:00.001Z"),
        (900_001, "2026-11-22T00:00:00.001Z"),
        (899_999, "2026-11-22T00:14:59.999Z"),
    ] {
        let next = schedule.next_after(now_ms, spread).unwrap();
        assert_eq!(text(next), expected, "spread {spread}");
        assert_eq!(schedule.next_after(next, spread), Some(next + 900_000));
    }
}

#[test]
fn missed_runs_run_once() {
    let schedule = schedule(r#"{"every": "1h"}"#);
    let hour = 3_600_000;
    let due = |next_at_ms, now_ms| schedule.due(next_at_ms, now_ms, 0);
    let expected = |fires, next_at_ms| Due {
        fires,
        next_at_ms: Some(next_at_ms),
    };
    assert_eq!(
        due(None, 10),
        expected(false, hour),
        "a new one waits for its time"
    );
    assert_eq!(due(Some(hour), 10), expected(false, hour));
    assert_eq!(due(Some(hour), hour), expected(true, 2 * hour));
    assert_eq!(due(Some(hour), 100 * hour + 1), expected(true, 101 * hour));
}

#[test]
fn what_no_clock_starts_is_never_due() {
    for json in [
        r#"{"after": "other"}"#,
        r#"{"off_hours": {"from": "20:00", "to": "06:00"}}"#,
    ] {
        assert_eq!(schedule(json).next_after(0, 0), None, "{json}");
    }
}

#[test]
fn a_schedule_that_cannot_work_is_refused() {
    let table = [
        (r#"{"every": "59s"}"#, "no pace"),
        (r#"{"every": "367d"}"#, "no pace"),
        (r#"{"every": "15"}"#, "no pace"),
        (r#"{"every": "99999999999999999999d"}"#, "no pace"),
        (r#"{"cron": "* * * * * *"}"#, "five fields"),
        (r#"{"cron": "0 0 30 2 *"}"#, "at some time"),
        (r#"{"cron": "61 * * * *"}"#, "no cron pattern"),
        (
            r#"{"cron": "0 3 * * *", "time_zone": "Europe/Lutetia"}"#,
            "no time zone",
        ),
        (
            r#"{"off_hours": {"from": "24:00", "to": "06:00"}}"#,
            "no time of day",
        ),
        (
            r#"{"off_hours": {"from": "8:00", "to": "06:00"}}"#,
            "no time of day",
        ),
        (r#"{"ever": "15m"}"#, "unknown field"),
    ];
    for (json, expected) in table {
        let error = serde_json::from_str::<Schedule>(json)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
    let table = [
        (r#"{"every": "15m"}"#, None),
        (
            r#"{"off_hours": {"from": "20:00", "to": "06:00"}, "time_zone": "UTC"}"#,
            None,
        ),
        (r"{}", Some("")),
        (r#"{"every": "15m", "cron": "0 3 * * *"}"#, Some("")),
        (
            r#"{"every": "15m", "time_zone": "UTC"}"#,
            Some("/time_zone"),
        ),
    ];
    for (json, expected) in table {
        let found = schedule(json).validate();
        let pointer = found.first().map(|problem| problem.pointer.as_str());
        assert_eq!(pointer, expected, "{json}");
    }
}

#[test]
fn forms_survive_their_text() {
    for text in ["1m", "15m", "1h30m", "2d"] {
        assert_eq!(Every::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Every::parse("90m").unwrap().to_string(), "1h30m");
    assert_eq!(TimeOfDay::parse("06:05").unwrap().to_string(), "06:05");
    let json = r#"{"cron":"0 3 * * MON-FRI","time_zone":"Europe/Paris"}"#;
    let again = serde_json::to_string(&schedule(json)).unwrap();
    assert_eq!(schedule(&again), schedule(json));
}

fn hours(json: &str, now: &str) -> (bool, Option<String>) {
    let schedule = schedule(&format!(r#"{{"off_hours": {json}}}"#));
    match schedule.hours(ms(now)) {
        Hours::Open { until_ms } => (true, until_ms.map(text)),
        Hours::Closed { until_ms } => (false, Some(text(until_ms))),
    }
}

#[test]
fn hours_may_cross_midnight() {
    let night = r#"{"from": "20:00", "to": "06:00", "time_zone": "Europe/Paris"}"#;
    for (now, open, until) in [
        ("2026-11-22T18:59:59Z", false, "2026-11-22T19:00:00Z"),
        ("2026-11-22T19:00:00Z", true, "2026-11-23T05:00:00Z"),
        ("2026-11-23T04:59:59Z", true, "2026-11-23T05:00:00Z"),
        ("2026-11-23T05:00:00Z", false, "2026-11-23T19:00:00Z"),
    ] {
        assert_eq!(hours(night, now), (open, Some(until.to_owned())), "{now}");
    }
}

#[test]
fn a_night_in_which_clocks_change_is_longer_or_shorter() {
    let night = r#"{"from": "20:00", "to": "06:00", "time_zone": "America/New_York"}"#;
    for (now, until) in [
        ("2026-03-08T02:00:00Z", "2026-03-08T10:00:00Z"),
        ("2026-11-01T02:00:00Z", "2026-11-01T11:00:00Z"),
    ] {
        assert_eq!(hours(night, now), (true, Some(until.to_owned())), "{now}");
    }
    // 02:30 does not exist on this day; the hours begin when the clock jumps over it.
    let gap = r#"{"from": "02:30", "to": "04:00", "time_zone": "Europe/Paris"}"#;
    assert_eq!(
        hours(gap, "2026-03-29T00:45:00Z"),
        (false, Some("2026-03-29T01:30:00Z".to_owned()))
    );
}

#[test]
fn hours_begin_on_their_days() {
    let weekend = r#"{"from": "22:00", "to": "22:00", "days": ["friday", "saturday"]}"#;
    for (now, open, until) in [
        // 22 November 2026 is a Sunday.
        ("2026-11-20T21:59:00Z", false, "2026-11-20T22:00:00Z"),
        ("2026-11-20T22:00:00Z", true, "2026-11-22T22:00:00Z"),
        ("2026-11-22T21:00:00Z", true, "2026-11-22T22:00:00Z"),
        ("2026-11-22T22:00:00Z", false, "2026-11-27T22:00:00Z"),
    ] {
        assert_eq!(hours(weekend, now), (open, Some(until.to_owned())), "{now}");
    }
}

#[test]
fn hours_without_an_end_stay_open() {
    let always = r#"{"from": "00:00", "to": "00:00"}"#;
    assert_eq!(hours(always, "2026-11-22T12:00:00Z"), (true, None));
    let none = schedule(r#"{"every": "1h"}"#).hours(5);
    assert_eq!(none, Hours::Open { until_ms: None });
}

proptest! {
    /// Whatever the hours: when they are closed they open at the time that was said, and
    /// no minute between says otherwise.
    #[test]
    fn hours_change_when_they_say(
        from in 0..1440_u32, to in 0..1440_u32, days in prop::collection::vec(0..7_usize, 0..4),
        zone in prop::sample::select(vec!["Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
        now_ms in 1_700_000_000_000_u64..1_900_000_000_000, between in 0.0..1.0_f64,
    ) {
        let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let days: Vec<_> = days.into_iter().map(|day| names[day]).collect();
        let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let json = serde_json::json!({"off_hours": {
            "from": clock(from), "to": clock(to), "days": days, "time_zone": zone,
        }});
        let schedule: Schedule = serde_json::from_value(json).unwrap();
        let open = |now_ms| matches!(schedule.hours(now_ms), Hours::Open { .. });
        let until_ms = match schedule.hours(now_ms) {
            Hours::Open { until_ms: Some(until_ms) } => until_ms,
            Hours::Open { until_ms: None } => return Ok(()),
            Hours::Closed { until_ms } => until_ms,
        };
        prop_assert!(until_ms > now_ms);
        let inside_ms = now_ms + ((until_ms - now_ms) as f64 * between) as u64;
        prop_assert_eq!(open(inside_ms.min(until_ms - 1)), open(now_ms));
        prop_assert_ne!(open(until_ms), open(now_ms));
    }

    #[test]
    fn the_next_beat_is_after_now_and_within_the_pace(now_ms in 0..1_u64 << 45, spread: u64) {
        let schedule = schedule(r#"{"every": "7m"}"#);
        let next_ms = schedule.next_after(now_ms, spread).unwrap();
        prop_assert!(next_ms > now_ms && next_ms <= now_ms + 420_000);
    }
}
