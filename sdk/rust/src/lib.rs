#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod connector;
mod details;
mod emit;
mod failure;
#[doc(hidden)]
#[cfg(target_family = "wasm")]
pub mod guest;
mod host;
mod http;
mod json;
mod keyed;
mod manifest;
mod paging;
pub mod schema;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod time;
mod window;

pub use connector::{
    Connector, Outcome, Partition, PartitionEnd, Plan, Read, Source, Stream, SyncMode,
};
pub use details::{Details, Named};
pub use emit::{Change, CursorOrder, EmitFault, Extraction, Format, Pairs, Summary};
pub use failure::Failure;
pub use host::{Directive, Host, Level};
pub use http::{Body, HttpFault, Method, Payload, Pipeline, Request, Response, Target};
pub use keyed::{Digest, Encoding, KvFault, VaultFault};
pub use manifest::{
    Auth, Endpoint, KeyPart, Limit, Manifest, OAuthClient, OAuthCode, OAuthJwt, Period, Place,
    ResponseClass, ResponseRule, Role, Scope, TokenKeep,
};
pub use paging::{Ended, Mark, Numbered, Pages, Step, each_page};
pub use time::{date_time, epoch_ms, http_date, rfc3339, rfc3339_seconds};
pub use window::{Bound, Span, Window};

/// Everything a connector usually names.
pub mod prelude {
    pub use crate::{
        Auth, Body, Change, Connector, CursorOrder, Endpoint, Extraction, Failure, Host, Level,
        Limit, Manifest, OAuthCode, Outcome, Pages, Partition, Place, Plan, Read, Request,
        Response, ResponseClass, ResponseRule, Scope, Source, Span, Stream, SyncMode, Window,
    };
}

/// Makes a type the connector of this component.
///
/// `connector!(Shop);` exports `Shop` as a source. On native targets nothing
/// is exported, and the same code runs against `testing::MemoryHost`.
#[macro_export]
macro_rules! connector {
    ($connector:ty) => {
        const _: () = $crate::is_source::<$connector>();

        #[cfg(target_family = "wasm")]
        const _: () = {
            type Component = $crate::guest::SourceComponent<$connector>;
            $crate::guest::bindings::export!(
                Component with_types_in $crate::guest::bindings
            );
        };
    };
}

/// Lets a native build check, and count as used, what a component exports.
#[doc(hidden)]
pub const fn is_source<S: Source>() {}
