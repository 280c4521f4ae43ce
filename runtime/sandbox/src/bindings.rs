//! The contract as Rust types. Exports are loaded one interface at a time, since
//! which of them a component has is found by looking.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "connector",
    imports: {
        "tidegate:connector/http.[method]body.size": trappable,
        "tidegate:connector/http.[method]body.bytes": trappable,
        "tidegate:connector/http.[method]body.slice": trappable,
        "tidegate:connector/http.[method]body.text": trappable,
        "tidegate:connector/http.[method]body.get": trappable,
        "tidegate:connector/http.[method]body.get-many": trappable,
        "tidegate:connector/http.[method]body.count": trappable,
        "tidegate:connector/checkpoint.poll": trappable,
        "tidegate:connector/checkpoint.lag": trappable,
        "tidegate:connector/vault": trappable,
        "tidegate:connector/clock": trappable,
        "tidegate:connector/log": trappable,
        "tidegate:connector/metrics": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    with: {
        "tidegate:connector/http.body": crate::host::Body,
        "tidegate:connector/http.pipeline": crate::host::Pipeline,
    },
});

pub(crate) use exports::tidegate::connector::{manifest, source};
pub(crate) use tidegate::connector::{
    checkpoint, clock, emit, http, kv, log, metrics, types, vault,
};
