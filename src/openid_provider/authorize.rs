//! The request to the authorization endpoint.
//!
//! Owns its checks and their order. Invariant: until client and redirect URI are known to belong
//! together, an error is shown to the user and the browser is sent nowhere; from then on every error goes
//! back to that redirect URI.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::TokenKind;
use crate::jose::TokenPolicy;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::jose::verify;
use crate::oidc::pkce::CODE_CHALLENGE_METHOD;
use crate::oidc::scope::Scope;
use crate::openid_provider::claims_request::ClaimsRequest;
use crate::openid_provider::clients::Client;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::clients::PkceMode;
use crate::openid_provider::clients::check_grant;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::parameters::Parameters;
use crate::openid_provider::response::AuthorizationResponse;
use crate::openid_provider::response::ResponseMode;
use crate::openid_provider::response::ReturnAddress;
use crate::openid_provider::scope;
use crate::openid_provider::settings::OpenIdProviderSettings;

/// Longest `state`, in bytes: it travels back in a URL.
pub const STATE_LENGTH_MAX: usize = 4 * 1024;

/// Longest `nonce`, in bytes: it is stored with the code and stands in the ID token.
pub const NONCE_LENGTH_MAX: usize = 1024;

/// Longest `login_hint`, in bytes: longer than any address or telephone number.
pub const LOGIN_HINT_LENGTH_MAX: usize = 320;

/// Most values, and longest value, of the lists `acr_values` and `ui_locales`.
const LIST_COUNT_MAX: usize = 16;
const LIST_VALUE_LENGTH_MAX: usize = 256;

/// A request that passed every check that does not ask who is logged in.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: Arc<Client>,
    /// Where the answer goes.
    pub address: ReturnAddress,
    /// The client's `nonce`.
    pub nonce: Option<String>,
    /// The PKCE challenge, always S256; none: there is a `nonce`, and the client may do without.
    pub code_challenge: Option<String>,
    /// What is asked for; all of it the client's.
    pub scope: Scope,
    /// The APIs that the token is to be for.
    pub resources: Vec<String>,
    /// What the user is to be asked.
    pub prompt: Prompt,
    /// The longest time since the user's login.
    pub max_age: Option<Duration>,
    /// Kinds of login that the client would like, the best first.
    pub acr_values: Vec<String>,
    /// Whom the client expects, in words of its own.
    pub login_hint: Option<String>,
    /// Whom the client expects: the `sub` of an ID token that we issued to it.
    pub hinted_subject: Option<String>,
    /// Languages of pages.
    pub ui_locales: Vec<String>,
    /// Single claims.
    pub claims: ClaimsRequest,
}

/// The `prompt` parameter (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Nothing may be asked.
    pub none: bool,
    /// The user logs in again.
    pub login: bool,
    /// The user is asked to agree, whatever was agreed to before.
    pub consent: bool,
    /// The user chooses an account.
    pub select_account: bool,
}

/// By which way a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A browser has brought it, and whoever sent that browser may have written it.
    Browser,
    /// The client has pushed it (RFC 9126), and proved who it is, unless it is public.
    Pushed,
}

/// Why there is no [`AuthorizationRequest`].
#[derive(Clone, Debug)]
pub enum AuthorizeError {
    /// It cannot be told where an answer may go: the user sees a page, with status 400.
    Shown(Refusal),
    /// The client gets to know.
    SentBack {
        /// What was wrong, for the log.
        refusal: Refusal,
        /// The answer.
        response: Box<AuthorizationResponse>,
    },
}

/// Reads an authorization request. `keys` are the published ones, with which a hint is verified.
///
/// Checks in this order: `client_id`; `redirect_uri`; no parameter twice; `state`; no request object;
/// the way, where the client has to push; the client's grant; `response_type`; `response_mode`; PKCE; `scope`; `resource`; `nonce`; `prompt`;
/// `max_age`; lists and hints; `claims`. Unknown parameters are passed over.
///
/// Implements RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8707 section 2, RFC 9126 section 2.1, RFC
/// 9207 and OpenID Connect Core section 3.1.2.
///
/// # Errors
/// [`AuthorizeError::Shown`] up to the redirect URI, [`AuthorizeError::SentBack`] behind it.
pub fn parse(
    parameters: &Parameters,
    way: Way,
    settings: &OpenIdProviderSettings,
    keys: &KeySet,
    now: Timestamp,
) -> Result<AuthorizationRequest, AuthorizeError> {
    let (client, redirect_uri) =
        client_and_uri(parameters, settings).map_err(AuthorizeError::Shown)?;
    let state = parameters.one("state").ok().flatten();
    let mode = response_mode(parameters);
    let address = ReturnAddress {
        redirect_uri: redirect_uri.to_owned(),
        mode: mode.unwrap_or_default(),
        state: state
            .filter(|text| text.len() <= STATE_LENGTH_MAX)
            .map(str::to_owned),
    };
    let facts = Facts {
        parameters,
        way,
        settings,
        keys,
        now,
    };
    let read = facts.check_frame(client, state).and_then(|()| {
        mode?;
        facts.read(client, address.clone())
    });
    read.map_err(|refusal| AuthorizeError::SentBack {
        refusal,
        response: Box::new(address.error(&refusal, &settings.issuer)),
    })
}

fn client_and_uri<'a>(
    parameters: &'a Parameters,
    settings: &'a OpenIdProviderSettings,
) -> Result<(&'a Arc<Client>, &'a str), Refusal> {
    let client_id = parameters.one("client_id")?;
    let client_id = client_id.ok_or(Refusal::invalid_request("client_id is missing"))?;
    let client = settings.clients.find(client_id);
    let client = client.ok_or(Refusal::invalid_request("client_id names no client"))?;
    let uri = parameters.one("redirect_uri")?;
    let uri = uri.ok_or(Refusal::invalid_request("redirect_uri is missing"))?;
    if !client.admits_redirect_uri(uri) {
        let description = "redirect_uri is not one that the client has registered";
        return Err(Refusal::invalid_request(description));
    }
    Ok((client, uri))
}

fn response_mode(parameters: &Parameters) -> Result<ResponseMode, Refusal> {
    let Some(name) = parameters.one("response_mode")? else {
        return Ok(ResponseMode::Query);
    };
    let mode = ResponseMode::ALL.iter().find(|mode| mode.as_str() == name);
    mode.copied().ok_or(Refusal::invalid_request(
        "response_mode is not query or form_post",
    ))
}

struct Facts<'a> {
    parameters: &'a Parameters,
    way: Way,
    settings: &'a OpenIdProviderSettings,
    keys: &'a KeySet,
    now: Timestamp,
}

impl Facts<'_> {
    /// What a request has to be before its parts are looked at.
    fn check_frame(&self, client: &Client, state: Option<&str>) -> Result<(), Refusal> {
        self.parameters.check_unique()?;
        if state.is_some_and(|text| text.len() > STATE_LENGTH_MAX) {
            return Err(Refusal::invalid_request("state is too long"));
        }
        // A request object could say anything else than the parameters; none is read, none fetched.
        for (name, code) in [
            ("request", ErrorCode::RequestNotSupported),
            ("request_uri", ErrorCode::RequestUriNotSupported),
            ("registration", ErrorCode::RegistrationNotSupported),
        ] {
            if self.parameters.has(name) {
                return Err(Refusal::new(code, "this parameter is not supported"));
            }
        }
        if client.require_pushed_authorization_requests && self.way == Way::Browser {
            return Err(Refusal::invalid_request(
                "the client has to push its requests",
            ));
        }
        check_grant(client, GrantType::AuthorizationCode)?;
        match self.parameters.one("response_type")? {
            Some("code") => Ok(()),
            Some(_) => Err(Refusal::new(
                ErrorCode::UnsupportedResponseType,
                "response_type is not code",
            )),
            None => Err(Refusal::invalid_request("response_type is missing")),
        }
    }

    fn read(
        &self,
        client: &Arc<Client>,
        address: ReturnAddress,
    ) -> Result<AuthorizationRequest, Refusal> {
        let one = |name| self.parameters.one(name);
        let code_challenge = self.code_challenge(client)?;
        let scope = scope::requested(one("scope")?, client, self.settings)?;
        if !scope.contains("openid") {
            let description = "the scope does not hold openid";
            return Err(Refusal::new(ErrorCode::InvalidScope, description));
        }
        let resources: Vec<String> = self.parameters.all("resource").map(str::to_owned).collect();
        scope::check_resources(&scope, &resources, self.settings)?;
        let nonce = self.short("nonce", NONCE_LENGTH_MAX, "nonce is too long")?;
        let prompt = prompt(one("prompt")?)?;
        let max_age = max_age(one("max_age")?)?;
        let claims = one("claims")?.map(ClaimsRequest::parse).transpose()?;
        Ok(AuthorizationRequest {
            client: Arc::clone(client),
            address,
            nonce,
            code_challenge,
            scope,
            resources,
            prompt,
            max_age,
            acr_values: list(one("acr_values")?)?,
            login_hint: self.short(
                "login_hint",
                LOGIN_HINT_LENGTH_MAX,
                "login_hint is too long",
            )?,
            hinted_subject: self.hinted_subject(&client.client_id)?,
            ui_locales: list(one("ui_locales")?)?,
            claims: claims.unwrap_or_default(),
        })
    }

    fn short(
        &self,
        name: &str,
        max: usize,
        description: &'static str,
    ) -> Result<Option<String>, Refusal> {
        match self.parameters.one(name)? {
            Some(text) if text.len() > max => Err(Refusal::invalid_request(description)),
            found => Ok(found.map(str::to_owned)),
        }
    }

    /// Without a challenge of its own a code is worth something to whoever steals it, so every client
    /// sends one; `plain` shows the verifier to whoever sees the request. A client that may do without is
    /// bound to its code by a `nonce`.
    fn code_challenge(&self, client: &Client) -> Result<Option<String>, Refusal> {
        let method = self.parameters.one("code_challenge_method")?;
        let Some(challenge) = self.parameters.one("code_challenge")? else {
            let has_nonce = self
                .parameters
                .one("nonce")?
                .is_some_and(|text| !text.is_empty());
            return match client.pkce {
                PkceMode::Optional if method.is_none() && has_nonce => Ok(None),
                PkceMode::Optional => Err(Refusal::invalid_request(
                    "neither code_challenge nor nonce is there",
                )),
                PkceMode::Required => Err(Refusal::invalid_request(
                    "code_challenge is missing: PKCE is required",
                )),
            };
        };
        if method != Some(CODE_CHALLENGE_METHOD) {
            return Err(Refusal::invalid_request(
                "code_challenge_method is not S256",
            ));
        }
        let is_hash = URL_SAFE_NO_PAD
            .decode(challenge)
            .is_ok_and(|hash| hash.len() == 32);
        if !is_hash {
            return Err(Refusal::invalid_request("code_challenge is not of S256"));
        }
        Ok(Some(challenge.to_owned()))
    }

    fn hinted_subject(&self, client_id: &str) -> Result<Option<String>, Refusal> {
        let Some(hint) = self.parameters.one("id_token_hint")? else {
            return Ok(None);
        };
        let policy = hint_policy(self.settings, Some(client_id));
        let refused = Refusal::invalid_request("id_token_hint is no ID token of this client");
        let claims = verify(&policy, hint, self.keys, self.now).map_err(|_| refused)?;
        Ok(claims.subject().map(str::to_owned))
    }
}

/// The policy for an ID token of ours that comes back as a hint.
pub(in crate::openid_provider) fn hint_policy<'a>(
    settings: &'a OpenIdProviderSettings,
    client_id: Option<&'a str>,
) -> TokenPolicy<'a> {
    TokenPolicy {
        issuer: &settings.issuer,
        algorithms: Algorithm::PUBLIC_KEY,
        hmac_key: None,
        leeway: LEEWAY_DEFAULT,
        kind: TokenKind::IdTokenHint { client_id },
    }
}

fn prompt(text: Option<&str>) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    let mut count = 0;
    for value in text
        .unwrap_or_default()
        .split(' ')
        .filter(|value| !value.is_empty())
    {
        count += 1;
        match value {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            _ => return Err(Refusal::invalid_request("prompt has an unknown value")),
        }
    }
    if prompt.none && count > 1 {
        return Err(Refusal::invalid_request("prompt none stands alone"));
    }
    Ok(prompt)
}

fn max_age(text: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let Some(text) = text else {
        return Ok(None);
    };
    let refused = Refusal::invalid_request("max_age is no number of seconds");
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused);
    }
    let seconds: u32 = text.parse().map_err(|_| refused)?;
    Ok(Some(Duration::from_secs(seconds.into())))
}

fn list(text: Option<&str>) -> Result<Vec<String>, Refusal> {
    let values: Vec<String> = text
        .unwrap_or_default()
        .split(' ')
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .collect();
    if values.len() > LIST_COUNT_MAX
        || values
            .iter()
            .any(|value| value.len() > LIST_VALUE_LENGTH_MAX)
    {
        return Err(Refusal::invalid_request("a list of values is too long"));
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
