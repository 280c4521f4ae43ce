//! `tidegate apply`, and `tidegate plan` against a service: a directory of configuration
//! as one request. The service makes it so in one transaction, so a client that dies on
//! the way leaves the old state or the new one.

use crate::cli::{ServerArgs, SetArgs};
use crate::config;
use crate::difference::SecretChange;
use crate::plan;
use crate::remote::Remote;
use crate::report::{print_line, say};
use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use tidegate_domain::spec::{
    Change, ConnectorRef, DocumentKey, DocumentSet, SecretName, SecretRef, SecretSlot,
};
use tidegate_landing::log;

/// Shows what the directory would change; whether it would anything.
pub(crate) async fn plan(server: &ServerArgs, set: &SetArgs, json: bool) -> Result<bool> {
    let plan = ask(server, set, true, json).await?;
    Ok(!plan.changes.is_empty() || !plan.secrets.is_empty())
}

/// Makes the service be as the directory says.
pub(crate) async fn run(server: &ServerArgs, set: &SetArgs, json: bool) -> Result<ExitCode> {
    let plan = ask(server, set, false, json).await?;
    if !json && (!plan.changes.is_empty() || !plan.secrets.is_empty()) {
        say("Applied.");
    }
    Ok(ExitCode::SUCCESS)
}

/// What a service answers.
#[derive(Deserialize)]
struct Plan {
    changes: Vec<Change>,
    secrets: Vec<String>,
    unmanaged: Vec<DocumentKey>,
}

async fn ask(server: &ServerArgs, set: &SetArgs, is_dry: bool, json: bool) -> Result<Plan> {
    let bundle = Bundle::read(&set.folder, is_dry)?;
    let remote = Remote::new(server)?;
    let known = match bundle.secrets.is_empty() {
        true => BTreeSet::new(),
        false => names(&remote.list("/v1/secrets", &[], usize::MAX).await?),
    };
    let path = format!("/v1/apply?dry_run={is_dry}&prune={}", set.prune);
    let answer = remote.post(&path, Some(&bundle.body()?)).await?;
    if json {
        print_line(&answer.to_string());
    }
    let plan: Plan = serde_json::from_value(answer).context("the service's answer is no plan")?;
    if !json {
        let secrets = plan.secrets.iter().map(|name| SecretChange {
            name: name.clone(),
            is_new: !known.contains(name),
        });
        plan::show(&plan.changes, &secrets.collect::<Vec<_>>());
        for document in &plan.unmanaged {
            let folder = set.folder.display();
            say(&format!(
                "not in {folder}, and stays: {document} (--prune removes it)"
            ));
        }
    }
    Ok(plan)
}

fn names(secrets: &[Value]) -> BTreeSet<String> {
    let names = secrets.iter().filter_map(|secret| secret["name"].as_str());
    names.map(str::to_owned).collect()
}

/// A directory without anything that only this machine knows: values of secrets stand
/// beside the documents, and components are named by their digest.
struct Bundle {
    set: DocumentSet,
    secrets: BTreeMap<SecretName, SecretString>,
}

impl Bundle {
    fn read(folder: &Path, is_dry: bool) -> Result<Bundle> {
        let documents = plan::sound(folder)?;
        let mut bundle = Bundle {
            set: documents.set.clone(),
            secrets: BTreeMap::new(),
        };
        for (id, connection) in &mut bundle.set.connections {
            if let Some(path) = documents.component(id) {
                let wasm = std::fs::read(&path);
                let wasm = wasm.with_context(|| format!("cannot read {}", path.display()))?;
                connection.connector = ConnectorRef::Digest(log::sha256(&wasm));
            }
            for slot in connection.secret_slots(id) {
                take(
                    &mut bundle.secrets,
                    &format!("connection {id}"),
                    slot,
                    is_dry,
                )?;
            }
        }
        for (id, sync) in &mut bundle.set.syncs {
            for slot in sync.secret_slots(id) {
                take(&mut bundle.secrets, &format!("sync {id}"), slot, is_dry)?;
            }
        }
        for (id, subscription) in &mut bundle.set.subscriptions {
            for slot in subscription.secret_slots(id) {
                take(
                    &mut bundle.secrets,
                    &format!("subscription {id}"),
                    slot,
                    is_dry,
                )?;
            }
        }
        Ok(bundle)
    }

    fn body(&self) -> Result<Value> {
        let mut body = serde_json::to_value(&self.set)?;
        let secrets = self.secrets.iter();
        let secrets = secrets.map(|(name, value)| (name.to_string(), json!(value.expose_secret())));
        body["secrets"] = Value::Object(secrets.collect());
        Ok(body)
    }
}

/// Reads a secret from where it is here, and names it by where it is used. A plan does
/// without those that are not here: a reviewer may have none.
fn take(
    secrets: &mut BTreeMap<SecretName, SecretString>,
    document: &str,
    slot: SecretSlot<'_>,
    is_dry: bool,
) -> Result<()> {
    if matches!(slot.reference, SecretRef::Secret(_)) {
        return Ok(());
    }
    let field = format!("{document}{}", slot.pointer);
    match config::resolve(slot.reference, &field) {
        Ok(value) => drop(secrets.insert(slot.name.clone(), value)),
        Err(error) if is_dry => say(&format!("{error}; whether it would change is not shown")),
        Err(error) => return Err(error.into()),
    }
    *slot.reference = SecretRef::Secret(slot.name);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn bundle(folder: &Path, connector: &str, secrets: &str) -> Bundle {
        std::fs::write(folder.join("token"), "s3cret\n").unwrap();
        std::fs::write(folder.join("guest.wasm"), b"abc").unwrap();
        let secrets = secrets.replace("{folder}", &folder.display().to_string());
        let text =
            format!("kind: connection\nid: crm\nconnector: {connector}\nsecrets: {secrets}\n");
        std::fs::write(folder.join("crm.yaml"), text).unwrap();
        Bundle::read(folder, false).unwrap()
    }

    #[test]
    fn what_only_this_machine_knows_does_not_leave_it_in_a_document() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = "{ token: '${file:{folder}/token}', other: '${secret:kept}' }";
        let bundle = bundle(folder.path(), "./guest.wasm", secrets);
        let body = bundle.body().unwrap();
        let crm = &body["connections"]["crm"];
        assert_eq!(
            crm["secrets"],
            json!({ "token": "${secret:connection.crm.secrets.token}", "other": "${secret:kept}" })
        );
        assert_eq!(
            body["secrets"],
            json!({ "connection.crm.secrets.token": "s3cret" })
        );
        let of_abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(crm["connector"], of_abc);
    }
}
