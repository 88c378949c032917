//! The revocation endpoint.
//!
//! Owns what becomes of a token that its client gives back. A token of another client is left alone and
//! the answer is the same, 200 without a body. Implements RFC 7009.

use crate::clock::Timestamp;
use crate::openid_provider::access_token::OwnAccessToken;
use crate::openid_provider::clients::Client;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::handle::RefreshToken;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Nothing: there is no such token, or it is somebody else's.
    Nothing,
    /// The grant is deleted, with which all of its tokens end.
    EndGrant(GrantId),
    /// The access token is remembered as revoked until it is over anyway.
    Deny {
        /// Its `jti`.
        jti: String,
        /// When it is over.
        until: Timestamp,
    },
}

/// What the return of an access token means: that token ends, the grant stays (RFC 7009 section 2.1).
pub fn access_token(asking: &Client, token: &OwnAccessToken) -> Revocation {
    if *token.client_id != *asking.client_id {
        return Revocation::Nothing;
    }
    Revocation::Deny {
        jti: token.jti.clone(),
        until: token.expires_at,
    }
}

/// What the return of a refresh token means: the whole line ends, used tokens of it count as well, and
/// with it the access tokens.
pub fn refresh_token(asking: &Client, token: &RefreshToken, grant: &Grant) -> Revocation {
    let is_genuine = (grant.refresh.as_ref())
        .is_some_and(|line| token.grant == grant.id && token.is_genuine(&line.key));
    if !is_genuine || *grant.client_id != *asking.client_id {
        return Revocation::Nothing;
    }
    Revocation::EndGrant(grant.id.clone())
}
