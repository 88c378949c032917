//! The one place where a token is believed.
//!
//! Owns the order of the checks. Login, refresh, bearer and logout tokens all pass here, with a
//! policy each. It fetches no keys: on [`VerifyError::is_worth_new_keys`] the caller looks once more.

use crate::clock::Timestamp;
use crate::jose::algorithm::KeyFamily;
use crate::jose::base64url;
use crate::jose::claim_checks::Checks;
use crate::jose::claims::Claims;
use crate::jose::claims::Verified;
use crate::jose::header::Header;
use crate::jose::key_set::KeyChoiceError;
use crate::jose::key_set::KeySet;
use crate::jose::policy::AccessTokenType;
use crate::jose::policy::TOKEN_SIZE_MAX;
use crate::jose::policy::TokenKind;
use crate::jose::policy::TokenPolicy;
use crate::jose::verify_error::VerifyError;
use crate::oidc::strict_json;

/// Verifies a signed token and returns its claims.
///
/// Checks in this order:
/// 1. length; three parts; header base64url;
/// 2. header: see [`Header::parse`];
/// 3. `alg` is allowed by the policy; `typ` fits the kind;
/// 4. one key is chosen (`kid`, or the only one for `alg`); the signature is right;
/// 5. claims are base64url and a JSON object without doubled members;
/// 6. `iss`; `aud`; `azp` (ID token); `exp`, `nbf`, `iat`; age (logout token); `sub`; `jti`, `sid`;
/// 7. ID token: no logout event, `nonce`, `auth_time`, `at_hash`, `c_hash`. Access token: no sign of
///    an ID token, no `cnf`, with `at+jwt` the claims of RFC 9068. Logout token: `events`, no
///    `nonce`, `sub` or `sid`. Hint: as an ID token, but it may have expired. Client assertion: ends
///    soon, `sub` is `iss`, `jti`.
///
/// Implements RFC 7515 section 5.2, RFC 7523 section 3, RFC 8725, OpenID Connect Core section 3.1.3.7, RFC 9068 section 4
/// and OpenID Connect Back-Channel Logout 1.0 section 2.6. Replay of `jti` is for the caller.
///
/// # Errors
/// One variant of [`VerifyError`] per check.
pub fn verify(
    policy: &TokenPolicy<'_>,
    token: &str,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Verified<Claims>, VerifyError> {
    let parts = Parts::split(token)?;
    let header = Header::parse(&decode("header", parts.header)?)?;
    if !policy.algorithms.contains(&header.algorithm) {
        return Err(VerifyError::AlgorithmNotAllowed {
            found: header.algorithm,
        });
    }
    check_type(policy.kind, header.typ.as_deref())?;
    check_signature(policy, &header, &parts, keys)?;
    let claims = strict_json::parse_object(&decode("claims", parts.claims)?)
        .map_err(VerifyError::NotJson)?;
    Checks {
        policy,
        algorithm: header.algorithm,
        claims: &claims,
        now,
    }
    .run()?;
    Ok(Verified::new(Claims::new(claims)))
}

/// The parts of a compact JWS.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// Header and claims with the dot between: what the signature is about.
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > TOKEN_SIZE_MAX {
            return Err(VerifyError::TooLong);
        }
        match token.bytes().filter(|byte| *byte == b'.').count() {
            2 => {}
            4 => return Err(VerifyError::Encrypted),
            _ => return Err(VerifyError::NotCompact),
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::NotCompact)?;
        let (header, claims) = signed.split_once('.').ok_or(VerifyError::NotCompact)?;
        Ok(Self {
            header,
            claims,
            signature,
            signed,
        })
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, VerifyError> {
    base64url::decode(text).ok_or(VerifyError::NotBase64url { part })
}

/// Keeps the kinds of tokens apart (RFC 8725 section 3.11).
///
/// Names that end in `+jwt` are explicit types: each is accepted for its own kind only. No `typ`,
/// `JWT` and free text say nothing about the kind; then the claims have to.
fn check_type(kind: TokenKind<'_>, typ: Option<&str>) -> Result<(), VerifyError> {
    let is_unspecific = typ.is_none_or(|typ| !typ.ends_with("+jwt"));
    let (is_accepted, expected) = match kind {
        TokenKind::IdToken { .. } | TokenKind::IdTokenHint { .. } => {
            (is_unspecific, "`JWT` or none")
        }
        TokenKind::OwnAccessToken
        | TokenKind::AccessToken {
            token_type: AccessTokenType::AtJwt,
            ..
        } => (typ == Some("at+jwt"), "`at+jwt`"),
        TokenKind::IssuedAccessToken
        | TokenKind::AccessToken {
            token_type: AccessTokenType::Any,
            ..
        } => (
            is_unspecific || typ == Some("at+jwt"),
            "`at+jwt`, `JWT` or none",
        ),
        // The name of the draft that succeeds RFC 7523; libraries begin to write it.
        TokenKind::ClientAssertion { .. } => (
            is_unspecific || typ == Some("client-authentication+jwt"),
            "`JWT` or none",
        ),
        TokenKind::LogoutToken { .. } => (
            matches!(typ, None | Some("jwt" | "logout+jwt")),
            "`logout+jwt`, `JWT` or none",
        ),
    };
    if is_accepted {
        return Ok(());
    }
    Err(VerifyError::TypeMismatch {
        found: typ.map(str::to_owned),
        expected,
    })
}

fn check_signature(
    policy: &TokenPolicy<'_>,
    header: &Header,
    parts: &Parts<'_>,
    keys: &KeySet,
) -> Result<(), VerifyError> {
    let algorithm = header.algorithm;
    let message = parts.signed.as_bytes();
    let is_right = if algorithm.family() == KeyFamily::Secret {
        let key = policy
            .hmac_key
            .filter(|key| key.algorithm() == algorithm)
            .ok_or(VerifyError::NoHmacKey { algorithm })?;
        key.is_valid(message, &decode("signature", parts.signature)?)
    } else {
        let kid = || header.kid.clone();
        let key = keys
            .choose(header.kid.as_deref(), algorithm)
            .map_err(|error| match error {
                KeyChoiceError::Unknown => VerifyError::UnknownKey { kid: kid() },
                KeyChoiceError::Ambiguous => VerifyError::AmbiguousKey { kid: kid() },
                KeyChoiceError::AlgorithmMismatch => VerifyError::KeyMismatch { algorithm },
            })?;
        key.verify_sig(message, &decode("signature", parts.signature)?)
            .is_ok()
    };
    let has_kid = header.kid.is_some();
    is_right
        .then_some(())
        .ok_or(VerifyError::SignatureMismatch { has_kid })
}
