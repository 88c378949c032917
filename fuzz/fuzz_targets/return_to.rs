//! Runs `bodies/return_to.rs` under libFuzzer.
#![no_main]

#[path = "../bodies/return_to.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
