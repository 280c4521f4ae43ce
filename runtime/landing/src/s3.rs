//! S3 and its kin as a target, through the broker's dialer.
//!
//! Objects are made by conditional puts, never retried by the SDK: a lost success
//! would come back as "it exists", which only the caller can tell from another's.

mod http;
mod outcome;
mod upload;

pub use self::outcome::Conditional;

use crate::directory::is_key;
use crate::target::{Created, Error, Head, Payload, Stamp, Target};
use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use tidegate_broker::dial::Dialer;
use tidegate_domain::id::Sha256;

/// For one try of one request; a part of 8 MiB passes even at 100 KiB/s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(90);
/// For a request that may be repeated, with its repetitions.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(300);
const ATTEMPTS_MAX: u32 = 4;
/// What S3 lists at once, at the most.
const LISTED_MAX: usize = 1_000;
/// The names of what an object says of itself.
const SHA256_METADATA: &str = "sha256";
const PUT_ID_METADATA: &str = "put-id";

/// Where a bucket is, and who we are there.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// Its server's URL; none for AWS.
    pub endpoint: Option<String>,
    /// The region; servers other than AWS mostly take any.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The bucket is the first part of the path, not of the host's name.
    pub path_style: bool,
    /// The access key's id.
    pub access_key: String,
    /// The access key's secret.
    pub secret_key: SecretString,
    /// For keys that were lent.
    pub session_token: Option<SecretString>,
}

/// A prefix of a bucket.
#[derive(Clone, Debug)]
pub struct S3Target {
    /// Sends each request once.
    once: Client,
    /// Repeats what is safe to repeat.
    patient: Client,
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
    /// For people.
    name: String,
}

impl S3Target {
    /// A client of the bucket; nothing is sent yet. Whether the endpoint may be plain
    /// HTTP or at a private address is for the dialer to say.
    ///
    /// # Errors
    /// [`Error::Config`] where the settings make no sense.
    pub fn connect(config: S3Config, dialer: &Dialer) -> Result<Self, Error> {
        let place = config.endpoint.as_deref().unwrap_or("AWS");
        let name = format!("bucket {} at {place}", config.bucket);
        let refuse = |reason: &str| Error::Config {
            target: name.clone(),
            reason: reason.to_owned(),
        };
        if config.bucket.is_empty() || config.region.is_empty() {
            return Err(refuse("a bucket and a region are needed"));
        }
        let url = config.endpoint.as_deref().map(str::parse::<::http::Uri>);
        match url {
            Some(Ok(url)) if url.scheme().is_some() && url.host().is_some() => {}
            None => {}
            Some(_) => return Err(refuse("its endpoint is not a URL")),
        }
        let prefix = match config.prefix.trim_matches('/') {
            "" => String::new(),
            prefix if is_key(prefix) => format!("{prefix}/"),
            _ => {
                return Err(refuse(
                    "its prefix has an empty part or one that starts with '.'",
                ));
            }
        };
        let settings = settings(config.clone(), dialer);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let once = settings
            .clone()
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.clone().build());
        let patient = settings
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts.operation_timeout(OPERATION_TIMEOUT).build());
        Ok(S3Target {
            once: Client::from_conf(once.build()),
            patient: Client::from_conf(patient.build()),
            bucket: config.bucket,
            prefix,
            name,
        })
    }

    /// The object's key in the bucket.
    fn object(&self, key: &str) -> Result<String, Error> {
        if is_key(key) {
            return Ok(format!("{}{key}", self.prefix));
        }
        Err(self.config(format!("{key:?} is not a key")))
    }

    fn config(&self, reason: String) -> Error {
        Error::Config {
            target: self.name.clone(),
            reason,
        }
    }

    fn unreachable(
        &self,
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Unreachable {
            target: self.name.clone(),
            operation,
            source: source.into(),
        }
    }

    /// Whether of several who put one key at once exactly one succeeds. Some servers
    /// look first and write later; on those, two owners could both have committed.
    ///
    /// # Errors
    /// [`Error`] where the bucket did not answer well enough to tell.
    pub async fn probe(&self) -> Result<Conditional, Error> {
        outcome::probe(self).await
    }
}

fn settings(config: S3Config, dialer: &Dialer) -> Builder {
    let token = config.session_token;
    let credentials = Credentials::new(
        config.access_key,
        config.secret_key.expose_secret(),
        token.map(|token| token.expose_secret().to_owned()),
        None,
        "tidegate",
    );
    let mut settings = Builder::new();
    settings.set_endpoint_url(config.endpoint);
    settings
        .behavior_version_latest()
        .region(Region::new(config.region))
        .force_path_style(config.path_style)
        .credentials_provider(credentials)
        .http_client(http::Connector::new(dialer))
        // Ours are sent with each put; servers other than AWS know no others.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenSupported)
}

#[async_trait]
impl Target for S3Target {
    async fn create(&self, key: &str, payload: Payload, stamp: &Stamp) -> Result<Created, Error> {
        upload::create(self, &self.object(key)?, payload, stamp).await
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Error> {
        const READING: &str = "reading an object";
        let request = self.patient.get_object().bucket(&self.bucket);
        let sent = request.key(self.object(key)?).send().await;
        let Some(answer) = self.found(READING, sent)? else {
            return Ok(None);
        };
        let body = tokio::time::timeout(OPERATION_TIMEOUT, answer.body.collect()).await;
        match body {
            Ok(Ok(body)) => Ok(Some(body.into_bytes())),
            Ok(Err(error)) => Err(self.unreachable(READING, error)),
            Err(late) => Err(self.unreachable(READING, late)),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        let request = self.patient.head_object().bucket(&self.bucket);
        let sent = request.key(self.object(key)?).send().await;
        let Some(answer) = self.found("looking at an object", sent)? else {
            return Ok(None);
        };
        let stamped = answer.metadata().and_then(|all| all.get(SHA256_METADATA));
        Ok(Some(Head {
            bytes: answer.content_length().unwrap_or(0).unsigned_abs(),
            sha256: stamped.and_then(|hex| Sha256::try_from(hex.clone()).ok()),
        }))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let mut keys: Vec<String> = Vec::new();
        let after = after.map(|after| format!("{}{after}", self.prefix));
        let mut token = None;
        while keys.len() < limit {
            let wanted = (limit - keys.len()).min(LISTED_MAX);
            let request = self
                .patient
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(format!("{}{prefix}", self.prefix))
                .set_start_after(after.clone())
                .set_continuation_token(token)
                .max_keys(i32::try_from(wanted).unwrap_or(i32::MAX));
            let sent = request.send().await;
            let page = sent.map_err(|error| self.failed("listing objects", error))?;
            let found = page.contents().iter().filter_map(|object| object.key());
            let ours = found.filter_map(|key| key.strip_prefix(&self.prefix));
            keys.extend(ours.map(str::to_owned));
            token = page.next_continuation_token;
            if token.is_none() {
                break;
            }
        }
        // Servers over a file system list a folder `a/` before the object `a.b`.
        keys.sort_unstable();
        Ok(keys)
    }

    fn locate(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }

    fn place(&self, _key: &str) -> Option<String> {
        None
    }
}

fn metadata(stamp: &Stamp) -> [(&'static str, String); 2] {
    [
        (SHA256_METADATA, stamp.sha256.to_string()),
        (PUT_ID_METADATA, stamp.put_id.to_string()),
    ]
}
