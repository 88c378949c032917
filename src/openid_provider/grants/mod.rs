//! The token endpoint: what is exchanged for tokens.
//!
//! Owns the reading of token requests and what is remembered about codes and grants. Each kind of grant
//! has a function from what is stored and what is asked to what is issued and written back; the shell
//! writes back first, guarded by the record's version, and sends afterwards.

pub mod authorization_code;
pub mod client_credentials;
pub mod refresh_token;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::oidc::pkce::CodeVerifier;
use crate::oidc::scope::Scope;
use crate::openid_provider::claims_request::ClaimsRequest;
use crate::openid_provider::clients::Client;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::handle::Code;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::handle::RefreshKey;
use crate::openid_provider::handle::RefreshToken;
use crate::openid_provider::judge::Authentication;
use crate::openid_provider::parameters::Parameters;
use crate::openid_provider::scope::Target;
use crate::openid_provider::settings::Lifetimes;

/// A request to the token endpoint.
#[derive(Clone, Debug)]
pub enum TokenRequest {
    /// RFC 6749 section 4.1.3.
    AuthorizationCode {
        /// The code.
        code: Code,
        /// The redirect URI that the code was sent to.
        redirect_uri: String,
        /// The PKCE verifier.
        code_verifier: Option<CodeVerifier>,
        /// The APIs that the token is to be for.
        resources: Vec<String>,
    },
    /// RFC 6749 section 6.
    RefreshToken {
        /// The refresh token.
        token: RefreshToken,
        /// A narrower scope.
        scope: Option<Scope>,
        /// The APIs that the token is to be for.
        resources: Vec<String>,
    },
    /// RFC 6749 section 4.4.2.
    ClientCredentials {
        /// The scope; none: all that the client may have.
        scope: Option<Scope>,
        /// The APIs that the token is to be for.
        resources: Vec<String>,
    },
}

impl TokenRequest {
    /// Reads the parameters of a token request.
    ///
    /// # Errors
    /// A [`Refusal`]: `invalid_request` when a parameter is missing, malformed or there twice,
    /// `unsupported_grant_type`, `invalid_scope`, or `invalid_grant` when code, verifier or refresh token
    /// cannot be ours.
    pub fn parse(parameters: &Parameters) -> Result<Self, Refusal> {
        parameters.check_unique()?;
        let needed = |name, description| {
            let value = parameters.one(name)?;
            value.ok_or(Refusal::invalid_request(description))
        };
        let resources = parameters.all("resource").map(str::to_owned).collect();
        let scope = || {
            let malformed = Refusal::new(ErrorCode::InvalidScope, "the scope is malformed");
            let text = parameters.one("scope")?;
            text.map(Scope::parse).transpose().map_err(|_| malformed)
        };
        match needed("grant_type", "grant_type is missing")? {
            "authorization_code" => {
                let code = Code::parse(needed("code", "code is missing")?);
                let verifier = parameters.one("code_verifier")?.map(|text| {
                    CodeVerifier::parse(text).ok_or(authorization_code::WRONG_VERIFIER)
                });
                Ok(Self::AuthorizationCode {
                    code: code.ok_or(Refusal::invalid_grant("the code is unknown"))?,
                    redirect_uri: needed("redirect_uri", "redirect_uri is missing")?.to_owned(),
                    code_verifier: verifier.transpose()?,
                    resources,
                })
            }
            "refresh_token" => {
                let token =
                    RefreshToken::parse(needed("refresh_token", "refresh_token is missing")?);
                Ok(Self::RefreshToken {
                    token: token.ok_or(refresh_token::UNKNOWN)?,
                    scope: scope()?,
                    resources,
                })
            }
            "client_credentials" => Ok(Self::ClientCredentials {
                scope: scope()?,
                resources,
            }),
            _ => Err(Refusal::new(
                ErrorCode::UnsupportedGrantType,
                "grant_type is not one of those that discovery names",
            )),
        }
    }

    /// Which grant it is.
    pub const fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::ClientCredentials { .. } => GrantType::ClientCredentials,
        }
    }
}

/// What a user let a client have: kept from the redemption of a code until the last token of it is over.
/// Deleting it ends all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// The client.
    pub client_id: String,
    /// What was asked for. What of it is granted is judged anew for each token.
    pub scope: String,
    /// The APIs that were asked for; empty: all of the scope.
    pub resources: Vec<String>,
    /// Single claims that were asked for.
    pub claims: ClaimsRequest,
    /// Who the user is.
    pub authentication: Authentication,
    /// The line of refresh tokens, where there is one.
    pub refresh: Option<RefreshLine>,
    /// When the last token of it is over and it can be forgotten.
    pub expires_at: Timestamp,
}

/// A line of refresh tokens, of which one is valid at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefreshLine {
    /// What its tokens are made from.
    pub key: RefreshKey,
    /// The generation that is valid.
    pub generation: u32,
    /// When that generation was made.
    pub rotated_at: Timestamp,
    /// When that generation ends without being used.
    pub expires_at: Timestamp,
    /// When the line ends, however often it is used.
    pub ends_at: Timestamp,
}

impl Grant {
    /// The scope that was asked for.
    pub fn scope(&self) -> Scope {
        Scope::parse(&self.scope).unwrap_or_default()
    }

    /// The valid refresh token.
    pub fn refresh_token(&self) -> Option<crate::secret::Secret<String>> {
        let line = self.refresh.as_ref()?;
        Some(line.key.token(&self.id, line.generation))
    }

    /// Whether it outlives the user's session, because `offline_access` was granted.
    pub const fn is_offline(&self) -> bool {
        self.refresh.is_some()
    }

    /// Sets the end: an access token made at `now` and the refresh token are over then.
    fn prolong(&mut self, lifetimes: &Lifetimes, now: Timestamp) {
        let access = now.after(lifetimes.access_token);
        let refresh = self.refresh.as_ref().map_or(access, |line| line.expires_at);
        self.expires_at = self.expires_at.max(access).max(refresh);
    }
}

/// What is to be issued.
#[derive(Clone, Debug)]
pub struct Issuance {
    /// Scope and audience of the access token.
    pub target: Target,
    /// The client's `nonce`, for the ID token.
    pub nonce: Option<String>,
    /// Whether there is an ID token.
    pub has_id_token: bool,
}

/// A token request that fails, and what else follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantRefusal {
    /// What the client is told.
    pub refusal: Refusal,
    /// What becomes of the grant.
    pub consequence: Consequence,
}

/// What becomes of a grant when a request for it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    None,
    /// It ends, with all of its tokens: somebody has what is not theirs, or the user may no longer.
    EndGrant,
}

impl From<Refusal> for GrantRefusal {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            consequence: Consequence::None,
        }
    }
}

impl GrantRefusal {
    const fn ending(refusal: Refusal) -> Self {
        Self {
            refusal,
            consequence: Consequence::EndGrant,
        }
    }
}

/// The `resource` values that count: those of this request, which have to be among those of the first
/// one, or else those of the first one.
fn chosen_resources(asked: &[String], granted: &[String]) -> Result<Vec<String>, Refusal> {
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    if !granted.is_empty() && !asked.iter().all(|one| granted.contains(one)) {
        let description = "the resource was not asked for at first";
        return Err(Refusal::new(ErrorCode::InvalidTarget, description));
    }
    Ok(asked.to_vec())
}

/// Whether `client` is the one that `client_id` names.
fn is_of(client: &Client, client_id: &str) -> bool {
    *client.client_id == *client_id
}

#[cfg(test)]
mod tests;
