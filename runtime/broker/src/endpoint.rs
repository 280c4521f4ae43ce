//! Endpoints.
use crate::Error;
use tidegate_domain::manifest::Manifest;
pub(crate) fn check_manifest(_: &Manifest) -> Result<(), Error> {
    Ok(())
}
