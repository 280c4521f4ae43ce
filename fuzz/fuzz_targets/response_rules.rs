//! Response rules and their pointers over hostile JSON.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidegate_broker::fuzzing::response_rules(bytes));
