//! The table of streams: what each is called, what it reads, and from where.

use tidegate_sdk::prelude::*;

/// Between the words of a stream's name; no object type has it in its own.
const SEPARATOR: char = '-';

/// A type of CRM object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    Contacts,
    Companies,
    Deals,
    Tickets,
    /// One of the account's own, by its fully qualified name: `p20858235_machine`.
    Custom(String),
}

impl Object {
    /// The types that every account has, each with its type id.
    pub(crate) const STANDARD: [(Self, &'static str); 4] = [
        (Self::Contacts, "0-1"),
        (Self::Companies, "0-2"),
        (Self::Deals, "0-3"),
        (Self::Tickets, "0-5"),
    ];

    fn parse(name: &str) -> Option<Self> {
        let mut standard = Self::STANDARD.into_iter().map(|(object, _)| object);
        standard
            .find(|object| object.name() == name)
            .or_else(|| is_qualified(name).then(|| Self::Custom(name.to_owned())))
    }

    /// Name of the stream, and of the object in paths.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Contacts => "contacts",
            Self::Companies => "companies",
            Self::Deals => "deals",
            Self::Tickets => "tickets",
            Self::Custom(name) => name,
        }
    }

    /// The property that says when a record was last modified; contacts have
    /// one of their own.
    pub(crate) fn modified(&self) -> &'static str {
        match self {
            Self::Contacts => "lastmodifieddate",
            _ => "hs_lastmodifieddate",
        }
    }

    pub(crate) fn modified_pointer(&self) -> String {
        format!("/properties/{}", self.modified())
    }

    /// The property that moves through the stages of a pipeline.
    pub(crate) fn stage(&self) -> Option<&'static str> {
        match self {
            Self::Deals => Some("dealstage"),
            Self::Tickets => Some("hs_pipeline_stage"),
            _ => None,
        }
    }
}

/// The name of an object type of an account's own begins with the account's number.
fn is_qualified(name: &str) -> bool {
    let number = name.strip_prefix('p').and_then(|rest| rest.split_once('_'));
    number.is_some_and(|(number, own)| {
        !number.is_empty() && !own.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// What a stream reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entity {
    /// Records of one type.
    Records(Object),
    /// The same records with every stage that they were in, and since when.
    Stages(Object),
    /// What each record of the first type is associated with among the second.
    Associations(Object, Object),
    /// Pipelines of one type, with their stages.
    Pipelines(Object),
    /// The users that records belong to.
    Owners,
}

impl Entity {
    /// # Errors
    /// There is no such stream.
    pub(crate) fn of_stream(stream: &str) -> Result<Self, Failure> {
        Self::parse(stream).ok_or_else(|| {
            Failure::Config(format!(
                "there is no stream {stream:?}; discovery lists those of this account"
            ))
        })
    }

    fn parse(stream: &str) -> Option<Self> {
        let words: Vec<&str> = stream.split(SEPARATOR).collect();
        let with_stages = |name: &str| Object::parse(name).filter(|one| one.stage().is_some());
        Some(match words[..] {
            ["owners"] => Self::Owners,
            [name] => Self::Records(Object::parse(name)?),
            [name, "stages"] => Self::Stages(with_stages(name)?),
            [name, "pipelines"] => Self::Pipelines(with_stages(name)?),
            [from, "to", to] => Self::Associations(Object::parse(from)?, Object::parse(to)?),
            _ => return None,
        })
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Records(object) => object.name().to_owned(),
            Self::Stages(object) => format!("{}-stages", object.name()),
            Self::Associations(from, to) => format!("{}-to-{}", from.name(), to.name()),
            Self::Pipelines(object) => format!("{}-pipelines", object.name()),
            Self::Owners => "owners".to_owned(),
        }
    }

    /// The type of object whose changes the stream follows; none where HubSpot tells
    /// no changes, and everything is read each time.
    pub(crate) fn followed(&self) -> Option<&Object> {
        match self {
            Self::Records(object) | Self::Stages(object) => Some(object),
            _ => None,
        }
    }
}

/// Pairs of standard types whose records can be associated, in the direction in which
/// one record has few associations. Each association is in one of them.
pub(crate) const PAIRS: [(Object, Object); 10] = [
    (Object::Contacts, Object::Companies),
    (Object::Deals, Object::Contacts),
    (Object::Deals, Object::Companies),
    (Object::Tickets, Object::Contacts),
    (Object::Tickets, Object::Companies),
    (Object::Tickets, Object::Deals),
    (Object::Contacts, Object::Contacts),
    (Object::Companies, Object::Companies),
    (Object::Deals, Object::Deals),
    (Object::Tickets, Object::Tickets),
];

#[cfg(test)]
mod tests {
    use super::{Entity, Object};

    #[test]
    fn a_stream_reads_back_as_it_is_named() {
        let own = || Object::Custom("p7_way_to_stages".to_owned());
        for entity in [
            Entity::Records(Object::Tickets),
            Entity::Records(own()),
            Entity::Stages(Object::Deals),
            Entity::Pipelines(Object::Tickets),
            Entity::Associations(own(), Object::Contacts),
            Entity::Associations(Object::Deals, Object::Companies),
            Entity::Owners,
        ] {
            assert_eq!(Entity::parse(&entity.name()), Some(entity));
        }
        for none in [
            "leads",
            "contacts-stages",
            "deals-to-leads",
            "p_x",
            "px_y",
            "",
        ] {
            assert_eq!(Entity::parse(none), None, "{none}");
        }
    }
}
