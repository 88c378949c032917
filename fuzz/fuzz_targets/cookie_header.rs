//! Runs `bodies/cookie_header.rs` under libFuzzer.
#![no_main]

#[path = "../bodies/cookie_header.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
