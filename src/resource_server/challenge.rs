//! `WWW-Authenticate` for callers of APIs.

use std::fmt;

use crate::jose::Algorithm;
use crate::resource_server::presented::PresentedProblem;
use crate::resource_server::refusal::TokenRefusal;
use crate::routes::AllowRule;
use crate::routes::Dpop;
use crate::routes::Origin;
use crate::routes::PROTECTED_RESOURCE_METADATA;
use crate::routes::Route;
use crate::routes::StepUp;

/// What a caller is told (RFC 6750 section 3), with the address of the API's metadata (RFC 9728
/// section 5.1).
#[derive(Clone, Debug)]
pub struct Challenge<'a> {
    origin: &'a Origin,
    route: &'a Route,
    error: Option<(&'static str, &'static str)>,
    step_up: Option<&'a StepUp>,
    /// The entry of `allow` whose scope is named.
    rule: Option<&'a AllowRule>,
}

impl<'a> Challenge<'a> {
    /// What a caller is told whose login does not suffice.
    pub const STEP_UP: &'static str = "a stronger or more recent login is needed";

    /// For a token that is good, but comes from a login that does not suffice (RFC 9470 section 3).
    pub fn step_up(origin: &'a Origin, route: &'a Route) -> Self {
        Self {
            error: Some(("insufficient_user_authentication", Self::STEP_UP)),
            step_up: route.step_up.as_ref(),
            ..Self::without_token(origin, route)
        }
    }

    /// For a request without a token: no error code (RFC 6750 section 3.1).
    pub fn without_token(origin: &'a Origin, route: &'a Route) -> Self {
        Self {
            origin,
            route,
            error: None,
            step_up: None,
            // Nobody knows yet who will come: the first entry that asks for a scope is the best guess.
            rule: route.allow.iter().find(|rule| !rule.scopes.is_empty()),
        }
    }

    /// For a request of which it is not clear which token it shows.
    pub fn unclear(origin: &'a Origin, route: &'a Route, problem: PresentedProblem) -> Self {
        Self {
            error: Some(("invalid_request", problem.description())),
            ..Self::without_token(origin, route)
        }
    }

    /// For a token that is worth nothing.
    pub fn invalid(origin: &'a Origin, route: &'a Route, refusal: TokenRefusal) -> Self {
        Self {
            error: Some((refusal.code(), refusal.description())),
            ..Self::without_token(origin, route)
        }
    }

    /// For a token that is good, but not for this. `rule` is the place in `allow` of the entry that more
    /// scope would meet; none: more scope would not help.
    pub fn insufficient(origin: &'a Origin, route: &'a Route, rule: Option<usize>) -> Self {
        Self {
            error: Some((
                "insufficient_scope",
                "the token does not give access to this",
            )),
            rule: rule.and_then(|index| route.allow.get(index)),
            ..Self::without_token(origin, route)
        }
    }
}

impl Challenge<'_> {
    /// What a token needs here: the scope of the route, and that of the entry.
    fn scopes(&self) -> Vec<&str> {
        let of_route = self.route.bearer.iter().flat_map(|bearer| &bearer.scopes);
        let mut scopes: Vec<&str> = of_route.map(String::as_str).collect();
        for scope in self.rule.iter().flat_map(|rule| &rule.scopes) {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        }
        scopes
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every part is ours: origins, prefixes, scope and acr values were checked with the file, so none
        // holds a quote.
        let dpop = self.route.bearer.as_ref().map(|bearer| bearer.dpop);
        let is_proof = matches!(
            self.error,
            Some(("invalid_dpop_proof" | "use_dpop_nonce", _))
        );
        // What is wrong with a proof belongs to the scheme that has proofs (RFC 9449 section 7.1).
        let scheme = match dpop {
            Some(Dpop::Required) => "DPoP",
            Some(Dpop::Accepted) if is_proof => "DPoP",
            _ => "Bearer",
        };
        write!(f, "{scheme} realm=\"{}\"", self.origin)?;
        if let Some((error, description)) = self.error {
            write!(
                f,
                ", error=\"{error}\", error_description=\"{description}\""
            )?;
        }
        if let Some(step_up) = self.step_up {
            if !step_up.acr_values.is_empty() {
                write!(f, ", acr_values=\"{}\"", step_up.acr_values.join(" "))?;
            }
            if let Some(max_age) = step_up.max_age {
                write!(f, ", max_age=\"{}\"", max_age.as_secs())?;
            }
        }
        let scopes = self.scopes();
        if !scopes.is_empty() {
            write!(f, ", scope=\"{}\"", scopes.join(" "))?;
        }
        let path = metadata_path(self.route);
        write!(f, ", resource_metadata=\"{}{path}\"", self.origin)?;
        let algorithms = || Algorithm::PUBLIC_KEY.iter().map(|one| one.as_str());
        let algorithms = || algorithms().collect::<Vec<_>>().join(" ");
        match dpop {
            None | Some(Dpop::Refused) => Ok(()),
            Some(Dpop::Required) => write!(f, ", algs=\"{}\"", algorithms()),
            Some(Dpop::Accepted) if is_proof => {
                write!(
                    f,
                    ", algs=\"{}\", Bearer realm=\"{}\"",
                    algorithms(),
                    self.origin
                )
            }
            Some(Dpop::Accepted) => write!(f, ", DPoP algs=\"{}\"", algorithms()),
        }
    }
}

/// The path of the metadata of the API behind `route` (RFC 9728 section 3.1).
pub fn metadata_path(route: &Route) -> String {
    format!("{PROTECTED_RESOURCE_METADATA}{}", route.prefix)
}
