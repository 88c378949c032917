//! The applications that are registered, and how they prove who they are.
//!
//! Owns the registry and client authentication. A client has one method and no other works for it: with
//! a choice, an attacker takes the weakest. Whether an assertion was used before is for the shell, which
//! remembers its `jti`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Timestamp;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::TokenKind;
use crate::jose::TokenPolicy;
use crate::jose::client_assertion::CLIENT_ASSERTION_TYPE;
use crate::jose::peek;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::jose::verify;
use crate::oidc::client_authentication::ClientAuthMethod;
use crate::oidc::scope::Scope;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::parameters::Parameters;
use crate::openid_provider::parameters::decoded;
use crate::openid_provider::redirect_uri::ApplicationType;
use crate::openid_provider::redirect_uri::RedirectUri;
use crate::openid_provider::secret_hash::SecretHash;

/// One sentence for everything: which half of a pair is wrong is nobody's business.
const REFUSED: Refusal = Refusal::invalid_client("the client is unknown or its proof is wrong");

/// A registered application.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its `client_id`.
    pub client_id: Arc<str>,
    /// Its name for people.
    pub name: String,
    /// Whether it is installed on the user's device.
    pub application_type: ApplicationType,
    /// Where codes may be sent.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where a browser may go after a logout, compared exactly.
    pub post_logout_redirect_uris: Vec<String>,
    /// What it may ask the token endpoint for.
    pub grant_types: Vec<GrantType>,
    /// Scope values it may ask for.
    pub scopes: Scope,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// The algorithm of its ID tokens; none: that of the provider.
    pub id_token_algorithm: Option<Algorithm>,
    /// The algorithm by which it is answered at the userinfo endpoint; none: by plain JSON.
    pub userinfo_algorithm: Option<Algorithm>,
    /// Which claims its ID tokens hold.
    pub id_token_claims: IdTokenClaims,
    /// Audiences of other clients' access tokens about which it may ask (RFC 7662): it is their API.
    pub introspects: Vec<String>,
    /// Whether its requests need a PKCE challenge.
    pub pkce: PkceMode,
    /// Whether its users are asked.
    pub consent: ConsentMode,
    /// Whether its authorization requests count only where it has pushed them (RFC 9126 section 6).
    pub require_pushed_authorization_requests: bool,
    /// Origins whose scripts may call us in its name, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// How long what it is given lives, where that differs from the provider's.
    pub lifetimes: ClientLifetimes,
}

/// Lifetimes of a client's own; none: the provider's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLifetimes {
    /// ID tokens.
    pub id_token: Option<Duration>,
    /// Access tokens.
    pub access_token: Option<Duration>,
    /// A refresh token that nobody uses.
    pub refresh_token: Option<Duration>,
}

/// A grant of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 6749 section 4.1.
    AuthorizationCode,
    /// RFC 6749 section 6.
    RefreshToken,
    /// RFC 6749 section 4.4.
    ClientCredentials,
}

impl GrantType {
    /// Every grant.
    pub const ALL: &[Self] = &[
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
    ];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub enum ClientAuthentication {
    /// Id and secret in an `Authorization: Basic` header.
    SecretBasic(SecretHash),
    /// Id and secret in the body.
    SecretPost(SecretHash),
    /// A JWT signed by one of these keys.
    PrivateKeyJwt(KeySet),
    /// Not at all: a public client.
    None,
}

impl ClientAuthentication {
    /// The method's name.
    pub const fn method(&self) -> ClientAuthMethod {
        match self {
            Self::SecretBasic(_) => ClientAuthMethod::ClientSecretBasic,
            Self::SecretPost(_) => ClientAuthMethod::ClientSecretPost,
            Self::PrivateKeyJwt(_) => ClientAuthMethod::PrivateKeyJwt,
            Self::None => ClientAuthMethod::None,
        }
    }
}

/// Which claims about the user an ID token holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdTokenClaims {
    /// Those that the `claims` parameter or a setting puts there; the others are at the userinfo
    /// endpoint (OpenID Connect Core section 5.4).
    #[default]
    Minimal,
    /// Those of the granted scopes too, for applications that never ask the userinfo endpoint.
    Scope,
}

/// Whether a client's authorization requests need a PKCE challenge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PkceMode {
    /// They do.
    #[default]
    Required,
    /// A `nonce` does in its place, which the client holds against the ID token (RFC 9700 section 2.1.1).
    /// For confidential clients that do not know PKCE.
    Optional,
}

/// Whether users are asked before a client gets anything about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsentMode {
    /// They are not: the client is the operator's own.
    #[default]
    Implicit,
    /// They are, until they have agreed.
    Explicit,
}

impl Client {
    /// Whether it may use `grant`.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    /// Whether it cannot prove who it is.
    pub const fn is_public(&self) -> bool {
        matches!(self.authentication, ClientAuthentication::None)
    }

    /// Whether scripts of `origin` may call us in its name; compared byte by byte.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| allowed == origin)
    }

    /// Whether codes may be sent to `presented`.
    pub fn admits_redirect_uri(&self, presented: &str) -> bool {
        self.redirect_uris.iter().any(|uri| uri.admits(presented))
    }
}

/// The registry.
#[derive(Clone, Debug, Default)]
pub struct Clients(BTreeMap<Arc<str>, Arc<Client>>);

/// A client that has proved who it is, or is public.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The client.
    pub client: Arc<Client>,
    /// The assertion it came with. The shell refuses one whose `jti` it has seen.
    pub assertion: Option<UsedAssertion>,
}

/// An assertion that must not be used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedAssertion {
    /// Its `jti`, unique for this client.
    pub jti: String,
    /// When it is over and can be forgotten, with the leeway.
    pub expires_at: Timestamp,
}

impl FromIterator<Client> for Clients {
    fn from_iter<T: IntoIterator<Item = Client>>(clients: T) -> Self {
        let named = |client: Client| (Arc::clone(&client.client_id), Arc::new(client));
        Self(clients.into_iter().map(named).collect())
    }
}

impl Clients {
    /// Finds a client; ids are compared exactly.
    pub fn find(&self, client_id: &str) -> Option<&Arc<Client>> {
        self.0.get(client_id)
    }

    /// All clients, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.0.values()
    }

    /// Whether scripts of `origin` may call us in the name of any client.
    pub fn allow_origin(&self, origin: &str) -> bool {
        self.iter().any(|client| client.allows_origin(origin))
    }

    /// Finds out which client sends a request. `authorization` is the request's only header of that name,
    /// `audiences` are our own names in assertions: the issuer and the URL of the endpoint.
    ///
    /// Checks in this order: one method at most; the header's form; the client exists; the method is the
    /// registered one; the proof is right. Implements RFC 6749 section 2.3, RFC 7523 section 2.2 and
    /// OpenID Connect Core section 9.
    ///
    /// # Errors
    /// A [`Refusal`] with `invalid_request` when several methods are used at once or the parts of one
    /// contradict each other, else with `invalid_client`.
    pub fn authenticate(
        &self,
        authorization: Option<&str>,
        parameters: &Parameters,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        let named = parameters.one("client_id")?;
        let secret = parameters.one("client_secret")?;
        let assertion = parameters.one("client_assertion")?;
        let kind = parameters.one("client_assertion_type")?;
        let has_assertion = assertion.is_some() || kind.is_some();
        let methods = [authorization.is_some(), secret.is_some(), has_assertion];
        if methods.iter().filter(|is_used| **is_used).count() > 1 {
            return Err(Refusal::invalid_request(
                "several client authentication methods are used at once",
            ));
        }
        let is_named = |client_id: &str| named.is_none_or(|named| named == client_id);
        let contradiction = Refusal::invalid_request("the client is named twice and differently");
        if let Some(header) = authorization {
            let (client_id, secret) = basic(header)?;
            if !is_named(&client_id) {
                return Err(contradiction);
            }
            let client =
                self.with_secret(&client_id, &secret, ClientAuthMethod::ClientSecretBasic)?;
            return Ok(without_assertion(client));
        }
        if has_assertion {
            let token = assertion.filter(|_| kind == Some(CLIENT_ASSERTION_TYPE));
            let token = token.ok_or(Refusal::invalid_client("the kind of assertion is unknown"))?;
            let claimed = peek::claimed_issuer(token).ok_or(REFUSED)?;
            if !is_named(&claimed) {
                return Err(contradiction);
            }
            return self.with_assertion(&claimed, token, audiences, now);
        }
        let client_id = named.ok_or(Refusal::invalid_client("the client is not named"))?;
        if let Some(secret) = secret {
            let client = self.with_secret(client_id, secret, ClientAuthMethod::ClientSecretPost)?;
            return Ok(without_assertion(client));
        }
        let client = self.find(client_id).filter(|client| client.is_public());
        client.map(without_assertion).ok_or(REFUSED)
    }

    fn with_secret(
        &self,
        client_id: &str,
        secret: &str,
        method: ClientAuthMethod,
    ) -> Result<&Arc<Client>, Refusal> {
        let client = self.find(client_id);
        let expected = client.and_then(|client| match &client.authentication {
            ClientAuthentication::SecretBasic(hash) | ClientAuthentication::SecretPost(hash) => {
                Some(hash)
            }
            _ => None,
        });
        // An unknown client costs the same work as a known one.
        let nobody = SecretHash::of("");
        let is_right = expected.unwrap_or(&nobody).is_of(secret) && expected.is_some();
        client
            .filter(|client| is_right && client.authentication.method() == method)
            .ok_or(REFUSED)
    }

    fn with_assertion(
        &self,
        client_id: &str,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        let client = self.find(client_id).ok_or(REFUSED)?;
        let ClientAuthentication::PrivateKeyJwt(keys) = &client.authentication else {
            return Err(REFUSED);
        };
        let policy = TokenPolicy {
            issuer: client_id,
            algorithms: Algorithm::PUBLIC_KEY,
            hmac_key: None,
            leeway: LEEWAY_DEFAULT,
            kind: TokenKind::ClientAssertion {
                audience: audiences,
            },
        };
        let claims = verify(&policy, token, keys, now).map_err(|_| REFUSED)?;
        let (Some(jti), Some(expires_at)) = (claims.jti(), claims.expires_at()) else {
            return Err(REFUSED);
        };
        Ok(Authenticated {
            client: Arc::clone(client),
            assertion: Some(UsedAssertion {
                jti: jti.to_owned(),
                expires_at: expires_at.after(LEEWAY_DEFAULT),
            }),
        })
    }
}

/// The client that a request says it comes from, before anything is proved; for counting failures.
pub fn claimed(authorization: Option<&str>, parameters: &Parameters) -> Option<String> {
    if let Some(header) = authorization {
        return basic(header).ok().map(|(client_id, _)| client_id);
    }
    if let Some(token) = parameters.all("client_assertion").next() {
        return peek::claimed_issuer(token);
    }
    parameters.all("client_id").next().map(str::to_owned)
}

/// Refuses a client that has not proved who it is: what is asked here is for confidential clients.
///
/// # Errors
/// A [`Refusal`] with `invalid_client`.
pub fn confidential(authenticated: &Authenticated) -> Result<&Arc<Client>, Refusal> {
    if authenticated.client.is_public() {
        return Err(REFUSED);
    }
    Ok(&authenticated.client)
}

/// Refuses a grant that the client is not registered for.
///
/// # Errors
/// A [`Refusal`] with `unauthorized_client`.
pub fn check_grant(client: &Client, grant: GrantType) -> Result<(), Refusal> {
    if client.may_use(grant) {
        return Ok(());
    }
    let description = "the client is not registered for this grant";
    Err(Refusal::new(ErrorCode::UnauthorizedClient, description))
}

fn without_assertion(client: &Arc<Client>) -> Authenticated {
    Authenticated {
        client: Arc::clone(client),
        assertion: None,
    }
}

/// Reads `Basic`: id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Result<(String, String), Refusal> {
    let refused = Refusal::invalid_client("the Authorization header is not of the form Basic");
    let (scheme, value) = header.split_once(' ').ok_or(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refused);
    }
    let text = STANDARD.decode(value.trim()).map_err(|_| refused)?;
    let mut halves = text.splitn(2, |byte| *byte == b':');
    let (Some(client_id), Some(secret)) = (halves.next(), halves.next()) else {
        return Err(refused);
    };
    let decoded = |half| decoded(half).map_err(|_| refused);
    Ok((decoded(client_id)?, decoded(secret)?))
}

#[cfg(test)]
mod tests;
