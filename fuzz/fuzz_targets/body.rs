//! Bodies in every encoding, as bytes from anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidegate_broker::fuzzing::body(bytes));
