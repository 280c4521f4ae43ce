//! Conditional creation: one put for small objects, a multipart upload for others.

use super::outcome::Refusal;
use super::{S3Target, metadata};
use crate::target::{Created, Error, Payload, Stamp};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use sha2::Digest as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;
use tidegate_domain::id::Sha256;

/// Larger files are uploaded in parts; a put holds its object in memory.
const PUT_BYTES_MAX: u64 = 8 << 20;
/// S3 takes parts of 5 MiB and up, and 10,000 of them. The smallest, and one after the
/// other, since the one under way is held in memory. Reading goes on meanwhile, until two
/// batches wait.
const PART_BYTES: u64 = 5 << 20;
const TRIES: u32 = 4;
const CREATING: &str = "creating an object";
const READING: &str = "reading a staged file";

pub(super) async fn create(
    target: &S3Target,
    object: &str,
    payload: Payload,
    stamp: &Stamp,
) -> Result<Created, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let refusal = match try_create(target, object, &payload, stamp).await {
            Ok(()) => return Ok(Created::Created),
            Err(refusal) => refusal,
        };
        match refusal {
            Refusal::Exists => return Ok(Created::Exists),
            Refusal::Unknown(error) => return Ok(Created::Unknown(error)),
            Refusal::Failed(error) => return Err(error),
            Refusal::Again(error) if tries == TRIES => return Ok(Created::Unknown(error)),
            Refusal::Again(_) => tokio::time::sleep(Duration::from_millis(100) * tries).await,
        }
    }
}

async fn try_create(
    target: &S3Target,
    object: &str,
    payload: &Payload,
    stamp: &Stamp,
) -> Result<(), Refusal> {
    let body = match payload {
        Payload::Bytes(bytes) => bytes.clone(),
        Payload::File { path, bytes } if *bytes <= PUT_BYTES_MAX => {
            let unread = |error| Refusal::Unknown(target.unreachable(READING, error));
            let mut file = Parts::open(path, *bytes).await.map_err(unread)?;
            file.next(PUT_BYTES_MAX).await.map_err(unread)?
        }
        Payload::File { path, bytes } => {
            return upload(target, object, path, *bytes, stamp).await;
        }
    };
    if sha256_of(&body) != stamp.sha256 {
        return Err(Refusal::Unknown(target.unreachable(READING, altered())));
    }
    put(target, object, body, stamp).await
}

/// The disk or the memory lost bits since they were hashed. Not every server looks.
fn altered() -> io::Error {
    let text = "the bytes to be landed are not those that were hashed";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn sha256_of(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

async fn put(target: &S3Target, object: &str, body: Bytes, stamp: &Stamp) -> Result<(), Refusal> {
    let mut request = target
        .once
        .put_object()
        .bucket(&target.bucket)
        .key(object)
        .if_none_match("*")
        .checksum_sha256(base64_of(&stamp.sha256))
        .body(ByteStream::from(body));
    for (name, value) in metadata(stamp) {
        request = request.metadata(name, value);
    }
    let sent = request.send().await;
    sent.map(|_| ())
        .map_err(|error| target.refused(CREATING, error))
}

async fn upload(
    target: &S3Target,
    object: &str,
    path: &Path,
    bytes: u64,
    stamp: &Stamp,
) -> Result<(), Refusal> {
    let mut request = target
        .patient
        .create_multipart_upload()
        .bucket(&target.bucket)
        .key(object)
        .checksum_algorithm(ChecksumAlgorithm::Sha256);
    for (name, value) in metadata(stamp) {
        request = request.metadata(name, value);
    }
    // Until it is completed, nothing of it can be seen.
    let before = |error| match error {
        error @ Error::Unreachable { .. } => Refusal::Unknown(error),
        error => Refusal::Failed(error),
    };
    let begun = request.send().await;
    let begun = begun.map_err(|error| before(target.failed(CREATING, error)))?;
    let Some(upload_id) = begun.upload_id() else {
        let error = target.unreachable(CREATING, "the answer names no upload");
        return Err(Refusal::Unknown(error));
    };
    let upload = Upload {
        target,
        object,
        upload_id,
    };
    match upload.send_parts(path, bytes, stamp).await {
        Ok(parts) => upload.complete(parts).await,
        Err(error) => {
            upload.abort().await;
            Err(before(error))
        }
    }
}

struct Upload<'a> {
    target: &'a S3Target,
    object: &'a str,
    upload_id: &'a str,
}

impl Upload<'_> {
    async fn send_parts(
        &self,
        path: &Path,
        bytes: u64,
        stamp: &Stamp,
    ) -> Result<Vec<CompletedPart>, Error> {
        let unread = |error| self.target.unreachable(READING, error);
        let mut file = Parts::open(path, bytes).await.map_err(unread)?;
        let mut hash = sha2::Sha256::new();
        let mut parts = Vec::new();
        while file.rest > 0 {
            let body = file.next(PART_BYTES).await.map_err(unread)?;
            hash.update(&body);
            let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
            parts.push(self.send_part(number, body).await?);
        }
        if Sha256::from_bytes(hash.finalize().into()) != stamp.sha256 {
            return Err(unread(altered()));
        }
        Ok(parts)
    }

    async fn send_part(&self, number: i32, body: Bytes) -> Result<CompletedPart, Error> {
        let sha256 = BASE64.encode(&sha2::Sha256::digest(&body));
        let request = self
            .target
            .patient
            .upload_part()
            .bucket(&self.target.bucket)
            .key(self.object)
            .upload_id(self.upload_id)
            .part_number(number)
            .checksum_sha256(&sha256)
            .body(ByteStream::from(body));
        let sent = request.send().await;
        let sent = sent.map_err(|error| self.target.failed("uploading a part", error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .checksum_sha256(sha256)
            .build())
    }

    async fn complete(&self, parts: Vec<CompletedPart>) -> Result<(), Refusal> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self
            .target
            .once
            .complete_multipart_upload()
            .bucket(&self.target.bucket)
            .key(self.object)
            .upload_id(self.upload_id)
            .if_none_match("*")
            .multipart_upload(parts.build());
        let Err(error) = request.send().await else {
            return Ok(());
        };
        let refusal = self.target.refused(CREATING, error);
        // One whose end is unknown may still be completing.
        if !matches!(refusal, Refusal::Unknown(_)) {
            self.abort().await;
        }
        Err(refusal)
    }

    /// Frees the parts at once; what stays behind, the bucket's lifecycle removes.
    async fn abort(&self) {
        let request = self
            .target
            .patient
            .abort_multipart_upload()
            .bucket(&self.target.bucket)
            .key(self.object)
            .upload_id(self.upload_id);
        if let Err(error) = request.send().await {
            tracing::debug!(error = %DisplayErrorContext(&error), "an upload was not aborted");
        }
    }
}

fn base64_of(sha256: &Sha256) -> String {
    let bytes = HEXLOWER.decode(sha256.as_str().as_bytes());
    BASE64.encode(&bytes.expect("a Sha256 is 64 hex digits"))
}

/// A staged file, read part by part.
struct Parts {
    file: Option<File>,
    rest: u64,
}

impl Parts {
    async fn open(path: &Path, bytes: u64) -> io::Result<Self> {
        let path = path.to_owned();
        let file = tokio::task::spawn_blocking(move || File::open(path)).await??;
        Ok(Parts {
            file: Some(file),
            rest: bytes,
        })
    }

    /// The next part, of this length or shorter at the file's end.
    async fn next(&mut self, bytes_max: u64) -> io::Result<Bytes> {
        let length = self.rest.min(bytes_max);
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the file was lost by a panic"));
        };
        let read = tokio::task::spawn_blocking(move || {
            let mut part = vec![0; length as usize];
            file.read_exact(&mut part)?;
            Ok::<_, io::Error>((file, part))
        });
        let (file, part) = read.await??;
        self.file = Some(file);
        self.rest -= length;
        Ok(Bytes::from(part))
    }
}
