//! Bodies: whole, capped, decoded, and what happens where they are cut.

use crate::fixture::{Fixture, fault, fetch, get, request};
use crate::server::{Server, cut_after, reply, with};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use tidegate_broker::{FetchFault, Method, Request};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn serving(body: Vec<u8>, encoding: &'static str) -> Server {
    Server::start(move |_| {
        let answer = reply(200, body.clone());
        async move { Ok(with(answer, "content-encoding", encoding)) }
    })
    .await
}

#[tokio::test]
async fn compressed_bodies_are_decoded_and_counted_as_they_came() {
    let plain = "0123456789abcdef".repeat(4096);
    let packed = gzip(plain.as_bytes());
    let bytes = packed.len() as u64;
    let server = serving(packed, "gzip").await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let answer = fetch(&session, get("/v1/x")).await.ok().unwrap();
    assert!(answer.body == plain.as_bytes());
    assert_eq!(session.usage().bytes_received, bytes);
}

/// 64 MiB of zeros, by Brotli's reference encoder.
const BROTLI_BOMB: &str = "cfffff7ff82700e2b14020f7fe9ffffffff04f00c4610180eefd3fffffffe19f0088c32200\
     ddfb7ffeffffc33f0110870500baf7ff03";
/// "0123456789abcdef", 4096 times.
const BROTLI_TEXT: &str = "1bfffff8e5c131d4660d3f1e8c0154bd07002416358fac9ebd07";

fn brotli(hexadecimal: &str) -> Vec<u8> {
    data_encoding::HEXLOWER
        .decode(hexadecimal.as_bytes())
        .unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

#[tokio::test]
async fn every_encoding_that_is_asked_for_is_decoded_whole_or_not_at_all() {
    let plain = "0123456789abcdef".repeat(4096);
    let encoded = [
        ("gzip", gzip(plain.as_bytes())),
        ("x-gzip", gzip(plain.as_bytes())),
        ("br", brotli(BROTLI_TEXT)),
        ("zstd", zstd(plain.as_bytes())),
    ];
    for (encoding, packed) in encoded {
        let mut damaged = packed.clone();
        damaged.push(b'!');
        let cut = packed[..packed.len() - 1].to_vec();
        let server = serving(packed, encoding).await;
        let answer = fetch(&Fixture::new(&server).session(), get("/v1/x")).await;
        assert!(answer.ok().unwrap().body == plain.as_bytes(), "{encoding}");
        for broken in [cut, damaged] {
            let server = serving(broken, encoding).await;
            let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
            let refusal = fault(&fixture.session(), get("/v1/x")).await;
            assert!(
                matches!(refusal, FetchFault::Protocol(_)),
                "{encoding}: {refusal:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_decompression_bomb_stops_at_the_cap_or_the_ratio() {
    let zeros = vec![0; 64 << 20];
    let bombs = [
        ("gzip", gzip(&zeros)),
        ("br", brotli(BROTLI_BOMB)),
        ("zstd", zstd(&zeros)),
    ];
    for (encoding, bomb) in bombs {
        let server = serving(bomb, encoding).await;
        let fixture = Fixture::with(&server, |config, _| config.body_bytes_max = 8 << 20);
        let refusal = fault(&fixture.session(), get("/v1/x")).await;
        assert!(
            matches!(refusal, FetchFault::TooLarge(bytes) if bytes == 8 << 20),
            "{encoding}: {refusal:?}"
        );
        assert_eq!(server.count(), 1, "a bomb is not fetched twice");

        let roomy = Fixture::with(&server, |config, _| config.body_memory_bytes_max = 1 << 16);
        let refusal = fault(&roomy.session(), get("/v1/x")).await;
        assert!(matches!(refusal, FetchFault::TooLarge(_)), "{refusal:?}");

        let trusting = Fixture::with(&server, |config, _| {
            config.decompression_ratio_max = u64::MAX;
        });
        let answer = fetch(&trusting.session(), get("/v1/x")).await.ok().unwrap();
        assert_eq!(answer.body.len(), 64 << 20);
    }
}

#[tokio::test]
async fn a_guest_can_ask_for_less() {
    let server = Server::start(|_| async { Ok(reply(200, "0123456789")) }).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let modest = |body_bytes_max| Request {
        body_bytes_max: Some(body_bytes_max),
        ..get("/v1/x")
    };
    assert!(fetch(&session, modest(10)).await.is_ok());
    let refusal = fault(&session, modest(9)).await;
    assert!(matches!(refusal, FetchFault::TooLarge(9)), "{refusal:?}");
}

#[tokio::test]
async fn large_bodies_leave_memory_and_no_file_name() {
    let body = vec![b'x'; 3 << 20];
    let expected = body.clone();
    let server = Server::start(move |_| {
        let answer = reply(200, body.clone());
        async move { Ok(answer) }
    })
    .await;
    let fixture = Fixture::with(&server, |config, _| config.body_memory_bytes_max = 1 << 20);
    let answer = fetch(&fixture.session(), get("/v1/x")).await.ok().unwrap();
    assert!(answer.body == expected);
    let names = std::fs::read_dir(fixture.dir.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the state and the key only: {names:?}");
}

#[tokio::test]
async fn a_cut_body_is_fetched_again_where_that_does_no_harm() {
    let server = Server::start(|seen| async move {
        match seen.index {
            0 | 2 | 3 => Ok(cut_after(b"{\"half\":", true)),
            _ => Ok(reply(200, "{}")),
        }
    })
    .await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    assert!(fetch(&session, get("/v1/x")).await.is_ok());
    assert_eq!(server.count(), 2);

    let refusal = fault(&session, request(Method::Post, "/v1/x")).await;
    assert!(matches!(refusal, FetchFault::Protocol(_)), "{refusal:?}");
    assert_eq!(server.count(), 3, "a POST may have been served");

    let keyed = Request {
        idempotency_key: Some("k".to_owned()),
        ..request(Method::Post, "/v1/x")
    };
    assert!(fetch(&session, keyed).await.is_ok());
    assert_eq!(server.count(), 5);
    assert_eq!(session.usage().retries, 2);
}

#[tokio::test]
async fn a_cut_compressed_body_is_no_short_body() {
    let mut packed = gzip(b"0123456789".repeat(1000).as_slice());
    packed.truncate(packed.len() - 5);
    let server = serving(packed, "gzip").await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 1);
    let refusal = fault(&fixture.session(), get("/v1/x")).await;
    assert!(matches!(refusal, FetchFault::Protocol(_)), "{refusal:?}");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_tried_again() {
    let server = Server::start(|seen| async move {
        if seen.index == 0 {
            return Err(std::io::Error::other("gone"));
        }
        Ok(reply(200, "{}"))
    })
    .await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    assert!(fetch(&session, get("/v1/x")).await.is_ok());
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_slow_body_ends_at_the_attempts_timeout() {
    let server = Server::start(|_| async { Ok(cut_after(b"{", false)) }).await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 1);
    let hasty = Request {
        timeout_ms: Some(500),
        ..get("/v1/x")
    };
    let refusal = fault(&fixture.session(), hasty).await;
    assert!(matches!(refusal, FetchFault::Timeout(_)), "{refusal:?}");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn encodings_that_were_not_asked_for_are_refused() {
    let server = serving(b"?".to_vec(), "deflate").await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    let refusal = fault(&fixture.session(), get("/v1/x")).await;
    assert!(matches!(refusal, FetchFault::Protocol(_)), "{refusal:?}");
}

#[tokio::test]
async fn an_answer_without_a_body_may_still_say_gzip() {
    let server = serving(Vec::new(), "gzip").await;
    let answer = fetch(&Fixture::new(&server).session(), get("/v1/x")).await;
    assert!(answer.ok().unwrap().body.is_empty());
}

#[tokio::test]
async fn an_answer_with_too_many_headers_is_refused() {
    let server = Server::start(|_| async {
        let mut answer = reply(200, "{}");
        for at in 0..80 {
            let name = http::HeaderName::try_from(format!("x-{at}")).unwrap();
            answer
                .headers_mut()
                .insert(name, http::HeaderValue::from_static("v"));
        }
        Ok(answer)
    })
    .await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    assert!(fetch(&fixture.session(), get("/v1/x")).await.is_err());
}
