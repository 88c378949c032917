//! Refresh tokens for tokens.
//!
//! Owns rotation and the detection of reuse. Invariant: of a line of tokens one is valid. The one before
//! it works for a moment more and gives the same successor, since answers get lost; any older one shows
//! that two parties hold the line, and ends it for both (RFC 9700 section 4.14.2).

use std::time::Duration;

use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::oidc::scope::Scope;
use crate::openid_provider::clients::Client;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::grants::GrantRefusal;
use crate::openid_provider::grants::Issuance;
use crate::openid_provider::grants::RefreshLine;
use crate::openid_provider::grants::chosen_resources;
use crate::openid_provider::grants::is_of;
use crate::openid_provider::handle::RefreshToken;
use crate::openid_provider::judge::is_offered;
use crate::openid_provider::scope;
use crate::openid_provider::settings::Lifetimes;
use crate::openid_provider::settings::OpenIdProviderSettings;

/// How long the token before the valid one gives the same successor: a client whose connection broke
/// tries again within seconds.
pub const RETRY_WINDOW: Duration = Duration::from_secs(10);

pub(in crate::openid_provider) const UNKNOWN: Refusal =
    Refusal::invalid_grant("the refresh token is unknown");

/// What a refresh leads to.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The grant as it is from now on; its refresh token is the successor. It is written back unless
    /// `is_retry`; whoever fails to write it, because somebody else was first, reads and asks again.
    pub grant: Grant,
    /// Whether the successor was given before and nothing changes.
    pub is_retry: bool,
    /// What is issued.
    pub issuance: Issuance,
}

/// What a token request says beside the token.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The token.
    pub token: &'a RefreshToken,
    /// A narrower scope.
    pub scope: Option<&'a Scope>,
    /// The APIs that the token is to be for.
    pub resources: &'a [String],
}

/// Uses a refresh token. `identity` is the user as they are now; none: they may no longer log in.
///
/// Checks in this order: the token is genuine; the client; not over; the valid token, or the one before
/// it within [`RETRY_WINDOW`]; the user; the scope; the resource. A token that is not genuine changes
/// nothing: the name of a grant stands in access tokens, and whoever reads one must not end it.
///
/// Implements RFC 6749 section 6 and OpenID Connect Core section 12.
///
/// # Errors
/// A [`GrantRefusal`] with `invalid_grant`, `invalid_scope` or `invalid_target`. A genuine token in the
/// wrong hands, or used twice, and a user who is gone, end the grant.
pub fn redeem(
    grant: &Grant,
    presented: Presented<'_>,
    client: &Client,
    identity: Option<&Identity>,
    settings: &OpenIdProviderSettings,
    now: Timestamp,
) -> Result<Rotation, GrantRefusal> {
    let line = (grant.refresh.as_ref())
        .filter(|line| presented.token.grant == grant.id && presented.token.is_genuine(&line.key));
    let line = line.ok_or(UNKNOWN)?;
    if !is_of(client, &grant.client_id) {
        let refusal = Refusal::invalid_grant("the refresh token is another client's");
        return Err(GrantRefusal::ending(refusal));
    }
    if now >= line.expires_at || now >= line.ends_at {
        let refusal = Refusal::invalid_grant("the refresh token is over");
        return Err(GrantRefusal::ending(refusal));
    }
    let is_retry = is_retry(line, presented.token.generation, now)?;
    // Somebody whose way in was taken away is gone too, whatever the caller remembers of them.
    let Some(identity) = identity.filter(|identity| is_offered(identity, settings)) else {
        let refusal = Refusal::invalid_grant("the user may no longer log in");
        return Err(GrantRefusal::ending(refusal));
    };
    let full = grant.scope();
    let requested = presented.scope.unwrap_or(&full);
    if !full.contains_all(requested) {
        let description = "the scope is wider than the one that was granted";
        return Err(Refusal::new(ErrorCode::InvalidScope, description).into());
    }
    let granted = scope::granted(requested, client, identity, settings);
    let resources = chosen_resources(presented.resources, &grant.resources)?;
    let target = scope::target(&granted, &resources, client, settings)?;
    let mut next = grant.clone();
    next.authentication.identity = identity.clone();
    if !is_retry {
        let lifetimes = settings.lifetimes_of(client);
        next.refresh = Some(successor(line, &lifetimes, now));
        next.prolong(&lifetimes, now);
    }
    Ok(Rotation {
        grant: next,
        is_retry,
        issuance: Issuance {
            has_id_token: granted.contains("openid"),
            target,
            // OpenID Connect Core section 12.2: none after a refresh.
            nonce: None,
        },
    })
}

fn is_retry(line: &RefreshLine, generation: u32, now: Timestamp) -> Result<bool, GrantRefusal> {
    if generation == line.generation {
        return Ok(false);
    }
    let is_previous = generation.checked_add(1) == Some(line.generation);
    if is_previous && now.since(line.rotated_at) < RETRY_WINDOW {
        return Ok(true);
    }
    let refusal = Refusal::invalid_grant("the refresh token was used before");
    Err(GrantRefusal::ending(refusal))
}

fn successor(line: &RefreshLine, lifetimes: &Lifetimes, now: Timestamp) -> RefreshLine {
    RefreshLine {
        key: line.key.clone(),
        generation: line.generation.saturating_add(1),
        rotated_at: now,
        expires_at: now.after(lifetimes.refresh_token).min(line.ends_at),
        ends_at: line.ends_at,
    }
}
