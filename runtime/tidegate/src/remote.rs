//! The service's API, as the command line calls it.

use crate::cli::ServerArgs;
use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::time::Duration;
use tidegate_broker::Origin;
use tidegate_broker::dial::{Dialer, HttpClient, http_client};
use url::Url;

/// The variable of the key: an argument would stand in every list of processes.
const KEY_VARIABLE: &str = "TIDEGATE_KEY";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Until an answer's head has come; longer than the API lets an answer wait, and enough
/// to compile a large component on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A service, and the key that it is asked with.
pub(crate) struct Remote {
    client: HttpClient<Full<Bytes>>,
    base: String,
    key: SecretString,
}

impl Remote {
    /// Nothing is sent yet.
    pub(crate) fn new(server: &ServerArgs) -> Result<Remote> {
        let key = std::env::var(KEY_VARIABLE)
            .ok()
            .filter(|key| !key.is_empty());
        let key = key.with_context(|| {
            format!("{KEY_VARIABLE} is not set; the service printed a key at its first start")
        })?;
        let url = Url::parse(&server.url).ok();
        let origin = url.as_ref().and_then(Origin::of);
        let origin =
            origin.with_context(|| format!("--url: {} is no http(s) address", server.url))?;
        // The person at the terminal chose it, so it may be plain http and private.
        let dialer = Dialer::new(&tidegate_broker::Config::default())?.reaching(&[origin]);
        Ok(Remote {
            client: http_client(&dialer),
            base: server.url.trim_end_matches('/').to_owned(),
            key: SecretString::from(key.trim().to_owned()),
        })
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// Asks for a change; sent again by the connection, it counts once.
    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        self.call(Method::POST, path, body).await
    }

    /// Sends a file.
    pub(crate) async fn upload(
        &self,
        path: &str,
        kind: &'static str,
        file: Bytes,
    ) -> Result<Value> {
        let kind = HeaderValue::from_static(kind);
        parsed(self.send(Method::POST, path, Some((kind, file))).await?).await
    }

    /// Removes.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    /// The first `limit` items of a list.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        while items.len() < limit {
            let mut page = url::form_urlencoded::Serializer::new(String::new());
            page.extend_pairs(query);
            page.append_pair("limit", &(limit - items.len()).min(200).to_string());
            if let Some(after) = &after {
                page.append_pair("after", after);
            }
            let mut answer = self.get(&format!("{path}?{}", page.finish())).await?;
            if let Value::Array(found) = answer["items"].take() {
                items.extend(found);
            }
            match answer["next"].take() {
                Value::String(next) => after = Some(next),
                _ => break,
            }
        }
        Ok(items)
    }

    /// Follows a stream of server-sent events: `heed` is given the data of each, until
    /// it says that it has seen enough or the stream ends.
    pub(crate) async fn follow(
        &self,
        path: &str,
        mut heed: impl FnMut(Value) -> Result<bool>,
    ) -> Result<()> {
        let response = self.send(Method::GET, path, None).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let mut body = response.into_body();
        let mut unread = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the stream of events broke")?;
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            unread.extend_from_slice(&bytes);
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if let Some(text) = line.trim_end().strip_prefix("data:")
                    && heed(serde_json::from_str(text.trim())?)?
                {
                    return Ok(());
                }
            }
            if unread.len() > ANSWER_BYTES_MAX {
                bail!("the service sent an event without an end");
            }
        }
        Ok(())
    }

    /// An answer that is not JSON, to be read as it comes.
    pub(crate) async fn download(&self, method: Method, path: &str) -> Result<Incoming> {
        let response = self.send(method, path, None).await?;
        match response.status().is_success() {
            true => Ok(response.into_body()),
            false => Err(refused(response).await),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let json = HeaderValue::from_static("application/json");
        let body = body.map(|body| (json, Bytes::from(body.to_string())));
        parsed(self.send(method, path, body).await?).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(HeaderValue, Bytes)>,
    ) -> Result<Response<Incoming>> {
        let (kind, bytes) = body.unzip();
        let mut request = Request::new(Full::new(bytes.unwrap_or_default()));
        *request.uri_mut() = format!("{}{path}", self.base).parse()?;
        let headers = request.headers_mut();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.key.expose_secret()))
            .map_err(|_| anyhow!("{KEY_VARIABLE} holds something that is no key"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, kind);
        }
        if method == Method::POST {
            let mut random = [0; 16];
            getrandom::fill(&mut random).context("the operating system gives no random bytes")?;
            let once = data_encoding::HEXLOWER.encode(&random);
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&once)?);
        }
        *request.method_mut() = method;
        let sent = tokio::time::timeout(PATIENCE, self.client.send(request)).await;
        let sent = sent.with_context(|| format!("{} does not answer", self.base))?;
        sent.with_context(|| format!("no answer from {}; does the service run there?", self.base))
    }
}

async fn parsed(response: Response<Incoming>) -> Result<Value> {
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let bytes = whole(response).await?;
    match bytes.is_empty() {
        true => Ok(Value::Null),
        false => serde_json::from_slice(&bytes).context("the service's answer is not JSON"),
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(anyhow!(error).context("the service's answer broke")),
    }
}

/// The service's own words.
async fn refused(response: Response<Incoming>) -> anyhow::Error {
    let status = response.status();
    let problem: Value = match whole(response).await {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(error) => return error,
    };
    let word = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    if word("code").is_empty() {
        return anyhow!("the service answered {status}");
    }
    let errors = problem["errors"].as_array().into_iter().flatten();
    let errors: String = errors.map(|error| format!("\n  {error}")).collect();
    anyhow!(
        "{}: {}{errors}\n  {}",
        word("code"),
        word("detail"),
        word("fix")
    )
}
