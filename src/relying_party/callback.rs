//! The browser comes back from the provider.
//!
//! Owns reading the authorization response and the checks that need no network. It redeems nothing
//! and does not find the flow: the shell opens the sealed cookie that belongs to `state`.
//!
//! Invariant: a [`Code`] exists only for an answer to a flow of this browser, from this provider.

use std::fmt;

use aws_lc_rs::constant_time;
use url::form_urlencoded;

use crate::clock::Timestamp;
use crate::oidc::error_code::AuthorizationErrorCode;
use crate::oidc::excerpt::Excerpt;
use crate::oidc::metadata::ProviderMetadata;
use crate::relying_party::flow::Flow;
use crate::relying_party::settings::IdentityProviderSettings;
use crate::secret::Secret;

/// Largest answer in bytes: the longest codes in use have about 2 KiB, and a form holds little else.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Longest code in bytes.
const CODE_BYTES_MAX: usize = 4 * 1024;

/// Longest `state`, `iss`, `error` and `session_state` in bytes; our own state is far shorter.
const VALUE_BYTES_MAX: usize = 2 * 1024;

/// Longest `error_description` that is kept, in characters: it ends in a log line.
const DESCRIPTION_LENGTH_MAX: usize = 300;

/// The parameters of an authorization response. Anything else in it, `id_token` and `access_token`
/// among them, is not read: those come from the token endpoint or not at all.
#[derive(Debug)]
pub struct CallbackParameters {
    /// `state`: which flow this answers.
    pub state: String,
    code: Option<Secret<String>>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// An authorization code that may be redeemed once.
#[derive(Debug)]
pub struct Code(Secret<String>);

impl Code {
    /// Lends the code out, for the token request.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Why an authorization response is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackError {
    /// The answer is larger than 16 KiB.
    TooLarge,
    /// A parameter occurs twice.
    DuplicateParameter(&'static str),
    /// A parameter is longer than its limit or holds characters it cannot have.
    MalformedParameter(&'static str),
    /// `state` is missing or empty.
    StateMissing,
    /// There is both `code` and `error`.
    CodeAndError,
    /// There is neither `code` nor `error`.
    NeitherCodeNorError,
    /// The flow was begun at another provider.
    OtherIdentityProvider,
    /// `state` is not the one of the flow.
    StateMismatch,
    /// The flow is older than [`FLOW_LIFETIME`](crate::relying_party::FLOW_LIFETIME).
    FlowExpired,
    /// `iss` is missing although the provider says that it sends it.
    IssuerMissing,
    /// `iss` is another issuer.
    IssuerMismatch {
        /// The `iss` that came.
        found: String,
    },
    /// The provider answered with an error.
    Provider {
        /// Its `error`.
        code: AuthorizationErrorCode,
        /// Its `error_description`, without control characters and cut; for the log.
        description: Option<String>,
    },
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "answer larger than {ANSWER_BYTES_MAX} bytes"),
            Self::DuplicateParameter(name) => write!(f, "parameter `{name}` occurs twice"),
            Self::MalformedParameter(name) => write!(f, "parameter `{name}` is malformed"),
            Self::StateMissing => f.write_str("`state` is missing"),
            Self::CodeAndError => f.write_str("found both `code` and `error`"),
            Self::NeitherCodeNorError => f.write_str("found neither `code` nor `error`"),
            Self::OtherIdentityProvider => {
                f.write_str("the login was begun at another identity provider")
            }
            Self::StateMismatch => f.write_str("`state` is not the one of this login"),
            Self::FlowExpired => f.write_str("the login took too long"),
            Self::IssuerMissing => f.write_str("`iss` is missing although the provider sends it"),
            Self::IssuerMismatch { found } => {
                write!(
                    f,
                    "found `iss` {}, expected the configured issuer",
                    Excerpt(found)
                )
            }
            Self::Provider { code, description } => {
                write!(f, "the provider answered {}", Excerpt(code.as_str()))?;
                match description {
                    Some(text) => write!(f, ": {}", Excerpt(text)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for CallbackError {}

impl CallbackParameters {
    /// Reads the query of a GET or the form body of a POST.
    ///
    /// # Errors
    /// - [`CallbackError::TooLarge`]: over 16 KiB
    /// - [`CallbackError::DuplicateParameter`]: a known parameter occurs twice
    /// - [`CallbackError::MalformedParameter`]: over its limit, or not visible ASCII
    /// - [`CallbackError::StateMissing`]: no `state`
    /// - [`CallbackError::CodeAndError`], [`CallbackError::NeitherCodeNorError`]
    ///
    /// Implements RFC 6749 sections 4.1.2 and 4.1.2.1.
    pub fn parse(query_or_form: &str) -> Result<Self, CallbackError> {
        if query_or_form.len() > ANSWER_BYTES_MAX {
            return Err(CallbackError::TooLarge);
        }
        let mut code = None;
        let mut state = None;
        let mut iss = None;
        let mut error = None;
        let mut error_description = None;
        let mut error_uri = None;
        let mut session_state = None;
        for (name, value) in form_urlencoded::parse(query_or_form.as_bytes()) {
            let (name, slot) = match name.as_ref() {
                "code" => ("code", &mut code),
                "state" => ("state", &mut state),
                "iss" => ("iss", &mut iss),
                "error" => ("error", &mut error),
                "error_description" => ("error_description", &mut error_description),
                "error_uri" => ("error_uri", &mut error_uri),
                "session_state" => ("session_state", &mut session_state),
                _ => continue,
            };
            // Without this the last or the first one counts, depending on who reads it, and an
            // attacker adds a `code` of his own to an answer that a filter has seen.
            if slot.replace(value.into_owned()).is_some() {
                return Err(CallbackError::DuplicateParameter(name));
            }
        }
        let state = visible("state", state, VALUE_BYTES_MAX)?.ok_or(CallbackError::StateMissing)?;
        let code = visible("code", code, CODE_BYTES_MAX)?.map(Secret::new);
        let iss = visible("iss", iss, VALUE_BYTES_MAX)?;
        // Providers write sentences into `error`: it is cut where it is read, not refused.
        let error = error.filter(|text| !text.is_empty());
        match (&code, &error) {
            (Some(_), Some(_)) => Err(CallbackError::CodeAndError),
            (None, None) => Err(CallbackError::NeitherCodeNorError),
            _ => Ok(Self {
                state,
                code,
                iss,
                error,
                error_description,
            }),
        }
    }
}

/// Lets an absent or empty parameter through as nothing.
fn visible(
    name: &'static str,
    value: Option<String>,
    bytes_max: usize,
) -> Result<Option<String>, CallbackError> {
    let value = value.filter(|text| !text.is_empty());
    // RFC 6749 appendix A allows VSCHAR (with the space) in `code` and `state`, nothing beyond ASCII.
    let is_visible = |text: &String| text.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    match value {
        Some(text) if text.len() > bytes_max || !is_visible(&text) => {
            Err(CallbackError::MalformedParameter(name))
        }
        value => Ok(value),
    }
}

/// Checks the answer against the flow it claims to belong to, and gives the code out.
///
/// In this order: the provider of the flow, `state`, the flow's age, `iss`, then `error`. The issuer
/// stands before the error, so that no other provider can end a login here.
///
/// # Errors
/// - [`CallbackError::OtherIdentityProvider`]: an answer for A with a flow of B
/// - [`CallbackError::StateMismatch`]
/// - [`CallbackError::FlowExpired`]
/// - [`CallbackError::IssuerMissing`], [`CallbackError::IssuerMismatch`]: RFC 9207 section 2.4
/// - [`CallbackError::Provider`]: an error response
/// - [`CallbackError::NeitherCodeNorError`]
///
/// Implements RFC 9207 section 2.4 and RFC 9700 section 4.4.
pub fn check(
    parameters: CallbackParameters,
    flow: &Flow,
    settings: &IdentityProviderSettings,
    metadata: &ProviderMetadata,
    now: Timestamp,
) -> Result<Code, CallbackError> {
    if flow.identity_provider != *settings.id {
        return Err(CallbackError::OtherIdentityProvider);
    }
    let (found, expected) = (parameters.state.as_bytes(), flow.state_id.as_bytes());
    if constant_time::verify_slices_are_equal(found, expected).is_err() {
        return Err(CallbackError::StateMismatch);
    }
    if flow.is_expired(now) {
        return Err(CallbackError::FlowExpired);
    }
    match parameters.iss {
        Some(iss) if iss != settings.issuer => {
            return Err(CallbackError::IssuerMismatch { found: iss });
        }
        None if metadata.authorization_response_iss_parameter_supported => {
            return Err(CallbackError::IssuerMissing);
        }
        Some(_) | None => (),
    }
    if let Some(error) = parameters.error {
        return Err(CallbackError::Provider {
            code: AuthorizationErrorCode::parse(&error),
            description: parameters.error_description.as_deref().and_then(sanitised),
        });
    }
    parameters
        .code
        .map(Code)
        .ok_or(CallbackError::NeitherCodeNorError)
}

/// A foreign sentence as one short line.
pub(crate) fn sanitised(text: &str) -> Option<String> {
    let line: String = text
        .chars()
        .filter(|character| !character.is_control())
        .take(DESCRIPTION_LENGTH_MAX)
        .collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests;
