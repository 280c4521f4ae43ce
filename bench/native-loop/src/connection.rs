//! One keep-alive connection to a source that wants a token.

use anyhow::{Context as _, Result};
use clap::Args;
use hyper::Response;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use std::error::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Where the source is, and who may read it.
#[derive(Debug, Args)]
pub struct Source {
    /// `http://127.0.0.1:8800`.
    #[arg(long)]
    pub base_url: String,
    /// Its token.
    #[arg(long)]
    pub token: String,
}

/// A connection that is kept.
pub struct Connection<B> {
    sender: http1::SendRequest<B>,
    authority: String,
    authorization: String,
    /// Drives the connection until this is dropped.
    _driver: JoinSet<hyper::Result<()>>,
}

impl Source {
    /// Connects.
    ///
    /// # Errors
    /// Where the address is none of plain HTTP, or nobody answers there.
    pub async fn connect<B>(&self) -> Result<Connection<B>>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let authority = self
            .base_url
            .strip_prefix("http://")
            .context("the base URL must start with http://")?;
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        Ok(Connection {
            sender,
            authority: authority.to_owned(),
            authorization: format!("Bearer {}", self.token),
            _driver: driver,
        })
    }
}

impl<B: Body + 'static> Connection<B> {
    /// Sends a request, whose address is a path, with the token.
    ///
    /// # Errors
    /// Where the request is none, or the connection broke.
    pub async fn send(&mut self, request: Builder, body: B) -> Result<Response<Incoming>> {
        let request = request
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, &self.authorization)
            .body(body)?;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}
