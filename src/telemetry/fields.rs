//! The names of log fields, each spelled once.

/// The kind of an audit event.
pub const EVENT: &str = "event";
/// The id of the request.
pub const REQUEST_ID: &str = "request_id";
/// The HTTP method.
pub const METHOD: &str = "method";
/// The host the request was for.
pub const HOST: &str = "host";
/// The path, without the query.
pub const PATH: &str = "path";
/// The HTTP status of the answer.
pub const STATUS: &str = "status";
/// Milliseconds from the first byte of the request to the last of the answer.
pub const DURATION_MS: &str = "duration_ms";
/// The `from` of the route.
pub const ROUTE: &str = "route";
/// What the gate decided.
pub const DECISION: &str = "decision";
/// Why.
pub const REASON: &str = "reason";
/// The attribute `user`.
pub const USER: &str = "user";
/// The subject at the identity provider.
pub const SUBJECT: &str = "subject";
/// The id of the identity provider.
pub const IDP: &str = "idp";
/// The `client_id` of a client of our own provider.
pub const CLIENT: &str = "client";
/// The address of the caller.
pub const CLIENT_ADDRESS: &str = "client_address";
/// Bytes of body sent to the caller.
pub const BYTES_SENT: &str = "bytes_sent";
/// An error code of the protocol, such as `access_denied`.
pub const CODE: &str = "code";
