//! The list of contacts over one keep-alive connection.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode};
use native_loop::connection::{self, Connection};
use serde::Deserialize;
use std::time::Duration;
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
    connection: Connection<Empty<Bytes>>,
    /// All properties, joined with commas.
    properties: String,
    page_size: u32,
    window: Option<String>,
    body: Vec<u8>,
}

impl Source {
    /// Connects and asks which properties there are.
    pub(crate) async fn connect(
        from: &connection::Source,
        page_size: u32,
        window: Option<String>,
    ) -> Result<Source> {
        let mut source = Source {
            connection: from.connect().await?,
            properties: String::new(),
            page_size,
            window,
            body: Vec::new(),
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
            let request = self.connection.send(Request::get(path), Empty::new());
            let mut response = request.await?;
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
