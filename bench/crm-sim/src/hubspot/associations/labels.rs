//! The kinds of association that an account knows: numbers, labels and directions.

use serde_json::{Value, json};

use crate::hubspot::config::Config;
use crate::hubspot::kind::{Kind, Names};

/// Who defined a kind of association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    HubSpot,
    /// The account.
    User,
}

impl Category {
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Category::HubSpot => "HUBSPOT_DEFINED",
            Category::User => "USER_DEFINED",
        }
    }
}

/// One kind of association, in one direction.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) from: Kind,
    pub(crate) to: Kind,
    pub(crate) category: Category,
    pub(crate) type_id: u32,
    /// Its number in the other direction.
    pub(crate) inverse: u32,
    /// What people read; none for the plain association.
    pub(crate) text: Option<&'static str>,
    /// `contact_to_company`.
    pub(crate) name: String,
}

/// All kinds of association between kinds of record that an account holds.
#[derive(Debug)]
pub(crate) struct Labels {
    labels: Vec<Label>,
}

/// First kind, second kind, number, number back, label, label back. The numbers are
/// those of every HubSpot account.
type Standard = (
    Kind,
    Kind,
    u32,
    u32,
    Option<&'static str>,
    Option<&'static str>,
);

const PRIMARY: Option<&str> = Some("Primary");

const STANDARD: [Standard; 14] = {
    use Kind::{Companies, Contacts, Deals, Tickets};
    [
        (Contacts, Companies, 279, 280, None, None),
        (Contacts, Companies, 1, 2, PRIMARY, PRIMARY),
        (Deals, Contacts, 3, 4, None, None),
        (Deals, Companies, 341, 342, None, None),
        (Deals, Companies, 5, 6, PRIMARY, PRIMARY),
        (Contacts, Tickets, 15, 16, None, None),
        (Tickets, Companies, 339, 340, None, None),
        (Tickets, Companies, 26, 25, PRIMARY, PRIMARY),
        (Deals, Tickets, 27, 28, None, None),
        (Contacts, Contacts, 449, 449, None, None),
        (Companies, Companies, 450, 450, None, None),
        (
            Companies,
            Companies,
            13,
            14,
            Some("Child Company"),
            Some("Parent Company"),
        ),
        (Deals, Deals, 451, 451, None, None),
        (Tickets, Tickets, 452, 452, None, None),
    ]
};

/// Types that every account's own type is associated with from the start, in the order
/// in which their numbers are given out; those beside contacts are not simulated.
const GIVEN: [(&str, &str); 7] = [
    ("0-1", "contact"),
    ("0-27", "task"),
    ("0-48", "call"),
    ("0-46", "note"),
    ("0-51", "conversation_session"),
    ("0-49", "email"),
    ("0-47", "meeting"),
];
/// Numbers of associations that each type of the account's own gets.
const NUMBERS: u32 = 1_000;

impl Labels {
    pub(crate) fn new(config: &Config) -> Labels {
        let mut labels = Vec::new();
        for (from, to, there, back, label, label_back) in STANDARD {
            let (first, second) = (Names::of(from, config), Names::of(to, config));
            let plain_beside_primary = label.is_none()
                && STANDARD
                    .iter()
                    .any(|other| (other.0, other.1) == (from, to) && other.4 == PRIMARY);
            let suffix = if plain_beside_primary {
                "_unlabeled"
            } else {
                ""
            };
            let name =
                |from: &Names, to: &Names| format!("{}_to_{}{suffix}", from.singular, to.singular);
            let named = [name(&first, &second), name(&second, &first)];
            let [name, name_back] = match (from == to, label) {
                (true, Some(_)) => {
                    ["parent_to_child_company", "child_to_parent_company"].map(str::to_owned)
                }
                _ => named,
            };
            labels.push(Label {
                from,
                to,
                category: Category::HubSpot,
                type_id: there,
                inverse: back,
                text: label,
                name,
            });
            if there != back {
                labels.push(Label {
                    from: to,
                    to: from,
                    category: Category::HubSpot,
                    type_id: back,
                    inverse: there,
                    text: label_back,
                    name: name_back,
                });
            }
        }
        for place in 0..config.custom_types.len() {
            labels.extend(own(u8::try_from(place).unwrap_or(u8::MAX), config));
        }
        Labels { labels }
    }

    /// Those from one kind to another; the plain one first.
    pub(crate) fn between(&self, from: Kind, to: Kind) -> impl Iterator<Item = &Label> {
        let labels = self.labels.iter();
        labels.filter(move |label| (label.from, label.to) == (from, to))
    }

    /// Kinds that records of a kind can be associated with.
    pub(crate) fn kinds_from(&self, from: Kind) -> Vec<Kind> {
        let labels = self.labels.iter().filter(|label| label.from == from);
        let mut kinds: Vec<Kind> = labels.map(|label| label.to).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    pub(crate) fn get(&self, type_id: u32) -> Option<&Label> {
        self.labels.iter().find(|label| label.type_id == type_id)
    }

    pub(crate) fn inverse(&self, type_id: u32) -> Option<u32> {
        self.get(type_id).map(|label| label.inverse)
    }

    /// The numbers of a generated edge: plain, and primary where that is a word for it.
    pub(crate) fn generated(&self, from: Kind, to: Kind, is_first: bool) -> Vec<u32> {
        let wanted = self
            .between(from, to)
            .filter(|label| label.text.is_none() || (is_first && label.text == PRIMARY));
        let mut numbers: Vec<u32> = wanted.map(|label| label.type_id).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The kinds of association of a kind, as its schema lists them.
    pub(crate) fn described(&self, kind: Kind, config: &Config) -> Vec<Value> {
        let entry = |id: u32, from: &str, to: &str, name: &str| {
            json!({
                "fromObjectTypeId": from, "toObjectTypeId": to, "name": name,
                "cardinality": "ONE_TO_MANY", "inverseCardinality": "ONE_TO_MANY",
                "id": id.to_string(), "createdAt": null, "updatedAt": null,
            })
        };
        let touching = self.labels.iter();
        let touching = touching.filter(|label| label.from == kind || label.to == kind);
        let mut described: Vec<Value> = touching
            .map(|label| {
                let [from, to] = [label.from, label.to].map(|kind| Names::of(kind, config).type_id);
                let name = match label.category {
                    Category::HubSpot => label.name.to_uppercase(),
                    Category::User => label.name.clone(),
                };
                entry(label.type_id, &from, &to, &name)
            })
            .collect();
        if let Kind::Custom(place) = kind {
            let own = Names::of(kind, config);
            for (at, (type_id, singular)) in (0_u32..).zip(GIVEN).skip(1) {
                let number = first_number(place) + 2 * at;
                let name = format!("{}_to_{singular}", own.name);
                described.push(entry(number, &own.type_id, type_id, &name));
                described.push(entry(number + 1, type_id, &own.type_id, &name));
            }
        }
        described
    }
}

fn first_number(place: u8) -> u32 {
    // Beyond the numbers of HubSpot's own.
    u32::from(place) * NUMBERS + 1_001
}

/// The associations of a type of the account's own, both directions under one name.
fn own(place: u8, config: &Config) -> Vec<Label> {
    let kind = Kind::Custom(place);
    let name = Names::of(kind, config).name;
    let mut next = first_number(place) + 2 * u32::try_from(GIVEN.len()).unwrap_or(0);
    let associated = &config.custom_types[usize::from(place)].associated;
    let mut labels = Vec::new();
    for other in associated {
        let number = match other {
            Kind::Contacts => first_number(place),
            _ => {
                next += 2;
                next - 2
            }
        };
        let one = |from: Kind, to: Kind, type_id: u32, inverse: u32| Label {
            from,
            to,
            category: Category::User,
            type_id,
            inverse,
            text: None,
            name: format!("{name}_to_{}", Names::of(*other, config).singular),
        };
        labels.push(one(kind, *other, number, number + 1));
        labels.push(one(*other, kind, number + 1, number));
    }
    labels
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::Labels;
    use crate::hubspot::config::{Config, CustomType};
    use crate::hubspot::kind::Kind;

    #[test]
    fn every_number_is_one_direction_of_one_kind_and_leads_back() {
        let config = Config {
            custom_types: vec![CustomType::machines(1)],
            ..Config::default()
        };
        let labels = Labels::new(&config);
        for label in &labels.labels {
            let back = labels.get(label.inverse).unwrap();
            assert_eq!((back.from, back.to), (label.to, label.from), "{label:?}");
            assert_eq!(back.inverse, label.type_id, "{label:?}");
            let same = labels.labels.iter();
            assert_eq!(same.filter(|one| one.type_id == label.type_id).count(), 1);
        }
        assert_eq!(
            labels.generated(Kind::Contacts, Kind::Companies, true),
            [1, 279]
        );
        assert_eq!(
            labels.generated(Kind::Companies, Kind::Contacts, false),
            [280]
        );
        assert!(
            labels
                .between(Kind::Custom(0), Kind::Deals)
                .next()
                .is_none()
        );
    }
}
