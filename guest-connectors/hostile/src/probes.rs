//! Questions that the host must refuse. Each returns what every probe was
//! answered; a probe that got through is listed under `passed`.

use serde::Serialize;
use serde_json::{Value, json};
use tidegate_sdk::{HttpFault, Method, prelude::*};

use crate::ENDPOINT;

#[derive(Default, Serialize)]
struct Answers {
    refused: Vec<(String, String)>,
    passed: Vec<String>,
}

impl Answers {
    fn note<T, E: ToString>(&mut self, probe: &str, answer: Result<T, E>) {
        match answer {
            Ok(_) => self.passed.push(probe.to_owned()),
            Err(fault) => self.refused.push((probe.to_owned(), fault.to_string())),
        }
    }

    fn told(&self) -> Value {
        json!(self)
    }
}

pub(crate) fn forbidden_hosts(host: &Host) -> Value {
    let mut answers = Answers::default();
    for url in [
        "https://unlisted.example/",
        "http://hostile.example/",
        "https://hostile.example:8443/",
        "https://hostile.example@unlisted.example/",
        "https://hostile.example.unlisted.example/",
        "http://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "https://127.0.0.1/",
        "https://localhost/",
        "file:///etc/passwd",
        "//unlisted.example/",
    ] {
        answers.note(url, host.fetch(&Request::absolute(url)));
    }
    for path in [
        "//unlisted.example/",
        "@unlisted.example/",
        "https://unlisted.example/",
        "\\\\x",
    ] {
        answers.note(path, host.fetch(&Request::get(ENDPOINT, path)));
    }
    answers.note(
        "unknown endpoint",
        host.fetch(&Request::get("elsewhere", "/")),
    );
    answers.note(
        "unknown auth",
        host.fetch(&Request::get(ENDPOINT, "/").auth("stolen")),
    );
    answers.told()
}

pub(crate) fn smuggled_headers(host: &Host) -> Value {
    let mut answers = Answers::default();
    for (name, value) in [
        ("x-split", "a\r\nx-injected: b"),
        ("x-newline", "a\nb"),
        ("x-nul", "a\0b"),
        ("x-name\r\nx-injected", "a"),
        ("", "a"),
        ("host", "unlisted.example"),
        ("Host", "unlisted.example"),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive, authorization"),
        ("authorization", "Bearer stolen"),
        ("Proxy-Authorization", "Basic stolen"),
        ("cookie", "session=stolen"),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        let request = Request::new(Method::Post, ENDPOINT, "/").header(name, value);
        answers.note(&format!("{name}: {value}"), host.fetch(&request));
    }
    let flood = (0..1_000).fold(Request::get(ENDPOINT, "/"), |request, index| {
        request.header(format!("x-{index}"), "a")
    });
    answers.note("1,000 headers", host.fetch(&flood));
    answers.told()
}

pub(crate) fn bad_pointers(host: &Host, stream: &str) -> Result<Value, Failure> {
    let mut answers = Answers::default();
    let body = host.fetch(&Request::get(ENDPOINT, "/page"))?.body;
    let long = "/a".repeat(100_000);
    let pointers = [
        "results",
        "/~",
        "/~2",
        "/results/~",
        "#/results",
        "/\0",
        "/results/-1",
        &long,
    ];
    for pointer in pointers {
        let probe: String = pointer.chars().take(20).collect();
        answers.note(&format!("get {probe}"), something(body.get(pointer)));
        answers.note(&format!("count {probe}"), something(body.count(pointer)));
        let how = Extraction::json(pointer).key("/id");
        answers.note(
            &format!("records {probe}"),
            host.emit_body(stream, &body, &how),
        );
        let how = Extraction::json("/results").key(pointer);
        answers.note(&format!("key {probe}"), host.emit_body(stream, &body, &how));
    }
    answers.note("get-many", body.get_many(&pointers));
    answers.note(
        "slice",
        body.slice(u64::MAX, u32::MAX).map(|bytes| bytes.len()),
    );
    Ok(answers.told())
}

/// "Nothing there" is a refusal too.
fn something<T>(answer: Result<Option<T>, HttpFault>) -> Result<T, HttpFault> {
    answer?.ok_or_else(|| HttpFault::Invalid("nothing there".to_owned()))
}

pub(crate) fn unknown_stream(host: &Host) -> Value {
    let mut answers = Answers::default();
    for stream in ["elsewhere", "", "../records", "records\0"] {
        let answer = host.emit_ndjson(stream, Change::Upsert, b"{\"id\":\"1\"}\n");
        answers.note(stream, answer);
    }
    answers.told()
}
