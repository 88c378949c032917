//! The whole story on one machine: `gateway.yaml` as it is delivered, for this machine alone.
//!
//! Owns what makes the reference file runnable without touching the disk outside a folder of its own:
//! ports that are free, secrets that are made for this run, passwords that are told once. Invariant:
//! nothing of a demonstration can be reached from another machine, and nothing of it stays behind.

mod command;
mod folder;
mod password;
mod prepare;
pub mod sample_app;

pub use command::demo;
pub use folder::Folder;
pub use password::DemoAccount;
pub use prepare::DemoProblem;
pub use prepare::GATEWAY_YAML;
pub use prepare::Ports;
pub use prepare::Prepared;
pub use prepare::prepare;
