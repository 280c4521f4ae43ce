//! Compiling in a child, and the cache of what it made.

use crate::bench::{Bench, compiler, guest};
use bytes::Bytes;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;
use tidegate_domain::Fault;
use tidegate_sandbox::{CompileLimits, Compiler, Error};

/// Many blocks over many locals, as far as the scan lets through: small to send,
/// costly to compile.
fn bomb() -> Bytes {
    let (locals, ifs) = (1_500, 20_000);
    let mut body = String::new();
    for at in 0..ifs {
        write!(
            body,
            "(if (local.get {}) (then (local.set {} (i32.add (local.get {}) (i32.const {at})))))",
            at % locals,
            (at * 7) % locals,
            (at * 13) % locals,
        )
        .unwrap();
    }
    let sum = (0..locals).fold(String::new(), |mut sum, at| {
        write!(
            sum,
            "(local.set 0 (i32.add (local.get 0) (local.get {at})))"
        )
        .unwrap();
        sum
    });
    let text = format!(
        "(component
           (core module (func (export \"f\") (result i32) (local {}) {body} {sum} (local.get 0)))
           (instance $i) (export \"tidegate:connector/manifest@0.1.0\" (instance $i)))",
        "i32 ".repeat(locals)
    );
    wat::parse_str(text).unwrap().into()
}

async fn refused(limits: CompileLimits, wasm: Bytes) -> Error {
    let bench = Bench::with(|config| config.compiler = compiler(limits));
    let error = bench.sandbox.admit(wasm).await.err().unwrap();
    assert_eq!(error.fault(), Fault::Guest);
    assert_eq!(
        std::fs::read_dir(bench.dir.path().join("compiled"))
            .unwrap()
            .count(),
        0
    );
    // The process lives, and so does the sandbox.
    let defaults = Bench::new();
    defaults.admit("hostile").await;
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compile_bomb_is_killed_when_its_cpu_time_is_spent() {
    let limits = CompileLimits {
        cpu_s: 1,
        ..CompileLimits::default()
    };
    let error = refused(limits, bomb()).await;
    assert!(
        matches!(error, Error::TooCostly { cpu_s: 1, .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compile_bomb_is_killed_when_its_memory_is_spent() {
    let limits = CompileLimits {
        memory_mib: 160,
        ..CompileLimits::default()
    };
    let error = refused(limits, bomb()).await;
    assert!(
        matches!(
            error,
            Error::TooCostly {
                memory_mib: 160,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_hangs_is_killed_on_the_wall_clock() {
    let limits = CompileLimits {
        wall: Duration::from_millis(200),
        ..CompileLimits::default()
    };
    let bench = Bench::with(|config| {
        config.compiler = Compiler::Child {
            exe: PathBuf::from("/bin/sh"),
            args: vec!["-c".to_owned(), "exec sleep 1000".to_owned()],
            limits,
        }
    });
    let error = bench.sandbox.admit(guest("hostile")).await.err().unwrap();
    assert!(matches!(error, Error::TooCostly { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_is_not_there_is_named() {
    let bench = Bench::with(|config| {
        config.compiler = Compiler::Child {
            exe: PathBuf::from("/nonexistent/tidegate"),
            args: Vec::new(),
            limits: CompileLimits::default(),
        }
    });
    let error = bench.sandbox.admit(guest("hostile")).await.err().unwrap();
    assert_eq!(error.fault(), Fault::Host);
    assert!(
        error.to_string().contains("/nonexistent/tidegate"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_cache_file_is_compiled_again_and_never_run() {
    let bench = Bench::new();
    bench.admit("hostile").await;
    let dir = bench.dir.path().join("compiled");
    let files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [file] = files.as_slice() else {
        panic!("one file, not {files:?}")
    };
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    let stored = std::fs::read(file).unwrap();
    for at in [0, 31, 32, stored.len() / 2, stored.len() - 1] {
        let mut flipped = stored.clone();
        flipped[at] ^= 1;
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, &flipped).unwrap();
        bench.admit("hostile").await;
        let rewritten = std::fs::read(file).unwrap();
        assert_ne!(
            rewritten, flipped,
            "byte {at}: the tampered file is still there"
        );
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_compiled_once_for_every_start_of_the_process() {
    let bench = Bench::new();
    bench.admit("hostile").await;
    let dir = bench.dir.path();
    let keyring = tidegate_broker::Keyring::open(&dir.join("node.key")).unwrap();
    let nobody = Compiler::Child {
        exe: PathBuf::from("/nonexistent/tidegate"),
        args: Vec::new(),
        limits: CompileLimits::default(),
    };
    let mut config = tidegate_sandbox::Config::new(dir.join("compiled"), nobody);
    config.instances_max = 1;
    let next_start = tidegate_sandbox::Sandbox::new(config, keyring.into()).unwrap();
    assert!(next_start.admit(guest("hostile")).await.is_ok());
}
