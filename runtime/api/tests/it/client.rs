//! A plain HTTP client that keeps everything it is answered.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One caller.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) key: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A body that comes bit by bit.
pub(crate) struct Flow {
    body: Incoming,
    seen: String,
    #[expect(
        dead_code,
        reason = "drives the connection for as long as the body is read"
    )]
    connection: JoinSet<()>,
}

pub(crate) const JSON: &str = "application/json";

impl Client {
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (parts, mut flow) = self.open(method, path, headers, body.into()).await;
        let mut bytes = Vec::new();
        while let Some(frame) = flow.body.frame().await {
            if let Ok(more) = frame.unwrap().into_data() {
                bytes.extend_from_slice(&more);
            }
        }
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(), // a backup is no text
        }
    }

    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> (http::response::Parts, Flow) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            connection.await.ok();
        });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "tidegate.test");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = sender
            .send_request(request.body(Full::new(body)).unwrap())
            .await
            .unwrap();
        let (parts, body) = answer.into_parts();
        let flow = Flow {
            body,
            seen: String::new(),
            connection: driver,
        };
        (parts, flow)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Bytes::new()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(
            Method::PUT,
            path,
            &[("content-type", JSON)],
            body.to_string(),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(
            Method::POST,
            path,
            &[("content-type", JSON)],
            body.to_string(),
        )
        .await
    }

    pub(crate) async fn post_as(&self, path: &str, repeat: &str, body: &Value) -> Answer {
        let headers = [("content-type", JSON), ("idempotency-key", repeat)];
        self.send(Method::POST, path, &headers, body.to_string())
            .await
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The stable code of a problem, whose whole shape is checked on the way.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let problem = self.json();
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{problem}"
        );
        assert_eq!(problem["status"], self.status.as_u16(), "{problem}");
        let code = problem["code"].as_str().unwrap();
        assert_eq!(problem["type"], format!("urn:tidegate:problem:{code}"));
        for field in ["title", "detail", "fix"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field} in {problem}"
            );
        }
        code.to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Flow {
    /// Reads on until the text holds this; panics where the body ends before.
    pub(crate) async fn until(&mut self, text: &str) -> &str {
        while !self.seen.contains(text) {
            let frame = self
                .body
                .frame()
                .await
                .unwrap_or_else(|| panic!("ended without {text}: {}", self.seen));
            self.seen
                .push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        }
        &self.seen
    }

    /// Reads to the end.
    pub(crate) async fn rest(mut self) -> String {
        while let Some(frame) = self.body.frame().await {
            self.seen
                .push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        }
        self.seen
    }
}
