//! The list of contacts over one keep-alive connection.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use url::form_urlencoded;

const PAGE_RECORDS: &str = "100";

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
    body: Vec<u8>,
    /// Drives the connection until this is dropped.
    _connection: JoinSet<hyper::Result<()>>,
}

impl Source {
    /// Connects and asks which properties there are.
    pub(crate) async fn connect(base_url: &str, token: &str) -> Result<Source> {
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
            body: Vec::new(),
            _connection: driver,
        };
        let listed = source.fetch("/crm/v3/properties/contacts").await?;
        let listed: Properties = serde_json::from_slice(listed)?;
        let names: Vec<String> = listed.results.into_iter().map(|each| each.name).collect();
        source.properties = names.join(",");
        Ok(source)
    }

    /// The body of the page behind `after`.
    pub(crate) async fn page(&mut self, after: Option<&str>) -> Result<&[u8]> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", PAGE_RECORDS);
        if let Some(after) = after {
            query.append_pair("after", after);
        }
        query.append_pair("properties", &self.properties);
        query.append_pair("archived", "false");
        let path = format!("/crm/v3/objects/contacts?{}", query.finish());
        self.fetch(&path).await
    }

    async fn fetch(&mut self, path: &str) -> Result<&[u8]> {
        let request = Request::get(path)
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, &self.authorization)
            .body(Empty::new())?;
        self.sender.ready().await?;
        let mut response = self.sender.send_request(request).await?;
        let status = response.status();
        ensure!(status == StatusCode::OK, "{path} answered {status}");
        self.body.clear();
        while let Some(frame) = response.frame().await {
            if let Ok(part) = frame?.into_data() {
                self.body.extend_from_slice(&part);
            }
        }
        Ok(&self.body)
    }
}
