//! The one sandbox of a process: its engine, its guests' threads, its cache.

use crate::bindings;
use crate::cache::Cache;
use crate::call::{self, Floor, Frame};
use crate::compile;
use crate::config::{Budget, Config};
use crate::connector::{Connector, Exports};
use crate::host::{Limiter, State, add_wasi_to_linker};
use crate::scan::{Shape, scan};
use crate::settings::{self, Memories};
use crate::usage::Meter;
use crate::{Error, manifest};
use bytes::Bytes;
use sha2::Digest as _;
use std::sync::Arc;
use std::time::Duration;
use tidegate_broker::Keyring;
use tidegate_domain::id::Sha256;
use tidegate_domain::manifest::Manifest;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};

/// How often running guests look at their budget.
const TICK: Duration = Duration::from_millis(10);

/// Admits components and runs them. One per process: a second engine would double
/// the reserved address space and split the caches.
pub struct Sandbox {
    shared: Arc<Shared>,
    cache: Cache,
    config: Config,
    /// Compilations at once: each may take 2 GiB.
    compiling: Semaphore,
}

/// What connectors keep of their sandbox.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    /// Where the host's side of requests runs.
    pub(crate) io: tokio::runtime::Handle,
    /// One for each instance that the pool has room for.
    places: Arc<Semaphore>,
    /// Runs guests and nothing else; taken on drop.
    guests: Option<tokio::runtime::Runtime>,
}

impl Shared {
    pub(crate) fn floor(&self) -> Floor<'_> {
        let guests = self.guests.as_ref();
        Floor {
            guests: guests.expect("the runtime leaves only on drop").handle(),
            places: Arc::clone(&self.places),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(guests) = self.guests.take() {
            // Waiting for guests would block whoever drops the last connector.
            guests.shutdown_background();
        }
    }
}

impl Sandbox {
    /// Starts the engine, its ticker and the threads of the guests. Requests of
    /// guests run on the runtime that this is called on.
    ///
    /// # Errors
    /// [`Error::Engine`] where address space is short, [`Error::Cache`] where the
    /// directory cannot be used.
    pub fn new(config: Config, keyring: Arc<Keyring>) -> Result<Sandbox, Error> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Engine { source };
        let engine = settings::engine(&config)?;
        let hash = settings::settings_hash(&engine);
        let cache = Cache::open(config.cache_dir.clone(), keyring, hash)?;
        let mut linker = Linker::new(&engine);
        bindings::Connector::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
            .and_then(|()| add_wasi_to_linker(&mut linker))
            .map_err(|source| failed(source.into()))?;
        let guests = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .thread_name("tidegate-guest")
            .enable_all()
            .build()
            .map_err(|source| failed(source.into()))?;
        start_ticker(&engine).map_err(|source| failed(source.into()))?;
        let shared = Arc::new(Shared {
            engine,
            linker,
            io: tokio::runtime::Handle::current(),
            places: Arc::new(Semaphore::new(config.instances_max as usize)),
            guests: Some(guests),
        });
        Ok(Sandbox {
            shared,
            cache,
            config,
            compiling: Semaphore::new(1),
        })
    }

    /// Instances that are alive, and calls about to have one.
    pub fn instances(&self) -> usize {
        let free = self.shared.places.available_permits();
        (self.config.instances_max as usize).saturating_sub(free)
    }

    /// What runs guests, for its counters.
    pub fn guest_tasks(&self) -> usize {
        self.shared.floor().guests.metrics().num_alive_tasks()
    }

    /// Takes a component in: looks at it, compiles it unless that was done before,
    /// and asks it to describe itself, with no host to reach.
    ///
    /// # Errors
    /// Why the component is refused; [`Error::fault`] is `Guest` where it is the
    /// component's doing.
    pub async fn admit(&self, wasm: Bytes) -> Result<Arc<Connector>, Error> {
        let admission = self.config.admission;
        let (digest, shape) = tokio::task::spawn_blocking({
            let wasm = wasm.clone();
            move || {
                let digest = Sha256::from_bytes(sha2::Sha256::digest(&wasm).into());
                (digest, scan(&wasm, &admission))
            }
        })
        .await
        .map_err(|_| Error::Closed)?;
        let name = digest.short().to_owned();
        let shape = shape.map_err(|refusal| Error::Refused {
            connector: name.clone(),
            refusal,
        })?;
        let component = self.compiled(&digest, &name, &wasm).await?;
        let manifest = self.describe(&component, &name).await?;
        let linked = self.shared.linker.instantiate_pre(&component);
        let instance_pre = linked.map_err(|error| unfit(&name, &error))?;
        let Shape { imports, exports } = shape;
        let exports = Exports::of(&exports);
        Connector::new(
            Arc::clone(&self.shared),
            digest,
            manifest,
            imports,
            exports,
            instance_pre,
        )
        .map(Arc::new)
    }

    async fn compiled(&self, digest: &Sha256, name: &str, wasm: &[u8]) -> Result<Component, Error> {
        if let Some(compiled) = self.cache.load(digest) {
            // A file that no longer loads is of no use: compile it again.
            if let Ok(component) = self.load(&compiled) {
                return Ok(component);
            }
        }
        let _turn = self.compiling.acquire().await.map_err(|_| Error::Closed)?;
        let memories = match self.config.inspect_memory {
            Some(_) => Memories::Inspected,
            None => Memories::Guarded,
        };
        let compiling = compile::compile(&self.config.compiler, memories, name, wasm);
        let span = tracing::info_span!("wasm.compile", connector.digest = name);
        let compiled = compiling.instrument(span).await?;
        let component = self.load(&compiled).map_err(|error| unfit(name, &error))?;
        self.cache.store(digest, &compiled)?;
        Ok(component)
    }

    /// Only for bytes that came from the compiling child or, with this node's code
    /// over them, from the cache.
    fn load(&self, compiled: &[u8]) -> wasmtime::Result<Component> {
        #[expect(
            unsafe_code,
            reason = "`deserialize` is sound for bytes that `precompile_component` made. These are \
                      in memory, where nothing else can change them, and came either from a pipe \
                      of our own compiling child, or from a file after `Cache::load` found this \
                      node's MAC over exactly these bytes; settings and versions are checked by \
                      `deserialize` itself"
        )]
        // SAFETY: the reason above.
        unsafe {
            Component::deserialize(&self.shared.engine, compiled)
        }
    }

    async fn describe(&self, component: &Component, name: &str) -> Result<Arc<Manifest>, Error> {
        let meter = Arc::<Meter>::default();
        let mut linker = Linker::new(&self.shared.engine);
        add_wasi_to_linker(&mut linker)
            .and_then(|()| linker.define_unknown_imports_as_traps(component))
            .map_err(|error| unfit(name, &error))?;
        let instance_pre = linker
            .instantiate_pre(component)
            .map_err(|error| unfit(name, &error))?;
        let indices = bindings::manifest::GuestIndices::new(&instance_pre)
            .map_err(|error| unfit(name, &error))?;
        let state = State::offline(Limiter {
            meter: Arc::clone(&meter),
            memory_bytes_max: settings::MEMORY_MIB_MAX << 20,
        });
        let frame = Frame {
            connector: name.to_owned(),
            call: "describe",
            budget: Budget {
                cpu: Duration::from_secs(2),
                wall: Duration::from_secs(20),
                grace: Duration::ZERO,
            },
            cancel: CancellationToken::new(),
            meter,
        };
        let spec = call::run(
            self.shared.floor(),
            instance_pre,
            state,
            frame,
            Box::new(move |store, instance| {
                Box::pin(async move {
                    let guest = indices.load(&mut *store, &instance)?;
                    guest.call_describe(store).await
                })
            }),
        )
        .await?;
        manifest::from_guest(spec)
            .map(Arc::new)
            .map_err(|reason| Error::Manifest {
                connector: name.to_owned(),
                reason,
            })
    }
}

impl State {
    /// For a component that describes itself.
    fn offline(limiter: Limiter) -> State {
        State {
            table: ResourceTable::new(),
            wasi: crate::host::wasi_offline(),
            meter: Arc::clone(&limiter.meter),
            limiter,
            live: None,
        }
    }
}

fn unfit(name: &str, error: &wasmtime::Error) -> Error {
    Error::Unfit {
        connector: name.to_owned(),
        reason: format!("{error:#}"),
    }
}

/// Ends by itself once the engine is gone.
fn start_ticker(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("tidegate-epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(drop)
}
