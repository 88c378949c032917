//! From the shapes of the file to settings: everything about meaning.
//!
//! Owns references, defaults, and the checks of values against each other, a file per area. Each check
//! reports and goes on, so that one run shows all problems. Opens no port and asks no server.
//! Invariant: settings leave [`crate::config::load`] only when no problem was found.

mod allow;
mod bearer;
mod claims;
mod client;
mod headers;
mod identity_provider;
mod openid_provider;
mod origin;
mod process;
mod protected;
mod route;
mod sessions;
mod step_up;
mod store;

use std::path::Path;
use std::time::Duration;

use crate::config::problem::KeyPath;
use crate::config::problem::Problem;
use crate::config::problem::Severity;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::settings::Settings;
use crate::config::values;
use crate::config::values::Finest;

/// What the checks know beside the file, and what they have found.
pub struct Context<'a> {
    /// The folder at which relative paths start.
    pub base_dir: &'a Path,
    /// The environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// What was found, without places.
    pub problems: Vec<Problem>,
    /// Where something is wrong already: what is left of it is not worth a word.
    pub wrong: Vec<KeyPath>,
}

/// Whether zero is a sensible duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zero {
    Allowed,
    Refused,
}

impl Context<'_> {
    /// Reports a problem with the value at `path`.
    pub fn problem(&mut self, path: &KeyPath, message: impl Into<String>) -> &mut Problem {
        self.report(path, message.into(), Severity::Problem)
    }

    /// Reports something doubtful at `path`.
    pub fn warning(&mut self, path: &KeyPath, message: impl Into<String>) -> &mut Problem {
        self.report(path, message.into(), Severity::Warning)
    }

    fn report(&mut self, path: &KeyPath, message: String, severity: Severity) -> &mut Problem {
        let problem = Problem {
            severity,
            ..Problem::new(path, message)
        };
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Whether the value at `path`, or what it stands in, has been refused for its shape.
    pub fn is_wrong(&self, path: &KeyPath) -> bool {
        self.wrong.iter().any(|wrong| wrong.is_prefix_of(path))
    }

    /// Whether a problem was found at `path` or below it.
    fn has_problem_below(&self, path: &KeyPath) -> bool {
        let is_problem = |one: &&Problem| one.severity == Severity::Problem;
        let found = self.problems.iter().filter(is_problem).map(|one| &one.path);
        found
            .chain(&self.wrong)
            .any(|place| path.is_prefix_of(place))
    }

    /// Parses the duration at `path`; without one, or with a wrong one, it is `default`.
    fn duration(
        &mut self,
        path: &KeyPath,
        text: Option<&str>,
        default: Duration,
        finest: Finest,
        zero: Zero,
    ) -> Duration {
        let Some(text) = text else {
            return default;
        };
        match values::duration(text, finest) {
            Ok(found) if found.is_zero() && zero == Zero::Refused => {
                self.problem(path, "the duration is zero");
                default
            }
            Ok(found) => found,
            Err(message) => {
                self.problem(path, message)
                    .expected(values::duration_forms(finest));
                default
            }
        }
    }

    /// Checks a list of texts: none is empty or there twice, none has a control character.
    fn texts(&mut self, path: &KeyPath, texts: Option<Vec<String>>) -> Vec<String> {
        let Some(texts) = texts else {
            return Vec::new();
        };
        for (index, text) in texts.iter().enumerate() {
            let place = path.index(index);
            if text.trim().is_empty() {
                self.problem(&place, "the text is empty");
            } else if text.chars().any(char::is_control) {
                let message = format!("there is a control character in {}", quoted(text));
                self.problem(&place, message);
            } else if texts.iter().take(index).any(|other| other == text) {
                self.problem(&place, format!("{} is there twice", quoted(text)));
            }
        }
        texts
    }

    /// Like [`Context::texts`], for a list that, where it is given, must not be empty.
    fn some_texts(&mut self, path: &KeyPath, texts: Option<Vec<String>>) -> Vec<String> {
        let texts = self.given(path, texts);
        self.texts(path, Some(texts))
    }

    /// Takes a list that, where it is given, must not be empty.
    fn given<T>(&mut self, path: &KeyPath, list: Option<Vec<T>>) -> Vec<T> {
        if list.as_ref().is_some_and(Vec::is_empty) {
            self.problem(path, "the list is empty");
        }
        list.unwrap_or_default()
    }

    /// Checks a text that, where it is given, must not be empty.
    fn text(&mut self, path: &KeyPath, text: Option<String>) -> Option<String> {
        let text = text?;
        if text.trim().is_empty() {
            self.problem(path, "the text is empty");
        } else if text.chars().any(char::is_control) {
            let message = format!("there is a control character in {}", quoted(&text));
            self.problem(path, message);
        }
        Some(text)
    }
}

/// Makes settings of `raw`. What they hold is good for use only when `context` has no problem.
pub fn resolve(raw: raw::Gateway, context: &mut Context<'_>) -> Settings {
    let root = KeyPath::root();
    let prefix = process::endpoints_prefix(context, raw.endpoints);
    let providers = identity_provider::identity_providers(context, raw.identity_providers, &prefix);
    let routes = route::routes(context, raw.routes, &providers, &prefix);
    let sessions = sessions::sessions(context, raw.sessions, &routes);
    bearer::check_own(context, &routes, raw.openid_provider.is_some());
    let openid_provider =
        openid_provider::openid_provider(context, raw.openid_provider, &providers);
    if let Some(provider) = &openid_provider {
        openid_provider::place::check(context, provider, &routes, &providers, &prefix);
    }
    let own = openid_provider.as_deref();
    protected::check(context, &providers, &routes, own, &prefix);

    let listeners = process::listeners(context, raw.listeners);
    let keys = raw.session_keys;
    let store = store::store(context, raw.store, keys.as_ref());
    Settings {
        admin: process::admin(context, raw.admin, &listeners),
        admin_token: store::admin_token(context, &store),
        listeners,
        trusted_proxies: process::trusted_proxies(context, raw.trusted_proxies),
        store,
        session_keys: sessions::keys(context, &root.key("session_keys"), keys),
        sessions,
        identity_providers: providers.list.into_iter().map(|(_, one)| one).collect(),
        openid_provider,
        routes,
        endpoints_prefix: prefix,
        templates: process::templates(context, raw.templates),
        log: process::log(raw.log),
        threads: process::threads(context, raw.threads),
        drain_timeout: context.duration(
            &root.key("drain_timeout"),
            raw.drain_timeout.as_deref(),
            process::DRAIN_TIMEOUT,
            Finest::Seconds,
            Zero::Allowed,
        ),
        request_body_bytes_max: process::body_limit(context, raw.request_body_limit),
    }
}
