//! Requests that try to be read in two ways: what a hyper server, Python's http.server
//! and nginx make of what leaves is the same, and is what was asked for.

use crate::fixture::{API, Fixture, fetch, request};
use crate::server::{Seen, Server, reply};
use bytes::Bytes;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use tidegate_broker::{Method, Origin, Payload, Request, Target};

/// Prints what it parsed, one JSON array in each line.
const PYTHON: &str = r"
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self):
        body = self.rfile.read(int(self.headers.get('content-length') or 0))
        headers = [[name.lower(), value.strip()] for name, value in self.headers.items()]
        print(json.dumps([self.command, self.path, headers, body.hex()]), flush=True)
        self.send_response(200)
        self.send_header('content-length', '0')
        self.end_headers()
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
";

/// A request as some server parsed it.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Hop-by-hop, or a proxy's own business.
fn is_compared(name: &str) -> bool {
    !matches!(name, "host" | "connection" | "content-length" | "accept")
}

impl Parsed {
    fn new(
        method: &str,
        path: &str,
        headers: impl Iterator<Item = (String, String)>,
        body: &[u8],
    ) -> Self {
        let mut headers: Vec<_> = headers.filter(|(name, _)| is_compared(name)).collect();
        headers.sort();
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: body.to_vec(),
        }
    }

    fn of_hyper(seen: &Seen) -> Self {
        let headers = seen.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.trim().to_owned())
        });
        Self::new(seen.method.as_str(), &seen.path, headers, &seen.body)
    }

    fn of_python(line: &str) -> Self {
        type Line = (String, String, Vec<(String, String)>, String);
        let (method, path, headers, body): Line = serde_json::from_str(line).unwrap();
        let body = data_encoding::HEXLOWER.decode(body.as_bytes()).unwrap();
        Self::new(&method, &path, headers.into_iter(), &body)
    }
}

fn corpus() -> Vec<Request> {
    let paths = "/v1/ /v1/a%2Fb /v1/a%2fb%5Cc /v1/a;b=c;d /v1/a//b///c /v1/%0d%0aX:%20y \
         /v1/%E2%82%AC /v1/a+b /v1/%252fa /v1/'x'() /v1/{x}|^` /v1/a?b?c \
         /v1/a?x=1&x=2&&y /v1/a?x=%23%26%3D /v1/a:80 /v1/http://evil.test/ /v1/*,!$~ \
         /v1/a?https://evil.test /v1/a%20HTTP/1.1%0d%0aHost:%20evil.test /v1/...";
    let mut corpus: Vec<Request> = paths
        .split_whitespace()
        .map(|path| request(Method::Get, path))
        .collect();
    for method in [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
    ] {
        corpus.push(request(method, "/v1/empty"));
        for body in [
            "GET /evil HTTP/1.1\r\nhost: evil\r\n\r\n",
            "0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ] {
            corpus.push(Request {
                payload: Payload::Raw {
                    content_type: "text/plain".to_owned(),
                    bytes: Bytes::from_static(body.as_bytes()),
                },
                ..request(method, "/v1/body")
            });
        }
    }
    for (name, value) in [
        ("x-empty", ""),
        ("x-spaces", "  a  b  "),
        ("x-tab", "a\tb"),
        ("x_underscore", "1"),
        ("x.dot", "1"),
        ("x!#$%&'*+-.^`|~", "every mark that a name may hold"),
        ("x-quotes", "\"a, b\"; c=\"d\\\"e\""),
        ("x-colons", ": a: b"),
        ("x-chunked", "chunked"),
        ("x-long", &"a".repeat(4000)),
        ("range", "bytes=0-1"),
        ("content-encoding", "identity"),
        ("content-location", "http://evil.test/"),
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("x-http-method", "DELETE"),
    ] {
        corpus.push(Request {
            headers: vec![
                (name.to_owned(), value.to_owned()),
                ("x-twice".to_owned(), "1".to_owned()),
                ("x-twice".to_owned(), "2".to_owned()),
            ],
            ..request(Method::Post, "/v1/headers")
        });
    }
    for (name, value) in [
        ("a\r\nb: c", "d\r\n\r\ne"),
        ("a b&c=d#e", "\u{20ac} +%"),
        ("", ""),
    ] {
        corpus.push(Request {
            target: Target::Endpoint {
                endpoint: "api".to_owned(),
                path: "/v1/query".to_owned(),
                query: vec![(name.to_owned(), value.to_owned())],
            },
            ..request(Method::Get, "")
        });
    }
    corpus.push(Request {
        target: Target::Absolute(format!("{API}/v1/link?next=%2Fa%0d%0a&x=//evil")),
        ..request(Method::Get, "")
    });
    corpus
}

/// Never leave: each would be read in two ways by someone.
fn refused() -> Vec<Request> {
    let names = "content-length transfer-encoding host connection te trailer upgrade expect \
         keep-alive proxy-connection http2-settings x-http-method-override Content-Length \
         TRANSFER-ENCODING transfer-encoding\t :method :path x\r\nhost x: \u{e9}";
    let header = |name: &str, value: &str| Request {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..request(Method::Post, "/v1/x")
    };
    let mut refused: Vec<_> = names.split(' ').map(|name| header(name, "1")).collect();
    for value in ["a\r\nb: c", "a\nb", "a\0b", "a\rb", "\u{7f}"] {
        refused.push(header("x-value", value));
    }
    for path in [
        "//evil.test/v1/x",
        "/v1/../../x",
        "/v1/%2e%2e/x",
        "/v1/..%2fx",
        "/v1/..%5cx",
        "/v1/%252e%252e%252fx",
        "/v1/..;/x",
        "/v1/\\evil.test",
        "/v1/a%00b",
        "/v1/a b",
        "/v1/a\r\nb",
        "/v1/a#b",
        "/v1/\u{e9}",
        "v1/x",
        "",
        "@evil.test/v1/x",
        ":80@evil.test/v1/x",
    ] {
        refused.push(request(Method::Get, path));
    }
    refused
}

async fn hyper_server() -> Server {
    Server::start(|_| async { Ok(reply(200, "")) }).await
}

/// The fixture's provider is at this port.
fn at_port(server: &Server, port: u16) -> Fixture {
    Fixture::with(server, |config, _| {
        config.retries_max = 0;
        for mapping in &mut config.mappings {
            mapping.to = Origin::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        }
    })
}

async fn direct(corpus: &[Request]) -> Vec<Parsed> {
    let server = hyper_server().await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    for request in corpus {
        let answer = fetch(&session, request.clone()).await;
        assert!(answer.is_ok(), "{:?}", answer.err());
    }
    for (at, request) in refused().into_iter().enumerate() {
        assert!(
            fetch(&session, request).await.is_err(),
            "refusal {at} passed"
        );
    }
    server.seen().iter().map(Parsed::of_hyper).collect()
}

#[tokio::test]
async fn python_parses_what_hyper_parses() {
    let corpus = corpus();
    let expected = direct(&corpus).await;
    assert_eq!(expected.len(), corpus.len(), "what is refused never leaves");
    let python = std::env::var_os("TIDEGATE_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.args(["-c", PYTHON]).stdout(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let output = running.0.stdout.take().unwrap();
    let mut lines = BufReader::new(output).lines();
    let port = lines.next().unwrap().unwrap().parse().unwrap();
    let idle = hyper_server().await;
    let fixture = at_port(&idle, port);
    let session = fixture.session();
    for (request, expected) in corpus.iter().zip(&expected) {
        let answer = fetch(&session, request.clone()).await;
        assert!(answer.is_ok(), "{expected:?}: {:?}", answer.err());
        let parsed = Parsed::of_python(&lines.next().unwrap().unwrap());
        assert_eq!(&parsed, expected);
    }
}

/// Where `TIDEGATE_TEST_NGINX` names the program, as in `cargo ci`.
#[tokio::test]
async fn nginx_passes_on_what_hyper_parses() {
    let Some(nginx) = std::env::var_os("TIDEGATE_TEST_NGINX") else {
        return;
    };
    let corpus = corpus();
    let expected = direct(&corpus).await;
    let behind = hyper_server().await;
    let origin = behind.origin.replace("localhost", "127.0.0.1");
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let home = dir.path().display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {home}/{name};\n"))
        .concat();
    let config = format!(
        "daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;\n\
         events {{}}\n\
         http {{ access_log off; underscores_in_headers on; ignore_invalid_headers off;\n\
         large_client_header_buffers 4 32k;\n{temporary}\
         server {{ listen 127.0.0.1:{port}; merge_slashes off;\n\
         location / {{ proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass {origin}; }} }} }}\n"
    );
    let file = dir.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(nginx);
    command
        .arg("-c")
        .arg(&file)
        .arg("-p")
        .arg(dir.path())
        .arg("-e")
        .arg(dir.path().join("error.log"));
    let mut running = Running(command.spawn().unwrap());
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(running.0.try_wait().unwrap().is_none(), "nginx ended");
        tokio::task::yield_now().await;
    }
    let fixture = at_port(&behind, port);
    let session = fixture.session();
    for (at, (request, expected)) in corpus.iter().zip(&expected).enumerate() {
        let answer = fetch(&session, request.clone()).await;
        assert!(
            answer.is_ok_and(|answer| answer.status == 200),
            "{expected:?}"
        );
        let seen = behind.seen();
        assert_eq!(seen.len(), at + 1, "one request stays one: {expected:?}");
        assert_eq!(&Parsed::of_hyper(&seen[at]), expected);
    }
}
