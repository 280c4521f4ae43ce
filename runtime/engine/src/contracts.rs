//! What the streams of a stored sync land under, for people: shown, and moved to what
//! discovery found last.

use crate::drift::reshaped;
use crate::error::Error;
use tidegate_domain::catalog::Catalog;
use tidegate_domain::contract::{Contract, Found, Reading};
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_domain::schema::SchemaChange;
use tidegate_domain::spec::{SchemaPolicy, StreamSpec, SyncSpec};
use tidegate_landing::encode::schema_id;
use tidegate_store::clock::now_ms;
use tidegate_store::schemas::SchemaStore;

/// What a stream lands under.
#[derive(Clone, Debug)]
pub struct StreamContract {
    /// The stream.
    pub stream: StreamName,
    /// Its contract; none before its first run.
    pub contract: Option<Contract>,
    /// What changed at the source since, and was not accepted.
    pub open: Vec<SchemaChange>,
}

impl StreamContract {
    /// The id of the columns, as slots name it.
    pub fn schema(&self) -> Option<String> {
        let contract = self.contract.as_ref();
        contract.map(|contract| schema_id(&contract.columns))
    }
}

/// What each stream of a sync lands under, compared with a discovery.
///
/// # Errors
/// [`Error::Schema`] where the discovery cannot be compared.
pub async fn of_sync(
    store: &dyn SchemaStore,
    tenant: &TenantId,
    id: &SyncId,
    spec: &SyncSpec,
    catalog: Option<&Catalog>,
) -> Result<Vec<StreamContract>, Error> {
    let mut contracts = Vec::with_capacity(spec.streams.len());
    for stream in &spec.streams {
        let row = store.contract(&key(tenant, id, stream)).await?;
        let contract = row.map(|row| row.contract);
        let open = match (&contract, found(catalog, stream)?) {
            (Some(contract), Some(found)) => open(contract, &found, stream)?,
            _ => Vec::new(),
        };
        contracts.push(StreamContract {
            stream: stream.name.clone(),
            contract,
            open,
        });
    }
    Ok(contracts)
}

/// Lets the streams of a sync land under what a discovery found: new fields get
/// columns, and what changed is nothing new any more. Subscribers hear of streams whose
/// columns change.
///
/// # Errors
/// [`Error::Schema`] where that would need more columns than there may be;
/// [`Error::Setting`] where a run changed a contract at the same moment.
pub async fn accept(
    store: &dyn SchemaStore,
    tenant: &TenantId,
    id: &SyncId,
    spec: &SyncSpec,
    catalog: &Catalog,
) -> Result<(), Error> {
    for stream in &spec.streams {
        let key = key(tenant, id, stream);
        let (Some(row), Some(found)) = (store.contract(&key).await?, found(Some(catalog), stream)?)
        else {
            continue; // its first run makes the contract
        };
        let before = row.contract;
        let changes = open(&before, &found, stream)?;
        let after = before
            .accept(&found)
            .map_err(|error| refused(stream, &error))?;
        if after == before {
            continue;
        }
        let mut events = Vec::new();
        if after.columns != before.columns {
            events.push(reshaped(
                &key,
                spec.schema_policy,
                &before,
                &after,
                &changes,
            ));
        }
        let put = store.put_contract(&key, Some(row.revision), &after, now_ms(), events);
        if !put.await? {
            return Err(Error::setting(
                format!("stream {}", stream.name),
                "changed at the same moment; accept again",
            ));
        }
    }
    Ok(())
}

fn key(tenant: &TenantId, id: &SyncId, stream: &StreamSpec) -> StreamKey {
    StreamKey {
        tenant: tenant.clone(),
        sync: id.clone(),
        stream: stream.name.clone(),
    }
}

fn found(catalog: Option<&Catalog>, stream: &StreamSpec) -> Result<Option<Found>, Error> {
    let Some(catalog) = catalog else {
        return Ok(None);
    };
    let Some(found) = catalog.stream(&stream.name) else {
        return Ok(None);
    };
    let found = Found::of(found, &catalog.id);
    found.map(Some).map_err(|error| refused(stream, &error))
}

fn open(
    contract: &Contract,
    found: &Found,
    stream: &StreamSpec,
) -> Result<Vec<SchemaChange>, Error> {
    let reading = Reading {
        policy: SchemaPolicy::Warn,
        mode: stream.mode,
        fields: &stream.fields,
    };
    let weighed = contract.weigh(found, reading);
    Ok(weighed.map_err(|error| refused(stream, &error))?.changes)
}

fn refused(stream: &StreamSpec, error: &tidegate_domain::schema::SchemaError) -> Error {
    Error::Schema {
        stream: stream.name.clone(),
        reason: error.to_string(),
    }
}
