//! What operators see of the running program: logs, the access line, audit events, metrics.
//!
//! Owns the set-up of logging, the names of fields and metrics, and the ids of requests. Does not decide
//! what is worth telling. Invariant: no line holds a raw control byte, a query, a token, a code or a
//! cookie; no metric has a label that a visitor can choose; nothing here makes a request wait.

pub mod access;
pub mod audit;
mod escape;
pub mod fields;
mod histogram;
pub mod logging;
pub mod metrics;
pub mod request_id;

pub use crate::telemetry::access::AccessLine;
pub use crate::telemetry::access::AccessLog;
pub use crate::telemetry::logging::LogError;
pub use crate::telemetry::logging::LogFormat;
pub use crate::telemetry::logging::LogGuard;
pub use crate::telemetry::logging::LogOutput;
pub use crate::telemetry::logging::LogSettings;
pub use crate::telemetry::metrics::Metrics;
pub use crate::telemetry::request_id::RequestId;
