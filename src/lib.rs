//! Vestibule: a reverse-proxy authentication gateway.

pub mod clock;

pub mod random;

pub mod secret;

pub mod oidc;

pub mod jose;

pub mod identity;

pub mod routes;

pub mod session;

pub mod relying_party;

pub mod resource_server;

pub mod decision;

pub mod pages;

pub mod store;

pub mod outbound;

pub mod telemetry;

pub mod config;

pub mod gateway;

pub mod endpoints;

pub mod admin;

pub mod proxy;

pub mod server;

pub mod cli;
