//! The smallest S3 client that these tests need: SigV4 over HTTP/1.1.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::http::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};

const REGION: &str = "us-east-1";
const SIGNED_HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";

pub(crate) struct Client {
    host: String,
    access_key: String,
    secret_key: String,
}

impl Client {
    pub(crate) fn new(endpoint: &str, access_key: &str, secret_key: &str) -> Client {
        Client {
            host: endpoint.strip_prefix("http://").unwrap().to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        }
    }

    pub(crate) async fn create(&self, path: &str, body: String) -> StatusCode {
        self.send("PUT", path, body.into(), true).await.0
    }

    pub(crate) async fn read(&self, path: &str) -> (StatusCode, Bytes) {
        self.send("GET", path, Bytes::new(), false).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
        create: bool,
    ) -> (StatusCode, Bytes) {
        let digest = HEXLOWER.encode(&Sha256::digest(&body));
        let at = stamp();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("x-amz-date", &at)
            .header("x-amz-content-sha256", &digest)
            .header(
                "authorization",
                self.authorization(method, path, &digest, &at),
            );
        if create {
            request = request.header("if-none-match", "*");
        }
        let stream = tokio::net::TcpStream::connect(&self.host).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let exchange = async {
            let answer = sender
                .send_request(request.body(Full::new(body)).unwrap())
                .await
                .unwrap();
            let status = answer.status();
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            drop(sender);
            (status, bytes)
        };
        let (_closed, answer) = tokio::join!(connection, exchange);
        answer
    }

    fn authorization(&self, method: &str, path: &str, digest: &str, at: &str) -> String {
        let day = &at[..8];
        let canonical = format!(
            "{method}\n{path}\n\nhost:{}\nx-amz-content-sha256:{digest}\nx-amz-date:{at}\n\n{SIGNED_HEADERS}\n{digest}",
            self.host
        );
        let scope = format!("{day}/{REGION}/s3/aws4_request");
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{at}\n{scope}\n{}",
            HEXLOWER.encode(&Sha256::digest(canonical))
        );
        let first = format!("AWS4{}", self.secret_key).into_bytes();
        let key = [day, REGION, "s3", "aws4_request"]
            .iter()
            .fold(first, |key, part| mac(&key, part));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={}",
            self.access_key,
            HEXLOWER.encode(&mac(&key, &to_sign))
        )
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The current time as `20261122T093000Z`.
fn stamp() -> String {
    jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}
