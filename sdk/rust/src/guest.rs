//! The component side of the SDK: the generated glue, and the exports that
//! `connector!` puts on an author's type.

mod convert;
mod export;
pub(crate) mod platform;

pub use export::{HOST, SourceComponent};

#[expect(missing_docs, reason = "generated from the contract")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "source-connector",
        pub_export_macro: true,
        default_bindings_module: "tidegate_sdk::guest::bindings",
    });
}
