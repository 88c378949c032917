//! How we prove at a token endpoint which client we are.
//!
//! Owns the methods' names, the choice among them and the Basic header. JWT assertions are built by
//! `jose`; requests are sent by `outbound`.
//!
//! Invariant: a method is never guessed. Where configuration and metadata do not settle it, the
//! choice fails and names what the provider advertises.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::oidc::excerpt::ExcerptList;
use crate::secret::Secret;

/// A client authentication method.
///
/// Implements OpenID Connect Core section 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// Id and secret in an `Authorization: Basic` header.
    ClientSecretBasic,
    /// Id and secret in the form body.
    ClientSecretPost,
    /// An assertion signed with the secret.
    ClientSecretJwt,
    /// An assertion signed with our private key.
    PrivateKeyJwt,
    /// The id alone: a public client.
    None,
}

impl ClientAuthMethod {
    /// Every method, the strongest first.
    pub const ALL: &[Self] = &[
        Self::PrivateKeyJwt,
        Self::ClientSecretJwt,
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::None,
    ];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }

    /// Reads a registered name exactly.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.as_str() == text)
    }

    /// Whether a provider with this list takes the method. A silent provider takes
    /// `client_secret_basic` (OpenID Connect Discovery section 3).
    pub fn is_advertised(self, supported: Option<&[String]>) -> bool {
        supported.map_or(self == Self::ClientSecretBasic, |methods| {
            methods.iter().any(|method| method == self.as_str())
        })
    }
}

impl fmt::Display for ClientAuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the configuration says about the method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuthChoice {
    /// Take the strongest method that credentials and metadata allow.
    #[default]
    Auto,
    /// Take this one.
    Method(ClientAuthMethod),
}

/// Which credentials the configuration holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldCredentials {
    /// There is a client secret.
    pub has_secret: bool,
    /// There is a private key.
    pub has_key: bool,
}

/// Why no method can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthError {
    /// The configured method needs a client secret.
    MissingSecret {
        /// The configured method.
        method: ClientAuthMethod,
    },
    /// The configured method needs a private key.
    MissingKey {
        /// The configured method.
        method: ClientAuthMethod,
    },
    /// `auto` found nothing that both sides can do.
    NothingInCommon {
        /// What the provider advertises.
        advertised: Vec<String>,
        /// What we could do with our credentials.
        held: HeldCredentials,
    },
}

impl fmt::Display for ClientAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingSecret { method } => {
                write!(
                    f,
                    "client authentication `{method}` needs a client secret, found none"
                )
            }
            Self::MissingKey { method } => {
                write!(
                    f,
                    "client authentication `{method}` needs a private key, found none"
                )
            }
            Self::NothingInCommon { advertised, held } => write!(
                f,
                "the identity provider supports client authentication by {}, {}",
                ExcerptList(advertised),
                if held.has_key {
                    "expected `private_key_jwt`, for which a key is configured"
                } else {
                    "expected `client_secret_basic` or `client_secret_post`"
                }
            ),
        }
    }
}

impl std::error::Error for ClientAuthError {}

/// Settles the method.
///
/// A configured method is taken as it is, if its credential is there: providers forget to list what
/// they support. `auto` takes, in this order:
/// 1. `private_key_jwt` if there is a key, unless the provider's list leaves it out;
/// 2. without a secret, `none`: a public client has nothing else;
/// 3. `client_secret_basic` if listed, or if there is no list;
/// 4. `client_secret_post` if listed.
///
/// # Errors
/// - [`ClientAuthError::MissingSecret`], [`ClientAuthError::MissingKey`]: the credential is not there
/// - [`ClientAuthError::NothingInCommon`]: `auto` found none; a key is never passed over for a secret
pub fn choose(
    configured: ClientAuthChoice,
    held: HeldCredentials,
    supported: Option<&[String]>,
) -> Result<ClientAuthMethod, ClientAuthError> {
    match configured {
        ClientAuthChoice::Method(method) => check_credential(method, held),
        ClientAuthChoice::Auto => choose_automatically(held, supported),
    }
}

fn check_credential(
    method: ClientAuthMethod,
    held: HeldCredentials,
) -> Result<ClientAuthMethod, ClientAuthError> {
    match method {
        ClientAuthMethod::PrivateKeyJwt if !held.has_key => {
            Err(ClientAuthError::MissingKey { method })
        }
        ClientAuthMethod::ClientSecretBasic
        | ClientAuthMethod::ClientSecretPost
        | ClientAuthMethod::ClientSecretJwt
            if !held.has_secret =>
        {
            Err(ClientAuthError::MissingSecret { method })
        }
        _ => Ok(method),
    }
}

fn choose_automatically(
    held: HeldCredentials,
    supported: Option<&[String]>,
) -> Result<ClientAuthMethod, ClientAuthError> {
    let nothing = || ClientAuthError::NothingInCommon {
        advertised: supported.unwrap_or_default().to_vec(),
        held,
    };
    if held.has_key {
        let method = ClientAuthMethod::PrivateKeyJwt;
        // With a key at hand the secret must not go over the wire because of a shortened list.
        let is_possible = supported.is_none() || method.is_advertised(supported);
        return is_possible.then_some(method).ok_or_else(nothing);
    }
    if !held.has_secret {
        return Ok(ClientAuthMethod::None);
    }
    [
        ClientAuthMethod::ClientSecretBasic,
        ClientAuthMethod::ClientSecretPost,
    ]
    .into_iter()
    .find(|method| method.is_advertised(supported))
    .ok_or_else(nothing)
}

/// Builds the value of `Authorization` for `client_secret_basic`.
///
/// Id and secret are form-urlencoded first, so that `:` and `%` in them stay what they are.
/// Implements RFC 6749 section 2.3.1.
pub fn basic_header(client_id: &str, client_secret: &Secret<String>) -> Secret<String> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Secret::new(format!(
        "{}:{}",
        encode(client_id),
        encode(client_secret.expose())
    ));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    const SECRET: HeldCredentials = HeldCredentials {
        has_secret: true,
        has_key: false,
    };
    const KEY: HeldCredentials = HeldCredentials {
        has_secret: true,
        has_key: true,
    };
    const NOTHING: HeldCredentials = HeldCredentials {
        has_secret: false,
        has_key: false,
    };

    fn auto(
        held: HeldCredentials,
        supported: Option<&[&str]>,
    ) -> Result<ClientAuthMethod, ClientAuthError> {
        let owned: Option<Vec<String>> =
            supported.map(|list| list.iter().map(|&name| name.to_owned()).collect());
        choose(ClientAuthChoice::Auto, held, owned.as_deref())
    }

    #[test]
    fn names_survive_a_round_trip() {
        for method in ClientAuthMethod::ALL {
            assert_eq!(ClientAuthMethod::parse(method.as_str()), Some(*method));
        }
        assert_eq!(ClientAuthMethod::parse("Client_Secret_Basic"), None);
        assert_eq!(ClientAuthMethod::parse("tls_client_auth"), None);
    }

    #[test]
    fn auto_takes_the_strongest_that_both_sides_can_do() {
        assert_eq!(auto(KEY, None), Ok(ClientAuthMethod::PrivateKeyJwt));
        assert_eq!(
            auto(KEY, Some(&["client_secret_basic", "private_key_jwt"])),
            Ok(ClientAuthMethod::PrivateKeyJwt)
        );
        assert_eq!(auto(SECRET, None), Ok(ClientAuthMethod::ClientSecretBasic));
        assert_eq!(
            auto(SECRET, Some(&["client_secret_post", "client_secret_basic"])),
            Ok(ClientAuthMethod::ClientSecretBasic)
        );
        assert_eq!(
            auto(SECRET, Some(&["private_key_jwt", "client_secret_post"])),
            Ok(ClientAuthMethod::ClientSecretPost)
        );
        assert_eq!(auto(NOTHING, None), Ok(ClientAuthMethod::None));
        assert_eq!(auto(NOTHING, Some(&["none"])), Ok(ClientAuthMethod::None));
    }

    #[test]
    fn auto_never_guesses() {
        let error = auto(SECRET, Some(&["private_key_jwt", "tls_client_auth"])).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`private_key_jwt`, `tls_client_auth`"),
            "{error}"
        );
        assert!(auto(SECRET, Some(&[])).is_err());
        assert!(auto(SECRET, Some(&["none"])).is_err());
        // A list without private_key_jwt must not make us send the secret instead.
        let error = auto(KEY, Some(&["client_secret_basic"])).unwrap_err();
        assert!(error.to_string().contains("a key is configured"), "{error}");
    }

    #[test]
    fn a_configured_method_needs_its_credential() {
        let take = |method, held| choose(ClientAuthChoice::Method(method), held, None);
        for method in [
            ClientAuthMethod::ClientSecretBasic,
            ClientAuthMethod::ClientSecretPost,
            ClientAuthMethod::ClientSecretJwt,
        ] {
            assert_eq!(take(method, SECRET), Ok(method));
            assert_eq!(
                take(method, NOTHING),
                Err(ClientAuthError::MissingSecret { method })
            );
        }
        let method = ClientAuthMethod::PrivateKeyJwt;
        assert_eq!(take(method, KEY), Ok(method));
        assert_eq!(
            take(method, SECRET),
            Err(ClientAuthError::MissingKey { method })
        );
        assert_eq!(
            take(ClientAuthMethod::None, NOTHING),
            Ok(ClientAuthMethod::None)
        );
    }

    #[test]
    fn a_silent_provider_takes_basic_only() {
        assert!(ClientAuthMethod::ClientSecretBasic.is_advertised(None));
        assert!(!ClientAuthMethod::ClientSecretPost.is_advertised(None));
    }

    #[test]
    fn rfc6749_2_3_1_both_parts_are_form_encoded() {
        let decoded = |id: &str, secret: &str| {
            let header = basic_header(id, &Secret::new(secret.to_owned()));
            let encoded = header.expose().strip_prefix("Basic ").unwrap().to_owned();
            String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
        };
        assert_eq!(decoded("gateway", "simple"), "gateway:simple");
        assert_eq!(decoded("a:b", "p:%+ä q"), "a%3Ab:p%3A%25%2B%C3%A4+q");
    }
}
