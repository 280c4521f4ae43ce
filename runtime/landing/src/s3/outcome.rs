//! What an answer means: made, taken, unknown, or in vain.

use super::S3Target;
use crate::target::{Created, Error, Payload, Stamp, Target};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use futures_util::future::join_all;
use sha2::Digest as _;
use tidegate_broker::dial::DialError;
use tidegate_domain::id::{PutId, Sha256};

/// How a server treats several who put one key at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditional {
    /// Exactly one of them succeeds.
    Safe,
    /// Several do, or the condition is ignored.
    Racy,
}

const PROBES: usize = 4;
const PROBE_WRITERS: usize = 8;

/// A failure as S3 tells it.
struct Answer {
    status: u16,
    code: String,
    text: String,
}

impl Answer {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Self> {
        let status = error.raw_response()?.status().as_u16();
        let service = error.as_service_error();
        let code = service.and_then(|error| error.code()).unwrap_or_default();
        let text = service
            .and_then(|error| error.message())
            .unwrap_or_default();
        Some(Answer {
            status,
            code: code.to_owned(),
            text: text.chars().take(200).collect(),
        })
    }
}

/// What comes of a conditional put that failed.
pub(super) enum Refusal {
    /// The key is taken.
    Exists,
    /// Another put of the key was under way: ask again.
    Again(Error),
    /// Perhaps made.
    Unknown(Error),
    /// Not made, and in vain.
    Failed(Error),
}

impl S3Target {
    /// The answer to a read; none where there is no object.
    pub(super) fn found<T, E>(
        &self,
        operation: &'static str,
        sent: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<Option<T>, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match sent {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => match Answer::of(&error) {
                // The head of a missing object has no code.
                Some(Answer {
                    status: 404, code, ..
                }) if code != "NoSuchBucket" => Ok(None),
                _ => Err(self.failed(operation, error)),
            },
        }
    }

    /// Why an operation failed, as far as its answer tells.
    pub(super) fn failed<E>(
        &self,
        operation: &'static str,
        error: SdkError<E, HttpResponse>,
    ) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        if let Some(DialError::Denied(rule)) = dial_error(&error) {
            return self.config(rule.to_string());
        }
        if let SdkError::ConstructionFailure(_) = &error {
            return self.config(DisplayErrorContext(&error).to_string());
        }
        let Some(answer) = Answer::of(&error) else {
            return self.unreachable(operation, error);
        };
        let Answer { status, code, text } = answer;
        match (status, &*code) {
            (507, _) => Error::Full {
                target: self.name.clone(),
            },
            (401 | 403, _) => Error::Denied {
                target: self.name.clone(),
                operation,
                source: error.into(),
            },
            (404, "NoSuchBucket") => self.config("there is no such bucket".to_owned()),
            (301 | 307, _) | (400, "AuthorizationHeaderMalformed") => {
                self.config(format!("it is in another region: {text}"))
            }
            // A part that was damaged or late on its way, or an upload that is gone.
            (
                400,
                "BadDigest" | "XAmzContentSHA256Mismatch" | "RequestTimeout" | "IncompleteBody",
            )
            | (404 | 408 | 409 | 412 | 429, _)
            | (500.., _) => self.unreachable(operation, error),
            _ => self.config(format!("{operation} was answered {status} {code}: {text}")),
        }
    }

    /// What a failed conditional put means.
    pub(super) fn refused<E>(
        &self,
        operation: &'static str,
        error: SdkError<E, HttpResponse>,
    ) -> Refusal
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = Answer::of(&error).map(|answer| (answer.status, answer.code));
        let failed = self.failed(operation, error);
        match status {
            Some((412, _)) => Refusal::Exists,
            Some((409, _)) => Refusal::Again(failed),
            // An upload that is gone may have been completed.
            Some((404, code)) if code == "NoSuchUpload" => Refusal::Unknown(failed),
            Some((300..500, _)) if !matches!(failed, Error::Unreachable { .. }) => {
                Refusal::Failed(failed)
            }
            None if matches!(failed, Error::Config { .. }) => Refusal::Failed(failed),
            _ => Refusal::Unknown(failed),
        }
    }
}

fn dial_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a DialError> {
    let mut cause = Some(error);
    while let Some(at) = cause {
        if let Some(found) = at.downcast_ref::<DialError>() {
            return Some(found);
        }
        cause = at.source();
    }
    None
}

pub(super) async fn probe(target: &S3Target) -> Result<Conditional, Error> {
    // Side by side: some servers take seconds to settle one.
    let races = join_all((0..PROBES).map(|_| race(target))).await;
    for verdict in races {
        if verdict? == Conditional::Racy {
            return Ok(Conditional::Racy);
        }
    }
    Ok(Conditional::Safe)
}

/// Several writers put one key at the same time.
async fn race(target: &S3Target) -> Result<Conditional, Error> {
    const PROBING: &str = "probing conditional puts";
    let draw = || {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map(|()| PutId::from_bytes(bytes))
            .map_err(|error| target.unreachable(PROBING, error))
    };
    let key = format!("_probe/{}", draw()?);
    let mut stamps = Vec::new();
    for _ in 0..PROBE_WRITERS {
        let put_id = draw()?;
        let body = Bytes::from(put_id.to_string());
        let sha256 = Sha256::from_bytes(sha2::Sha256::digest(&body).into());
        stamps.push((Payload::Bytes(body), Stamp { sha256, put_id }));
    }
    let puts = stamps.into_iter().map(|(body, stamp)| {
        let key = &key;
        async move { target.create(key, body, &stamp).await }
    });
    let mut made = 0;
    for put in join_all(puts).await {
        match put? {
            Created::Created => made += 1,
            Created::Exists => {}
            Created::Unknown(error) => return Err(error),
        }
    }
    let object = target.object(&key)?;
    let deleted = target
        .patient
        .delete_object()
        .bucket(&target.bucket)
        .key(object);
    if let Err(error) = deleted.send().await {
        tracing::debug!(error = %DisplayErrorContext(&error), "a probe's object stays behind");
    }
    Ok(match made {
        1 => Conditional::Safe,
        _ => Conditional::Racy,
    })
}
