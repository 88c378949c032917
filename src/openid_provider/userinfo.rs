//! The userinfo endpoint.
//!
//! Owns what the bearer of an access token learns about the user. Implements OpenID Connect Core
//! section 5.3.

use serde_json::Map;
use serde_json::Value;

use crate::openid_provider::access_token::OwnAccessToken;
use crate::openid_provider::claims;
use crate::openid_provider::claims::Wish;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::Placement;

/// The claims about the user behind `token`. `grant` is the one that the token names.
///
/// # Errors
/// A [`Refusal`]: `invalid_token` for a token without a grant, one whose grant is gone, or one of a
/// client that is no longer registered; `insufficient_scope` without `openid`.
pub fn claims(
    token: &OwnAccessToken,
    grant: Option<&Grant>,
    settings: &OpenIdProviderSettings,
) -> Result<Map<String, Value>, Refusal> {
    const GONE: Refusal = Refusal::new(
        ErrorCode::InvalidToken,
        "the access token is revoked, or belongs to no user",
    );
    let named = token.grant.as_ref();
    let grant = grant.filter(|grant| named == Some(&grant.id)).ok_or(GONE)?;
    let client = settings.clients.find(&token.client_id);
    let client = client.filter(|client| *client.client_id == *grant.client_id);
    let client = client.ok_or(GONE)?;
    if !token.scope.contains("openid") {
        return Err(Refusal::new(
            ErrorCode::InsufficientScope,
            "the access token lacks the scope openid",
        ));
    }
    let wish = Wish {
        placement: Placement::Userinfo,
        scope: Some(&token.scope),
        requested: &grant.claims.userinfo,
    };
    let user = &grant.authentication;
    let mut found = claims::released(&user.identity, client, settings, wish);
    found.insert("sub".to_owned(), user.subject.as_str().into());
    Ok(found)
}
