//! A plain HTTP/1.1 client that shows everything that came over the wire.

use bytes::Bytes;
use crm_sim::hubspot::{Config, CrmSim};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the body broke off.
    pub(crate) broken: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Ids of the results of a page.
    pub(crate) fn ids(&self) -> Vec<u64> {
        ids(&self.json())
    }
}

pub(crate) fn ids(page: &Value) -> Vec<u64> {
    let results = page["results"].as_array().unwrap();
    let ids = results.iter().map(|record| record["id"].as_str().unwrap());
    ids.map(|id| id.parse().unwrap()).collect()
}

/// Without limits, so that tests of other things never meet one.
pub(crate) async fn unlimited(contacts: u32) -> CrmSim {
    start(Config {
        contacts,
        limit_scale: None,
        ..Config::default()
    })
    .await
}

pub(crate) async fn start(config: Config) -> CrmSim {
    CrmSim::start(config).await.unwrap()
}

pub(crate) async fn send(
    base_url: &str,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let authority = base_url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(authority).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let (parts, mut incoming) = sender.send_request(request).await.unwrap().into_parts();
    let mut body = Vec::new();
    let mut broken = false;
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    drop(sender);
    // The connection may have been cut on purpose.
    let _ended = driver.join_next().await;
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.into(),
        broken,
    }
}

/// A GET with a fresh OAuth token.
pub(crate) async fn get(sim: &CrmSim, target: &str) -> Answer {
    let token = sim.issue_tokens().access_token;
    get_as(sim, &token, target).await
}

pub(crate) async fn get_as(sim: &CrmSim, token: &str, target: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    send(sim.base_url(), Method::GET, target, &headers, Vec::new()).await
}

/// A JSON request with a fresh OAuth token.
pub(crate) async fn call(sim: &CrmSim, method: Method, target: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", sim.issue_tokens().access_token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let body = body.to_string().into_bytes();
    send(sim.base_url(), method, target, &headers, body).await
}

pub(crate) async fn post(sim: &CrmSim, target: &str, body: &Value) -> Answer {
    call(sim, Method::POST, target, body).await
}
