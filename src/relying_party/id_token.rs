//! What the ID token of a provider has to satisfy.
//!
//! Owns the policy that is handed to `jose`: which algorithms this provider may sign with, the key
//! for those that use the client secret, and the values of the login in progress. It verifies
//! nothing itself.
//!
//! Invariant: an HMAC key exists only where the configuration lists an HS algorithm.

use std::fmt;
use std::time::Duration;

use crate::jose::Algorithm;
use crate::jose::HmacKey;
use crate::jose::TokenKind;
use crate::jose::TokenPolicy;
use crate::jose::algorithm::KeyFamily;
use crate::jose::hmac_key::HmacKeyError;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::oidc::excerpt::Excerpt;
use crate::relying_party::callback::Code;
use crate::relying_party::flow::Flow;
use crate::relying_party::settings::IdentityProviderSettings;
use crate::secret::Secret;

/// How the tokens of one provider are verified.
#[derive(Clone, Debug)]
pub struct IdTokenRules {
    issuer: String,
    client_id: String,
    algorithms: Vec<Algorithm>,
    hmac_key: Option<HmacKey>,
}

/// Why `id_token_algorithms` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdTokenRulesError {
    /// Nobody knows an algorithm of this name; `none` is not one.
    UnknownAlgorithm {
        /// The name.
        name: String,
    },
    /// An HS algorithm without a client secret.
    NoClientSecret {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// More than one HS algorithm: one secret has one use.
    SeveralHmac,
    /// The client secret cannot be a key of this algorithm.
    HmacKey(HmacKeyError),
}

impl fmt::Display for IdTokenRulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAlgorithm { name } => {
                write!(
                    f,
                    "found {} in `id_token_algorithms`, expected",
                    Excerpt(name)
                )?;
                for (index, algorithm) in Algorithm::ALL.iter().enumerate() {
                    write!(f, "{} `{algorithm}`", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Self::NoClientSecret { algorithm } => {
                write!(f, "`{algorithm}` needs a `client_secret`, found none")
            }
            Self::SeveralHmac => {
                f.write_str("found several HS algorithms in `id_token_algorithms`, expected one")
            }
            Self::HmacKey(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for IdTokenRulesError {}

impl IdTokenRules {
    /// Works the rules out of the settings. An empty list allows every algorithm with a public key.
    ///
    /// # Errors
    /// - [`IdTokenRulesError::UnknownAlgorithm`]
    /// - [`IdTokenRulesError::SeveralHmac`]
    /// - [`IdTokenRulesError::NoClientSecret`], [`IdTokenRulesError::HmacKey`]: an HS algorithm is
    ///   listed and the secret is missing or too short
    pub fn new(settings: &IdentityProviderSettings) -> Result<Self, IdTokenRulesError> {
        let named = settings.id_token_algorithms.iter().map(|name| {
            Algorithm::parse(name)
                .ok_or_else(|| IdTokenRulesError::UnknownAlgorithm { name: name.clone() })
        });
        let mut algorithms = named.collect::<Result<Vec<_>, _>>()?;
        if algorithms.is_empty() {
            algorithms.extend_from_slice(Algorithm::PUBLIC_KEY);
        }
        let mut hmac = algorithms
            .iter()
            .filter(|one| one.family() == KeyFamily::Secret);
        let hmac_key = match (hmac.next(), hmac.next()) {
            (None, _) => None,
            (Some(_), Some(_)) => return Err(IdTokenRulesError::SeveralHmac),
            (Some(&algorithm), None) => {
                let secret = settings.client_secret.as_ref();
                let secret = secret.ok_or(IdTokenRulesError::NoClientSecret { algorithm })?;
                Some(HmacKey::new(algorithm, secret).map_err(IdTokenRulesError::HmacKey)?)
            }
        };
        Ok(Self {
            issuer: settings.issuer.clone(),
            client_id: settings.client_id.clone(),
            algorithms,
            hmac_key,
        })
    }

    /// The allowed algorithms that the provider's metadata names too. Metadata that names none leaves
    /// the settings alone.
    pub fn agreed(&self, supported: Option<&[String]>) -> Vec<Algorithm> {
        let is_supported = |algorithm: &&Algorithm| {
            supported.is_none_or(|names| names.iter().any(|name| name == algorithm.as_str()))
        };
        self.algorithms
            .iter()
            .filter(is_supported)
            .copied()
            .collect()
    }

    /// The policy for the ID token of a login.
    ///
    /// Implements OpenID Connect Core sections 3.1.3.6 and 3.1.3.7.
    pub fn of_login<'a>(
        &'a self,
        flow: &'a Flow,
        code: &'a Code,
        access_token: &'a Secret<String>,
    ) -> TokenPolicy<'a> {
        self.policy(TokenKind::IdToken {
            client_id: &self.client_id,
            nonce: Some(flow.nonce.expose()),
            max_age: flow.max_age_seconds.map(Duration::from_secs),
            access_token: Some(access_token.expose()),
            code: Some(code.expose()),
        })
    }

    /// The policy for an ID token that came with refreshed tokens: no nonce, and the caller compares
    /// `sub` with the session's.
    ///
    /// Implements OpenID Connect Core section 12.2.
    pub fn of_refresh<'a>(&'a self, access_token: &'a Secret<String>) -> TokenPolicy<'a> {
        self.policy(TokenKind::IdToken {
            client_id: &self.client_id,
            nonce: None,
            max_age: None,
            access_token: Some(access_token.expose()),
            code: None,
        })
    }

    /// The policy for an access token that came beside an ID token. The algorithms of ID tokens do not
    /// bind it: any with a public key of this issuer will do.
    pub fn of_issued_access_token(&self) -> TokenPolicy<'_> {
        TokenPolicy {
            algorithms: Algorithm::PUBLIC_KEY,
            hmac_key: None,
            ..self.policy(TokenKind::IssuedAccessToken)
        }
    }

    /// Whether ID tokens can be signed with a published key.
    pub fn needs_keys(&self) -> bool {
        self.algorithms
            .iter()
            .any(|one| one.family() != KeyFamily::Secret)
    }

    /// The policy for a logout token.
    pub fn of_logout(&self) -> TokenPolicy<'_> {
        self.policy(TokenKind::LogoutToken {
            client_id: &self.client_id,
        })
    }

    fn policy<'a>(&'a self, kind: TokenKind<'a>) -> TokenPolicy<'a> {
        TokenPolicy {
            issuer: &self.issuer,
            algorithms: &self.algorithms,
            hmac_key: self.hmac_key.as_ref(),
            leeway: LEEWAY_DEFAULT,
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relying_party::test_settings::settings;

    fn rules(algorithms: &[&str], secret: Option<&str>) -> Result<IdTokenRules, IdTokenRulesError> {
        IdTokenRules::new(&IdentityProviderSettings {
            id_token_algorithms: algorithms.iter().map(ToString::to_string).collect(),
            client_secret: secret.map(|text| Secret::new(text.to_owned())),
            ..settings()
        })
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_secret_becomes_a_key_only_when_listed() {
        let plain = rules(&["RS256"], Some(SECRET)).expect("it is fine");
        assert!(plain.hmac_key.is_none());
        assert_eq!(plain.algorithms, [Algorithm::RS256]);
        let empty = rules(&[], Some(SECRET)).expect("it is fine");
        assert!(empty.hmac_key.is_none());
        assert_eq!(empty.algorithms, Algorithm::PUBLIC_KEY);
        let hmac = rules(&["RS256", "HS256"], Some(SECRET)).expect("it is fine");
        assert_eq!(
            hmac.hmac_key.map(|key| key.algorithm()),
            Some(Algorithm::HS256)
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for name in ["none", "None", "rs256", ""] {
            let name = name.to_owned();
            assert_eq!(
                rules(&["RS256", &name], Some(SECRET)).err(),
                Some(IdTokenRulesError::UnknownAlgorithm { name })
            );
        }
        let algorithm = Algorithm::HS256;
        assert_eq!(
            rules(&["HS256"], None).err(),
            Some(IdTokenRulesError::NoClientSecret { algorithm })
        );
        assert_eq!(
            rules(&["HS256", "HS512"], Some(SECRET)).err(),
            Some(IdTokenRulesError::SeveralHmac)
        );
        assert!(matches!(
            rules(&["HS512"], Some(SECRET)).err(),
            Some(IdTokenRulesError::HmacKey(HmacKeyError::TooShort { .. }))
        ));
    }

    #[test]
    fn the_policy_carries_the_values_of_the_login() {
        let rules = rules(&["RS256"], None).expect("it is fine");
        let access_token = Secret::new("at".to_owned());
        assert_eq!(
            rules.of_refresh(&access_token).issuer,
            "https://login.example.com"
        );
        let TokenKind::IdToken {
            nonce,
            client_id,
            access_token,
            ..
        } = rules.of_refresh(&access_token).kind
        else {
            panic!("it is a policy for ID tokens")
        };
        assert_eq!(
            (nonce, client_id, access_token),
            (None, "gateway", Some("at"))
        );
    }
}
