//! `tidegate init`: an example to begin with, which is sound as it is.

use crate::report::say;
use crate::validate;
use anyhow::{Context as _, Result, bail};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

const SCHEMA_FILE: &str = "tidegate.schema.json";

/// Writes the example into `folder`; what is there already stays, and stops it.
pub(crate) fn run(folder: &Path) -> Result<ExitCode> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot read {}", folder.display()))?;
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    let files = files(&here.join("lake"));
    if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
        bail!(
            "{} is there already; choose another directory",
            folder.join(name).display()
        );
    }
    for (name, text) in files {
        write(&folder.join(name), &text)?;
        say(&format!("wrote {}", folder.join(name).display()));
    }
    say("\nNext: put the token of a HubSpot private app into HUBSPOT_TOKEN, then");
    say(&format!("  tidegate validate {}", folder.display()));
    say("and, where a service runs that has the connector,");
    say(&format!("  tidegate apply {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let made = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    made.with_context(|| format!("cannot write {}", path.display()))
}

/// `lake` is where a service that is started here lets tenants land.
fn files(lake: &Path) -> [(&'static str, String); 3] {
    // A path may hold what YAML would take for its own; JSON's quotes are YAML's too.
    let url = serde_json::Value::String(format!("file://{}", lake.display()));
    let hint = format!("# yaml-language-server: $schema={SCHEMA_FILE}\n");
    let connection = format!("{hint}{CONNECTION}");
    let sync = format!("{hint}{}", SYNC.replace("{url}", &url.to_string()));
    [
        ("hubspot.yaml", connection),
        ("crm.yaml", sync),
        (SCHEMA_FILE, validate::schema() + "\n"),
    ]
}

const CONNECTION: &str = r#"# A connection: one use of a connector. Files may have any name, and one file may hold
# several documents, set apart by a line of three dashes.
kind: connection
id: hubspot
connector: hubspot           # the newest approved one; hubspot@1.0.0 and ./hubspot.wasm work too
config:
  auth: private_app
secrets:
  token: ${env:HUBSPOT_TOKEN}   # or ${file:/run/secrets/token}; a literal is refused
"#;

const SYNC: &str = r"# A sync: what is read, when, and where it lands.
kind: sync
id: hubspot-crm
connection: hubspot
streams:
  - name: contacts
    mode: incremental        # or full_refresh
    landing: append_dedup    # or append, or overwrite (with full_refresh)
target:
  url: {url}
  format: parquet            # or jsonl.zst, jsonl.gz, csv.gz
schedule:
  every: 1h                  # or cron: 0 3 * * * with time_zone: Europe/Paris
  # off_hours: { from: '20:00', to: '06:00' }
schema_policy: warn          # or evolve, freeze
";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::documents;

    #[test]
    fn the_example_is_sound_and_never_overwrites() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("it's a: #folder");
        run(&folder).unwrap();
        let read = documents::read(&folder).unwrap();
        assert_eq!(read.findings, []);
        assert_eq!((read.set.connections.len(), read.set.syncs.len()), (1, 1));
        let sync = read.set.syncs.values().next().unwrap();
        assert!(sync.target.url.ends_with("/lake"));
        assert!(
            run(&folder)
                .unwrap_err()
                .to_string()
                .contains("there already")
        );
    }
}
