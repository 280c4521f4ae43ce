//! The S3 endpoint that tests land on.

use crate::site::Site;
use s3_local::S3Local;
use std::sync::Arc;
use tidegate_broker::dial::Dialer;
use tidegate_landing::s3::{S3Config, S3Target};
use tidegate_landing::target::Target;

/// An S3 endpoint: the real server that `cargo ci` starts, or one in this process.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    bucket: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    _local: Option<(S3Local, tempfile::TempDir)>,
}

impl Endpoint {
    pub(crate) async fn find() -> Endpoint {
        let from = |name: &str| std::env::var(format!("TIDEGATE_TEST_S3_{name}")).ok();
        if let Some(url) = from("ENDPOINT") {
            return Endpoint {
                url,
                bucket: from("BUCKET").unwrap(),
                access_key: from("ACCESS_KEY").unwrap(),
                secret_key: from("SECRET_KEY").unwrap(),
                _local: None,
            };
        }
        let folder = tempfile::tempdir().unwrap();
        let local = S3Local::start(folder.path(), 0, "test", "test-secret")
            .await
            .unwrap();
        local.create_bucket("lake").unwrap();
        Endpoint {
            url: local.endpoint(),
            bucket: "lake".to_owned(),
            access_key: "test".to_owned(),
            secret_key: "test-secret".to_owned(),
            _local: Some((local, folder)),
        }
    }

    /// The `target` of a sync file that lands below this prefix, for a site that it was
    /// told to.
    pub(crate) fn document(&self, prefix: &str, format: &str) -> String {
        format!(
            "{{ url: 's3://{}/{prefix}', format: {format}, endpoint: '{}', path_style: true, access_key: '${{file:{{folder}}/access}}', secret_key: '${{file:{{folder}}/secret}}' }}",
            self.bucket, self.url
        )
    }

    /// Tells a site the keys, and lets its targets name the endpoint.
    pub(crate) fn admit<C>(&self, site: &Site<C>) {
        site.write("access", &self.access_key);
        site.write("secret", &self.secret_key);
        site.allow_target(&self.url);
    }

    pub(crate) fn target(&self, prefix: &str) -> Arc<dyn Target> {
        let origin = tidegate_broker::Origin::parse(&self.url).unwrap();
        let dialer = Dialer::new(&tidegate_broker::Config::default())
            .unwrap()
            .reaching(&[origin]);
        let config = S3Config {
            endpoint: Some(self.url.clone()),
            region: "us-east-1".to_owned(),
            bucket: self.bucket.clone(),
            prefix: prefix.to_owned(),
            path_style: true,
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone().into(),
            session_token: None,
        };
        Arc::new(S3Target::connect(config, &dialer).unwrap())
    }
}
