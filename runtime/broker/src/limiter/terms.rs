//! Which limits hold for a connection: what the manifest declares, what the operator
//! sets in its place or beside it, and the part that is left to other applications.

use super::DEFAULT_BUCKET;
use crate::config::LimitSetting;
use crate::{Connection, Error};
use serde::Deserialize;
use std::collections::BTreeSet;
use tidegate_domain::limit::{Meter, Moment};
use tidegate_domain::manifest::{Limit, LimitRule, LimitScope, Manifest};

/// One limit that holds.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) limit: Limit,
    /// Whether a request is one unit of it whatever it costs.
    pub(super) counts_requests: bool,
    /// The part of it that may be used.
    pub(super) part: f64,
}

/// What `extra.limits` of a manifest says of the limit in the same place.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Costs {
    counts: Counts,
    cost_header: Option<String>,
    cost_pointer: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Counts {
    #[default]
    Cost,
    Requests,
}

/// Where an answer says what a request cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CostSource {
    pub(super) header: Option<String>,
    pub(super) pointer: Option<String>,
}

impl Term {
    /// What a restart finds the limit by: all but its capacity, so that a budget
    /// outlives a change of it.
    pub(super) fn name(&self) -> String {
        let rule = match &self.limit.rule {
            LimitRule::Paced(_) => "paced".to_owned(),
            LimitRule::Rolling => "rolling".to_owned(),
            LimitRule::Fixed => "fixed".to_owned(),
            LimitRule::Calendar { period, zone } => {
                format!("{period:?}@{}", zone.as_deref().unwrap_or("UTC"))
            }
            LimitRule::Concurrent => "concurrent".to_owned(),
        };
        let unit = if self.counts_requests { "#" } else { "" };
        let (per_ms, buckets) = (self.limit.per_ms, self.limit.buckets.join("+"));
        format!("{rule}{unit}/{per_ms}ms/{buckets}")
    }
}

/// Refuses what this build cannot count.
pub(crate) fn check_manifest(manifest: &Manifest) -> Result<(), Error> {
    for limit in &manifest.limits {
        check(limit, &format!("connector {}", manifest.id))?;
        if limit.buckets.is_empty() {
            return Err(Error::config(format!(
                "a limit of connector {} names no bucket",
                manifest.id
            )));
        }
    }
    costs(manifest).map(drop)
}

/// Refuses an operator's limit that cannot be counted.
pub(crate) fn check_setting(setting: &LimitSetting) -> Result<(), Error> {
    check(
        &setting.limit(Vec::new()),
        &format!("limits of {}", setting.connector),
    )
}

fn check(limit: &Limit, place: &str) -> Result<(), Error> {
    match Meter::new(limit, 1.0, Moment::at(0)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::config(format!("{place}: {error}"))),
    }
}

fn costs(manifest: &Manifest) -> Result<Vec<Costs>, Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Extra {
        limits: Vec<Costs>,
    }
    let extra: Extra = match manifest.extra.trim() {
        "" => Extra::default(),
        text => serde_json::from_str(text).map_err(|error| {
            Error::config(format!("connector {}: extra.limits: {error}", manifest.id))
        })?,
    };
    if extra.limits.len() > manifest.limits.len() {
        return Err(Error::config(format!(
            "connector {}: extra.limits has more entries than there are limits",
            manifest.id
        )));
    }
    let mut costs = extra.limits;
    costs.resize_with(manifest.limits.len(), Costs::default);
    Ok(costs)
}

/// The limits of a connection.
pub(super) fn of(connection: &Connection, settings: &[LimitSetting]) -> Result<Vec<Term>, Error> {
    let manifest = &connection.manifest;
    let settings: Vec<&LimitSetting> = settings
        .iter()
        .filter(|setting| setting.is_about(&manifest.id, connection.account.as_deref()))
        .collect();
    let declared = manifest.limits.iter().zip(costs(manifest)?);
    let mut terms: Vec<Term> = declared
        .filter(|(limit, _)| !settings.iter().any(|setting| setting.replaces(limit)))
        .map(|(limit, costs)| Term {
            limit: limit.clone(),
            counts_requests: costs.counts == Counts::Requests,
            part: part(connection, limit.scope),
        })
        .collect();
    for setting in settings {
        let mut limit = setting.limit(buckets(manifest).into_iter().collect());
        // What answers tell of the limit they tell of the one in its place.
        if let Some(replaced) = manifest.limits.iter().find(|one| setting.replaces(one)) {
            limit
                .remaining_header
                .clone_from(&replaced.remaining_header);
            limit.reset_header.clone_from(&replaced.reset_header);
        }
        terms.push(Term {
            // What an operator sets is his to divide.
            part: 1.0,
            counts_requests: setting.counts_requests,
            limit,
        });
    }
    Ok(terms)
}

/// An application's limit is nobody else's; of an account's a part may be left to others.
fn part(connection: &Connection, scope: LimitScope) -> f64 {
    match (scope, connection.quota_share) {
        (LimitScope::Application, _) | (_, None) => 1.0,
        (_, Some(percent)) => f64::from(percent.clamp(1, 100)) / 100.0,
    }
}

/// Every bucket that a request may name.
pub(super) fn buckets(manifest: &Manifest) -> BTreeSet<String> {
    let declared = manifest.limits.iter().flat_map(|limit| &limit.buckets);
    let declared = declared.cloned();
    declared.chain([DEFAULT_BUCKET.to_owned()]).collect()
}

/// Where answers to requests of this bucket say what they cost.
pub(super) fn cost_source(manifest: &Manifest, bucket: &str) -> Result<CostSource, Error> {
    let mut source = CostSource::default();
    for (limit, costs) in manifest.limits.iter().zip(costs(manifest)?) {
        if limit.buckets.iter().any(|one| one == bucket) {
            source.header = source.header.or(costs.cost_header);
            source.pointer = source.pointer.or(costs.cost_pointer);
        }
    }
    Ok(source)
}
