//! A client's own tokens.
//!
//! Owns the grant of machines: no user, no ID token, no refresh token. Implements RFC 6749 section 4.4.

use serde_json::Map;

use crate::identity::ClaimMapping;
use crate::identity::Identity;
use crate::identity::RoleMapping;
use crate::identity::VerifiedClaims;
use crate::oidc::scope::Scope;
use crate::openid_provider::clients::Client;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::scope;
use crate::openid_provider::scope::Target;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::STANDARD_SCOPES;
use crate::openid_provider::subject::LOCAL;

/// Decides what a client gets for itself. Without a scope that is all it may have; scopes that speak of a
/// user mean nothing here and are refused when they are asked for.
///
/// The client has proved who it is: [`crate::openid_provider::clients::confidential`].
///
/// # Errors
/// A [`Refusal`] with `invalid_scope` or `invalid_target`.
pub fn issue(
    client: &Client,
    asked: Option<&Scope>,
    resources: &[String],
    settings: &OpenIdProviderSettings,
) -> Result<Target, Refusal> {
    let is_standard = |value: &str| STANDARD_SCOPES.contains(&value);
    if asked.is_some_and(|asked| asked.iter().any(is_standard)) {
        let description = "a scope that speaks of a user is asked for without one";
        return Err(Refusal::new(ErrorCode::InvalidScope, description));
    }
    let asked = match asked {
        Some(asked) => asked.clone(),
        None => Scope::from_values(client.scopes.iter().filter(|value| !is_standard(value)))
            .unwrap_or_default(),
    };
    let asked = scope::registered(asked, client, settings)?;
    let granted = scope::granted(&asked, client, &identity(client), settings);
    scope::target(&granted, resources, client, settings)
}

/// The client as the rules of scopes see it: a machine, not a user.
pub fn identity(client: &Client) -> Identity {
    let verified = VerifiedClaims {
        subject: client.client_id.to_string(),
        claims: Map::new(),
        scopes: Vec::new(),
    };
    let (mapping, roles) = (ClaimMapping::default(), RoleMapping::default());
    Identity::of_client(LOCAL, &client.client_id, verified, &mapping, &roles)
}
