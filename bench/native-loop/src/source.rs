//! The list of contacts over one keep-alive connection.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use url::form_urlencoded;

#[derive(Deserialize)]
struct Properties {
    results: Vec<Property>,
}

#[derive(Deserialize)]
struct Property {
    name: String,
}

pub(crate) struct Source {
    sender: http1::SendRequest<Empty<Bytes>>,
    authority: String,
    authorization: String,
    /// All properties, joined with commas.
    properties: String,
    page_size: u32,
    window: Option<String>,
    body: Vec<u8>,
    /// Drives the connection until this is dropped.
    _connection: JoinSet<hyper::Result<()>>,
}

impl Source {
    /// Connects and asks which properties there are.
    pub(crate) async fn connect(
        base_url: &str,
        token: &str,
        page_size: u32,
        window: Option<String>,
    ) -> Result<Source> {
        let authority = base_url
            .strip_prefix("http://")
            .context("the base URL must start with http://")?;
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let mut source = Source {
            sender,
            authority: authority.to_owned(),
            authorization: format!("Bearer {token}"),
            properties: String::new(),
            page_size,
            window,
            body: Vec::new(),
            _connection: driver,
        };
        source.fetch("/crm/v3/properties/contacts").await?;
        let listed: Properties = serde_json::from_slice(&source.body)?;
        let names: Vec<String> = listed.results.into_iter().map(|each| each.name).collect();
        source.properties = names.join(",");
        Ok(source)
    }

    /// Fetches the page behind `after`.
    pub(crate) async fn page(mut self, after: Option<String>) -> Result<Source> {
        let path = self.path(after.as_deref());
        self.fetch(&path).await?;
        Ok(self)
    }

    fn path(&self, after: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &self.page_size.to_string());
        if let Some(after) = after {
            query.append_pair("after", after);
        }
        if let Some(window) = &self.window {
            query.append_pair("date", window);
        }
        query.append_pair("properties", &self.properties);
        query.append_pair("archived", "false");
        format!("/crm/v3/objects/contacts?{}", query.finish())
    }

    /// The page that was fetched last.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    async fn fetch(&mut self, path: &str) -> Result<()> {
        loop {
            let request = Request::get(path)
                .header(HOST, &self.authority)
                .header(AUTHORIZATION, &self.authorization)
                .body(Empty::new())?;
            self.sender.ready().await?;
            let mut response = self.sender.send_request(request).await?;
            self.body.clear();
            while let Some(frame) = response.frame().await {
                if let Ok(part) = frame?.into_data() {
                    self.body.extend_from_slice(&part);
                }
            }
            let status = response.status();
            if status != StatusCode::TOO_MANY_REQUESTS {
                ensure!(status == StatusCode::OK, "{path} answered {status}");
                return Ok(());
            }
            let wait = response.headers().get(RETRY_AFTER);
            let wait = wait.context("429 without a time to wait")?.to_str()?;
            tokio::time::sleep(Duration::from_secs(wait.parse()?)).await;
        }
    }
}
