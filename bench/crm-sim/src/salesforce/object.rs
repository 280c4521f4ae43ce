//! The object types of the simulated org.

use serde::{Deserialize, Serialize};

/// An object type; `serde` knows it by its API name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Object {
    /// Companies.
    Account,
    /// People.
    Contact,
    /// Deals.
    Opportunity,
    /// People who may become contacts.
    Lead,
    /// Who owns all that.
    User,
    /// Which fields of accounts changed, and when.
    AccountHistory,
    /// Files: an object with a base64 field.
    Attachment,
    /// A custom object.
    #[serde(rename = "Invoice__c")]
    Invoice,
    /// An object that the Bulk API does not support.
    TaskStatus,
}

/// What the platform lets one do with an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    /// Whether records can be created, changed and deleted.
    pub(crate) writable: bool,
    /// Whether `updated` and `deleted` exist, and deletion at all.
    pub(crate) replicateable: bool,
    pub(crate) undeletable: bool,
    /// Whether the Bulk API takes it.
    pub(crate) bulk: bool,
    /// Whether its records have an `IsDeleted`.
    pub(crate) deletable: bool,
}

impl Object {
    /// Every object, in the order of their describe.
    pub const ALL: [Object; 9] = [
        Object::Account,
        Object::Contact,
        Object::Opportunity,
        Object::Lead,
        Object::User,
        Object::AccountHistory,
        Object::Attachment,
        Object::Invoice,
        Object::TaskStatus,
    ];

    /// `Account`, `Invoice__c`.
    pub fn name(self) -> &'static str {
        match self {
            Object::Account => "Account",
            Object::Contact => "Contact",
            Object::Opportunity => "Opportunity",
            Object::Lead => "Lead",
            Object::User => "User",
            Object::AccountHistory => "AccountHistory",
            Object::Attachment => "Attachment",
            Object::Invoice => "Invoice__c",
            Object::TaskStatus => "TaskStatus",
        }
    }

    /// Reads an API name; case does not matter.
    pub fn parse(name: &str) -> Option<Object> {
        let mut all = Object::ALL.into_iter();
        all.find(|object| object.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn label(self) -> (&'static str, &'static str) {
        match self {
            Object::Account => ("Account", "Accounts"),
            Object::Contact => ("Contact", "Contacts"),
            Object::Opportunity => ("Opportunity", "Opportunities"),
            Object::Lead => ("Lead", "Leads"),
            Object::User => ("User", "Users"),
            Object::AccountHistory => ("Account History", "Account History"),
            Object::Attachment => ("Attachment", "Attachments"),
            Object::Invoice => ("Invoice", "Invoices"),
            Object::TaskStatus => ("Task Status Value", "Task Status Value"),
        }
    }

    /// The first three characters of every id.
    pub(crate) fn prefix(self) -> [u8; 3] {
        match self {
            Object::Account => *b"001",
            Object::Contact => *b"003",
            Object::Opportunity => *b"006",
            Object::Lead => *b"00Q",
            Object::User => *b"005",
            Object::AccountHistory => *b"017",
            Object::Attachment => *b"00P",
            Object::Invoice => *b"a00",
            Object::TaskStatus => *b"01Z",
        }
    }

    /// The object that an id belongs to.
    pub(crate) fn of_prefix(prefix: [u8; 3]) -> Option<Object> {
        let mut all = Object::ALL.into_iter();
        all.find(|object| object.prefix() == prefix)
    }

    pub(crate) fn is_custom(self) -> bool {
        self == Object::Invoice
    }

    pub(crate) fn abilities(self) -> Abilities {
        let ordinary = Abilities {
            writable: true,
            replicateable: true,
            undeletable: true,
            bulk: true,
            deletable: true,
        };
        match self {
            Object::AccountHistory => Abilities {
                writable: false,
                undeletable: false,
                ..ordinary
            },
            Object::User => Abilities {
                deletable: false,
                undeletable: false,
                ..ordinary
            },
            Object::TaskStatus => Abilities {
                writable: false,
                replicateable: false,
                undeletable: false,
                bulk: false,
                deletable: false,
            },
            _ => ordinary,
        }
    }

    /// The smallest number in an id.
    pub(crate) fn first_number(self) -> u64 {
        // Six base-62 digits, so that upper and lower case both occur.
        1_500_000_000 + u64::from(self.prefix()[2]) * 7_000
    }
}
