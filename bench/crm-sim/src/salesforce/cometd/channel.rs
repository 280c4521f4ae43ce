//! The channels of the streaming API, and which events each of them carries.

/// A channel that a client can subscribe to, by what it carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    /// `/data/ChangeEvents`: the changes of every selected object.
    AllChanges,
    /// `/data/AccountChangeEvent`, `/data/Thing__ChangeEvent`: those of one object.
    Changes(String),
    /// `/event/Order__e`: platform events of one kind.
    Platform(String),
    /// `/topic/Name`: what a stored query selects.
    Topic(String),
    /// `/u/Name`: generic events.
    Generic(String),
}

impl Channel {
    /// Reads a subscription. What follows a `?` filters and names no other channel; a
    /// slash at the end is dropped, as clients do.
    pub(crate) fn parse(text: &str) -> Option<Channel> {
        let path = text.split('?').next()?.trim_end_matches('/');
        let (area, name) = path.strip_prefix('/')?.split_once('/')?;
        if name.is_empty() || name.contains(['/', '*']) {
            return None;
        }
        match area {
            "data" if name == "ChangeEvents" => Some(Channel::AllChanges),
            "data" => {
                let object = name.strip_suffix("ChangeEvent")?;
                let custom = object.strip_suffix("__");
                let entity = custom.map_or_else(|| object.to_owned(), |name| format!("{name}__c"));
                Some(Channel::Changes(entity))
            }
            "event" if name.ends_with("__e") => Some(Channel::Platform(name.to_owned())),
            "topic" => Some(Channel::Topic(name.to_owned())),
            "u" => Some(Channel::Generic(name.to_owned())),
            _ => None,
        }
    }

    /// Whether events that were published on `other` come over this channel.
    pub(crate) fn carries(&self, other: &Channel) -> bool {
        self == other || (*self == Channel::AllChanges && matches!(other, Channel::Changes(_)))
    }

    /// How long its events are kept, in milliseconds: three days, and one for the two
    /// older kinds.
    pub(crate) fn retention_ms(&self) -> i64 {
        const HOUR_MS: i64 = 3_600_000;
        match self {
            Channel::AllChanges | Channel::Changes(_) | Channel::Platform(_) => 72 * HOUR_MS,
            Channel::Topic(_) | Channel::Generic(_) => 24 * HOUR_MS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Channel;

    #[test]
    fn every_area_has_its_names() {
        let changes = |entity: &str| Some(Channel::Changes(entity.to_owned()));
        for (text, channel) in [
            ("/data/ChangeEvents", Some(Channel::AllChanges)),
            ("/data/AccountChangeEvent", changes("Account")),
            ("/data/AccountChangeEvent/", changes("Account")),
            ("/data/AccountChangeEvent?a=b", changes("Account")),
            ("/data/Thing__ChangeEvent", changes("Thing__c")),
            (
                "/event/Order__e",
                Some(Channel::Platform("Order__e".to_owned())),
            ),
            (
                "/topic/Accounts",
                Some(Channel::Topic("Accounts".to_owned())),
            ),
            ("/u/Notices", Some(Channel::Generic("Notices".to_owned()))),
            ("/event/Order", None),
            ("/data/Account", None),
            ("/data/*", None),
            ("/topic/", None),
            ("topic/Accounts", None),
        ] {
            assert_eq!(Channel::parse(text), channel, "{text}");
        }
    }

    #[test]
    fn the_channel_of_all_changes_carries_no_other_events() {
        let changes = Channel::Changes("Account".to_owned());
        assert!(Channel::AllChanges.carries(&changes));
        assert!(!changes.carries(&Channel::AllChanges));
        assert!(!Channel::AllChanges.carries(&Channel::Platform("Order__e".to_owned())));
    }
}
