//! An S3 endpoint on the loopback interface, kept in a directory, for the demo
//! and the tests: s3s-fs behind a lock per key (see [`locks`]).

mod locks;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use locks::Locks;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A running endpoint. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct S3Local {
    root: PathBuf,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl S3Local {
    /// Serves the buckets below `root` (made if missing) on `127.0.0.1:port`;
    /// port 0 takes a free one. Every request must be signed with this key.
    ///
    /// # Errors
    /// Where the directory cannot be made or the port cannot be bound.
    pub async fn start(
        root: &Path,
        port: u16,
        access_key: &str,
        secret_key: &str,
    ) -> anyhow::Result<S3Local> {
        std::fs::create_dir_all(root)
            .with_context(|| format!("cannot make the directory {}", root.display()))?;
        let storage = FileSystem::new(root)
            .map_err(|error| anyhow::anyhow!("cannot use {}: {error:?}", root.display()))?;
        let mut builder = S3ServiceBuilder::new(storage);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("cannot bind 127.0.0.1:{port}; is the port taken?"))?;
        let acceptor = Acceptor {
            service: builder.build(),
            locks: Arc::new(Locks::new()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let endpoint = S3Local {
            root: root.to_owned(),
            address: listener.local_addr()?,
            stop: acceptor.stop.clone(),
            tasks: acceptor.tasks.clone(),
        };
        endpoint.tasks.spawn(acceptor.run(listener));
        Ok(endpoint)
    }

    /// Where it is, as an S3 client's endpoint: `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket, unless it is there.
    ///
    /// # Errors
    /// Where its directory cannot be made.
    pub fn create_bucket(&self, name: &str) -> anyhow::Result<()> {
        let path = self.root.join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the bucket {}", path.display()))
    }

    /// Finishes the running requests, takes no more, and returns when all is done.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for S3Local {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Acceptor {
    service: S3Service,
    locks: Arc<Locks>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            // A connection that died while it waited is its client's concern.
            if let Ok((stream, _)) = accepted {
                self.tasks.spawn(serve(
                    stream,
                    self.service.clone(),
                    Arc::clone(&self.locks),
                    self.stop.clone(),
                ));
            }
        }
    }
}

async fn serve(stream: TcpStream, service: S3Service, locks: Arc<Locks>, stop: CancellationToken) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        let locks = Arc::clone(&locks);
        async move {
            let _hold = locks.hold(request.method(), request.uri()).await;
            service.call(request.map(Into::into)).await
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    // Errors here are broken connections, which the client sees as well.
    tokio::select! {
        _ended = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await.ok();
        }
    }
}
