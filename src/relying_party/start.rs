//! Sending the browser to the provider.
//!
//! Owns the authorization request: the code flow, always. Which provider is meant was settled by
//! `selection`; sealing the flow into a cookie is the shell's.
//!
//! Invariant: nothing that a browser or the configuration adds can replace a parameter of ours.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::clock::Timestamp;
use crate::oidc::metadata::MetadataError;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::pkce::CODE_CHALLENGE_METHOD;
use crate::oidc::pkce::CodeVerifier;
use crate::relying_party::flow::Flow;
use crate::relying_party::flow::Former;
use crate::relying_party::query::with_parameters;
use crate::relying_party::settings::IdentityProviderSettings;
use crate::relying_party::settings::Pkce;
use crate::secret::Secret;

/// Longest `login_hint` in bytes: RFC 5321 section 4.5.3.1 gives an e-mail address as many.
const LOGIN_HINT_BYTES_MAX: usize = 254;

/// Longest `acr_values` in bytes: a handful of URNs.
const ACR_VALUES_BYTES_MAX: usize = 512;

/// Parameters of ours, whether sent or not: static ones of these names are left out. `request` and
/// `request_uri` would replace all the others (OpenID Connect Core section 6).
const RESERVED: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
];

/// A `prompt` that a browser may ask for (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// No page is shown: who is not signed in comes back with `login_required`.
    None,
    /// The user signs in again.
    Login,
    /// The user consents again.
    Consent,
    /// The user picks an account.
    SelectAccount,
}

impl Prompt {
    /// Reads one value exactly. Lists of values are not taken.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Login, Self::Consent, Self::SelectAccount]
            .into_iter()
            .find(|prompt| prompt.as_str() == text)
    }

    /// The value as it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

/// What a browser or a route's step-up adds to one login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartExtras {
    /// Who is about to sign in.
    pub login_hint: Option<String>,
    /// What the provider shows.
    pub prompt: Option<String>,
    /// Authentication context classes, separated by spaces.
    pub acr_values: Option<String>,
    /// How long ago the user may have signed in there; the ID token must then prove it.
    pub max_age: Option<Duration>,
    /// Authentication context classes of which the ID token must have one; they are asked for in place
    /// of `acr_values`, which is a wish only (OpenID Connect Core section 3.1.2.1).
    pub required_acr: Vec<String>,
    /// What becomes of the session that the browser has.
    pub former: Former,
    /// The id of a form that is kept until the login has ended.
    pub form_id: Option<String>,
}

/// One login about to begin.
#[derive(Clone, Debug)]
pub struct StartRequest<'a> {
    /// Our redirect URI, built from the configuration.
    pub redirect_uri: &'a Url,
    /// The `state`: unpredictable, made by the shell.
    pub state: &'a str,
    /// Where the user wants to go, already reduced to a place of ours.
    pub return_to: &'a str,
    /// What this login asks for beyond the settings.
    pub extras: StartExtras,
}

/// Where the browser goes, and what must be remembered meanwhile.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// The `Location`.
    pub url: Url,
    /// The flow, to be sealed.
    pub flow: Flow,
}

/// Why a login cannot begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// `login_hint` is longer than 254 bytes or holds control characters.
    LoginHint,
    /// `prompt` is none of `none`, `login`, `consent`, `select_account`.
    Prompt,
    /// `acr_values` is longer than 512 bytes or not visible ASCII with single spaces.
    AcrValues,
    /// PKCE is required and the provider names methods without `S256`.
    NoS256(MetadataError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoginHint => write!(
                f,
                "found a malformed `login_hint`, expected at most {LOGIN_HINT_BYTES_MAX} bytes \
                 without control characters"
            ),
            Self::Prompt => f.write_str(
                "found another `prompt`, expected `none`, `login`, `consent` or `select_account`",
            ),
            Self::AcrValues => write!(
                f,
                "found malformed `acr_values`, expected at most {ACR_VALUES_BYTES_MAX} visible \
                 characters"
            ),
            Self::NoS256(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// Builds the authorization request. `random` becomes the nonce (32 bytes) and the verifier (32).
///
/// # Errors
/// - [`StartError::LoginHint`], [`StartError::Prompt`], [`StartError::AcrValues`]: extras that may
///   not pass
/// - [`StartError::NoS256`]
///
/// Implements RFC 6749 section 4.1.1, RFC 7636 section 4.3 and OpenID Connect Core section 3.1.2.1.
pub fn authorization_request(
    settings: &IdentityProviderSettings,
    metadata: &ProviderMetadata,
    request: &StartRequest<'_>,
    random: [u8; 64],
    now: Timestamp,
) -> Result<AuthorizationRequest, StartError> {
    let extras = &request.extras;
    let login_hint = checked(
        extras.login_hint.as_deref(),
        is_login_hint,
        StartError::LoginHint,
    )?;
    let required_acr = extras.required_acr.join(" ");
    let acr_values = checked(
        match required_acr.is_empty() {
            true => extras.acr_values.as_deref(),
            false => Some(required_acr.as_str()),
        },
        is_acr_values,
        StartError::AcrValues,
    )?;
    let prompt = match extras.prompt.as_deref() {
        Some(text) => Some(Prompt::parse(text).ok_or(StartError::Prompt)?),
        None => None,
    };
    let [nonce, verifier] = halves(&random);
    let nonce = Secret::new(URL_SAFE_NO_PAD.encode(nonce));
    let code_verifier =
        is_pkce_used(settings, metadata)?.then(|| CodeVerifier::from_random(verifier));

    let scope = settings.scopes.join(" ");
    let challenge = code_verifier.as_ref().map(CodeVerifier::challenge);
    let claims = settings.claims_request.as_ref().map(ToString::to_string);
    let max_age_seconds = extras.max_age.map(|age| age.as_secs());
    let max_age = max_age_seconds.map(|seconds| seconds.to_string());
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", settings.client_id.as_str()),
        ("redirect_uri", request.redirect_uri.as_str()),
        ("scope", scope.as_str()),
        ("state", request.state),
        ("nonce", nonce.expose().as_str()),
    ];
    let optional = [
        ("code_challenge", challenge.as_deref()),
        (
            "code_challenge_method",
            challenge.as_deref().map(|_| CODE_CHALLENGE_METHOD),
        ),
        ("claims", claims.as_deref()),
        ("login_hint", login_hint),
        ("prompt", prompt.map(Prompt::as_str)),
        ("acr_values", acr_values),
        ("max_age", max_age.as_deref()),
    ];
    parameters.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    // What is there by now wins over the file's static parameters.
    for (name, value) in &settings.authorization_parameters {
        let is_taken = parameters.iter().any(|(own, _)| own == name);
        if !is_taken && !RESERVED.contains(&name.as_str()) {
            parameters.push((name, value));
        }
    }

    let url = with_parameters(&metadata.authorization_endpoint, &parameters);
    let flow = Flow {
        identity_provider: settings.id.to_string(),
        state_id: request.state.to_owned(),
        code_verifier,
        redirect_uri: request.redirect_uri.as_str().to_owned(),
        return_to: request.return_to.to_owned(),
        started_at: now,
        max_age_seconds,
        acr_values: extras.required_acr.clone(),
        former: extras.former,
        form_id: extras.form_id.clone(),
        is_silent: prompt == Some(Prompt::None),
        nonce,
    };
    Ok(AuthorizationRequest { url, flow })
}

fn is_pkce_used(
    settings: &IdentityProviderSettings,
    metadata: &ProviderMetadata,
) -> Result<bool, StartError> {
    let advertised = metadata
        .code_challenge_methods_supported
        .as_deref()
        .unwrap_or_default();
    match settings.pkce {
        Pkce::Required => {
            // A provider that names methods without S256 would ignore the challenge in silence.
            metadata.require_s256().map_err(StartError::NoS256)?;
            Ok(true)
        }
        Pkce::Auto => Ok(advertised
            .iter()
            .any(|method| method == CODE_CHALLENGE_METHOD)),
        Pkce::Off => Ok(false),
    }
}

fn halves(random: &[u8; 64]) -> [[u8; 32]; 2] {
    let mut halves = [[0; 32]; 2];
    halves.as_flattened_mut().copy_from_slice(random);
    halves
}

/// Lets an absent or empty extra through as nothing.
fn checked(
    value: Option<&str>,
    is_fine: fn(&str) -> bool,
    error: StartError,
) -> Result<Option<&str>, StartError> {
    match value.filter(|text| !text.is_empty()) {
        Some(text) if !is_fine(text) => Err(error),
        value => Ok(value),
    }
}

/// Whether a text can be sent as `login_hint`.
pub fn is_login_hint(text: &str) -> bool {
    text.len() <= LOGIN_HINT_BYTES_MAX && !text.chars().any(char::is_control)
}

fn is_acr_values(text: &str) -> bool {
    let is_value = |value: &str| !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic());
    text.len() <= ACR_VALUES_BYTES_MAX && text.split(' ').all(is_value)
}

#[cfg(test)]
mod tests;
