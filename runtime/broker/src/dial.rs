//! Opens connections: resolves once, filters every address, connects to a checked
//! one, and speaks TLS. Whatever a tenant names is reached through here.

mod client;

pub use client::{HttpClient, SendError, http_client};

use crate::config::{Config, Origin};
use crate::{Error, FetchFault, Rule};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::egress;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Tickets for resumption that one tenant's client keeps.
const RESUMPTIONS_MAX: usize = 256;

/// Why no connection stands. The texts name hosts only.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// Every address of the host is refused.
    #[error("{0}")]
    Denied(String),
    /// The name has no address.
    #[error("cannot resolve {0}")]
    Dns(String),
    /// No address answered.
    #[error("cannot connect to {0}")]
    Connect(String),
    /// The handshake failed.
    #[error("the TLS handshake with {0}")]
    Tls(String),
    /// It took too long.
    #[error("no connection to {0} in time")]
    Timeout(String),
}

impl From<DialError> for FetchFault {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Denied(text) => FetchFault::Denied(Rule::Address, text),
            DialError::Dns(host) => FetchFault::Dns(host),
            DialError::Connect(host) => FetchFault::Connect(host),
            DialError::Tls(host) => FetchFault::Tls(host),
            DialError::Timeout(host) => FetchFault::Timeout(format!("no connection to {host}")),
        }
    }
}

/// Opens connections under the operator's address policy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    policy: Arc<Policy>,
    tls: Arc<ClientConfig>,
}

#[derive(Clone, Debug)]
struct Policy {
    /// Origins that may be plain http and may be private: mapping targets.
    mapped: Vec<Origin>,
    /// Names that may resolve to private addresses.
    private_hosts: Vec<String>,
    timeout: Duration,
    idle_connections_max: usize,
    header_count_max: usize,
    header_bytes_max: usize,
}

impl Dialer {
    /// A dialer under these settings.
    ///
    /// # Errors
    /// [`Error::Config`] where the file of extra authorities cannot be used.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let policy = Policy {
            mapped: config.mappings.iter().map(|one| one.to.clone()).collect(),
            private_hosts: config
                .private_hosts
                .iter()
                .map(|host| host.trim_matches(['[', ']']).to_ascii_lowercase())
                .collect(),
            timeout: Duration::from_millis(config.connect_timeout_ms),
            idle_connections_max: config.idle_connections_max,
            header_count_max: config.header_count_max,
            header_bytes_max: config.header_bytes_max,
        };
        Ok(Self {
            policy: Arc::new(policy),
            tls: Arc::new(tls_config(config)?),
        })
    }

    /// The same policy without the memory of past sessions: one tenant's tickets
    /// never serve another.
    #[must_use]
    pub fn apart(&self) -> Self {
        let mut tls = (*self.tls).clone();
        tls.resumption = Resumption::in_memory_sessions(RESUMPTIONS_MAX);
        Self {
            policy: Arc::clone(&self.policy),
            tls: Arc::new(tls),
        }
    }

    /// The same policy, which also reaches these origins, be they plain http or
    /// private: storage endpoints that the operator allows targets to name.
    #[must_use]
    pub fn reaching(&self, origins: &[Origin]) -> Self {
        let mut policy = (*self.policy).clone();
        policy.mapped = origins.to_vec();
        Self {
            policy: Arc::new(policy),
            tls: Arc::clone(&self.tls),
        }
    }

    /// A TCP connection to a checked address of the origin.
    ///
    /// # Errors
    /// [`DialError::Denied`] where no address may be used; else what failed.
    pub async fn tcp(&self, origin: &Origin) -> Result<TcpStream, DialError> {
        let late = |_| DialError::Timeout(origin.host.clone());
        tokio::time::timeout(self.policy.timeout, self.connect(origin))
            .await
            .map_err(late)?
    }

    /// A TLS connection on top of [`Dialer::tcp`].
    ///
    /// # Errors
    /// As there, and [`DialError::Tls`].
    pub async fn tls(&self, origin: &Origin) -> Result<TlsStream<TcpStream>, DialError> {
        let host = origin.host.trim_matches(['[', ']']).to_owned();
        let refused = || DialError::Tls(origin.host.clone());
        let name = ServerName::try_from(host).map_err(|_| refused())?;
        let open = async {
            let stream = self.connect(origin).await?;
            let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
            handshake.await.map_err(|error| {
                tracing::debug!(host = origin.host, %error, "TLS handshake failed");
                refused()
            })
        };
        tokio::time::timeout(self.policy.timeout, open)
            .await
            .map_err(|_| DialError::Timeout(origin.host.clone()))?
    }

    async fn connect(&self, origin: &Origin) -> Result<TcpStream, DialError> {
        let addresses = self.checked_addresses(origin).await?;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY was refused");
                    }
                    return Ok(stream);
                }
                Err(error) => {
                    tracing::debug!(host = origin.host, %error, "an address did not answer");
                }
            }
        }
        Err(DialError::Connect(origin.host.clone()))
    }

    /// Resolved once; only what passes here is ever connected to, so a second
    /// answer of the name server changes nothing.
    async fn checked_addresses(&self, origin: &Origin) -> Result<Vec<SocketAddr>, DialError> {
        let host = origin.host.trim_matches(['[', ']']);
        let mapped = self.policy.mapped.contains(origin);
        if origin.scheme != "https" && !mapped {
            let rule = format!("{} is not https", origin.host);
            return Err(DialError::Denied(rule));
        }
        let found = resolve(host, origin.port).await?;
        if found.is_empty() {
            return Err(DialError::Dns(host.to_owned()));
        }
        let lower = host.to_ascii_lowercase();
        if mapped || self.policy.private_hosts.contains(&lower) {
            return Ok(found);
        }
        let mut refusal = None;
        let mut passed = Vec::new();
        for address in found {
            match egress::refusal(address.ip()) {
                None => passed.push(address),
                class => refusal = class,
            }
        }
        match refusal {
            Some(class) if passed.is_empty() => Err(DialError::Denied(format!(
                "{host} has a {class} address; an operator can allow it as a private host"
            ))),
            _ => Ok(passed),
        }
    }
}

/// Literal addresses never reach the resolver: they are what they say.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => Ok(found.collect()),
        Err(error) => {
            tracing::debug!(host, %error, "the name did not resolve");
            Err(DialError::Dns(host.to_owned()))
        }
    }
}

fn tls_config(config: &Config) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &config.extra_authorities {
        let refuse =
            |why: String| Error::config(format!("extra_authorities {}: {why}", path.display()));
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| refuse(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls.resumption = Resumption::in_memory_sessions(RESUMPTIONS_MAX);
    Ok(tls)
}
