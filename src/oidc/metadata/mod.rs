//! What an identity provider says about itself.
//!
//! Owns the strict reading of the discovery document and the same facts entered by hand. It fetches
//! nothing and caches nothing: that is `outbound`.
//!
//! Invariant: metadata in hand belongs to exactly the configured issuer, and every endpoint in it is
//! `https` or on this machine.

mod error;
#[cfg(test)]
mod tests;

use serde_json::Map;
use serde_json::Value;
use url::Url;

pub use crate::oidc::metadata::error::MetadataError;
use crate::oidc::strict_json;
use crate::oidc::url_policy;

/// Largest discovery document, in bytes. Real ones have 2 to 10 KiB.
pub const METADATA_SIZE_MAX: usize = 256 * 1024;

/// Longest endpoint URL, in bytes: it becomes a `Location` header with our parameters behind it.
pub const ENDPOINT_LENGTH_MAX: usize = 2048;

/// Endpoints entered by hand: they replace those of discovery, or discovery as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `authorization_endpoint`.
    pub authorization: Option<Url>,
    /// `token_endpoint`.
    pub token: Option<Url>,
    /// `userinfo_endpoint`.
    pub userinfo: Option<Url>,
    /// `jwks_uri`.
    pub jwks: Option<Url>,
    /// `end_session_endpoint`.
    pub end_session: Option<Url>,
    /// `introspection_endpoint`.
    pub introspection: Option<Url>,
    /// `revocation_endpoint`.
    pub revocation: Option<Url>,
}

/// The checked metadata of one identity provider.
///
/// Implements OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2, RFC 9207 section 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderMetadata {
    /// `issuer`, exactly as configured and as sent.
    pub issuer: String,
    /// Where the browser is sent to.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: Url,
    /// The provider's public keys.
    pub jwks_uri: Url,
    /// Where claims can be read with an access token.
    pub userinfo_endpoint: Option<Url>,
    /// RP-Initiated Logout.
    pub end_session_endpoint: Option<Url>,
    /// RFC 7662.
    pub introspection_endpoint: Option<Url>,
    /// RFC 7009.
    pub revocation_endpoint: Option<Url>,
    /// Client authentication methods; `None` when the provider is silent (then it is basic).
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// PKCE methods; `None` when the provider is silent.
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Signature algorithms of ID tokens.
    pub id_token_signing_alg_values_supported: Option<Vec<String>>,
    /// Scope values the provider names; it may grant others.
    pub scopes_supported: Option<Vec<String>>,
    /// Response modes; `None` means `query` and `fragment`.
    pub response_modes_supported: Option<Vec<String>>,
    /// Authentication context classes.
    pub acr_values_supported: Option<Vec<String>>,
    /// Whether the `claims` request parameter is understood.
    pub claims_parameter_supported: bool,
    /// Whether authorization responses carry `iss`; then a response without it is refused.
    pub authorization_response_iss_parameter_supported: bool,
    /// Whether the provider sends back-channel logout tokens.
    pub backchannel_logout_supported: bool,
    /// Whether the provider loads front-channel logout pages.
    pub frontchannel_logout_supported: bool,
}

impl ProviderMetadata {
    /// Parses a discovery document.
    ///
    /// Checks in order: size, JSON (told apart from SAML and HTML), issuer, then each endpoint
    /// (present, a URL, secure, without credentials and fragment), then the types of the rest.
    ///
    /// # Errors
    /// One variant of [`MetadataError`] per check.
    pub fn parse(bytes: &[u8], expected_issuer: &str) -> Result<Self, MetadataError> {
        Self::parse_with(bytes, expected_issuer, &Endpoints::default())
    }

    /// As [`ProviderMetadata::parse`], where `by_hand` wins over what the document says.
    ///
    /// # Errors
    /// As [`ProviderMetadata::parse`].
    pub fn parse_with(
        bytes: &[u8],
        expected_issuer: &str,
        by_hand: &Endpoints,
    ) -> Result<Self, MetadataError> {
        let members = parse_document(bytes)?;
        let issuer = required_string(&members, "issuer")?;
        if issuer != expected_issuer {
            return Err(MetadataError::IssuerMismatch {
                found: issuer.to_owned(),
                expected: expected_issuer.to_owned(),
            });
        }
        let document = Endpoints {
            authorization: endpoint(&members, "authorization_endpoint")?,
            token: endpoint(&members, "token_endpoint")?,
            userinfo: endpoint(&members, "userinfo_endpoint")?,
            jwks: endpoint(&members, "jwks_uri")?,
            end_session: endpoint(&members, "end_session_endpoint")?,
            introspection: endpoint(&members, "introspection_endpoint")?,
            revocation: endpoint(&members, "revocation_endpoint")?,
        };
        let mut metadata = Self::from_endpoints(expected_issuer, by_hand.or(&document))?;
        metadata.read_capabilities(&members)?;
        Ok(metadata)
    }

    /// Builds the metadata of a provider without discovery.
    ///
    /// Every capability is unknown: client authentication is basic, nothing optional is assumed.
    ///
    /// # Errors
    /// - [`MetadataError::MissingEndpoint`]: no authorization or token endpoint
    /// - [`MetadataError::NoJwksUri`]: no keys, so no signature could be checked
    /// - the endpoint checks of [`ProviderMetadata::parse`]
    pub fn from_endpoints(issuer: &str, endpoints: Endpoints) -> Result<Self, MetadataError> {
        let required = |member: &'static str, url: Option<Url>| {
            required_endpoint(member, url, MetadataError::MissingEndpoint { member })
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: required("authorization_endpoint", endpoints.authorization)?,
            token_endpoint: required("token_endpoint", endpoints.token)?,
            jwks_uri: required_endpoint("jwks_uri", endpoints.jwks, MetadataError::NoJwksUri)?,
            userinfo_endpoint: checked("userinfo_endpoint", endpoints.userinfo)?,
            end_session_endpoint: checked("end_session_endpoint", endpoints.end_session)?,
            introspection_endpoint: checked("introspection_endpoint", endpoints.introspection)?,
            revocation_endpoint: checked("revocation_endpoint", endpoints.revocation)?,
            token_endpoint_auth_methods_supported: None,
            code_challenge_methods_supported: None,
            id_token_signing_alg_values_supported: None,
            scopes_supported: None,
            response_modes_supported: None,
            acr_values_supported: None,
            claims_parameter_supported: false,
            authorization_response_iss_parameter_supported: false,
            backchannel_logout_supported: false,
            frontchannel_logout_supported: false,
        })
    }

    /// Refuses a provider that names its PKCE methods and leaves `S256` out.
    ///
    /// A silent provider passes: several support PKCE without saying so, and one that does not
    /// ignores the parameters.
    ///
    /// # Errors
    /// [`MetadataError::NoS256`], naming the methods it has.
    pub fn require_s256(&self) -> Result<(), MetadataError> {
        match &self.code_challenge_methods_supported {
            Some(methods) if !methods.iter().any(|method| method == "S256") => {
                Err(MetadataError::NoS256 {
                    advertised: methods.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    fn read_capabilities(&mut self, members: &Map<String, Value>) -> Result<(), MetadataError> {
        self.token_endpoint_auth_methods_supported =
            list(members, "token_endpoint_auth_methods_supported")?;
        self.code_challenge_methods_supported = list(members, "code_challenge_methods_supported")?;
        self.id_token_signing_alg_values_supported =
            list(members, "id_token_signing_alg_values_supported")?;
        self.scopes_supported = list(members, "scopes_supported")?;
        self.response_modes_supported = list(members, "response_modes_supported")?;
        self.acr_values_supported = list(members, "acr_values_supported")?;
        self.claims_parameter_supported = flag(members, "claims_parameter_supported")?;
        self.authorization_response_iss_parameter_supported =
            flag(members, "authorization_response_iss_parameter_supported")?;
        self.backchannel_logout_supported = flag(members, "backchannel_logout_supported")?;
        self.frontchannel_logout_supported = flag(members, "frontchannel_logout_supported")?;
        Ok(())
    }
}

impl Endpoints {
    /// These endpoints, and those of `fallback` where there is none.
    fn or(&self, fallback: &Self) -> Self {
        let pick = |own: &Option<Url>, other: &Option<Url>| own.clone().or_else(|| other.clone());
        Self {
            authorization: pick(&self.authorization, &fallback.authorization),
            token: pick(&self.token, &fallback.token),
            userinfo: pick(&self.userinfo, &fallback.userinfo),
            jwks: pick(&self.jwks, &fallback.jwks),
            end_session: pick(&self.end_session, &fallback.end_session),
            introspection: pick(&self.introspection, &fallback.introspection),
            revocation: pick(&self.revocation, &fallback.revocation),
        }
    }
}

fn parse_document(bytes: &[u8]) -> Result<Map<String, Value>, MetadataError> {
    if bytes.len() > METADATA_SIZE_MAX {
        return Err(MetadataError::TooLarge);
    }
    // Operators paste the wrong address of the right provider; say which one it is.
    if bytes.trim_ascii_start().first() == Some(&b'<') {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        if text.contains("entitydescriptor") || text.contains("urn:oasis:names:tc:saml") {
            return Err(MetadataError::Saml);
        }
        if text.contains("<html") || text.contains("<!doctype html") {
            return Err(MetadataError::Html);
        }
    }
    strict_json::parse_object(bytes).map_err(MetadataError::NotJson)
}

fn required_string<'a>(
    members: &'a Map<String, Value>,
    member: &'static str,
) -> Result<&'a str, MetadataError> {
    match members.get(member) {
        None => Err(MetadataError::MissingMember { member }),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(MetadataError::WrongType {
            member,
            expected: "a string",
        }),
    }
}

fn endpoint(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<Option<Url>, MetadataError> {
    let text = match members.get(member) {
        // Some providers write null for what they do not have.
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => {
            return Err(MetadataError::WrongType {
                member,
                expected: "a string",
            });
        }
    };
    if text.len() > ENDPOINT_LENGTH_MAX {
        return Err(MetadataError::EndpointTooLong { member });
    }
    let url = Url::parse(text).map_err(|_| MetadataError::EndpointNotUrl { member })?;
    checked(member, Some(url))
}

fn required_endpoint(
    member: &'static str,
    url: Option<Url>,
    missing: MetadataError,
) -> Result<Url, MetadataError> {
    checked(member, url)?.ok_or(missing)
}

/// Checks an endpoint whether it was read or entered by hand.
fn checked(member: &'static str, url: Option<Url>) -> Result<Option<Url>, MetadataError> {
    let Some(url) = url else { return Ok(None) };
    if !url_policy::is_secure_or_loopback(&url) {
        return Err(MetadataError::EndpointNotSecure {
            member,
            scheme: url.scheme().to_owned(),
        });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(MetadataError::EndpointWithCredentials { member });
    }
    if url.fragment().is_some() {
        return Err(MetadataError::EndpointWithFragment { member });
    }
    Ok(Some(url))
}

fn list(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<Option<Vec<String>>, MetadataError> {
    let wrong = MetadataError::WrongType {
        member,
        expected: "an array of strings",
    };
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(elements)) => elements
            .iter()
            .map(|element| element.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
            .map(Some)
            .ok_or(wrong),
        Some(_) => Err(wrong),
    }
}

fn flag(members: &Map<String, Value>, member: &'static str) -> Result<bool, MetadataError> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(MetadataError::WrongType {
            member,
            expected: "`true` or `false`",
        }),
    }
}
