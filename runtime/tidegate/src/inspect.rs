//! `tidegate connector inspect`: what a component is, asks for and may do.

use crate::cli::Place;
use crate::node;
use crate::report::print_line;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use tidegate_domain::manifest::{AuthKind, Manifest};

/// `tidegate connector inspect FILE`.
pub(crate) async fn run(place: &Place, file: &Path) -> Result<ExitCode> {
    let node = node::open(place, node::operator_file(place)?).await?;
    let connector = node::connector(&node, file).await?;
    let manifest = connector.manifest();
    if place.json {
        let exports = connector.exports();
        let line = serde_json::json!({
            "digest": connector.digest(),
            "exports": { "source": exports.source, "destination": exports.destination, "webhook": exports.webhook },
            "imports": connector.imports(),
            "manifest": &**manifest,
        });
        print_line(&line.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    print_line(&format!(
        "{} {}  ({})",
        manifest.id, manifest.version, manifest.title
    ));
    print_line(&format!("  digest    sha256:{}", connector.digest()));
    describe(manifest);
    print_line(&format!("  imports   {}", connector.imports().join(", ")));
    Ok(ExitCode::SUCCESS)
}

fn describe(manifest: &Manifest) {
    for endpoint in &manifest.endpoints {
        let paths = if endpoint.paths.is_empty() {
            "any path".to_owned()
        } else {
            endpoint.paths.join(", ")
        };
        print_line(&format!(
            "  may call  {} ({:?}: {paths})",
            endpoint.base_url, endpoint.role
        ));
    }
    for host in &manifest.allowed_hosts {
        print_line(&format!("  may call  https://{host} (absolute links)"));
    }
    for method in &manifest.auth {
        let kind = match &method.kind {
            AuthKind::Oauth2Code(code) => format!("OAuth code, scopes {}", code.scopes.join(" ")),
            AuthKind::Oauth2Client(client) => {
                format!("OAuth client, scopes {}", client.scopes.join(" "))
            }
            AuthKind::Oauth2Jwt(jwt) => {
                format!("OAuth JWT bearer, scopes {}", jwt.scopes.join(" "))
            }
            AuthKind::StaticKeys(keys) => {
                let names: Vec<_> = keys.iter().map(|key| key.secret.as_str()).collect();
                format!("static keys {}", names.join(", "))
            }
            AuthKind::SignedJwt { algorithm, .. } => format!("signed JWT {algorithm}"),
            AuthKind::AwsSigv4 { service, .. } => format!("AWS signature for {service}"),
            AuthKind::Basic => "HTTP basic".to_owned(),
        };
        print_line(&format!("  signs by  {}: {kind}", method.name));
    }
    for limit in &manifest.limits {
        print_line(&format!(
            "  limit     {} per {} ms ({:?}, {:?}) on {}",
            limit.capacity,
            limit.per_ms,
            limit.rule,
            limit.scope,
            limit.buckets.join(", ")
        ));
    }
    let reads = if manifest.paging_pointers.is_empty() {
        "nothing of data bodies when blind".to_owned()
    } else {
        format!(
            "{} of data bodies when blind",
            manifest.paging_pointers.join(", ")
        )
    };
    print_line(&format!("  reads     {reads}"));
}
