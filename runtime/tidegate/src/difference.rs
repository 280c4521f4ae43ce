//! What `plan` shows: the difference between documents here and on the server.

use serde_json::Value;
use std::fmt::Write as _;
use tidegate_domain::spec::{Change, ChangeAction, FieldChange};

/// A secret whose value is to be written; the value is nobody's to see.
#[derive(Debug)]
pub(crate) struct SecretChange {
    /// Its name on the server.
    pub(crate) name: String,
    /// Whether the server has none of this name.
    pub(crate) is_new: bool,
}

/// The difference as text: a block for each document, a line for each field and secret,
/// and how much it is in all.
pub(crate) fn render(changes: &[Change], secrets: &[SecretChange], is_coloured: bool) -> String {
    let mut text = String::new();
    let paint = Paint(is_coloured);
    for secret in secrets {
        let (sign, colour, state) = match secret.is_new {
            true => ('+', GREEN, "new"),
            false => ('~', YELLOW, "changed"),
        };
        let shown = format!("{sign} secret {}: {state}", secret.name);
        line(&mut text, &paint.with(colour, &shown));
    }
    for change in changes {
        let (sign, colour) = match change.action {
            ChangeAction::Create => ('+', GREEN),
            ChangeAction::Update => ('~', YELLOW),
            ChangeAction::Remove => ('-', RED),
        };
        line(
            &mut text,
            &paint.with(colour, &format!("{sign} {}", change.document)),
        );
        for field in &change.fields {
            line(&mut text, &paint.field(field, change.action));
        }
    }
    let count = |action| {
        changes
            .iter()
            .filter(|change| change.action == action)
            .count()
    };
    let (create, update, remove) = (
        count(ChangeAction::Create),
        count(ChangeAction::Update),
        count(ChangeAction::Remove),
    );
    line(
        &mut text,
        &match (changes.len(), secrets.len()) {
            (0, 0) => "Nothing to change.".to_owned(),
            (_, 0) => format!("{create} to create, {update} to change, {remove} to remove."),
            (_, secrets) => format!(
                "{create} to create, {update} to change, {remove} to remove; secrets to write: {secrets}."
            ),
        },
    );
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String does not fail");
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;

struct Paint(bool);

impl Paint {
    fn with(&self, colour: u8, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn field(&self, field: &FieldChange, action: ChangeAction) -> String {
        let name = &field.field;
        let after = |value| self.with(GREEN, &shown(value));
        let before = |value| self.with(RED, &shown(value));
        match (&field.before, &field.after) {
            (Some(old), Some(new)) => format!("    {name}: {} -> {}", before(old), after(new)),
            (None, Some(new)) if action == ChangeAction::Create => {
                format!("    {name}: {}", after(new))
            }
            (None, Some(new)) => format!("  + {name}: {}", after(new)),
            (Some(old), None) => format!("  - {name}: {}", before(old)),
            (None, None) => format!("    {name}"),
        }
    }
}

/// As it would be written, without what a terminal might take for a command.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;
    use tidegate_domain::spec::{DocumentSet, diff};

    fn set(json: Value) -> DocumentSet {
        serde_json::from_value(json).unwrap()
    }

    fn before() -> DocumentSet {
        set(json!({
            "connections": { "hubspot": { "connector": "hubspot@1.0.0" }, "old": { "connector": "x" } },
            "syncs": { "crm": {
                "connection": "hubspot",
                "streams": [{ "name": "contacts", "fields": ["email"] }],
                "target": { "url": "file:///lake" },
            } },
        }))
    }

    fn after() -> DocumentSet {
        set(json!({
            "connections": {
                "hubspot": { "connector": "hubspot@1.1.0" },
                "new": { "connector": "y", "account": "a\u{1b}[31mb" },
            },
            "syncs": { "crm": {
                "connection": "hubspot",
                "streams": [{ "name": "contacts" }],
                "target": { "url": "file:///lake" },
                "schedule": { "every": "15m" },
            } },
        }))
    }

    #[test]
    fn a_plan_shows_each_field_that_changes() {
        let expected = "\
~ connection hubspot
    connector: hubspot@1.0.0 -> hubspot@1.1.0
+ connection new
    account: a[31mb
    config: {}
    connector: y
~ sync crm
  + schedule.every: 15m
  - streams[contacts].fields: [\"email\"]
- connection old
1 to create, 2 to change, 1 to remove.
";
        assert_eq!(render(&diff(&before(), &after()), &[], false), expected);
    }

    #[test]
    fn colours_are_only_added() {
        let changes = diff(&before(), &after());
        let coloured = render(&changes, &[], true);
        assert!(coloured.contains("\u{1b}[33m~ sync crm\u{1b}[0m"));
        let plain = [RED, GREEN, YELLOW, 0]
            .iter()
            .fold(coloured, |text, colour| {
                text.replace(&format!("\u{1b}[{colour}m"), "")
            });
        assert_eq!(plain, render(&changes, &[], false));
    }

    #[test]
    fn of_a_secret_only_its_name_is_shown() {
        let secrets = [("a.token", true), ("b.key", false)].map(|(name, is_new)| SecretChange {
            name: name.to_owned(),
            is_new,
        });
        assert_eq!(
            render(&[], &secrets, false),
            "\
+ secret a.token: new
~ secret b.key: changed
0 to create, 0 to change, 0 to remove; secrets to write: 2.
"
        );
    }

    #[test]
    fn no_difference_says_so() {
        assert_eq!(
            render(&diff(&after(), &after()), &[], true),
            "Nothing to change.\n"
        );
    }
}
