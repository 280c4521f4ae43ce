//! Opening a target from its settings.

use crate::config::Config;
use crate::error::Error;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Digest as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidegate_broker::dial::Dialer;
use tidegate_domain::id::Sha256;
use tidegate_domain::record::Operation;
use tidegate_domain::spec::{Problem, TargetSpec};
use tidegate_landing::by_operation::ByOperation;
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::s3::{Conditional, S3Config, S3Target};
use tidegate_landing::target::Target;

/// A target as a sync describes it, its secrets resolved.
#[derive(Clone, Debug)]
pub struct TargetSettings {
    /// `file:///directory` or `s3://bucket/prefix`.
    pub url: String,
    /// Other places, of the same kind, for the rows of single operations.
    pub operations: Vec<(Operation, String)>,
    /// Another S3 than Amazon's.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: String,
    /// Whether the bucket is in the path rather than in the host name.
    pub path_style: bool,
    /// The access key's id.
    pub access_key: Option<SecretString>,
    /// The access key.
    pub secret_key: Option<SecretString>,
}

/// Where tenants' directories may lie: a tenant that could name any directory would
/// write with the node's rights, beside its key.
#[derive(Clone, Debug)]
pub(crate) struct AllowedDirectories(Vec<PathBuf>);

impl AllowedDirectories {
    /// The operator's, or `lake` beside the node's directory, `state`.
    pub(crate) fn of(config: &Config, state: &Path) -> Result<Self, Error> {
        if !config.target_directories.is_empty() {
            return Ok(AllowedDirectories(config.target_directories.clone()));
        }
        let failed = |source| Error::Directory {
            path: state.to_owned(),
            source,
        };
        // As it is spelled, and as it is.
        let spelled = std::path::absolute(state).map_err(failed)?;
        let real = state.canonicalize().map_err(failed)?;
        let beside = |path: &Path| path.parent().map(|parent| parent.join("lake"));
        let both = [beside(&spelled), beside(&real)];
        Ok(AllowedDirectories(both.into_iter().flatten().collect()))
    }

    /// What is wrong with a target that has a directory that lies elsewhere.
    pub(crate) fn check(&self, target: &TargetSpec) -> Option<Problem> {
        let problem = |pointer: String, url: &str| {
            let reason = self.refusal(url)?;
            Some(Problem { pointer, reason })
        };
        let own = || problem("/target/url".to_owned(), &target.url);
        let other = |(operation, url): (Operation, &str)| {
            problem(format!("/target/operations/{}", operation.as_str()), url)
        };
        own().or_else(|| target.operations.iter().find_map(other))
    }

    /// Why the directory may not be used; S3 is not its concern.
    fn refusal(&self, url: &str) -> Option<String> {
        let path = url.strip_prefix("file://")?;
        let path = Path::new(path);
        let climbs = path.components().any(|part| part == Component::ParentDir);
        if !climbs && self.0.iter().any(|allowed| path.starts_with(allowed)) {
            return None;
        }
        let allowed: Vec<_> = self
            .0
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        Some(format!(
            "the operator allows directories below {}; choose one, or have target_directories changed",
            allowed.first().map_or("none", String::as_str)
        ))
    }
}

/// What a target is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use<'a> {
    /// To read the log; nothing is written.
    Read,
    /// To commit; its conditional put is tried first.
    Write {
        /// The directory that keeps what was found, since trying races for keys and some
        /// servers take seconds to settle that.
        probes: &'a Path,
    },
}

/// How long what was found of a bucket is believed: servers are updated.
const PROBE_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Opens a target.
///
/// # Errors
/// [`Error::Setting`] names what is missing; [`Error::Target`] says what the target
/// refuses.
pub async fn open(
    settings: &TargetSettings,
    config: &Config,
    use_of: Use<'_>,
) -> Result<Arc<dyn Target>, Error> {
    let log = open_at(&settings.url, settings, config, use_of).await?;
    if settings.operations.is_empty() {
        return Ok(log);
    }
    let mut others = Vec::new();
    for (operation, url) in &settings.operations {
        others.push((*operation, open_at(url, settings, config, use_of).await?));
    }
    Ok(Arc::new(ByOperation::new(log, others)))
}

async fn open_at(
    url: &str,
    settings: &TargetSettings,
    config: &Config,
    use_of: Use<'_>,
) -> Result<Arc<dyn Target>, Error> {
    let refuse = |reason: &str| Err(Error::setting(format!("target.url {url}"), reason));
    if let Some(path) = url.strip_prefix("file://") {
        if !path.starts_with('/') {
            return refuse("use three slashes and an absolute path");
        }
        return Ok(Arc::new(DirectoryTarget::open(Path::new(path))?));
    }
    let Some(rest) = url.strip_prefix("s3://") else {
        return refuse("use file:///directory or s3://bucket/prefix");
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let s3 = S3Config {
        endpoint: settings.endpoint.clone(),
        region: settings.region.clone(),
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        path_style: settings.path_style,
        access_key: key(&settings.access_key, "target.access_key")?
            .expose_secret()
            .to_owned(),
        secret_key: key(&settings.secret_key, "target.secret_key")?,
        session_token: None,
    };
    let dialer = Dialer::new(&config.broker)?.reaching(&config.target_origins);
    let place = format!(
        "{} {bucket}",
        settings.endpoint.as_deref().unwrap_or_default()
    );
    let target = S3Target::connect(s3, &dialer)?;
    if let Use::Write { probes } = use_of
        && probed(&target, &place, probes).await? == Conditional::Racy
    {
        tracing::warn!(
            target = %url,
            "this target lets several writers create one key; let only this node write there"
        );
    }
    Ok(Arc::new(target))
}

/// Tries conditional puts in a bucket, unless that was done lately.
async fn probed(target: &S3Target, place: &str, probes: &Path) -> Result<Conditional, Error> {
    let digest = Sha256::from_bytes(sha2::Sha256::digest(place).into());
    let kept = probes.join(digest.as_str());
    let found_at = std::fs::metadata(&kept).and_then(|file| file.modified());
    let age = found_at.map(|at| at.elapsed().unwrap_or_default());
    if age.is_ok_and(|age| age < PROBE_KEPT) {
        match std::fs::read(&kept).as_deref() {
            Ok(SAFE) => return Ok(Conditional::Safe),
            Ok(RACY) => return Ok(Conditional::Racy),
            _ => {}
        }
    }
    let found = target.probe().await?;
    let word = match found {
        Conditional::Safe => SAFE,
        Conditional::Racy => RACY,
    };
    // Where it cannot be kept, it is found out again.
    if let Err(error) = std::fs::write(&kept, word) {
        tracing::debug!(%error, path = %kept.display(), "what was found of a bucket is not kept");
    }
    Ok(found)
}

const SAFE: &[u8] = b"safe";
const RACY: &[u8] = b"racy";

fn key(given: &Option<SecretString>, name: &str) -> Result<SecretString, Error> {
    let missing = || Error::setting(name, "an s3:// target needs it; name it as a secret");
    given.clone().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::fs::File;
    use std::time::SystemTime;

    #[tokio::test]
    async fn what_was_found_of_a_bucket_is_believed_until_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let s3 = S3Config {
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            region: "us-east-1".to_owned(),
            bucket: "lake".to_owned(),
            prefix: String::new(),
            path_style: true,
            access_key: "key".to_owned(),
            secret_key: "secret".into(),
            session_token: None,
        };
        let origin = tidegate_broker::Origin::parse("http://127.0.0.1:1").unwrap();
        let dialer = Dialer::new(&tidegate_broker::Config::default()).unwrap();
        let target = S3Target::connect(s3, &dialer.reaching(&[origin])).unwrap();
        let find = || probed(&target, "here lake", folder.path());
        // Nobody answers there, so only what is kept can be told.
        assert!(find().await.is_err());
        let name = Sha256::from_bytes(sha2::Sha256::digest("here lake").into());
        let kept = folder.path().join(name.as_str());
        for (word, found) in [(SAFE, Conditional::Safe), (RACY, Conditional::Racy)] {
            std::fs::write(&kept, word).unwrap();
            assert_eq!(find().await.unwrap(), found);
        }
        let file = File::options().write(true).open(&kept).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(find().await.is_err(), "it is too old");
        std::fs::write(&kept, "saf").unwrap();
        assert!(find().await.is_err(), "it is no verdict");
    }

    #[test]
    fn a_tenants_directory_lies_where_the_operator_allows() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let beside = folder.path().display().to_string();
        let default = AllowedDirectories::of(&Config::default(), &state).unwrap();
        let config = Config {
            target_directories: vec!["/srv/lakes".into()],
            ..Config::default()
        };
        let chosen = AllowedDirectories::of(&config, &state).unwrap();
        for (allowed, url, fits) in [
            (&default, format!("file://{beside}/lake"), true),
            (&default, format!("file://{beside}/lake/acme"), true),
            (&default, format!("file://{beside}/lakes"), false),
            (
                &default,
                format!("file://{beside}/lake/../state/keys"),
                false,
            ),
            (&default, format!("file://{beside}/state/keys"), false),
            (&default, "file:///etc".to_owned(), false),
            (&default, "file://lake".to_owned(), false),
            (&default, "s3://bucket/prefix".to_owned(), true),
            (&chosen, "file:///srv/lakes/acme".to_owned(), true),
            (&chosen, format!("file://{beside}/lake"), false),
        ] {
            assert_eq!(allowed.refusal(&url).is_none(), fits, "{url}");
        }
    }
}
