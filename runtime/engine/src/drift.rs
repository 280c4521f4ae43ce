//! What a stream lands under while it is read: its contract, weighed against what
//! discovery finds, at the beginning and whenever rows show that the source is not
//! what discovery found.

use crate::discovery::{self, Known, SCHEMA_CHANGED};
use crate::error::Error;
use crate::stream::{StreamSpec, SyncContext};
use async_trait::async_trait;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_domain::contract::{Contract, Found, Reading, Ruling, UNKNOWN_MAX, Weighed};
use tidegate_domain::id::StreamKey;
use tidegate_domain::job::{Warning, WarningKind};
use tidegate_domain::record::Format;
use tidegate_domain::schema::{Columns, SchemaChange};
use tidegate_domain::spec::SchemaPolicy;
use tidegate_landing::encode::{Misfit, Why, schema_id};
use tidegate_landing::gate::{Gate, Pass};
use tidegate_landing::schema;
use tidegate_sandbox::Level;
use tidegate_store::clock::now_ms;
use tidegate_store::events::NewEvent;
use tidegate_store::schemas::ContractRow;
use tokio::sync::Mutex;

/// Discoveries that one run of a stream asks for because of its rows. Under `freeze`
/// every unknown field is asked about, once.
const ASKED_MAX: u32 = 3;
/// Times that a contract is weighed anew because another run changed it meanwhile.
const KEEP_TRIES: u32 = 5;
/// Changes, or names of fields, that a message holds.
const NAMED_MAX: usize = 10;

/// The schema of one stream's run.
pub(crate) struct Drift {
    context: SyncContext,
    spec: StreamSpec,
    run: Mutex<Run>,
}

struct Run {
    contract: Contract,
    /// Changes that the columns do not follow.
    open: Vec<SchemaChange>,
    warnings: Vec<Warning>,
    /// Values that fitted no column, by name and why.
    misfits: BTreeMap<(String, Why), u64>,
    /// Names that discovery was asked about.
    examined: BTreeSet<String>,
    asked: u32,
}

impl Drift {
    /// Weighs what is known of the source against the stream's contract; none for JSON
    /// lines of a stream whose schema gives no columns.
    ///
    /// # Errors
    /// [`Error::Frozen`] and [`Error::Broken`] where a person must decide,
    /// [`Error::Field`] where the source has no such field.
    pub(crate) async fn begin(
        context: &SyncContext,
        spec: &StreamSpec,
        known: &Known,
    ) -> Result<Option<Arc<Drift>>, Error> {
        let mut begun = look(context, spec, known).await;
        let calls_a_person = matches!(
            begun,
            Err(Error::Frozen { .. } | Error::Broken { .. } | Error::Field { .. })
        );
        if calls_a_person && known.is_old {
            let known = discovery::newer(context, known).await?;
            begun = look(context, spec, &known).await;
        }
        let Some(weighed) = begun? else {
            return Ok(None);
        };
        let mut run = Run {
            contract: weighed.contract.clone(),
            open: Vec::new(),
            warnings: Vec::new(),
            misfits: BTreeMap::new(),
            examined: BTreeSet::new(),
            asked: 0,
        };
        run.take(context, spec, weighed);
        Ok(Some(Arc::new(Drift {
            context: context.clone(),
            spec: spec.clone(),
            run: Mutex::new(run),
        })))
    }

    /// The columns to begin with, if the format needs any or records are to be looked
    /// through.
    pub(crate) async fn columns(&self) -> Option<Arc<Columns>> {
        let is_frozen = self.context.schema_policy == SchemaPolicy::Freeze;
        let run = self.run.lock().await;
        (needs_columns(self.context.format) || is_frozen)
            .then(|| Arc::new(run.contract.columns.clone()))
    }

    /// What a person should know of it.
    pub(crate) async fn warnings(&self) -> Vec<Warning> {
        let run = self.run.lock().await;
        let mut warnings = run.warnings.clone();
        for (why, kind, what) in [
            (
                Why::Unknown,
                WarningKind::UnknownFields,
                "that discovery does not know",
            ),
            (
                Why::Mistyped,
                WarningKind::MistypedValues,
                "that are not of their column's type",
            ),
        ] {
            let these = run.misfits.iter().filter(|((_, of), _)| *of == why);
            let (names, values): (Vec<&str>, Vec<u64>) = these
                .map(|((name, _), values)| (name.as_str(), *values))
                .unzip();
            if names.is_empty() {
                continue;
            }
            let total: u64 = values.iter().sum();
            let names = listed(&names);
            let place = match needs_columns(self.context.format) {
                true => "; they are kept in _tg_extra",
                false => "",
            };
            warnings.push(Warning {
                kind,
                text: format!("{total} values {what}, of {names}{place}"),
            });
        }
        warnings
    }

    async fn ask(&self, run: &mut Run, names: Vec<String>) -> Result<Option<Arc<Columns>>, Error> {
        run.asked += 1;
        let (context, spec) = (&self.context, &self.spec);
        let known = discovery::refreshed(context).await?;
        run.examined.extend(names.iter().cloned());
        let Some(weighed) = look(context, spec, &known).await? else {
            return Ok(None);
        };
        let columns = run.contract.columns.clone();
        run.take(context, spec, weighed);
        if run.open.is_empty() && run.contract.columns == columns {
            // Discovery does not know it either: the next run need not ask again.
            remember(context, spec, names).await?;
        }
        let evolved = run.contract.columns != columns && needs_columns(context.format);
        Ok(evolved.then(|| Arc::new(run.contract.columns.clone())))
    }
}

#[async_trait]
impl Gate for Drift {
    async fn examine(&self, misfits: &[Misfit]) -> Pass {
        let mut run = self.run.lock().await;
        for misfit in misfits {
            let key = (misfit.name.clone(), misfit.why);
            *run.misfits.entry(key).or_default() += misfit.values;
        }
        let is_frozen = self.context.schema_policy == SchemaPolicy::Freeze;
        let names = run.unexamined(misfits);
        if names.is_empty() || (run.asked >= ASKED_MAX && !is_frozen) {
            return Pass::Land;
        }
        match self.ask(&mut run, names).await {
            Ok(None) => Pass::Land,
            Ok(Some(columns)) => Pass::Reshape(columns),
            Err(error) if is_frozen || matches!(error, Error::Broken { .. }) => Pass::Refuse {
                fault: error.fault(),
                source: Box::new(error),
            },
            Err(error) => {
                let error = error.chain();
                tracing::warn!(%error, "what rows show of a changed source could not be looked into");
                Pass::Land
            }
        }
    }
}

impl Run {
    /// Goes on under what was weighed.
    fn take(&mut self, context: &SyncContext, spec: &StreamSpec, weighed: Weighed) {
        let warning = warning(context, spec, &weighed);
        self.contract = weighed.contract;
        self.open = match weighed.ruling {
            Ruling::Warn => weighed.changes,
            _ => Vec::new(),
        };
        let Some(warning) = warning.filter(|warning| !self.warnings.contains(warning)) else {
            return;
        };
        tracing::info!(stream = %spec.name, "{}", warning.text);
        if let Some(log) = &context.log {
            log.add(Level::Warn, Some(&spec.name), warning.text.clone());
        }
        self.warnings.push(warning);
    }

    /// Names that nobody has asked discovery about, and that no known change explains.
    fn unexamined(&self, misfits: &[Misfit]) -> Vec<String> {
        let is_new = |name: &&String| {
            let explains = |change: &SchemaChange| {
                let field = change.field().unwrap_or_default();
                field.trim_start_matches('/').replace('/', "__") == **name
            };
            !self.contract.unknown.contains(*name)
                && !self.examined.contains(*name)
                && !self.open.iter().any(explains)
        };
        let names = misfits.iter().map(|misfit| &misfit.name);
        names.filter(is_new).cloned().collect()
    }
}

fn needs_columns(format: Format) -> bool {
    matches!(format, Format::Parquet | Format::CsvGzip)
}

/// The stream, as a discovery found it; none where its schema gives no columns and none
/// are needed, or where it is gone.
fn find(context: &SyncContext, spec: &StreamSpec, known: &Known) -> Result<Option<Found>, Error> {
    let Some(stream) = known.catalog.stream(&spec.name) else {
        return Ok(None);
    };
    match Found::of(stream, &known.catalog.id) {
        Ok(found) => {
            let checked = found.check_fields(&spec.fields);
            checked.map_err(|source| Error::Field {
                stream: spec.name.clone(),
                source,
            })?;
            Ok(Some(found))
        }
        Err(_) if !needs_columns(context.format) => Ok(None),
        Err(error) => Err(Error::Schema {
            stream: spec.name.clone(),
            reason: error.to_string(),
        }),
    }
}

fn key(context: &SyncContext, spec: &StreamSpec) -> StreamKey {
    StreamKey {
        tenant: context.source.tenant.clone(),
        sync: context.sync.clone(),
        stream: spec.name.clone(),
    }
}

async fn look(
    context: &SyncContext,
    spec: &StreamSpec,
    known: &Known,
) -> Result<Option<Weighed>, Error> {
    match find(context, spec, known)? {
        Some(found) => weigh(context, spec, &found).await.map(Some),
        None => Ok(None),
    }
}

/// Weighs a discovery against the stored contract, and stores what it moves it to.
async fn weigh(context: &SyncContext, spec: &StreamSpec, found: &Found) -> Result<Weighed, Error> {
    let key = key(context, spec);
    let reading = Reading {
        policy: context.schema_policy,
        mode: spec.mode,
        fields: &spec.fields,
    };
    for _ in 0..KEEP_TRIES {
        let row = context.store.contract(&key).await?;
        let before = match &row {
            Some(row) => row.contract.clone(),
            None => recovered(context, spec, found).await?,
        };
        let weighed = before
            .weigh(found, reading)
            .map_err(|error| Error::Schema {
                stream: spec.name.clone(),
                reason: error.to_string(),
            })?;
        match weighed.ruling {
            Ruling::Freeze => {
                return Err(Error::Frozen {
                    sync: context.sync.clone(),
                    stream: spec.name.clone(),
                    changes: listed(&weighed.changes),
                });
            }
            Ruling::Break => {
                return Err(Error::Broken {
                    sync: context.sync.clone(),
                    stream: spec.name.clone(),
                    changes: listed(&weighed.changes),
                });
            }
            Ruling::Land | Ruling::Warn | Ruling::Evolve => {}
        }
        if keep(context, &key, row, &before, &weighed).await? {
            return Ok(weighed);
        }
    }
    Err(Error::Store(tidegate_store::Error::Conflict {
        what: format!("contract of stream {key}"),
        found: None,
    }))
}

/// The contract of a stream that has none: what its files say, if the database was
/// lost; otherwise what discovery says.
async fn recovered(
    context: &SyncContext,
    spec: &StreamSpec,
    found: &Found,
) -> Result<Contract, Error> {
    if needs_columns(context.format) {
        let newest = schema::newest(&context.target, &key(context, spec)).await;
        let newest = newest.map_err(|source| Error::Landing {
            stream: spec.name.clone(),
            source: Box::new(source),
        })?;
        if let Some(columns) = newest {
            return Ok(Contract::recovered(columns, found));
        }
    }
    Ok(Contract::first(found))
}

async fn keep(
    context: &SyncContext,
    key: &StreamKey,
    row: Option<ContractRow>,
    before: &Contract,
    weighed: &Weighed,
) -> Result<bool, Error> {
    let after = &weighed.contract;
    if row.is_some() && after == before {
        return Ok(true);
    }
    let mut events = Vec::new();
    if after.columns != before.columns {
        events.push(reshaped(
            key,
            context.schema_policy,
            before,
            after,
            &weighed.changes,
        ));
    }
    let revision = row.map(|row| row.revision);
    let put = context
        .store
        .put_contract(key, revision, after, now_ms(), events);
    Ok(put.await?)
}

/// The event of a stream whose columns changed.
pub(crate) fn reshaped(
    key: &StreamKey,
    policy: SchemaPolicy,
    before: &Contract,
    after: &Contract,
    changes: &[SchemaChange],
) -> NewEvent {
    let body = json!({
        "sync": key.sync,
        "stream": key.stream,
        "policy": policy,
        "before": schema_id(&before.columns),
        "after": schema_id(&after.columns),
        "changes": changes.iter().take(discovery::CHANGES_TOLD_MAX).collect::<Vec<_>>(),
    });
    NewEvent {
        kind: SCHEMA_CHANGED.to_owned(),
        subject: format!("stream {}/{}", key.sync, key.stream),
        body: body.to_string(),
    }
}

/// Notes that discovery does not know fields which records hold.
async fn remember(
    context: &SyncContext,
    spec: &StreamSpec,
    names: Vec<String>,
) -> Result<(), Error> {
    let key = key(context, spec);
    let Some(row) = context.store.contract(&key).await? else {
        return Ok(());
    };
    let mut contract = row.contract;
    let room = UNKNOWN_MAX.saturating_sub(contract.unknown.len());
    contract.unknown.extend(names.into_iter().take(room));
    // Where another run was quicker, the next that asks notes it.
    let put = context
        .store
        .put_contract(&key, Some(row.revision), &contract, now_ms(), Vec::new());
    put.await?;
    Ok(())
}

fn warning(context: &SyncContext, spec: &StreamSpec, weighed: &Weighed) -> Option<Warning> {
    let changes = listed(&weighed.changes);
    let text = match weighed.ruling {
        Ruling::Warn => {
            let columns = match needs_columns(context.format) {
                true => "; its columns stay, and new fields land in _tg_extra",
                false => "",
            };
            format!(
                "the source's schema changed: {changes}{columns}. Accept it (POST /v1/syncs/{}/schema/accept), or let schema_policy be evolve",
                context.sync
            )
        }
        Ruling::Evolve if needs_columns(context.format) => {
            format!("the source's schema changed, and the columns with it: {changes}")
        }
        Ruling::Evolve => format!("the source's schema changed: {changes}"),
        Ruling::Land | Ruling::Freeze | Ruling::Break => return None,
    };
    tracing::debug!(stream = %spec.name, ruling = ?weighed.ruling, "the source's schema changed");
    Some(Warning {
        kind: WarningKind::SchemaChanged,
        text,
    })
}

/// The first of them, and how many more there are.
fn listed<T: ToString>(all: &[T]) -> String {
    let named: Vec<String> = all
        .iter()
        .take(NAMED_MAX)
        .map(ToString::to_string)
        .collect();
    match all.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
