//! API versions: which exist, and what differs between them.

/// A version of the API, by its minor number: all are 2.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u8);

impl Version {
    pub(crate) const LATEST: Version = Version(16);

    /// A version as the `Intercom-Version` header spells it.
    pub(crate) fn parse(text: &str) -> Option<Version> {
        let minor = text.strip_prefix("2.")?.parse().ok()?;
        let version = Version(minor);
        (version <= Version::LATEST && version.text() == text).then_some(version)
    }

    pub(crate) fn text(self) -> String {
        format!("2.{}", self.0)
    }

    /// Replies to deletions name the type `object`, and leave out the external id.
    pub(crate) fn says_object(self) -> bool {
        self < Version(7)
    }

    /// Locations carry codes besides names.
    pub(crate) fn has_location_codes(self) -> bool {
        self >= Version(7)
    }

    /// Attributes say whether the messenger may write them. When that began is not
    /// known; 2.3 did not.
    pub(crate) fn has_messenger_writable(self) -> bool {
        self >= Version(7)
    }

    /// Deleted conversations are listed, and merged contacts are gone instead of
    /// unknown.
    pub(crate) fn lists_deletions(self) -> bool {
        self >= Version(16)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_that_never_existed_are_none() {
        for text in ["2.14", "2.3", "2.16"] {
            assert_eq!(
                Version::parse(text).map(Version::text).as_deref(),
                Some(text)
            );
        }
        for text in ["2.17", "3.0", "2.014", "", "Unstable"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
