//! What happened to a record, as webhooks tell it.

use serde_json::{Value, json};

use crate::control::Changed;
use crate::hubspot::account::Account;
use crate::hubspot::associations::{End, Label};
use crate::hubspot::kind::Kind;

/// Something that happened to a record.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) object_id: u64,
    pub(crate) occurred_ms: i64,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Creation,
    Deletion,
    Restore,
    Property {
        name: String,
        value: Option<String>,
    },
    Merge {
        merged: u64,
        properties: usize,
    },
    Association {
        to: u64,
        name: String,
        is_primary: bool,
        removed: bool,
    },
}

impl What {
    /// Its part of a subscription's name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            What::Creation => "creation",
            What::Deletion => "deletion",
            What::Restore => "restore",
            What::Property { .. } => "propertyChange",
            What::Merge { .. } => "merge",
            What::Association { .. } => "associationChange",
        }
    }
}

impl Event {
    /// The event, without what says for whom it is.
    pub(crate) fn told(&self) -> Value {
        let mut told = json!({
            "occurredAt": self.occurred_ms,
            "attemptNumber": 0,
            "changeSource": "CRM",
        });
        let id = json!(self.object_id);
        match &self.what {
            What::Creation => {
                told["objectId"] = id;
                told["changeFlag"] = json!("CREATED");
            }
            What::Deletion => {
                told["objectId"] = id;
                told["changeFlag"] = json!("DELETED");
            }
            What::Restore => {
                told["objectId"] = id;
                told["changeFlag"] = json!("RESTORED");
            }
            What::Property { name, value } => {
                told["objectId"] = id;
                told["propertyName"] = json!(name);
                told["propertyValue"] = json!(value.as_deref().unwrap_or(""));
            }
            What::Merge { merged, properties } => {
                told["objectId"] = id.clone();
                told["primaryObjectId"] = id.clone();
                told["mergedObjectIds"] = json!([merged]);
                told["newObjectId"] = id;
                told["numberOfPropertiesMoved"] = json!(properties);
            }
            What::Association {
                to,
                name,
                is_primary,
                removed,
            } => {
                told["fromObjectId"] = id;
                told["toObjectId"] = json!(to);
                told["associationType"] = json!(name);
                told["associationRemoved"] = json!(removed);
                told["isPrimaryAssociation"] = json!(is_primary);
            }
        }
        told
    }
}

impl Account {
    /// Tells whoever subscribed to it.
    pub(crate) fn tell(&self, kind: Kind, object_id: u64, what: What) {
        let event = Event {
            object_id,
            occurred_ms: self.clock.now_ms(),
            what,
        };
        let names = &self.collection(kind).records.schema.names;
        let (app, portal) = (self.config.app_id, self.config.portal_id);
        self.webhooks.raise(&event, names, app, portal);
    }

    /// Tells of a change that was made to a record, and to which of its columns.
    pub(crate) fn tell_changed(&self, kind: Kind, id: u64, changed: Changed, columns: &[u16]) {
        match changed {
            Changed::Created => self.tell(kind, id, What::Creation),
            Changed::Deleted => self.tell(kind, id, What::Deletion),
            Changed::Undeleted => self.tell(kind, id, What::Restore),
            Changed::Edited => {}
        }
        let records = &self.collection(kind).records;
        for column in columns {
            let value = records.with_view(id, |view| {
                let mut text = Vec::new();
                let is_set = view.text(records.schema.cell(*column), &mut text);
                is_set.then(|| String::from_utf8_lossy(&text).into_owned())
            });
            let name = records.schema.property(*column).name.clone();
            let value = value.flatten();
            self.tell(kind, id, What::Property { name, value });
        }
    }

    /// Tells both ends of an association that it began or ended.
    pub(crate) fn tell_associated(&self, from: End, to: End, types: &[u32], removed: bool) {
        for label in types.iter().filter_map(|number| self.labels.get(*number)) {
            self.tell_end(from, to, label, removed);
            if let Some(back) = self.labels.get(label.inverse) {
                self.tell_end(to, from, back, removed);
            }
        }
    }

    fn tell_end(&self, from: End, to: End, label: &Label, removed: bool) {
        let what = What::Association {
            to: to.1,
            name: label.name.to_uppercase(),
            is_primary: label.text == Some("Primary"),
            removed,
        };
        self.tell(from.0, from.1, what);
    }
}
