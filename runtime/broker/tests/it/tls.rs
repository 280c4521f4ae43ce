//! TLS: HTTP/2 where the peer offers it, and nothing without a valid certificate.

use crate::fixture::{Fixture, fault, fetch, get};
use crate::server::{Reply, Seen, Server, reply};
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_broker::FetchFault;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::rustls::{self, ServerConfig};

pub(crate) fn file(name: &str) -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join("tests/it/tls").join(name)
}

async fn secure_server(protocols: &[&[u8]]) -> Server {
    secure_server_with("localhost", protocols, |_| async { Ok(reply(200, "{}")) }).await
}

pub(crate) async fn secure_server_with<F, A>(pair: &str, protocols: &[&[u8]], script: F) -> Server
where
    F: Fn(Seen) -> A + Send + Sync + 'static,
    A: Future<Output = std::io::Result<Reply>> + Send + 'static,
{
    let certificate = CertificateDer::from_pem_file(file(&format!("{pair}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(file(&format!("{pair}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start_with(script, Some(acceptor)).await
}

#[tokio::test]
async fn the_peer_chooses_http_2_or_1() {
    for (protocols, version) in [
        (&[&b"h2"[..], b"http/1.1"][..], http::Version::HTTP_2),
        (&[&b"http/1.1"[..]][..], http::Version::HTTP_11),
        (&[][..], http::Version::HTTP_11),
    ] {
        let server = secure_server(protocols).await;
        let fixture = Fixture::with(&server, |config, _| {
            config.extra_authorities = Some(file("authority.pem"));
        });
        let session = fixture.session();
        for _ in 0..3 {
            assert_eq!(
                fetch(&session, get("/v1/x")).await.ok().unwrap().status,
                200
            );
        }
        assert!(server.seen().iter().all(|seen| seen.version == version));
        assert_eq!(
            server.connections(),
            1,
            "one connection serves one after another"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_or_for_another_name_is_refused() {
    let server = secure_server(&[]).await;
    let unknown = Fixture::new(&server);
    let refusal = fault(&unknown.session(), get("/v1/x")).await;
    assert!(matches!(refusal, FetchFault::Tls(_)), "{refusal:?}");

    let misnamed = Fixture::with(&server, |config, _| {
        config.extra_authorities = Some(file("authority.pem"));
        for mapping in &mut config.mappings {
            mapping.to.host = "127.0.0.1".to_owned();
        }
    });
    let refusal = fault(&misnamed.session(), get("/v1/x")).await;
    assert!(matches!(refusal, FetchFault::Tls(_)), "{refusal:?}");
    assert_eq!(server.count(), 0);
}
