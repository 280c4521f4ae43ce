//! `Retry-After` and what headers say of limits, as bytes from anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidegate_broker::fuzzing::limit_headers(bytes));
