//! Codes for tokens.
//!
//! Owns what is stored under a code and its redemption. Invariant: a code is redeemed once, by the client
//! it was made for, with the redirect URI it was sent to and the verifier of whoever began.

use aws_lc_rs::constant_time;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::oidc::pkce::CodeVerifier;
use crate::oidc::scope::Scope;
use crate::openid_provider::authorize::AuthorizationRequest;
use crate::openid_provider::claims_request::ClaimsRequest;
use crate::openid_provider::clients::Client;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::grants::GrantRefusal;
use crate::openid_provider::grants::Issuance;
use crate::openid_provider::grants::RefreshLine;
use crate::openid_provider::grants::chosen_resources;
use crate::openid_provider::grants::is_of;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::handle::RefreshKey;
use crate::openid_provider::judge::Authentication;
use crate::openid_provider::judge::is_offered;
use crate::openid_provider::scope;
use crate::openid_provider::settings::OpenIdProviderSettings;

/// How long a code is remembered after it was made, at least: a thief who comes late still ends what was
/// issued for it.
pub const CODE_KEPT_MIN: Duration = Duration::from_secs(10 * 60);

pub(in crate::openid_provider) const WRONG_VERIFIER: Refusal =
    Refusal::invalid_grant("code_verifier is not the one behind code_challenge");

/// What is stored under a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredCode {
    /// The client it was made for.
    pub client_id: String,
    /// Where it was sent.
    pub redirect_uri: String,
    /// The PKCE challenge, where there was one.
    pub code_challenge: Option<String>,
    /// The client's `nonce`.
    pub nonce: Option<String>,
    /// What was asked for.
    pub scope: String,
    /// The APIs that were asked for.
    pub resources: Vec<String>,
    /// Single claims that were asked for.
    pub claims: ClaimsRequest,
    /// Who the user is.
    pub authentication: Authentication,
    /// The grant that its redemption makes.
    pub grant_id: GrantId,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When the record can be forgotten.
    pub kept_until: Timestamp,
    /// Whether it was redeemed.
    pub is_used: bool,
}

/// A redeemed code.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// What takes the place of the stored code. Whoever fails to write it, because somebody else was
    /// first, issues nothing.
    pub used: StoredCode,
    /// The new grant.
    pub grant: Grant,
    /// What is issued.
    pub issuance: Issuance,
}

/// What a token request says about a code.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The redirect URI.
    pub redirect_uri: &'a str,
    /// The PKCE verifier.
    pub code_verifier: Option<&'a CodeVerifier>,
    /// The APIs that the token is to be for.
    pub resources: &'a [String],
}

/// What is stored under the code that answers `request`.
pub fn stored(
    request: &AuthorizationRequest,
    authentication: Authentication,
    grant_id: GrantId,
    settings: &OpenIdProviderSettings,
    now: Timestamp,
) -> StoredCode {
    StoredCode {
        client_id: request.client.client_id.to_string(),
        redirect_uri: request.address.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        nonce: request.nonce.clone(),
        scope: request.scope.to_string(),
        resources: request.resources.clone(),
        claims: request.claims.clone(),
        authentication,
        grant_id,
        expires_at: now.after(settings.lifetimes.code),
        kept_until: now.after(settings.lifetimes.code.max(CODE_KEPT_MIN)),
        is_used: false,
    }
}

/// Holds the verifier against the challenge (RFC 7636 section 4.6). One without the other is refused: a
/// thief may have taken the challenge out of the request (RFC 9700 section 2.1.1).
fn check_verifier(verifier: Option<&CodeVerifier>, challenge: Option<&str>) -> Result<(), Refusal> {
    match (verifier, challenge) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Refusal::invalid_request("code_verifier is missing")),
        (Some(_), None) => Err(WRONG_VERIFIER),
        (Some(verifier), Some(challenge)) => {
            let (found, expected) = (verifier.challenge(), challenge.as_bytes());
            constant_time::verify_slices_are_equal(found.as_bytes(), expected)
                .map_err(|_| WRONG_VERIFIER)
        }
    }
}

/// Redeems a code. `identity` is the user as they are now; none: they may no longer log in. `refresh_key`
/// is of unpredictable bytes.
///
/// Checks in this order: not used before; not over; the client; the redirect URI; the verifier; the user;
/// the resource. Implements RFC 6749 section 4.1.3, RFC 7636 section 4.6 and RFC 8707 section 2.2.
///
/// # Errors
/// A [`GrantRefusal`] with `invalid_grant`; for a code that was used before, the grant ends (RFC 6749
/// section 4.1.2). With `invalid_target` the code can still be used.
pub fn redeem(
    stored: &StoredCode,
    presented: Presented<'_>,
    client: &Client,
    identity: Option<&Identity>,
    settings: &OpenIdProviderSettings,
    refresh_key: RefreshKey,
    now: Timestamp,
) -> Result<Redemption, GrantRefusal> {
    if stored.is_used {
        let refusal = Refusal::invalid_grant("the code was used before");
        return Err(GrantRefusal::ending(refusal));
    }
    if now >= stored.expires_at {
        return Err(Refusal::invalid_grant("the code is over").into());
    }
    if !is_of(client, &stored.client_id) {
        return Err(Refusal::invalid_grant("the code is another client's").into());
    }
    if presented.redirect_uri != stored.redirect_uri {
        let description = "redirect_uri is not the one that the code was sent to";
        return Err(Refusal::invalid_grant(description).into());
    }
    check_verifier(presented.code_verifier, stored.code_challenge.as_deref())?;
    // What the user has lost since the code was made is lost: a code may wait for minutes.
    let Some(identity) = identity.filter(|identity| is_offered(identity, settings)) else {
        return Err(Refusal::invalid_grant("the user may no longer log in").into());
    };
    let requested = Scope::parse(&stored.scope).unwrap_or_default();
    let granted = scope::granted(&requested, client, identity, settings);
    let resources = chosen_resources(presented.resources, &stored.resources)?;
    let target = scope::target(&granted, &resources, client, settings)?;
    let lifetimes = settings.lifetimes_of(client);
    let refresh = granted.contains("offline_access").then(|| RefreshLine {
        key: refresh_key,
        generation: 0,
        rotated_at: now,
        expires_at: now.after(lifetimes.refresh_token.min(lifetimes.refresh_absolute)),
        ends_at: now.after(lifetimes.refresh_absolute),
    });
    let mut grant = Grant {
        id: stored.grant_id.clone(),
        client_id: stored.client_id.clone(),
        scope: stored.scope.clone(),
        resources: stored.resources.clone(),
        claims: stored.claims.clone(),
        authentication: Authentication {
            identity: identity.clone(),
            ..stored.authentication.clone()
        },
        refresh,
        expires_at: now,
    };
    grant.prolong(&lifetimes, now);
    Ok(Redemption {
        used: StoredCode {
            is_used: true,
            ..stored.clone()
        },
        grant,
        issuance: Issuance {
            has_id_token: granted.contains("openid"),
            target,
            nonce: stored.nonce.clone(),
        },
    })
}
