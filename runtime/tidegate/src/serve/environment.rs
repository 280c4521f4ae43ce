//! Settings from the environment: `TIDEGATE_NODE__WORKER__JOBS_MAX=8` is
//! `node: { worker: { jobs_max: 8 } }`. A name that is no setting is refused, since it
//! is most likely a mistyped one.

use super::settings::Settings;
use crate::yaml::{self, Entry, Node, Place, Value};
use anyhow::{Result, bail};

const PREFIX: &str = "TIDEGATE_";
/// Between the names of a path.
const SEPARATOR: &str = "__";
/// Variables that are no settings: of the command line, of crash points and of tests.
const OTHERS: &[&str] = &[
    "TIDEGATE_STATE",
    "TIDEGATE_OPERATOR",
    "TIDEGATE_CONFIG",
    "TIDEGATE_LOG",
    "TIDEGATE_URL",
    "TIDEGATE_KEY",
    "TIDEGATE_NODE_KEY",
    "TIDEGATE_CRASH",
    "TIDEGATE_PROOF",
    "TIDEGATE_PROOF_DIR",
];

/// Puts the settings among the variables into the tree, in place of what it says there.
pub(super) fn overlay(
    tree: &mut Node,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<()> {
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if OTHERS.contains(&name.as_str()) || name.starts_with("TIDEGATE_TEST_") {
            continue;
        }
        let path = path.to_ascii_lowercase();
        let parts: Vec<&str> = path.split(SEPARATOR).collect();
        let mut alone = map(Vec::new());
        put(&mut alone, &parts, value(&name, &text)?);
        // Alone, so that what does not fit is this variable's fault.
        if let Err(flaw) = yaml::decode::<Settings>(&alone) {
            bail!("{name}: {}", flaw.reason);
        }
        put(tree, &parts, value(&name, &text)?);
    }
    Ok(())
}

/// YAML, so that lists and numbers can be given.
fn value(name: &str, text: &str) -> Result<Node> {
    let mut documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(flaw) => bail!("{name}: {}", flaw.reason),
    };
    match (documents.pop(), documents.is_empty()) {
        (Some(node), true) => Ok(node),
        _ => bail!("{name}: one value is wanted"),
    }
}

fn map(entries: Vec<Entry>) -> Node {
    Node {
        place: Place::START,
        value: Value::Map(entries),
    }
}

fn put(tree: &mut Node, path: &[&str], node: Node) {
    let [key, rest @ ..] = path else {
        *tree = node;
        return;
    };
    if !matches!(tree.value, Value::Map(_)) {
        *tree = map(Vec::new());
    }
    let Value::Map(entries) = &mut tree.value else {
        unreachable!("it was made a map");
    };
    let at = entries.iter().position(|entry| entry.key == *key);
    let at = at.unwrap_or_else(|| {
        entries.push(Entry {
            place: Place::START,
            key: (*key).to_owned(),
            node: map(Vec::new()),
        });
        entries.len() - 1
    });
    put(&mut entries[at].node, rest, node);
}
