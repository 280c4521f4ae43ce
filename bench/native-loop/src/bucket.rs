//! One object, put into a bucket with one presigned request.

use anyhow::{Context as _, Result, ensure};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const PIECE_BYTES: usize = 256 << 10;
const VALID_FOR: Duration = Duration::from_secs(600);

/// Where the file goes. The keys come from the variables that every S3 client reads.
#[derive(Debug, clap::Args)]
pub(crate) struct Bucket {
    /// `http://127.0.0.1:8333`; without it the file stays on disk.
    #[arg(long, requires = "s3_bucket", requires = "s3_key")]
    s3_endpoint: Option<String>,
    /// The bucket.
    #[arg(long)]
    s3_bucket: Option<String>,
    /// The object's key.
    #[arg(long)]
    s3_key: Option<String>,
    #[arg(long, env = "AWS_ACCESS_KEY_ID", default_value = "", hide = true)]
    access_key: String,
    #[arg(
        long,
        env = "AWS_SECRET_ACCESS_KEY",
        default_value = "",
        hide = true,
        hide_env_values = true
    )]
    secret_key: String,
}

impl Bucket {
    /// Whether there is one.
    pub(crate) fn is_set(&self) -> bool {
        self.s3_endpoint.is_some()
    }

    /// Puts the whole file, if there is a bucket.
    pub(crate) async fn put(&self, file: File) -> Result<()> {
        let Some(endpoint) = &self.s3_endpoint else {
            return Ok(());
        };
        let uri: Uri = self.presigned(endpoint).await?.parse()?;
        let authority = uri.authority().context("an endpoint has a host")?;
        let stream = TcpStream::connect(authority.as_str()).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let path = uri.path_and_query().context("a presigned URL has a path")?;
        let request = Request::builder()
            .method(Method::PUT)
            .uri(path.as_str())
            .header(HOST, authority.as_str())
            .body(Contents::of(file)?)?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let said = String::from_utf8_lossy(&body);
        ensure!(status.is_success(), "the bucket answered {status}: {said}");
        Ok(())
    }

    async fn presigned(&self, endpoint: &str) -> Result<String> {
        let keys = Credentials::new(&self.access_key, &self.secret_key, None, None, "arguments");
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .credentials_provider(keys)
            .build();
        let put = Client::from_conf(config).put_object();
        let put = put
            .set_bucket(self.s3_bucket.clone())
            .set_key(self.s3_key.clone());
        let signed = put.presigned(PresigningConfig::expires_in(VALID_FOR)?);
        Ok(signed.await?.uri().to_owned())
    }
}

/// A file, read in pieces while it is sent.
struct Contents {
    file: File,
    left: u64,
}

impl Contents {
    fn of(mut file: File) -> Result<Contents> {
        let left = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Contents { file, left })
    }
}

impl Body for Contents {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        // Written a moment ago, so that no disk is waited for.
        let read = self
            .file
            .by_ref()
            .take(PIECE_BYTES as u64)
            .read_to_end(&mut piece);
        Poll::Ready(match read {
            Err(error) => Some(Err(error)),
            Ok(0) => None,
            Ok(length) => {
                self.left = self.left.saturating_sub(length as u64);
                Some(Ok(Frame::data(Bytes::from(piece))))
            }
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
