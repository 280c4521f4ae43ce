//! The properties of an object type that the account defined itself.

use super::{custom, system};
use crate::generate::Generator;
use crate::hubspot::config::CustomType;
use crate::hubspot::schema::{Property, PropertyType};

/// The property that names a record.
pub(super) fn named(own: &CustomType) -> &str {
    let first = own.properties.first();
    first.map_or("hs_object_id", |(name, _)| name)
}

pub(super) fn properties(own: &CustomType) -> Vec<Property> {
    let count = Generator::Count {
        below: 40_000,
        null_per_mille: 150,
    };
    let declared = own.properties.iter().map(|(name, property_type)| {
        let generator = match property_type {
            PropertyType::String if name == named(own) => Generator::DealName,
            PropertyType::Number => count,
            PropertyType::Date => Generator::Day,
            PropertyType::DateTime => Generator::Moment,
            PropertyType::Bool => Generator::Flag,
            PropertyType::String | PropertyType::Enumeration => Generator::Unset,
        };
        Property {
            came_with_type: name == named(own),
            ..custom(name, name, *property_type, generator)
        }
    });
    declared.chain(given()).collect()
}

/// What every such type has besides.
fn given() -> Vec<Property> {
    [
        ("hs_all_accessible_team_ids", "All accessible team IDs"),
        ("hs_all_assigned_business_unit_ids", "Business units"),
        ("hs_created_by_user_id", "Created by user ID"),
        ("hs_unique_creation_key", "Unique creation key"),
        ("hs_updated_by_user_id", "Updated by user ID"),
        (
            "hs_user_ids_of_all_notification_followers",
            "User IDs of all notification followers",
        ),
        (
            "hs_user_ids_of_all_notification_unfollowers",
            "User IDs of all notification unfollowers",
        ),
        ("hs_user_ids_of_all_owners", "User IDs of all owners"),
    ]
    .into_iter()
    .map(|(name, label)| system(name, label, PropertyType::String, Generator::Unset))
    .collect()
}
