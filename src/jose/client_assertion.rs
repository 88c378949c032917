//! Assertions by which we prove at a token endpoint who we are.
//!
//! Owns the claims of `private_key_jwt` and `client_secret_jwt`. When they are used is decided by
//! `oidc::client_authentication`.

use std::time::Duration;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::jose::base64url;
use crate::jose::hmac_key::HmacKey;
use crate::jose::sign::SignError;
use crate::jose::sign::SigningKey;
use crate::jose::sign::signing_input;
use crate::secret::Secret;

/// The value of `client_assertion_type` (RFC 7523 section 2.2).
pub const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is valid: it is used once, at once.
pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// What an assertion is signed with.
#[derive(Clone, Copy, Debug)]
pub enum AssertionKey<'a> {
    /// `private_key_jwt`.
    Private(&'a SigningKey),
    /// `client_secret_jwt`.
    Secret(&'a HmacKey),
}

/// Builds a `client_assertion`.
///
/// `audience` is the provider's issuer or token endpoint; `jti` is unpredictable and never used
/// twice. Implements RFC 7523 section 3 and OpenID Connect Core section 9.
///
/// # Errors
/// [`SignError::Library`]: the library failed.
pub fn client_assertion(
    key: AssertionKey<'_>,
    client_id: &str,
    audience: &str,
    jti: &str,
    now: Timestamp,
) -> Result<Secret<String>, SignError> {
    let claims = Map::from_iter([
        (String::from("iss"), Value::from(client_id)),
        (String::from("sub"), Value::from(client_id)),
        (String::from("aud"), Value::from(audience)),
        (String::from("jti"), Value::from(jti)),
        (String::from("iat"), Value::from(now.0)),
        (
            String::from("exp"),
            Value::from(now.after(ASSERTION_LIFETIME).0),
        ),
    ]);
    match key {
        AssertionKey::Private(key) => key.sign("JWT", &claims).map(Secret::new),
        AssertionKey::Secret(key) => {
            let header = json!({"alg": key.algorithm().as_str(), "typ": "JWT"});
            let signed = signing_input(&header, &claims);
            let code = base64url::encode(key.sign(signed.as_bytes()));
            Ok(Secret::new(format!("{signed}.{code}")))
        }
    }
}
