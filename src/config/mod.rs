//! `gateway.yaml` to settings.
//!
//! Owns the shapes of the file, its JSON Schema, all checks of it and the text of their problems. The
//! passes are: `tree` (YAML, with places), `validate` (shape), `resolve` (meaning), `load` (all of
//! them). Opens no port and asks no server. Invariant: [`Settings`] exist only of a file without a
//! problem; whatever is unclear in it is a problem.

mod files;
mod load;
mod problem;
mod raw;
mod resolve;
mod scalar;
mod schema;
mod settings;
mod tree;
mod validate;
mod values;

#[cfg(test)]
mod tests;

pub use load::Loaded;
pub use load::load;
pub use load::parse;
pub use problem::KeyPath;
pub use problem::Position;
pub use problem::Problem;
pub use problem::Severity;
pub use problem::Step;
pub use problem::Target;
pub use schema::schema;
pub use settings::CertificateFiles;
pub use settings::Listener;
pub use settings::LogSettings;
pub use settings::Settings;
pub use settings::StoreSettings;
