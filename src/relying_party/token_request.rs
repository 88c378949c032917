//! Requests to the token endpoint and its neighbours, as values.
//!
//! Owns the form bodies and how we prove in them who we are: at the token, the introspection and the
//! revocation endpoint in the same way. Sending them is done by `outbound`.
//!
//! Invariant: secrets, codes and tokens stay in a [`Secret`] until they are sent.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded;

use crate::clock::Timestamp;
use crate::jose::Algorithm;
use crate::jose::HmacKey;
use crate::jose::SigningKey;
use crate::jose::client_assertion::AssertionKey;
use crate::jose::client_assertion::CLIENT_ASSERTION_TYPE;
use crate::jose::client_assertion::client_assertion;
use crate::jose::hmac_key::HmacKeyError;
use crate::jose::sign::SignError;
use crate::oidc::client_authentication;
use crate::oidc::client_authentication::ClientAuthChoice;
use crate::oidc::client_authentication::ClientAuthError;
use crate::oidc::client_authentication::ClientAuthMethod;
use crate::oidc::client_authentication::HeldCredentials;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::pkce::CodeVerifier;
use crate::relying_party::callback::Code;
use crate::relying_party::flow::Flow;
use crate::relying_party::settings::ClientAuth;
use crate::relying_party::settings::IdentityProviderSettings;
use crate::secret::Secret;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'a> {
    /// Tokens for a code (RFC 6749 section 4.1.3).
    AuthorizationCode {
        /// The code.
        code: &'a Code,
        /// The flow it belongs to.
        flow: &'a Flow,
    },
    /// New tokens (RFC 6749 section 6).
    RefreshToken(&'a Secret<String>),
}

/// Our credentials at one provider, parsed once.
#[derive(Debug)]
pub struct ClientCredentials {
    client_id: String,
    choice: ClientAuthChoice,
    secret: Option<Secret<String>>,
    signing_key: Option<SigningKey>,
    hmac_key: Option<HmacKey>,
}

/// A form to be posted.
#[derive(Debug)]
pub struct FormRequest {
    /// How it proves who we are; for the log.
    pub method: ClientAuthMethod,
    /// The value of `Authorization`, for `client_secret_basic`.
    pub authorization: Option<Secret<String>>,
    /// The body, `application/x-www-form-urlencoded`.
    pub body: Secret<String>,
}

/// Why our credentials cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// `client_key` is not a private key we can sign with.
    Key(SignError),
    /// `client_secret` is too short for `client_secret_jwt`.
    Secret(HmacKeyError),
    /// No method fits.
    Method(ClientAuthError),
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => write!(f, "`client_key`: {error}"),
            Self::Secret(error) => error.fmt(f),
            Self::Method(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CredentialsError {}

impl ClientCredentials {
    /// Parses the credentials in the settings.
    ///
    /// # Errors
    /// - [`CredentialsError::Key`]
    /// - [`CredentialsError::Secret`]: only with `client_secret_jwt`
    pub fn new(settings: &IdentityProviderSettings) -> Result<Self, CredentialsError> {
        let signing_key = settings.client_key.as_ref().map(|pem| {
            SigningKey::from_pem(pem.expose().as_bytes(), None).map_err(CredentialsError::Key)
        });
        let hmac_key = match (&settings.client_secret, settings.client_auth) {
            (Some(secret), ClientAuth::ClientSecretJwt) => {
                let key = HmacKey::new(Algorithm::HS256, secret);
                Some(key.map_err(CredentialsError::Secret)?)
            }
            _ => None,
        };
        Ok(Self {
            client_id: settings.client_id.clone(),
            choice: settings.client_auth.choice(),
            secret: settings.client_secret.clone(),
            signing_key: signing_key.transpose()?,
            hmac_key,
        })
    }

    /// The public part of our key there, for the provider to check our assertions with.
    pub fn public_jwk(&self) -> Option<serde_json::Value> {
        self.signing_key.as_ref().map(SigningKey::public_jwk)
    }

    /// The method that is used at a provider with this metadata.
    ///
    /// # Errors
    /// [`ClientAuthError`] when credentials, settings and metadata have none in common.
    pub fn method(&self, metadata: &ProviderMetadata) -> Result<ClientAuthMethod, ClientAuthError> {
        let held = HeldCredentials {
            has_secret: self.secret.is_some(),
            has_key: self.signing_key.is_some(),
        };
        let supported = metadata.token_endpoint_auth_methods_supported.as_deref();
        client_authentication::choose(self.choice, held, supported)
    }

    /// Builds the token request. `random` names the assertion, where one is used.
    ///
    /// # Errors
    /// As [`ClientCredentials::form`].
    pub fn token_request(
        &self,
        metadata: &ProviderMetadata,
        grant: Grant<'_>,
        random: [u8; 16],
        now: Timestamp,
    ) -> Result<FormRequest, CredentialsError> {
        match grant {
            Grant::AuthorizationCode { code, flow } => {
                let mut parameters = vec![
                    ("grant_type", "authorization_code"),
                    ("code", code.expose()),
                    ("redirect_uri", &flow.redirect_uri),
                ];
                let verifier = flow.code_verifier.as_ref().map(CodeVerifier::expose);
                parameters.extend(verifier.map(|text| ("code_verifier", text)));
                self.form(metadata, &parameters, random, now)
            }
            Grant::RefreshToken(token) => {
                let parameters = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token.expose()),
                ];
                self.form(metadata, &parameters, random, now)
            }
        }
    }

    /// Builds a form of `parameters` with our credentials in it.
    ///
    /// # Errors
    /// - [`CredentialsError::Method`]: no method fits
    /// - [`CredentialsError::Key`]: an assertion could not be signed
    ///
    /// Implements RFC 6749 section 2.3.1 and RFC 7523 section 2.2.
    pub fn form(
        &self,
        metadata: &ProviderMetadata,
        parameters: &[(&str, &str)],
        random: [u8; 16],
        now: Timestamp,
    ) -> Result<FormRequest, CredentialsError> {
        let method = self.method(metadata).map_err(CredentialsError::Method)?;
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(parameters);
        let mut authorization = None;
        // `choose` gives out no method whose credential is missing; the refusals below only say so
        // again, where an unwrap would say it louder.
        let missing = || CredentialsError::Method(ClientAuthError::MissingSecret { method });
        match method {
            ClientAuthMethod::ClientSecretBasic => {
                let secret = self.secret.as_ref().ok_or_else(missing)?;
                authorization = Some(client_authentication::basic_header(&self.client_id, secret));
            }
            ClientAuthMethod::ClientSecretPost => {
                let secret = self.secret.as_ref().ok_or_else(missing)?;
                body.append_pair("client_id", &self.client_id);
                body.append_pair("client_secret", secret.expose());
            }
            ClientAuthMethod::ClientSecretJwt => {
                let key = AssertionKey::Secret(self.hmac_key.as_ref().ok_or_else(missing)?);
                let assertion = self.assertion(key, metadata, random, now)?;
                append_assertion(&mut body, &self.client_id, &assertion);
            }
            ClientAuthMethod::PrivateKeyJwt => {
                let key = self.signing_key.as_ref();
                let key = key.ok_or(CredentialsError::Method(ClientAuthError::MissingKey {
                    method,
                }))?;
                let assertion =
                    self.assertion(AssertionKey::Private(key), metadata, random, now)?;
                append_assertion(&mut body, &self.client_id, &assertion);
            }
            ClientAuthMethod::None => {
                body.append_pair("client_id", &self.client_id);
            }
        }
        Ok(FormRequest {
            method,
            authorization,
            body: Secret::new(body.finish()),
        })
    }

    fn assertion(
        &self,
        key: AssertionKey<'_>,
        metadata: &ProviderMetadata,
        random: [u8; 16],
        now: Timestamp,
    ) -> Result<Secret<String>, CredentialsError> {
        // OpenID Connect Core section 9 names the token endpoint; more providers take it than the
        // issuer.
        let audience = metadata.token_endpoint.as_str();
        let jti = URL_SAFE_NO_PAD.encode(random);
        client_assertion(key, &self.client_id, audience, &jti, now).map_err(CredentialsError::Key)
    }
}

fn append_assertion(
    body: &mut form_urlencoded::Serializer<'_, String>,
    client_id: &str,
    assertion: &Secret<String>,
) {
    body.append_pair("client_id", client_id);
    body.append_pair("client_assertion_type", CLIENT_ASSERTION_TYPE);
    body.append_pair("client_assertion", assertion.expose());
}

#[cfg(test)]
mod tests;
