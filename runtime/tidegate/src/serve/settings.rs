//! The service's settings: one file and the environment, every part checked before
//! anything is opened. No secret stands in them; they name where secrets are.

use super::environment;
use crate::config;
use crate::telemetry;
use crate::yaml::{self, Node, Place, Value};
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Milliseconds of the grace that are not the workers': answers under way, and the last
/// telemetry.
pub(super) const ENDING_MS: u64 = 4_000;

/// Everything that an operator decides about a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Directory of the database, the node key, staged batches and compiled components.
    pub(crate) state: PathBuf,
    /// Where the API listens. It speaks plain HTTP: put TLS before it where others than
    /// this machine reach it.
    pub(crate) listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are served, without a key.
    pub(crate) health_listen: SocketAddr,
    /// Milliseconds from SIGTERM to the end of the process, at the most.
    pub(crate) grace_ms: u64,
    /// Bytes that the state directory's disk must have left for the service to be ready.
    pub(crate) disk_free_bytes_min: u64,
    /// The API: limits, and the address that browsers reach it by.
    pub(crate) api: tidegate_api::Config,
    /// The node: egress, limits of providers, workers.
    pub(crate) node: tidegate_engine::Config,
    /// Logs, figures and traces.
    pub(crate) telemetry: telemetry::Config,
}

impl Default for Settings {
    fn default() -> Settings {
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Settings {
            state: PathBuf::from("tidegate-state"),
            listen: here(8474),
            health_listen: here(8475),
            grace_ms: 30_000,
            disk_free_bytes_min: 512 << 20,
            api: tidegate_api::Config::default(),
            node: tidegate_engine::Config::default(),
            telemetry: telemetry::Config::default(),
        }
    }
}

impl Settings {
    /// Reads the file, and the variables over it.
    pub(crate) fn read(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings> {
        let mut tree = match file {
            Some(path) => config::node(path)?,
            None => Node {
                place: Place::START,
                value: Value::Map(Vec::new()),
            },
        };
        environment::overlay(&mut tree, variables)?;
        yaml::decode(&tree).map_err(|flaw| match file {
            Some(path) => config::flawed(path, flaw).into(),
            None => anyhow::anyhow!("the environment's settings: {}", flaw.reason),
        })
    }

    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<()> {
        self.node.check().context("node")?;
        self.node.broker.check().context("node.broker")?;
        self.api.check()?;
        self.telemetry.check()?;
        let drain_ms = self.node.worker.drain_ms;
        if self.grace_ms < drain_ms.saturating_add(ENDING_MS) {
            bail!(
                "grace_ms: must be {ENDING_MS} at least above node.worker.drain_ms, which is {drain_ms}"
            );
        }
        if self.listen == self.health_listen && self.listen.port() != 0 {
            bail!(
                "health_listen: must not be the address of the API, {}",
                self.listen
            );
        }
        Ok(())
    }

    /// As JSON, which is YAML too. Nothing has to be left out: secrets are named by
    /// where they are.
    pub(crate) fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// The grace.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(yaml: &str, variables: &[(&str, &str)]) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("serve.yaml");
        std::fs::write(&file, yaml).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::read(Some(&file), variables)
    }

    #[test]
    fn the_environment_comes_before_the_file_and_the_defaults_after_it() {
        let yaml = "grace_ms: 40000\nnode: { worker: { jobs_max: 4, drain_ms: 1000 } }\n";
        let read = read(
            yaml,
            &[
                ("TIDEGATE_NODE__WORKER__JOBS_MAX", "7"),
                ("TIDEGATE_LISTEN", "127.0.0.1:0"),
                ("TIDEGATE_TELEMETRY__LOG", "json"),
                ("TIDEGATE_LOG", "debug"),
                ("PATH", "/bin"),
            ],
        );
        let read = read.unwrap();
        assert_eq!(read.node.worker.jobs_max, 7);
        assert_eq!(read.node.worker.drain_ms, 1000);
        assert_eq!(read.grace_ms, 40_000);
        assert_eq!(read.listen.port(), 0);
        assert_eq!(read.health_listen, Settings::default().health_listen);
        read.check().unwrap();
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let from_file = read("grace_ms: 5\nnode:\n  leese_ms: 5\n", &[]).unwrap_err();
        let text = from_file.to_string();
        assert!(text.contains(":3:"), "{text}");
        assert!(text.contains("leese_ms"), "{text}");
        let from_variable = read("{}", &[("TIDEGATE_GRAZE_MS", "5")]).unwrap_err();
        let text = format!("{from_variable:#}");
        assert!(text.contains("TIDEGATE_GRAZE_MS"), "{text}");
        let wrong_type = read("{}", &[("TIDEGATE_NODE__LEASE_MS", "soon")]).unwrap_err();
        let text = format!("{wrong_type:#}");
        assert!(text.contains("TIDEGATE_NODE__LEASE_MS"), "{text}");
    }

    #[test]
    fn what_cannot_work_is_found_before_anything_starts() {
        for (yaml, name) in [
            ("grace_ms: 1000", "grace_ms"),
            ("health_listen: 127.0.0.1:8474", "health_listen"),
            ("node: { lease_ms: 1 }", "lease_ms"),
            ("node: { retention: { events_days: 1 } }", "events_days"),
            ("node: { broker: { limit_scale: 0 } }", "limit_scale"),
            ("api: { public_url: nowhere }", "public_url"),
            ("telemetry: { traces_ratio: 2 }", "traces_ratio"),
            ("telemetry: { otlp_endpoint: 'ftp://a' }", "otlp_endpoint"),
            (
                "telemetry: { otlp_headers: { a: '${env:TIDEGATE_NO_SUCH}' } }",
                "otlp_headers",
            ),
        ] {
            let found = read(yaml, &[]).unwrap().check();
            let text = format!("{:#}", found.unwrap_err());
            assert!(text.contains(name), "{yaml}: {text}");
        }
    }

    #[test]
    fn printed_settings_read_back_as_the_same() {
        let yaml = "telemetry: { otlp_headers: { authorization: '${env:TOKEN}' } }";
        let settings = read(yaml, &[]).unwrap();
        assert_eq!(read(&settings.text().unwrap(), &[]).unwrap(), settings);
    }

    /// Every leaf with its dotted name.
    fn leaves(value: &serde_json::Value, name: &str, found: &mut Vec<(String, String)>) {
        match value {
            serde_json::Value::Object(members) if !members.is_empty() => {
                for (member, value) in members {
                    let dot = if name.is_empty() { "" } else { "." };
                    leaves(value, &format!("{name}{dot}{member}"), found);
                }
            }
            leaf => found.push((name.to_owned(), leaf.to_string())),
        }
    }

    #[test]
    fn every_setting_is_documented_with_its_default() {
        let page = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/service/settings.md"
        );
        let page = std::fs::read_to_string(page).unwrap();
        let mut settings = Vec::new();
        let defaults = serde_json::to_value(Settings::default()).unwrap();
        leaves(&defaults, "", &mut settings);
        for (name, default) in &settings {
            let row = match name.as_str() {
                "node.broker.spool_dir" => "| `node.broker.spool_dir` | the system's |".to_owned(),
                name => format!("| `{name}` | `{default}` |"),
            };
            assert!(page.contains(&row), "docs/service/settings.md lacks: {row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.count(), settings.len(), "a setting is gone");
    }
}
