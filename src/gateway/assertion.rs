//! Signed statements about users, for apps that verify what they are told.
//!
//! The signing keys are derived from the session keys, so that several gateways sign alike, nothing is
//! stored, and rotating `session_keys` rotates them too: the first signs, all are published.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use quick_cache::sync::Cache;
use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::identity::AssertionSettings;
use crate::identity::Identity;
use crate::identity::IdentityHeaders;
use crate::jose::SigningKey;

/// One session on one kind of route each; what falls out is signed again.
const SIGNED_MAX: usize = 10_000;

/// Assertions that are still good.
pub struct Assertions {
    signed: Cache<([u8; 32], usize), Signed>,
}

#[derive(Clone)]
struct Signed {
    value: HeaderValue,
    renew_at: Timestamp,
    settings: Arc<IdentityHeaders>,
    /// Whom it is about: what it says must end with a renewal that changes claims or roles.
    identity: Arc<Identity>,
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assertions({} signed)", self.signed.len())
    }
}

impl Default for Assertions {
    fn default() -> Self {
        Self {
            signed: Cache::new(SIGNED_MAX),
        }
    }
}

impl Assertions {
    /// The assertion about a caller, the session or token of this key, under `settings`; signed anew at
    /// half of its lifetime. None: it
    /// cannot be signed, and the app is told nothing rather than something unsigned.
    pub fn value(
        &self,
        (key_of_caller, identity): (&[u8; 32], &Identity),
        settings: &Arc<IdentityHeaders>,
        assertion: &AssertionSettings,
        issuer: &str,
        key: &SigningKey,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let place = (*key_of_caller, Arc::as_ptr(settings).addr());
        if let Some(signed) = self.signed.get(&place)
            && Arc::ptr_eq(&signed.settings, settings)
            && now < signed.renew_at
            && *signed.identity == *identity
        {
            return Some(signed.value);
        }
        let claims = claims(identity, assertion, issuer, now);
        let token = key.sign("JWT", claims.as_object()?).ok()?;
        let value = HeaderValue::from_str(&token).ok()?;
        let signed = Signed {
            value: value.clone(),
            renew_at: now.after(assertion.lifetime / 2),
            settings: Arc::clone(settings),
            identity: Arc::new(identity.clone()),
        };
        self.signed.insert(place, signed);
        Some(value)
    }

    /// Drops everything: keys or settings have changed.
    pub fn forget(&self) {
        self.signed.clear();
    }
}

fn claims(
    identity: &Identity,
    settings: &AssertionSettings,
    issuer: &str,
    now: Timestamp,
) -> Value {
    let mut claims = json!({
        "iss": issuer,
        "aud": settings.audience,
        "sub": identity.subject,
        "iat": now,
        "nbf": now,
        "exp": now.after(settings.lifetime),
        "user": identity.client.is_none().then_some(&identity.user),
        "client_id": identity.client,
        "email": identity.email,
        "email_verified": identity.email.as_ref().map(|_| identity.email_verified),
        "name": identity.name,
        "groups": identity.groups,
        "roles": identity.roles,
        "identity_provider": identity.identity_provider,
    });
    if let Some(claims) = claims.as_object_mut() {
        claims.retain(|_, value| !value.is_null());
    }
    claims
}
