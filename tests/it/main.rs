//! Tests of the built program from outside, against doubles on loopback.
//!
//! Each file is a group of facts. The letters and numbers before a test (A09, B15) are the black-box
//! checks of the security catalogue that it stands for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod addresses;
mod admin_sessions;
mod backchannel;
mod bearer;
mod callback;
mod claims;
mod cli;
mod client_auth;
mod clock;
mod config;
mod config_doors;
mod conformance;
mod demo;
mod faults;
mod forward_auth;
mod framing;
mod frontchannel;
mod grpc;
mod headers;
mod health;
mod http2;
mod id_token;
mod identity_headers;
mod layers;
mod lifecycle;
mod limits;
mod login;
mod logout;
mod logout_everywhere;
mod parsing;
mod preserved;
mod provider;
mod reauthentication;
mod refresh;
mod relay;
mod reload;
mod return_to;
mod sessions;
mod shared_store;
mod step_up;
mod streaming;
mod support;
mod tls;
mod token_endpoint;
mod upstreams;
mod websocket;
