//! A login under way.
//!
//! Owns what the gateway must remember between sending a browser to the provider and its return. The
//! value travels in a sealed cookie of that browser, so it is compact; sealing it is not done here.
//!
//! Invariant: a flow is good for one provider, one redirect URI and [`FLOW_LIFETIME`].

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

use crate::clock::Timestamp;
use crate::oidc::pkce::CodeVerifier;
use crate::routes::StepUp;
use crate::secret::Secret;

/// How long a user may take at the provider: long enough for a password reset and a second factor,
/// short enough that a stolen cookie soon opens nothing.
pub const FLOW_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Most logins under way in one browser: tabs of a restored window, while all their cookies together
/// stay within what proxies accept as a header.
pub const FLOWS_MAX: usize = 7;

/// What one login under way must remember. `Debug` shows neither nonce nor verifier.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Id of the identity provider the browser was sent to.
    #[serde(rename = "p")]
    pub identity_provider: String,
    /// The `state` that was sent: the answer must carry the same.
    #[serde(rename = "s")]
    pub state_id: String,
    /// The `nonce` that the ID token must carry.
    #[serde(
        rename = "n",
        serialize_with = "secret_out",
        deserialize_with = "secret_in"
    )]
    pub nonce: Secret<String>,
    /// The PKCE verifier; none when the settings turn PKCE off.
    #[serde(
        rename = "v",
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "verifier_out",
        deserialize_with = "verifier_in"
    )]
    pub code_verifier: Option<CodeVerifier>,
    /// The redirect URI as it was sent: the token request must repeat it.
    #[serde(rename = "u")]
    pub redirect_uri: String,
    /// Where the user wanted to go, already reduced to a place of ours.
    #[serde(rename = "r")]
    pub return_to: String,
    /// When the browser was sent away.
    #[serde(rename = "t")]
    pub started_at: Timestamp,
    /// The `max_age` that was asked for, in seconds: then the ID token must prove it.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
    /// The values of `acr` of which the ID token must have one; empty: any will do.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
    /// Whether `prompt=none` was asked for: then `login_required` leads to one login with a page.
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_silent: bool,
    /// What becomes of the session that the browser has.
    #[serde(rename = "o", default, skip_serializing_if = "Former::is_replaced")]
    pub former: Former,
    /// The id of a form that is kept until the login has ended.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub form_id: Option<String>,
}

/// What becomes of the session that a browser has when a login ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Former {
    /// It is replaced, and the new one's lifetime begins.
    #[default]
    #[serde(rename = "r")]
    Replaced,
    /// It goes on under a new id, and ends when it would have ended.
    #[serde(rename = "c")]
    Continued,
}

impl Former {
    fn is_replaced(&self) -> bool {
        *self == Self::Replaced
    }
}

impl Flow {
    /// What was asked of the login, for which its ID token has to stand.
    pub fn step_up(&self) -> StepUp {
        StepUp {
            acr_values: self.acr_values.clone(),
            max_age: self.max_age_seconds.map(Duration::from_secs),
        }
    }

    /// Whether the answer comes too late, or from before the start.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now < self.started_at || now >= self.started_at.after(FLOW_LIFETIME)
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("identity_provider", &self.identity_provider)
            .field("started_at", &self.started_at)
            .finish_non_exhaustive()
    }
}

fn secret_out<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn secret_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

fn verifier_out<S: Serializer>(
    verifier: &Option<CodeVerifier>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    verifier
        .as_ref()
        .map(CodeVerifier::expose)
        .serialize(serializer)
}

fn verifier_in<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CodeVerifier>, D::Error> {
    let text = Secret::new(String::deserialize(deserializer)?);
    CodeVerifier::parse(text.expose())
        .map(Some)
        .ok_or_else(|| D::Error::custom("not a code_verifier"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::KeyRing;
    use crate::session::Purpose;

    fn flow() -> Flow {
        Flow {
            identity_provider: "corp".to_owned(),
            state_id: "marker-state".to_owned(),
            nonce: Secret::new("marker-nonce".to_owned()),
            code_verifier: Some(CodeVerifier::from_random([7; 32])),
            redirect_uri: "https://wiki.example.com/oauth2/callback/corp".to_owned(),
            return_to: "/page?a=%2F".to_owned(),
            started_at: Timestamp(1_000),
            max_age_seconds: None,
            acr_values: Vec::new(),
            is_silent: false,
            former: Former::Replaced,
            form_id: None,
        }
    }

    #[test]
    fn a_flow_survives_a_round_trip() {
        for flow in [
            flow(),
            Flow {
                code_verifier: None,
                max_age_seconds: Some(900),
                acr_values: vec!["urn:mfa".to_owned()],
                is_silent: true,
                former: Former::Continued,
                form_id: Some("form".to_owned()),
                ..flow()
            },
        ] {
            let json = serde_json::to_string(&flow).expect("a flow is JSON");
            assert_eq!(
                serde_json::from_str::<Flow>(&json).expect("it is a flow"),
                flow
            );
        }
    }

    #[test]
    fn a_flow_is_small_enough_for_a_cookie() {
        let json = serde_json::to_string(&flow()).expect("a flow is JSON");
        assert!(json.len() < 300, "{} bytes", json.len());
    }

    /// Name and value of a cookie have 4096 bytes. The longest address, the longest list of `acr` and a
    /// kept form come together here, sealed as the cookie is.
    #[test]
    fn the_largest_flow_fits_a_cookie() {
        let flow = Flow {
            identity_provider: "a-rather-long-provider-id".to_owned(),
            state_id: "s".repeat(560),
            nonce: Secret::new("n".repeat(43)),
            redirect_uri: "https://a-rather-long-name.example.com/oauth2/callback/provider"
                .to_owned(),
            return_to: "r".repeat(crate::session::RETURN_TO_BYTES_MAX),
            started_at: Timestamp(4_000_000_000),
            max_age_seconds: Some(86_400),
            acr_values: vec!["a".repeat(256)],
            form_id: Some("f".repeat(22)),
            ..flow()
        };
        let json = serde_json::to_vec(&flow).expect("a flow is JSON");
        let keys = KeyRing::new(&[Secret::new([1; 32])]).expect("there is a key");
        let sealed = keys.seal_text(Purpose::Flow, b"", [0; 12], &json);
        assert!(sealed.len() + 40 <= 4096, "{} bytes", sealed.len());
    }

    #[test]
    fn a_broken_verifier_is_refused() {
        let json = serde_json::to_string(&flow()).expect("a flow is JSON");
        let verifier = CodeVerifier::from_random([7; 32]);
        assert!(serde_json::from_str::<Flow>(&json.replace(verifier.expose(), "short")).is_err());
    }

    #[test]
    fn a_flow_ends_after_ten_minutes() {
        assert!(!flow().is_expired(Timestamp(1_000)));
        assert!(!flow().is_expired(Timestamp(1_599)));
        assert!(flow().is_expired(Timestamp(1_600)));
        assert!(flow().is_expired(Timestamp(999)));
    }

    #[test]
    fn its_secrets_never_print() {
        assert!(!format!("{:?}", flow()).contains("marker"));
    }
}
