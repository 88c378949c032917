//! The checks of an access token one by one, for reading.
//!
//! Owns their names and their order, which is that of `jose::verify`, `check_introspection` and the
//! gate. It checks nothing: it is told what failed, and what stands before that has passed.

use serde_json::Value;
use serde_json::json;

use crate::decision::Decision;
use crate::decision::Rejection;
use crate::jose::AccessTokenType;
use crate::jose::VerifyError;
use crate::jose::header::HeaderError;
use crate::resource_server::Challenge;
use crate::resource_server::LiveToken;
use crate::resource_server::TokenRefusal;
use crate::routes::Dpop;
use crate::routes::Route;

/// The checks of a JWT, in their order. `kind`: that it is no ID token and no logout token.
const OF_JWT: [&str; 16] = [
    "form",
    "header",
    "algorithm",
    "type",
    "key",
    "signature",
    "claims",
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "sub",
    "jti",
    "kind",
    "cnf",
];

/// The checks of an introspection answer, in their order.
const OF_ANSWER: [&str; 7] = ["active", "iss", "aud", "exp", "nbf", "token_type", "cnf"];

/// What RFC 9068 wants besides.
const OF_PROFILE: &str = "client_id";

/// That the client of a token of our own is registered.
const CLIENT: &str = "client";

/// That a token of our own was not taken back.
const REVOCATION: &str = "revocation";

/// That the claims say who the caller is.
const CALLER: &str = "caller";

/// What is known of each check so far.
#[derive(Debug, Default)]
pub struct Checks {
    rows: Vec<(&'static str, Outcome)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    NotReached,
    /// It cannot be made here, for this reason.
    NotChecked(&'static str),
}

impl Checks {
    /// Of a JWT that fails one.
    pub fn of_refused_jwt(token_type: AccessTokenType, error: &VerifyError) -> Self {
        Self::failed_at(of_jwt(token_type), at(error), error.to_string())
    }

    /// Of a JWT that passes all.
    pub fn of_jwt(token_type: AccessTokenType) -> Self {
        Self::passed(of_jwt(token_type))
    }

    /// Of a token of our own provider, with what is asked of it beside its contents. `alive`: whether it is
    /// over to the second, and whether its client is registered.
    pub fn of_own_token(alive: Result<(), TokenRefusal>) -> Self {
        let names = of_jwt(AccessTokenType::AtJwt);
        if let Err(refusal @ TokenRefusal::Expired) = alive {
            return Self::failed_at(names, "exp", refusal.description());
        }
        let mut checks = Self::passed(names);
        checks.rows.push((CLIENT, outcome(alive)));
        checks.rows.push((REVOCATION, match alive {
            Ok(()) => Outcome::NotChecked(
                "that it was not taken back, and that its login has not ended, is known to the running gateway",
            ),
            Err(_) => Outcome::NotReached,
        }));
        checks
    }

    /// Of a token that its issuer knows, and whose answer passes all.
    pub fn of_answer() -> Self {
        Self::passed(OF_ANSWER.into())
    }

    /// Of a token about which its issuer says what does not do here.
    pub fn of_refused_answer(refusal: TokenRefusal) -> Self {
        let says = refusal.description();
        let name = match refusal {
            TokenRefusal::Inactive => "active",
            TokenRefusal::Issuer => "iss",
            TokenRefusal::Audience => "aud",
            TokenRefusal::Expired => "exp",
            TokenRefusal::NotYetValid => "nbf",
            TokenRefusal::Kind => "token_type",
            TokenRefusal::SenderConstrained => "cnf",
            // A type is looked at with its claim, so it is not known which check it was.
            _ => return Self::failed_at(vec!["active", "iss", "claims"], "claims", says),
        };
        Self::failed_at(OF_ANSWER.into(), name, says)
    }

    /// Of a token that failed before anything else was looked at.
    pub fn failed_first(name: &'static str, says: impl Into<String>) -> Self {
        Self::failed_at(vec![name], name, says)
    }

    /// Adds whether the claims say who the caller is.
    pub fn with_caller(mut self, result: Result<(), TokenRefusal>) -> Self {
        self.rows.push((CALLER, outcome(result)));
        self
    }

    /// Adds what the gate asks of a token that is good in itself.
    pub fn add_gate(&mut self, route: &Route, live: &LiveToken, decision: &Decision) {
        let Some(settings) = &route.bearer else {
            return;
        };
        let lacks = |scope: &&String| !live.identity.scopes.contains(scope);
        let lacking: Vec<&str> = (settings.scopes.iter().filter(lacks))
            .map(String::as_str)
            .collect();
        let mut names = Vec::new();
        if settings.dpop != Dpop::Refused {
            names.push("binding");
        }
        if route.step_up.is_some() {
            names.push("step_up");
        }
        if !settings.scopes.is_empty() {
            names.push("scopes");
        }
        names.push("allow");
        let rows = match decision {
            Decision::Reject(Rejection::TokenInvalid(refusal)) => {
                Self::failed_at(names, "binding", refusal.description())
            }
            Decision::Reject(Rejection::TokenStepUp) => {
                Self::failed_at(names, "step_up", login(route, live))
            }
            Decision::Reject(Rejection::TokenInsufficient(_)) if !lacking.is_empty() => {
                let says = format!("the token lacks the scope `{}`", lacking.join(" "));
                Self::failed_at(names, "scopes", says)
            }
            Decision::Reject(_) => Self::failed_at(names, "allow", "no entry admits the caller"),
            _ => Self::passed(names),
        };
        self.rows.extend(rows.rows);
    }

    /// What came out: the check that failed, with what is wrong, or that none did.
    pub fn verdict(&self) -> String {
        let is_open = |(_, outcome): &&(&str, Outcome)| matches!(outcome, Outcome::NotChecked(_));
        match (self.failure(), self.rows.iter().find(is_open)) {
            (Some(failure), _) => failure,
            (None, Some((name, _))) => {
                format!("all checks are passed but `{name}`, which is not made here")
            }
            (None, None) => "all checks are passed".to_owned(),
        }
    }

    /// The check that failed, with what is wrong.
    pub fn failure(&self) -> Option<String> {
        self.rows.iter().find_map(|(name, outcome)| match outcome {
            Outcome::Failed(says) => Some(format!("{name}: {says}")),
            _ => None,
        })
    }

    /// For the story.
    pub fn to_json(&self) -> Value {
        let row = |(name, outcome): &(&str, Outcome)| match outcome {
            Outcome::Passed => json!({"check": name, "outcome": "passed"}),
            Outcome::Failed(says) => json!({"check": name, "outcome": "failed", "says": says}),
            Outcome::NotReached => json!({"check": name, "outcome": "not_reached"}),
            Outcome::NotChecked(says) => {
                json!({"check": name, "outcome": "not_checked", "says": says})
            }
        };
        self.rows.iter().map(row).collect::<Vec<_>>().into()
    }

    fn passed(names: Vec<&'static str>) -> Self {
        let row = |name| (name, Outcome::Passed);
        Self {
            rows: names.into_iter().map(row).collect(),
        }
    }

    fn failed_at(names: Vec<&'static str>, failed: &'static str, says: impl Into<String>) -> Self {
        let mut says = Some(says.into());
        let row = |name| match says.take_if(|_| name == failed) {
            Some(says) => (name, Outcome::Failed(says)),
            None => (name, Outcome::NotReached),
        };
        let mut rows: Vec<_> = names.into_iter().map(row).collect();
        for (name, outcome) in &mut rows {
            if *name == failed {
                break;
            }
            *outcome = Outcome::Passed;
        }
        Self { rows }
    }
}

fn outcome(result: Result<(), TokenRefusal>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(refusal) => Outcome::Failed(refusal.description().to_owned()),
    }
}

fn of_jwt(token_type: AccessTokenType) -> Vec<&'static str> {
    let mut names: Vec<&str> = OF_JWT.into();
    if token_type == AccessTokenType::AtJwt {
        names.push(OF_PROFILE);
    }
    names
}

/// The check that an error belongs to.
fn at(error: &VerifyError) -> &'static str {
    let of_claim = |claim: &str| {
        let mut names = OF_JWT.into_iter().chain([OF_PROFILE]);
        names.find(|name| *name == claim).unwrap_or("claims")
    };
    match error {
        VerifyError::TooLong | VerifyError::NotCompact | VerifyError::Encrypted => "form",
        VerifyError::NotBase64url { part } => match *part {
            "signature" => "signature",
            "claims" => "claims",
            _ => "form",
        },
        VerifyError::Header(
            HeaderError::AlgorithmMissing | HeaderError::AlgorithmUnknown { .. },
        )
        | VerifyError::AlgorithmNotAllowed { .. } => "algorithm",
        VerifyError::Header(_) => "header",
        VerifyError::TypeMismatch { .. } => "type",
        VerifyError::UnknownKey { .. }
        | VerifyError::AmbiguousKey { .. }
        | VerifyError::KeyMismatch { .. }
        | VerifyError::NoHmacKey { .. } => "key",
        VerifyError::SignatureMismatch { .. } => "signature",
        VerifyError::IssuerMismatch { .. } => "iss",
        VerifyError::AudienceMismatch { .. } => "aud",
        VerifyError::Expired { .. } => "exp",
        VerifyError::NotYetValid { .. } => "nbf",
        VerifyError::IssuedInFuture { .. } => "iat",
        VerifyError::SubjectTooLong | VerifyError::SubjectCharacters => "sub",
        VerifyError::MissingClaim { claim }
        | VerifyError::WrongType { claim, .. }
        | VerifyError::EmptyClaim { claim } => of_claim(claim),
        // `sid` is looked at with `jti`.
        VerifyError::IdentifierTooLong { .. } => "jti",
        VerifyError::UnexpectedLogoutToken | VerifyError::IdTokenAsAccessToken { .. } => "kind",
        VerifyError::SenderConstrained => "cnf",
        _ => "claims",
    }
}

/// What is asked of the login, and what the token says of it.
fn login(route: &Route, live: &LiveToken) -> String {
    let mut text = Challenge::STEP_UP.to_owned();
    let found = |name: &str| match live.identity.claims.get(name) {
        Some(value) => format!("`{name}` is {value}"),
        None => format!("`{name}` is missing"),
    };
    let Some(asked) = &route.step_up else {
        return text;
    };
    if !asked.acr_values.is_empty() {
        let expected = asked.acr_values.join("`, `");
        text += &format!("; {}, expected one of `{expected}`", found("acr"));
    }
    if let Some(max_age) = asked.max_age {
        let seconds = max_age.as_secs();
        text += &format!(
            "; {}, expected at most {seconds} seconds ago",
            found("auth_time")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(checks: &Checks) -> Vec<String> {
        let rows = checks.to_json();
        let rows = rows.as_array().expect("a list").iter();
        rows.map(|row| format!("{} {}", row["check"], row["outcome"]).replace('"', ""))
            .collect()
    }

    #[test]
    fn what_stands_before_a_failure_has_passed() {
        let checks = Checks::of_refused_answer(TokenRefusal::Expired);
        assert_eq!(
            outcomes(&checks),
            [
                "active passed",
                "iss passed",
                "aud passed",
                "exp failed",
                "nbf not_reached",
                "token_type not_reached",
                "cnf not_reached",
            ]
        );
        assert_eq!(
            checks.failure().as_deref(),
            Some("exp: the token has expired")
        );
    }

    /// A name that is not in the list would make every check look passed.
    #[test]
    fn every_error_belongs_to_a_check_of_the_list() {
        for error in [
            VerifyError::TooLong,
            VerifyError::NotBase64url { part: "claims" },
            VerifyError::NotBase64url { part: "header" },
            VerifyError::Header(HeaderError::AlgorithmMissing),
            VerifyError::Header(HeaderError::KidTooLong),
            VerifyError::AmbiguousKey { kid: None },
            VerifyError::SignatureMismatch { has_kid: true },
            VerifyError::MissingClaim { claim: "iss" },
            VerifyError::MissingClaim { claim: "auth_time" },
            VerifyError::IdentifierTooLong { claim: "sid" },
            VerifyError::UnexpectedLogoutToken,
            VerifyError::SenderConstrained,
            VerifyError::NonceMissing,
        ] {
            let checks = Checks::failed_at(OF_JWT.into(), at(&error), error.to_string());
            assert!(checks.failure().is_some(), "{error:?}");
        }
    }
}
