//! The imports `clock`, `log` and `metrics`.

use super::State;
use crate::bindings::{clock, log, metrics, types};
use crate::log::Level;

/// Labels of one value.
const LABELS_MAX: usize = 8;
/// Bytes of a series' name with its labels.
const SERIES_BYTES_MAX: usize = 256;

/// Only types.
impl types::Host for State {}

impl clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.enter()?.now_ms())
    }

    fn elapsed_ms(&mut self) -> wasmtime::Result<u64> {
        let live = self.enter()?;
        Ok(live.now_ms().saturating_sub(live.began_ms))
    }

    fn remaining_ms(&mut self) -> wasmtime::Result<u64> {
        let live = self.enter()?;
        let elapsed_ms = live.now_ms().saturating_sub(live.began_ms);
        let wall_ms = u64::try_from(live.budget.wall.as_millis()).unwrap_or(u64::MAX);
        Ok(wall_ms.saturating_sub(elapsed_ms))
    }
}

impl log::Host for State {
    fn write(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.enter()?.gate.write(level.into(), &message, &fields);
        Ok(())
    }

    fn enabled(&mut self, level: log::Level) -> wasmtime::Result<bool> {
        Ok(self.enter()?.gate.enabled(level.into()))
    }
}

impl metrics::Host for State {
    fn add(
        &mut self,
        name: String,
        delta: f64,
        labels: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.record(&name, delta, &labels)
    }

    fn observe(
        &mut self,
        name: String,
        value: f64,
        labels: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.record(&name, value, &labels)
    }
}

impl State {
    fn record(
        &mut self,
        name: &str,
        value: f64,
        labels: &[(String, String)],
    ) -> wasmtime::Result<()> {
        let series_max = self.enter()?.context.caps.series_max;
        let series = series(name, labels);
        if value.is_finite() && series.len() <= SERIES_BYTES_MAX && labels.len() <= LABELS_MAX {
            self.meter.record(series, value, series_max);
        }
        Ok(())
    }
}

/// `name{label=value,…}`, with nothing in it but letters, digits and `_.-`.
fn series(name: &str, labels: &[(String, String)]) -> String {
    let plain = |text: &str| -> String {
        text.chars()
            .take(SERIES_BYTES_MAX)
            .map(|char| match char {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-' => char,
                _ => '_',
            })
            .collect()
    };
    if labels.is_empty() {
        return plain(name);
    }
    let mut pairs: Vec<String> = labels
        .iter()
        .map(|(label, value)| format!("{}={}", plain(label), plain(value)))
        .collect();
    pairs.sort();
    format!("{}{{{}}}", plain(name), pairs.join(","))
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Level {
        match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::series;

    #[test]
    fn a_series_holds_no_character_that_a_text_format_could_trip_over() {
        let labels = [
            ("b\n".to_owned(), "x\"}".to_owned()),
            ("a".to_owned(), "1".to_owned()),
        ];
        assert_eq!(series("rows total", &labels), "rows_total{a=1,b_=x__}");
        assert_eq!(series("rows", &[]), "rows");
    }
}
