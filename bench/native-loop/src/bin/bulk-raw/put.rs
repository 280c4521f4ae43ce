//! One object on S3, in parts that are sent while the next ones are fetched.

use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Region, RequestChecksumCalculation};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_http_client::Builder;
use bytes::Bytes;
use clap::Args;
use tokio::task::JoinSet;

const PARTS_IN_FLIGHT: usize = 4;

/// Where objects go. The keys come from the variables that every S3 client reads.
#[derive(Debug, Args)]
pub(super) struct Bucket {
    /// `http://127.0.0.1:8333`.
    #[arg(long)]
    s3_endpoint: String,
    /// The bucket.
    #[arg(long)]
    s3_bucket: String,
    /// Before each key.
    #[arg(long)]
    s3_prefix: String,
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide = true)]
    access_key: String,
    #[arg(
        long,
        env = "AWS_SECRET_ACCESS_KEY",
        hide = true,
        hide_env_values = true
    )]
    secret_key: String,
}

impl Bucket {
    pub(super) fn client(&self) -> Client {
        let keys = Credentials::new(&self.access_key, &self.secret_key, None, None, "arguments");
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.s3_endpoint)
            .region(Region::new("us-east-1"))
            .force_path_style(true)
            .credentials_provider(keys)
            .http_client(Builder::new().build_http())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        Client::from_conf(config)
    }
}

/// An object that is being sent.
pub(super) struct Upload {
    client: Client,
    bucket: String,
    key: String,
    id: String,
    sending: JoinSet<Result<CompletedPart>>,
    sent: Vec<CompletedPart>,
    number: i32,
    bytes: u64,
}

impl Upload {
    pub(super) async fn begin(client: &Client, bucket: &Bucket, name: &str) -> Result<Upload> {
        let key = format!("{}/{name}", bucket.s3_prefix);
        let request = client.create_multipart_upload();
        let begun = request.bucket(&bucket.s3_bucket).key(&key).send().await?;
        Ok(Upload {
            client: client.clone(),
            bucket: bucket.s3_bucket.clone(),
            key,
            id: begun.upload_id.context("the upload has no id")?,
            sending: JoinSet::new(),
            sent: Vec::new(),
            number: 0,
            bytes: 0,
        })
    }

    /// Sends a part; waits while too many are under way.
    pub(super) async fn put(&mut self, part: Bytes) -> Result<()> {
        if self.sending.len() == PARTS_IN_FLIGHT {
            self.wait().await?;
        }
        self.number += 1;
        self.bytes += part.len() as u64;
        let number = self.number;
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(number)
            .body(part.into());
        self.sending.spawn(async move {
            let sent = request.send().await?;
            let part = CompletedPart::builder().part_number(number);
            Ok(part.set_e_tag(sent.e_tag).build())
        });
        Ok(())
    }

    /// Sends the last part and makes the object of all, which then must be there.
    pub(super) async fn finish(mut self, last: Bytes) -> Result<()> {
        self.put(last).await?;
        while !self.sending.is_empty() {
            self.wait().await?;
        }
        self.sent.sort_unstable_by_key(|part| part.part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.sent));
        let request = self.client.complete_multipart_upload();
        request
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(self.id)
            .multipart_upload(parts.build())
            .send()
            .await?;
        let request = self.client.head_object().bucket(self.bucket).key(self.key);
        let there = request.send().await?.content_length;
        let sent = i64::try_from(self.bytes)?;
        ensure!(
            there == Some(sent),
            "{sent} bytes were sent, and {there:?} are there"
        );
        Ok(())
    }

    async fn wait(&mut self) -> Result<()> {
        if let Some(sent) = self.sending.join_next().await {
            self.sent.push(sent??);
        }
        Ok(())
    }
}
