//! A pooled HTTP/1.1 and HTTP/2 client over the dialer.

use super::{DialError, Dialer};
use crate::config::Origin;
use crate::{Denial, FetchFault, Rule};
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use url::Url;

/// Below the 60 s after which common load balancers drop an idle connection.
const IDLE: Duration = Duration::from_secs(45);
/// What is read of a socket at once, at the most: an answer's page in one piece, mostly.
const READ_BYTES_MAX: usize = 256 << 10;

/// Sends requests through one pool. Follows no redirect, keeps no cookie, adds no
/// header but `host`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient<B> {
    client: Client<Connector, B>,
}

/// A client with a pool of its own.
pub fn http_client<B>(dialer: &Dialer) -> HttpClient<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let dialer = dialer.clone();
    let policy = &dialer.policy;
    let client = Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(policy.idle_connections_max)
        .http1_max_headers(policy.header_count_max)
        .http1_max_buf_size(policy.header_bytes_max.max(READ_BYTES_MAX))
        .http2_max_header_list_size(u32::try_from(policy.header_bytes_max).unwrap_or(u32::MAX))
        .build(Connector { dialer });
    HttpClient { client }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection stood: nothing was sent.
    #[error("no connection")]
    Dial(#[from] DialError),
    /// The connection broke before the answer's headers had come: the peer may have
    /// seen the request.
    #[error("the connection to {0} broke")]
    Broken(String),
}

impl From<SendError> for FetchFault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Dial(dial) => dial.into(),
            SendError::Broken(host) => {
                FetchFault::Connect(format!("{host}: the connection broke before an answer"))
            }
        }
    }
}

impl<B> HttpClient<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Sends one request; the answer's body is still on its way.
    ///
    /// # Errors
    /// [`SendError::Dial`] where nothing was sent, else [`SendError::Broken`].
    pub async fn send(
        &self,
        request: http::Request<B>,
    ) -> Result<http::Response<Incoming>, SendError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        self.client.request(request).await.map_err(|error| {
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
            while let Some(at) = cause {
                if let Some(dial) = at.downcast_ref::<DialError>() {
                    return SendError::Dial(dial.clone());
                }
                cause = at.source();
            }
            tracing::debug!(host, error = ?error, "a request broke");
            SendError::Broken(host)
        })
    }
}

#[derive(Clone, Debug)]
struct Connector {
    dialer: Dialer,
}

impl tower_service::Service<http::Uri> for Connector {
    type Response = Stream;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let dialer = self.dialer.clone();
        Box::pin(async move {
            let refuse = || DialError::Denied(Denial::new(Rule::Host, "the address has no origin"));
            let url = Url::parse(&uri.to_string()).map_err(|_| refuse())?;
            let origin = Origin::of(&url).ok_or_else(refuse)?;
            if origin.scheme == "https" {
                let stream = dialer.tls(&origin).await?;
                Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
            } else {
                Ok(Stream::Plain(TokioIo::new(dialer.tcp(&origin).await?)))
            }
        })
    }
}

/// Plain only towards an operator's mapping.
enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Stream::Tls(stream) if stream.inner().get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
