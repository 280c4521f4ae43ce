//! The Salesforce APIs.

#![expect(
    dead_code,
    unused_imports,
    reason = "the rest of the API is on its way"
)]

mod cometd;
