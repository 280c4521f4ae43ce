//! Where a sync lands, and how it gets in.

use super::{Problem, SecretRef};
use crate::record::{Format, Operation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a sync lands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// `file:///directory` or `s3://bucket/prefix`.
    pub url: String,
    /// Other prefixes or buckets for the rows of single operations.
    #[serde(default, skip_serializing_if = "OperationUrls::is_empty")]
    pub operations: OperationUrls,
    /// The file format.
    #[serde(default = "parquet")]
    pub format: Format,
    /// Another S3 than Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The bucket's region.
    #[serde(default = "us_east_1")]
    pub region: String,
    /// Whether the bucket is in the path rather than in the host name.
    #[serde(default)]
    pub path_style: bool,
    /// The access key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<SecretRef>,
    /// The access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<SecretRef>,
}

/// Where the rows of an operation land when not with the others: a directory or a
/// bucket and prefix of the target's own kind, reached with the target's own keys. The
/// commit log stays with the target and says of each object where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperationUrls {
    /// Rows of which the source does not tell whether they are new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upsert: Option<String>,
    /// New rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<String>,
    /// Changed rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<String>,
    /// Deleted rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<String>,
}

impl OperationUrls {
    /// Whether every operation lands with the others.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The operations that land elsewhere, and where.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, &str)> {
        Operation::ALL.into_iter().filter_map(|operation| {
            let url = match operation {
                Operation::Upsert => &self.upsert,
                Operation::Create => &self.create,
                Operation::Update => &self.update,
                Operation::Delete => &self.delete,
            };
            Some((operation, url.as_deref()?))
        })
    }
}

fn parquet() -> Format {
    Format::Parquet
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

impl TargetSpec {
    /// Everything in it that cannot work; pointers begin with `/target`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut add = |field: &str, reason: &str| {
            found.push(Problem {
                pointer: format!("/target/{field}"),
                reason: reason.to_owned(),
            });
        };
        if let Err(reason) = kind(&self.url) {
            add("url", reason);
        }
        for (operation, url) in self.operations.iter() {
            let field = format!("operations/{}", operation.as_str());
            match (kind(&self.url), kind(url)) {
                (_, Err(reason)) => add(&field, reason),
                (Ok(own), Ok(other)) if own != other => add(
                    &field,
                    "must be of the same kind as the target's url: both file:// or both s3://",
                ),
                _ => {}
            }
        }
        if kind(&self.url) == Ok(Kind::S3) {
            for (field, secret) in [
                ("access_key", &self.access_key),
                ("secret_key", &self.secret_key),
            ] {
                if secret.is_none() {
                    add(field, "an s3:// target needs it; name it as ${env:NAME}");
                }
            }
        }
        found
    }
}

#[derive(PartialEq, Eq)]
enum Kind {
    Directory,
    S3,
}

fn kind(url: &str) -> Result<Kind, &'static str> {
    if let Some(path) = url.strip_prefix("file://") {
        return match path.starts_with('/') {
            true => Ok(Kind::Directory),
            false => Err("use three slashes and an absolute path"),
        };
    }
    let Some(rest) = url.strip_prefix("s3://") else {
        return Err("use file:///directory or s3://bucket/prefix");
    };
    match rest.split('/').next() {
        None | Some("") => Err("name a bucket: s3://bucket/prefix"),
        Some(_) => Ok(Kind::S3),
    }
}
