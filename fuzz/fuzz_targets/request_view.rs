//! Runs `bodies/request_view.rs` under libFuzzer.
#![no_main]

#[path = "../bodies/request_view.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
