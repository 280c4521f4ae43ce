//! `tidegate connections`: authorise and check.

use crate::authorize;
use crate::cli::Place;
use crate::node;
use crate::report;
use crate::sync_run::{self, Document};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// `tidegate connections authorize FILE`.
pub(crate) async fn authorize(place: &Place, path: &Path, again: bool) -> Result<ExitCode> {
    let document = Document::read(path)?;
    let node = node::open(place, node::operator_file(place)?).await?;
    let prepared = sync_run::prepare(&node, &document, CancellationToken::new()).await?;
    let (connector, session) = (&prepared.context.source.connector, &prepared.session);
    let methods = authorize::methods(connector.manifest(), &document.file);
    if methods.is_empty() {
        bail!(
            "{}: connection.oauth_app is missing, so there is nothing to authorise",
            path.display()
        );
    }
    for method in methods {
        if !again && session.has_grant(method).await? {
            report::say(&format!(
                "{method}: authorised already; use --again to replace the grant"
            ));
            continue;
        }
        authorize::by_person(session, method, authorize::redirect_port(&document.file)).await?;
        report::say(&format!("{method}: authorised"));
    }
    Ok(ExitCode::SUCCESS)
}

/// `tidegate connections check FILE`.
pub(crate) async fn check(place: &Place, path: &Path) -> Result<ExitCode> {
    let document = Document::read(path)?;
    let node = node::open(place, node::operator_file(place)?).await?;
    let prepared = sync_run::prepare(&node, &document, CancellationToken::new()).await?;
    let context = &prepared.context;
    context.source.check(&context.stop).await?;
    report::say(&format!("connection {} works", document.file.connection.id));
    Ok(ExitCode::SUCCESS)
}
