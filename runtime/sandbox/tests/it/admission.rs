//! What is let in, and what is not.

use crate::bench::{Bench, guest};
use bytes::Bytes;
use tidegate_domain::Fault;
use tidegate_sandbox::{Error, Exports, Refusal};

fn component(text: &str) -> Bytes {
    wat::parse_str(text).unwrap().into()
}

async fn refusal(bench: &Bench, wasm: Bytes) -> Refusal {
    match bench.sandbox.admit(wasm).await {
        Err(error @ Error::Refused { .. }) => {
            assert_eq!(error.fault(), Fault::Guest);
            let Error::Refused { refusal, .. } = error else {
                unreachable!()
            };
            refusal
        }
        Err(error) => panic!("refused later than by the scan: {error}"),
        Ok(_) => panic!("admitted"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_component_is_refused_with_the_way_to_build_one() {
    let bench = Bench::new();
    let corpus: [&[u8]; 6] = [
        b"",
        b"junk",
        b"\0asm",
        b"\0asm\x01\0\0\0",
        b"\x7fELF",
        b"(component)",
    ];
    for wasm in corpus {
        let refused = refusal(&bench, Bytes::from_static(wasm)).await;
        let known = matches!(
            refused,
            Refusal::NotComponent { .. } | Refusal::Broken { .. }
        );
        assert!(known, "{wasm:?}: {refused}");
    }
    let module = refusal(&bench, component("(module)")).await;
    assert_eq!(
        module,
        Refusal::NotComponent {
            found: "a core WebAssembly module"
        }
    );
    assert!(module.to_string().contains("wasm32-wasip2"), "{module}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_cut_anywhere_is_refused_and_never_a_panic() {
    let bench = Bench::new();
    let whole = guest("hostile");
    for parts in 1..50 {
        let cut = whole.slice(..whole.len() * parts / 50);
        assert!(
            bench.sandbox.admit(cut).await.is_err(),
            "{parts}/50 was admitted"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_that_no_connector_may_have_are_refused_by_name() {
    let bench = Bench::new();
    for import in [
        "wasi:sockets/tcp@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:cli/environment@0.3.0",
        "wasi:filesystem/types@0.2",
        "tidegate:connector/http@0.2.0",
        "tidegate:connector/store@0.1.0",
        "tidegate:connector/http@0.1.0-evil",
        "evil:keys/all@1.0.0",
    ] {
        let wasm = component(&format!("(component (import \"{import}\" (instance)))"));
        let refused = refusal(&bench, wasm).await;
        assert_eq!(
            refused,
            Refusal::Import {
                import: import.to_owned()
            }
        );
    }
    let function = component("(component (import \"system\" (func)))");
    assert!(matches!(
        refusal(&bench, function).await,
        Refusal::Import { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_does_not_describe_itself_is_refused() {
    let bench = Bench::new();
    assert!(matches!(
        refusal(&bench, component("(component)")).await,
        Refusal::NoExport { .. }
    ));
    let hollow =
        "(component (instance $i) (export \"tidegate:connector/manifest@0.1.0\" (instance $i)))";
    let admitted = bench.sandbox.admit(component(hollow)).await;
    assert!(matches!(admitted.err(), Some(Error::Unfit { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn features_that_no_guest_needs_do_not_compile() {
    let bench = Bench::new();
    for module in [
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(type (struct (field i32)))",
        "(func return_call 0)",
        "(tag)",
    ] {
        let text = format!(
            "(component (core module {module}) (instance $i)
               (export \"tidegate:connector/manifest@0.1.0\" (instance $i)))"
        );
        let admitted = bench.sandbox.admit(component(&text)).await;
        assert!(
            matches!(admitted.err(), Some(Error::Invalid { .. })),
            "{module}"
        );
    }
}

/// Two components, of which one hands the other a text: the compiler puts a module between
/// them that reaches into both memories.
const COMPOSED: &str = r#"(component
    (component $callee
        (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "take") (param i32 i32)))
        (core instance $i (instantiate $m))
        (func (export "take") (param "text" string)
            (canon lift (core func $i "take") (memory $i "memory") (realloc (func $i "realloc")))))
    (component $caller
        (import "take" (func $take (param "text" string)))
        (core module $memory (memory (export "memory") 1))
        (core instance $memory (instantiate $memory))
        (core func $lowered (canon lower (func $take) (memory $memory "memory")))
        (core module $m (import "" "take" (func (param i32 i32))))
        (core instance (instantiate $m
            (with "" (instance (export "take" (func $lowered)))))))
    (instance $callee (instantiate $callee))
    (instance (instantiate $caller (with "take" (func $callee "take"))))
    (instance $i)
    (export "tidegate:connector/manifest@0.1.0" (instance $i)))"#;

#[tokio::test(flavor = "multi_thread")]
async fn components_of_components_compile() {
    let admitted = Bench::new().sandbox.admit(component(COMPOSED)).await;
    // Its manifest is empty, and that is all that it is refused for.
    let refused = admitted.err();
    assert!(matches!(refused, Some(Error::Unfit { .. })), "{refused:?}");
}

fn two_memories(module: &str) -> String {
    format!("(component (core module {module}))")
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_beyond_the_limits_are_refused_before_the_compiler_sees_them() {
    let bench = Bench::new();
    let nested = "(component ".repeat(9) + &")".repeat(9);
    let modules = format!("(component {})", "(core module)".repeat(101));
    let locals = format!(
        "(component (core module (func (local {}))))",
        "i32 ".repeat(20_001)
    );
    let blocks = format!(
        "(component (core module (func (local {}) {})))",
        "i32 ".repeat(5_000),
        "(block)".repeat(20_000)
    );
    let table = format!(
        "(component (core module (func (param i32) (block (br_table {} (local.get 0))))))",
        "0 ".repeat(16_386)
    );
    for (what, text) in [
        ("levels of nesting", nested),
        ("core modules", modules),
        ("locals in one function", locals),
        ("locals times blocks in one function", blocks),
        ("targets in one br_table", table),
        (
            "memories in one module",
            two_memories("(memory 1) (memory 1)"),
        ),
        (
            "memories in one module",
            two_memories("(import \"a\" \"b\" (memory 1)) (memory 1)"),
        ),
    ] {
        match refusal(&bench, component(&text)).await {
            Refusal::TooMuch { what: found, .. } => assert_eq!(found, what),
            other => panic!("{what}: {other}"),
        }
    }
    let large = Bench::with(|config| config.admission.component_bytes_max = 1_000);
    assert!(matches!(
        refusal(&large, guest("hostile")).await,
        Refusal::TooMuch {
            what: "bytes",
            max: 1_000
        }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_known_by_its_digest_its_manifest_and_what_it_exports() {
    let bench = Bench::new();
    let connector = bench.admit("hubspot").await;
    assert_eq!(connector.manifest().id, "hubspot");
    assert!(connector.manifest().endpoint("api").is_some());
    let exports = Exports {
        source: true,
        destination: false,
        webhook: false,
    };
    assert_eq!(connector.exports(), exports);
    let imports = connector.imports();
    assert!(
        imports
            .iter()
            .any(|import| import.starts_with("tidegate:connector/http@0.1."))
    );
    assert!(imports.is_sorted());
    assert_eq!(connector.digest().as_str().len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_reaches_for_the_host_while_describing_itself_is_refused() {
    let bench = Bench::new();
    let admitted = bench.sandbox.admit(guest("hostile_describe")).await;
    let error = admitted.err().unwrap();
    assert!(
        matches!(
            error,
            Error::Trap {
                call: "describe",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Guest);
}
