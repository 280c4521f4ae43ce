//! Which of the due jobs a worker takes next: fair among tenants, by weight among
//! classes, within caps, and never idle while something may run.
//!
//! A job's cost is worker time, and is known only as it passes. So this is deficit
//! round-robin turned round: nobody is given credit beforehand; what is used is
//! written down, divided by weight, and whoever has used least goes next. Someone who
//! was idle starts level with the others and has saved nothing up.

use crate::id::{ConnectionId, Sha256, TenantId};
use crate::job::Class;
use std::collections::{BTreeMap, HashMap};

/// A job that is due, or one that runs, as far as the choice goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// Its class.
    pub class: Class,
    /// The connection that it reads.
    pub connection: &'a ConnectionId,
    /// The connector that it runs.
    pub connector: &'a Sha256,
    /// Jobs of the tenant that may run at once, if it has a cap of its own.
    pub tenant_jobs_max: Option<u32>,
    /// Jobs of the connection that may run at once, if it has a cap of its own.
    pub connection_jobs_max: Option<u32>,
}

/// How many jobs may run at once, over all workers, unless the tenant or connection has
/// a cap of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Of one tenant.
    pub tenant_jobs_max: u32,
    /// Of one connection.
    pub connection_jobs_max: u32,
    /// Of one connector.
    pub connector_jobs_max: u32,
}

/// What each class and tenant has used; kept by a worker while it lives.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    classes: [Share; 3],
    /// How far those in service are; who comes back starts there.
    level: u64,
}

#[derive(Clone, Debug, Default)]
struct Share {
    /// Worker time by weight.
    used: u64,
    tenants: BTreeMap<TenantId, u64>,
    level: u64,
}

/// Charged when a job is taken, in milliseconds, so that a burst of jobs counts before
/// their time does; part of the time that is charged later.
pub const START_MS: u64 = 1_000;

/// The time of the heaviest class is charged once, that of others more often.
fn stride(class: Class) -> u64 {
    u64::from(Class::Live.weight() / class.weight())
}

impl Shares {
    /// The jobs to take now, as places in `due`, `free` of them at the most. `due` comes
    /// longest due first; `running` holds all that run, here and elsewhere.
    pub fn pick(
        &mut self,
        due: &[Entry<'_>],
        running: &[Entry<'_>],
        caps: Caps,
        free: usize,
    ) -> Vec<usize> {
        let mut counts = Counts::default();
        running.iter().for_each(|entry| counts.add(entry));
        let mut picked = Vec::new();
        let mut left: Vec<usize> = (0..due.len()).collect();
        while picked.len() < free {
            left.retain(|at| counts.has_room(&due[*at], caps));
            let next = left.iter().copied().min_by_key(|at| {
                let entry = &due[*at];
                let tenant_jobs = counts.tenants.get(entry.tenant).copied();
                (self.rank(entry), tenant_jobs.unwrap_or_default(), *at)
            });
            let Some(next) = next else {
                break;
            };
            self.start(&due[next]);
            counts.add(&due[next]);
            left.retain(|at| *at != next);
            picked.push(next);
        }
        self.forget_the_level();
        picked
    }

    /// Writes worker time down, as it passes or when a job is given back. The first
    /// [`START_MS`] of a job were charged when it was taken.
    pub fn charge(&mut self, class: Class, tenant: &TenantId, used_ms: u64) {
        let share = &mut self.classes[class.index()];
        share.used += used_ms * stride(class);
        let level = share.level;
        let used = share.tenants.entry(tenant.clone()).or_insert(level);
        *used = (*used).max(level) + used_ms;
    }

    /// Smaller goes first: by class, then by tenant.
    fn rank(&self, entry: &Entry<'_>) -> (u64, usize, u64) {
        let share = &self.classes[entry.class.index()];
        let tenant = share.tenants.get(entry.tenant).copied();
        (
            share.used.max(self.level),
            entry.class.index(),
            tenant.unwrap_or_default().max(share.level),
        )
    }

    fn start(&mut self, entry: &Entry<'_>) {
        let (class_level, _, tenant_level) = self.rank(entry);
        self.level = class_level;
        let share = &mut self.classes[entry.class.index()];
        share.used = class_level;
        share.level = tenant_level;
        self.charge(entry.class, entry.tenant, START_MS);
    }

    /// Whoever is not ahead of the level needs no entry.
    fn forget_the_level(&mut self) {
        for share in &mut self.classes {
            let level = share.level;
            share.tenants.retain(|_, used| *used > level);
        }
    }
}

/// Jobs that run, counted by what caps are on.
#[derive(Default)]
struct Counts<'a> {
    tenants: HashMap<&'a TenantId, u32>,
    connections: HashMap<(&'a TenantId, &'a ConnectionId), u32>,
    connectors: HashMap<&'a Sha256, u32>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, entry: &Entry<'a>) {
        *self.tenants.entry(entry.tenant).or_default() += 1;
        let connection = (entry.tenant, entry.connection);
        *self.connections.entry(connection).or_default() += 1;
        *self.connectors.entry(entry.connector).or_default() += 1;
    }

    fn has_room(&self, entry: &Entry<'_>, caps: Caps) -> bool {
        let tenant = self.tenants.get(entry.tenant);
        let connection = self.connections.get(&(entry.tenant, entry.connection));
        let connector = self.connectors.get(entry.connector);
        let below = |count: Option<&u32>, max| count.is_none_or(|count| *count < max) && max > 0;
        below(
            tenant,
            entry.tenant_jobs_max.unwrap_or(caps.tenant_jobs_max),
        ) && below(
            connection,
            entry
                .connection_jobs_max
                .unwrap_or(caps.connection_jobs_max),
        ) && below(connector, caps.connector_jobs_max)
    }
}

#[cfg(test)]
mod tests;
