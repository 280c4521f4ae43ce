//! Grants.
use crate::{Error, Keyring};
use std::sync::Arc;
use tidegate_domain::manifest::Manifest;
use tidegate_store::Store;

/// An authorization that a person has begun.
#[derive(Debug)]
pub struct PendingAuthorization {
    /// Where the person consents.
    pub url: String,
    /// What the provider must send back beside the code.
    pub state: String,
    pub(crate) method: String,
    pub(crate) redirect_uri: String,
    pub(crate) verifier: Option<secrecy::SecretString>,
}
pub(crate) struct Grants;
impl Grants {
    pub(crate) fn new(_: Arc<dyn Store>, _: Arc<Keyring>) -> Self {
        Self
    }
    pub(crate) async fn close(&self) {}
}
pub(crate) fn check_manifest(_: &Manifest) -> Result<(), Error> {
    Ok(())
}
