//! Whose turn it is under contention: classes by weight, and the tenants of a class by
//! what they had.
//!
//! Deficit round-robin turned round: nobody is given credit beforehand; what is had is
//! written down, and whoever has had least goes next. Someone who was away starts
//! level with the others and has saved nothing up.

use crate::job::Class;
use std::collections::BTreeMap;

/// Smaller goes first: by class, then by tenant.
pub(super) type Rank = (u64, usize, u64);

/// What each class and tenant has had.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    classes: [OfClass; 3],
    level: u64,
}

#[derive(Clone, Debug, Default)]
struct OfClass {
    /// Units by weight.
    had: u64,
    tenants: BTreeMap<u32, u64>,
    level: u64,
}

/// What a unit costs a class: that of the heaviest is charged once.
fn stride(class: Class) -> u64 {
    u64::from(Class::Live.weight() / class.weight())
}

impl Share {
    pub(super) fn rank(&self, class: Class, tenant: u32) -> Rank {
        let of_class = &self.classes[class.index()];
        let had = of_class.tenants.get(&tenant).copied().unwrap_or_default();
        (
            of_class.had.max(self.level),
            class.index(),
            had.max(of_class.level),
        )
    }

    pub(super) fn charge(&mut self, class: Class, tenant: u32, units: u64) {
        let (class_level, _, tenant_level) = self.rank(class, tenant);
        self.level = class_level;
        let of_class = &mut self.classes[class.index()];
        of_class.had = class_level + units.max(1) * stride(class);
        of_class.level = tenant_level;
        of_class.tenants.insert(tenant, tenant_level + units.max(1));
    }

    /// Whoever is not ahead of the level needs no entry.
    pub(super) fn forget_the_level(&mut self) {
        for of_class in &mut self.classes {
            let level = of_class.level;
            of_class.tenants.retain(|_, had| *had > level);
        }
    }
}
