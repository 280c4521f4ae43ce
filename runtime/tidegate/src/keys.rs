//! `tidegate keys`: the API keys of a tenant.

use crate::cli::{KeysCommand, Place, ServerArgs};
use crate::remote::Remote;
use crate::report::{print_line, say};
use crate::serve::mint_locally;
use anyhow::{Context as _, Result};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::process::ExitCode;
use tidegate_domain::access::Role;
use tidegate_store::SqliteStore;

/// Keys of a tenant that are listed: more than anyone should have.
const LISTED_MAX: usize = 10_000;

/// `tidegate keys …`.
pub(crate) async fn run(
    place: &Place,
    server: &ServerArgs,
    command: KeysCommand,
) -> Result<ExitCode> {
    match command {
        KeysCommand::Create {
            role,
            title,
            local: true,
        } => create_locally(place, role, &title).await?,
        KeysCommand::Create { role, title, .. } => {
            let asked = json!({ "role": role, "title": title });
            let made = Remote::new(server)?.post("/v1/keys", Some(&asked)).await?;
            let key = made["key"].as_str().context("the service sent no key")?;
            show_once(place, made["id"].as_str().unwrap_or_default(), key);
        }
        KeysCommand::List => {
            let keys = Remote::new(server)?
                .list("/v1/keys", &[], LISTED_MAX)
                .await?;
            for key in keys {
                let text = if place.json {
                    key.to_string()
                } else {
                    line(&key)
                };
                print_line(&text);
            }
        }
        KeysCommand::Revoke { key } => {
            let key: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
            Remote::new(server)?
                .delete(&format!("/v1/keys/{key}"))
                .await?;
            say("revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever holds the state directory holds the service; the lock of the database proves
/// that no service runs on it.
async fn create_locally(place: &Place, role: Role, title: &str) -> Result<()> {
    let folder = place
        .state
        .clone()
        .context("--local needs --state: the service's directory")?;
    let opened = {
        let database = folder.join("db");
        tokio::task::spawn_blocking(move || SqliteStore::open(&database)).await?
    };
    let store = opened.with_context(|| format!("{} cannot be opened", folder.display()))?;
    let key = mint_locally(&store, role, title).await?;
    show_once(place, "", key.expose_secret());
    Ok(())
}

fn show_once(place: &Place, id: &str, key: &str) {
    if place.json {
        return print_line(&json!({ "id": id, "key": key }).to_string());
    }
    say("The key is shown once, and kept nowhere:");
    print_line(key);
}

fn line(key: &Value) -> String {
    let word = |name: &str| key[name].as_str().unwrap_or_default();
    let ended = match key["revoked_at_ms"].is_null() {
        true => "",
        false => "revoked",
    };
    let text = format!(
        "{}  {:<14}  {ended:<7}  {}",
        word("id"),
        word("role"),
        word("title")
    );
    text.trim_end().to_owned()
}
