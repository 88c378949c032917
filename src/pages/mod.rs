//! What a browser or a script is shown: HTML pages and JSON problems, as pure functions of values.
//!
//! Owns the templates, the style, the content security policy and the headers of own answers. Does not
//! choose which page is shown nor read the operator's template folder: both arrive as arguments.
//! Invariant: every value is escaped, no page needs a script, every page states its request id.

pub mod headers;
pub mod problem;
pub mod render;
mod sample;
pub mod scripted;
mod style;
pub mod view;

#[cfg(test)]
mod tests;

pub use crate::pages::problem::Problem;
pub use crate::pages::render::Pages;
pub use crate::pages::render::TemplateProblem;
