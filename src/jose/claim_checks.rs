//! Checks of the claims, after the signature.
//!
//! Owns every comparison between claims and policy. It reads types strictly: a claim of another type
//! is a refusal, never "not there".

use std::time::Duration;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest;
use serde_json::Map;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::jose::algorithm::Algorithm;
use crate::jose::base64url;
use crate::jose::claims::numeric_date;
use crate::jose::policy::ASSERTION_LIFETIME_MAX;
use crate::jose::policy::AccessTokenType;
use crate::jose::policy::Binding;
use crate::jose::policy::IDENTIFIER_LENGTH_MAX;
use crate::jose::policy::LOGOUT_TOKEN_AGE_MAX;
use crate::jose::policy::SUBJECT_LENGTH_MAX;
use crate::jose::policy::TokenKind;
use crate::jose::policy::TokenPolicy;
use crate::jose::verify_error::VerifyError;

/// The event of a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
pub(in crate::jose) const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Claims of ID tokens that RFC 9068 access tokens never have.
const ID_TOKEN_CLAIMS: &[&str] = &["nonce", "at_hash", "c_hash"];

/// The claims with what is needed to judge them.
pub(in crate::jose) struct Checks<'a> {
    pub(in crate::jose) policy: &'a TokenPolicy<'a>,
    pub(in crate::jose) algorithm: Algorithm,
    pub(in crate::jose) claims: &'a Map<String, Value>,
    pub(in crate::jose) now: Timestamp,
}

impl Checks<'_> {
    /// Runs every check; the order is documented at [`crate::jose::verify()`].
    pub(in crate::jose) fn run(&self) -> Result<(), VerifyError> {
        self.check_issuer()?;
        match self.policy.kind {
            TokenKind::IdToken {
                client_id,
                nonce,
                max_age,
                access_token,
                code,
            } => {
                self.check_client_audience(client_id)?;
                self.check_authorized_party(client_id)?;
                self.check_dates()?;
                self.require("exp")?;
                self.require("iat")?;
                self.check_subject()?;
                self.require("sub")?;
                self.check_identifiers()?;
                self.check_is_no_logout_token()?;
                self.check_nonce(nonce)?;
                self.check_authentication_time(max_age)?;
                self.check_hash(
                    "at_hash",
                    access_token,
                    VerifyError::AccessTokenHashMismatch,
                )?;
                self.check_hash("c_hash", code, VerifyError::CodeHashMismatch)
            }
            TokenKind::AccessToken {
                audience,
                token_type,
                binding,
            } => {
                self.check_audience(audience)?;
                self.check_dates()?;
                self.require("exp")?;
                self.check_subject()?;
                self.check_identifiers()?;
                self.check_is_no_logout_token()?;
                self.check_is_bearer_access_token(binding)?;
                match token_type {
                    AccessTokenType::AtJwt => self.check_profile_rfc9068(),
                    AccessTokenType::Any => Ok(()),
                }
            }
            // Several providers put `nonce` into access tokens; beside its ID token that is no mix-up.
            TokenKind::IssuedAccessToken => {
                self.check_dates()?;
                self.require("exp")?;
                self.check_subject()?;
                self.check_identifiers()?;
                self.check_is_no_logout_token()
            }
            TokenKind::IdTokenHint { client_id } => {
                match client_id {
                    Some(client_id) => self.check_client_audience(client_id)?,
                    None => drop(self.audience()?),
                }
                self.check_beginning()?;
                self.require("exp")?;
                self.require("iat")?;
                self.check_subject()?;
                self.require("sub")?;
                self.check_identifiers()?;
                self.check_is_no_logout_token()
            }
            TokenKind::OwnAccessToken => {
                self.audience()?;
                self.check_dates()?;
                self.require("exp")?;
                self.check_subject()?;
                self.check_identifiers()?;
                self.check_is_no_logout_token()?;
                self.check_is_bearer_access_token(Binding::Refused)?;
                self.check_profile_rfc9068()
            }
            TokenKind::ClientAssertion { audience } => {
                self.check_audience(audience)?;
                self.check_dates()?;
                self.require("exp")?;
                self.check_end_is_near()?;
                self.check_subject_is_issuer()?;
                self.check_identifiers()?;
                self.require("jti")
            }
            TokenKind::LogoutToken { client_id } => {
                self.check_client_audience(client_id)?;
                self.check_dates()?;
                self.require("iat")?;
                self.check_age()?;
                self.check_subject()?;
                self.check_identifiers()?;
                self.require("jti")?;
                self.check_logout_event()?;
                if self.claims.contains_key("nonce") {
                    return Err(VerifyError::NonceForbidden);
                }
                let has_target = self.claims.contains_key("sub") || self.claims.contains_key("sid");
                has_target
                    .then_some(())
                    .ok_or(VerifyError::LogoutWithoutTarget)
            }
        }
    }

    fn require(&self, claim: &'static str) -> Result<(), VerifyError> {
        let is_there = self.claims.contains_key(claim);
        is_there
            .then_some(())
            .ok_or(VerifyError::MissingClaim { claim })
    }

    fn string(&self, claim: &'static str) -> Result<Option<&str>, VerifyError> {
        match self.claims.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(VerifyError::EmptyClaim { claim }),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(VerifyError::WrongType {
                claim,
                expected: "a string",
            }),
        }
    }

    fn date(&self, claim: &'static str) -> Result<Option<Timestamp>, VerifyError> {
        let expected = "a number of seconds from 1970 to the year 9999";
        self.claims
            .get(claim)
            .map(|value| numeric_date(value).ok_or(VerifyError::WrongType { claim, expected }))
            .transpose()
    }

    fn leeway(&self) -> i64 {
        i64::try_from(self.policy.leeway.as_secs()).unwrap_or(i64::MAX)
    }

    fn check_issuer(&self) -> Result<(), VerifyError> {
        let found = self
            .string("iss")?
            .ok_or(VerifyError::MissingClaim { claim: "iss" })?;
        if found != self.policy.issuer {
            return Err(VerifyError::IssuerMismatch {
                found: found.to_owned(),
                expected: self.policy.issuer.to_owned(),
            });
        }
        Ok(())
    }

    /// The audiences; an array with anything but strings in it is a refusal as a whole.
    fn audience(&self) -> Result<Vec<&str>, VerifyError> {
        let wrong = VerifyError::WrongType {
            claim: "aud",
            expected: "a string or an array of strings",
        };
        match self.claims.get("aud") {
            None => Err(VerifyError::MissingClaim { claim: "aud" }),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(elements)) => elements
                .iter()
                .map(Value::as_str)
                .collect::<Option<_>>()
                .ok_or(wrong),
            Some(_) => Err(wrong),
        }
    }

    fn check_audience(&self, expected: &[String]) -> Result<(), VerifyError> {
        let found = self.audience()?;
        if found
            .iter()
            .any(|name| expected.iter().any(|own| own == name))
        {
            return Ok(());
        }
        Err(VerifyError::AudienceMismatch {
            found: found.into_iter().map(str::to_owned).collect(),
            expected: expected.to_vec(),
        })
    }

    fn check_client_audience(&self, client_id: &str) -> Result<(), VerifyError> {
        self.check_audience(&[client_id.to_owned()])
    }

    fn check_authorized_party(&self, client_id: &str) -> Result<(), VerifyError> {
        match self.string("azp")? {
            Some(found) if found == client_id => Ok(()),
            Some(found) => Err(VerifyError::AuthorizedPartyMismatch {
                found: found.to_owned(),
                expected: client_id.to_owned(),
            }),
            None if self.audience()?.len() > 1 => Err(VerifyError::AuthorizedPartyMissing),
            None => Ok(()),
        }
    }

    /// `exp`, `nbf` and `iat` where they are: right type, and right time within the leeway.
    fn check_dates(&self) -> Result<(), VerifyError> {
        if let Some(expires_at) = self.date("exp")? {
            let seconds_ago = self.now.0.saturating_sub(expires_at.0);
            if seconds_ago >= self.leeway() {
                return Err(VerifyError::Expired { seconds_ago });
            }
        }
        self.check_beginning()
    }

    /// `nbf` and `iat` where they are.
    fn check_beginning(&self) -> Result<(), VerifyError> {
        if let Some(not_before) = self.date("nbf")? {
            let seconds_ahead = not_before.0.saturating_sub(self.now.0);
            if seconds_ahead > self.leeway() {
                return Err(VerifyError::NotYetValid { seconds_ahead });
            }
        }
        if let Some(issued_at) = self.date("iat")? {
            let seconds_ahead = issued_at.0.saturating_sub(self.now.0);
            if seconds_ahead > self.leeway() {
                return Err(VerifyError::IssuedInFuture { seconds_ahead });
            }
        }
        Ok(())
    }

    /// Without this a logout token without `exp` could be replayed once the replay list forgot it.
    fn check_age(&self) -> Result<(), VerifyError> {
        let Some(issued_at) = self.date("iat")? else {
            return Ok(());
        };
        let age = self.now.since(issued_at);
        if age > LOGOUT_TOKEN_AGE_MAX.saturating_add(self.policy.leeway) {
            let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            return Err(VerifyError::TooOld { seconds });
        }
        Ok(())
    }

    /// Without this an assertion outlives the memory of its `jti` and can be used again.
    fn check_end_is_near(&self) -> Result<(), VerifyError> {
        let Some(expires_at) = self.date("exp")? else {
            return Ok(());
        };
        let lifetime = expires_at.since(self.now);
        if lifetime > ASSERTION_LIFETIME_MAX {
            let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
            return Err(VerifyError::AssertionTooLong { seconds });
        }
        Ok(())
    }

    /// RFC 7523 section 3: `iss` and `sub` of a client's assertion are both its `client_id`.
    fn check_subject_is_issuer(&self) -> Result<(), VerifyError> {
        self.require("sub")?;
        let is_client = self.string("sub")? == Some(self.policy.issuer);
        is_client
            .then_some(())
            .ok_or(VerifyError::AssertionSubjectMismatch)
    }

    fn check_subject(&self) -> Result<(), VerifyError> {
        let Some(subject) = self.string("sub")? else {
            return Ok(());
        };
        if subject.len() > SUBJECT_LENGTH_MAX {
            return Err(VerifyError::SubjectTooLong);
        }
        if !subject.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Err(VerifyError::SubjectCharacters);
        }
        Ok(())
    }

    fn check_identifiers(&self) -> Result<(), VerifyError> {
        for claim in ["jti", "sid"] {
            if self
                .string(claim)?
                .is_some_and(|text| text.len() > IDENTIFIER_LENGTH_MAX)
            {
                return Err(VerifyError::IdentifierTooLong { claim });
            }
        }
        Ok(())
    }

    fn check_nonce(&self, expected: Option<&str>) -> Result<(), VerifyError> {
        let found = self.string("nonce")?;
        let Some(expected) = expected else {
            return Ok(());
        };
        let found = found.ok_or(VerifyError::NonceMissing)?;
        if !is_equal(found, expected) {
            return Err(VerifyError::NonceMismatch);
        }
        Ok(())
    }

    fn check_authentication_time(&self, max_age: Option<Duration>) -> Result<(), VerifyError> {
        let authenticated_at = self.date("auth_time")?;
        let Some(max_age) = max_age else {
            return Ok(());
        };
        let authenticated_at =
            authenticated_at.ok_or(VerifyError::MissingClaim { claim: "auth_time" })?;
        let seconds_ahead = authenticated_at.0.saturating_sub(self.now.0);
        if seconds_ahead > self.leeway() {
            return Err(VerifyError::AuthenticatedInFuture { seconds_ahead });
        }
        let age = self.now.since(authenticated_at);
        if age > max_age.saturating_add(self.policy.leeway) {
            let seconds_ago = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            return Err(VerifyError::AuthenticationTooOld { seconds_ago });
        }
        Ok(())
    }

    /// Without this an attacker can put another access token beside a genuine ID token.
    fn check_hash(
        &self,
        claim: &'static str,
        value: Option<&str>,
        mismatch: VerifyError,
    ) -> Result<(), VerifyError> {
        let found = self.string(claim)?;
        match (found, value) {
            (Some(found), Some(value)) if !is_equal(found, &half_hash(self.algorithm, value)) => {
                Err(mismatch)
            }
            _ => Ok(()),
        }
    }

    fn check_is_no_logout_token(&self) -> Result<(), VerifyError> {
        let has_event = self
            .claims
            .get("events")
            .is_some_and(|events| events.get(LOGOUT_EVENT).is_some());
        (!has_event)
            .then_some(())
            .ok_or(VerifyError::UnexpectedLogoutToken)
    }

    fn check_is_bearer_access_token(&self, binding: Binding) -> Result<(), VerifyError> {
        if let Some(claim) = ID_TOKEN_CLAIMS
            .iter()
            .find(|name| self.claims.contains_key(**name))
        {
            return Err(VerifyError::IdTokenAsAccessToken { claim });
        }
        // RFC 9449 section 7 and RFC 8705 section 3: a bound token is worth nothing without proof.
        match self.claims.get("cnf") {
            None => Ok(()),
            Some(cnf) if binding == Binding::Dpop && jkt(cnf).is_some() => Ok(()),
            Some(_) => Err(VerifyError::SenderConstrained),
        }
    }

    /// The claims that RFC 9068 section 2.2 requires beyond those of every access token.
    fn check_profile_rfc9068(&self) -> Result<(), VerifyError> {
        self.require("sub")?;
        self.require("iat")?;
        self.require("jti")?;
        self.string("client_id")?
            .map(|_| ())
            .ok_or(VerifyError::MissingClaim { claim: "client_id" })
    }

    fn check_logout_event(&self) -> Result<(), VerifyError> {
        match self.claims.get("events") {
            None => Err(VerifyError::MissingClaim { claim: "events" }),
            Some(Value::Object(events)) => match events.get(LOGOUT_EVENT) {
                Some(Value::Object(_)) => Ok(()),
                _ => Err(VerifyError::LogoutEventMissing),
            },
            Some(_) => Err(VerifyError::WrongType {
                claim: "events",
                expected: "an object",
            }),
        }
    }
}

/// The thumbprint that `cnf` binds a token to, if it binds it to nothing else.
pub fn jkt(cnf: &Value) -> Option<&str> {
    let members = cnf.as_object().filter(|members| members.len() == 1)?;
    members.get("jkt")?.as_str().filter(|jkt| !jkt.is_empty())
}

fn is_equal(found: &str, expected: &str) -> bool {
    constant_time::verify_slices_are_equal(found.as_bytes(), expected.as_bytes()).is_ok()
}

/// The left half of the hash of `value`: `at_hash` and `c_hash` (OpenID Connect Core section 3.1.3.6).
pub fn half_hash(algorithm: Algorithm, value: &str) -> String {
    let hash = digest::digest(algorithm.hash(), value.as_bytes());
    let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    base64url::encode(left)
}
