//! Who may do what: a key has one role in one tenant, and a role allows a fixed set
//! of things. A table, so that a reader can check it at a glance.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The role of an API key.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything in its own tenant, and the platform: tenants, their keys, approvals.
    PlatformAdmin,
    /// Everything in its own tenant.
    TenantAdmin,
    /// Reads in its own tenant; sees no secret and no audit log.
    TenantViewer,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read documents, jobs, checkpoints, objects, events, limits, names of secrets.
    Read,
    /// Create, change and remove connections, syncs and subscriptions.
    WriteDocuments,
    /// Start, cancel and retry jobs; replay events.
    RunJobs,
    /// Change where reading goes on.
    EditCheckpoints,
    /// Write secrets and authorise or revoke connections; nobody reads them.
    WriteSecrets,
    /// Upload a connector for the tenant.
    UploadConnectors,
    /// Make and revoke keys of the tenant.
    ManageKeys,
    /// Read the audit log of the tenant.
    ReadAudit,
    /// Approve and disable connectors for all.
    ApproveConnectors,
    /// Make, change and remove tenants, and act on any of them by name.
    ManageTenants,
}

impl Permission {
    /// All of them.
    pub const ALL: [Permission; 10] = [
        Permission::Read,
        Permission::WriteDocuments,
        Permission::RunJobs,
        Permission::EditCheckpoints,
        Permission::WriteSecrets,
        Permission::UploadConnectors,
        Permission::ManageKeys,
        Permission::ReadAudit,
        Permission::ApproveConnectors,
        Permission::ManageTenants,
    ];
}

impl Role {
    /// All of them, the strongest first.
    pub const ALL: [Role; 3] = [Role::PlatformAdmin, Role::TenantAdmin, Role::TenantViewer];

    /// The word in JSON, in the database and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::PlatformAdmin => "platform-admin",
            Role::TenantAdmin => "tenant-admin",
            Role::TenantViewer => "tenant-viewer",
        }
    }

    /// Whether a key of this role may do it, in its own tenant or, for the last two
    /// permissions, on the platform.
    pub fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::WriteDocuments
            | Permission::RunJobs
            | Permission::EditCheckpoints
            | Permission::WriteSecrets
            | Permission::UploadConnectors
            | Permission::ManageKeys
            | Permission::ReadAudit => self != Role::TenantViewer,
            Permission::ApproveConnectors | Permission::ManageTenants => {
                self == Role::PlatformAdmin
            }
        }
    }

    /// Whether a key of this role may make a key of `other`: nobody makes one that is
    /// stronger than their own.
    pub fn may_grant(self, other: Role) -> bool {
        self.allows(Permission::ManageKeys)
            && Permission::ALL
                .iter()
                .all(|permission| self.allows(*permission) || !other.allows(*permission))
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: use platform-admin, tenant-admin or tenant-viewer")]
pub struct UnknownRole(String);

impl std::str::FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownRole(text.chars().take(32).collect()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_weaker_role_is_allowed_less() {
        let count = |role: Role| {
            let allowed = |permission: &&Permission| role.allows(**permission);
            Permission::ALL.iter().filter(allowed).count()
        };
        assert_eq!(Role::ALL.map(count), [10, 8, 1]);
        for permission in Permission::ALL {
            assert!(Role::PlatformAdmin.allows(permission));
            assert!(Role::TenantAdmin.allows(permission) || !Role::TenantViewer.allows(permission));
        }
    }

    #[test]
    fn nobody_makes_a_key_that_is_stronger_than_their_own() {
        use Role::{PlatformAdmin, TenantAdmin, TenantViewer};
        for (from, to, expected) in [
            (PlatformAdmin, PlatformAdmin, true),
            (TenantAdmin, PlatformAdmin, false),
            (TenantAdmin, TenantAdmin, true),
            (TenantAdmin, TenantViewer, true),
            (TenantViewer, TenantViewer, false),
        ] {
            assert_eq!(from.may_grant(to), expected, "{from} makes {to}");
        }
    }

    #[test]
    fn a_role_survives_its_word() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            let json = serde_json::to_value(role).unwrap();
            assert_eq!(json, role.as_str());
        }
        assert!("root".parse::<Role>().is_err());
    }
}
