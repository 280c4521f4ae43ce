//! The routes: one module for each resource, and the one table that says who may use
//! which.

mod apply;
mod ask;
mod audit;
mod authorize;
mod backup;
mod catalogs;
mod connections;
mod connectors;
mod contracts;
mod events;
mod health;
mod jobs;
mod keys;
mod lake;
mod limits;
mod schemas;
mod secrets;
mod streams;
mod subscriptions;
mod syncs;
mod tenants;

use crate::config::Config;
use crate::router::{Route, needs, public};
use serde_json::value::RawValue;
use tidegate_domain::access::Permission::{
    ApproveConnectors, EditCheckpoints, ManageKeys, ManageTenants, Read, ReadAudit, RunJobs,
    UploadConnectors, WriteDocuments, WriteSecrets,
};
use utoipa_axum::routes;

/// Bytes of a set of documents.
const SET_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Every route there is, with what it asks of its callers.
pub(crate) fn table(config: &Config) -> Vec<Route> {
    vec![
        public(routes!(health::healthz)),
        public(routes!(health::readyz)),
        public(routes!(schemas::openapi)),
        public(routes!(schemas::document_schema)),
        needs(Read, routes!(keys::whoami)),
        needs(ManageKeys, routes!(keys::list_keys)),
        needs(ManageKeys, routes!(keys::create_key)),
        needs(ManageKeys, routes!(keys::revoke_key)),
        needs(ReadAudit, routes!(audit::list_audit)),
        needs(Read, routes!(events::list_events)),
        needs(Read, routes!(subscriptions::list_subscriptions)),
        needs(Read, routes!(subscriptions::read_subscription)),
        needs(WriteDocuments, routes!(subscriptions::put_subscription)),
        needs(WriteDocuments, routes!(subscriptions::delete_subscription)),
        needs(Read, routes!(subscriptions::list_deliveries)),
        needs(RunJobs, routes!(subscriptions::replay_events)),
        needs(Read, routes!(secrets::list_secrets)),
        needs(WriteSecrets, routes!(secrets::put_secret)),
        needs(WriteSecrets, routes!(secrets::delete_secret)),
        needs(Read, routes!(connectors::list_connectors)),
        needs(Read, routes!(connectors::read_connector)),
        needs(UploadConnectors, routes!(connectors::upload_connector))
            .body_bytes_max(config.component_bytes_max),
        needs(ApproveConnectors, routes!(connectors::approve_connector)),
        needs(ApproveConnectors, routes!(connectors::disable_connector)),
        needs(Read, routes!(connections::list_connections)),
        needs(Read, routes!(connections::read_connection)),
        needs(WriteDocuments, routes!(connections::put_connection)),
        needs(WriteDocuments, routes!(connections::upgrade_connection)),
        needs(WriteDocuments, routes!(connections::delete_connection)),
        needs(RunJobs, routes!(ask::check_connection)),
        needs(RunJobs, routes!(ask::discover_connection)),
        needs(Read, routes!(catalogs::read_catalog)),
        needs(Read, routes!(catalogs::list_schemas)),
        needs(Read, routes!(catalogs::read_schema)),
        needs(Read, routes!(catalogs::compare_schemas)),
        needs(Read, routes!(limits::list_limits)),
        needs(Read, routes!(authorize::list_authorizations)),
        needs(WriteSecrets, routes!(authorize::begin_authorization)),
        needs(WriteSecrets, routes!(authorize::revoke_authorization)),
        public(routes!(authorize::start_authorization)),
        public(routes!(authorize::end_authorization)),
        needs(Read, routes!(syncs::list_syncs)),
        needs(Read, routes!(syncs::read_sync)),
        needs(Read, routes!(syncs::read_schedule)),
        needs(WriteDocuments, routes!(syncs::put_sync)),
        needs(WriteDocuments, routes!(syncs::delete_sync)),
        needs(Read, routes!(contracts::read_sync_schema)),
        needs(WriteDocuments, routes!(contracts::accept_schema)),
        needs(Read, routes!(streams::list_streams)),
        needs(Read, routes!(streams::list_checkpoints)),
        needs(EditCheckpoints, routes!(streams::edit_checkpoints)),
        needs(Read, routes!(lake::list_logs)),
        needs(Read, routes!(lake::list_slots)),
        needs(Read, routes!(lake::list_objects)),
        needs(WriteDocuments, routes!(apply::apply)).body_bytes_max(SET_BYTES_MAX),
        needs(RunJobs, routes!(jobs::trigger_job)),
        needs(Read, routes!(jobs::list_jobs)),
        needs(Read, routes!(jobs::follow::read_job)),
        needs(Read, routes!(jobs::follow::follow_job)),
        needs(Read, routes!(jobs::history::list_attempts)),
        needs(Read, routes!(jobs::history::read_log)),
        needs(Read, routes!(jobs::requests::list_requests)),
        needs(RunJobs, routes!(jobs::cancel_job)),
        needs(RunJobs, routes!(jobs::retry::retry_job)),
        needs(RunJobs, routes!(jobs::retry::retry_jobs)),
        needs(ManageTenants, routes!(tenants::list_tenants)),
        needs(ManageTenants, routes!(tenants::read_tenant)),
        needs(ManageTenants, routes!(tenants::put_tenant)),
        needs(ManageTenants, routes!(tenants::delete_tenant)),
        needs(ManageTenants, routes!(tenants::list_tenant_keys)),
        needs(ManageTenants, routes!(tenants::create_tenant_key)),
        needs(ManageTenants, routes!(tenants::revoke_tenant_key)),
        needs(ManageTenants, routes!(connectors::list_tenant_connectors)),
        needs(
            ApproveConnectors,
            routes!(connectors::approve_tenant_connector),
        ),
        needs(
            ApproveConnectors,
            routes!(connectors::disable_tenant_connector),
        ),
        needs(ManageTenants, routes!(backup::back_up)),
        needs(ManageTenants, routes!(audit::list_platform_audit)),
        needs(ManageTenants, routes!(audit::verify_platform_audit)),
    ]
}

/// JSON text that is stored as such. What is not JSON is shown as a text.
fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| {
        let shown = serde_json::value::to_raw_value("(unreadable)");
        shown.expect("a text is JSON")
    })
}
