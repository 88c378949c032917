//! Which rule governs a request.
//!
//! Owns the settings of routes, the canonical view of a request, the table that finds the most
//! specific route, and the rules of `allow`. It forwards nothing and knows no session store.

mod access;
mod origin;
mod own;
pub mod path;
mod request;
mod settings;
mod table;

pub use access::first_admitting;
pub use access::first_admitting_by_scope;
pub use origin::Origin;
pub use origin::Scheme;
pub use own::AUTHORIZATION_SERVER_METADATA;
pub use own::OwnPath;
pub use own::PROTECTED_RESOURCE_METADATA;
pub use own::ProviderPath;
pub use request::Authority;
pub use request::Named;
pub use request::RequestKind;
pub use request::RequestProblem;
pub use request::RequestView;
pub use request::is_opened_by_browser;
pub use request::kind;
pub use settings::AllowRule;
pub use settings::Auth;
pub use settings::BearerSettings;
pub use settings::CorsPreflight;
pub use settings::Dpop;
pub use settings::DpopNonce;
pub use settings::HealthCheck;
pub use settings::OWN_PROVIDER;
pub use settings::Route;
pub use settings::StepUp;
pub use settings::StepUpMissing;
pub use settings::Timeouts;
pub use settings::TokenValidation;
pub use settings::Upstream;
pub use table::Matched;
pub use table::NoTarget;
pub use table::RouteTable;
pub use table::Target;
