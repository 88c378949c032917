//! Proofs that a caller has the key its token is bound to (RFC 9449).
//!
//! Owns the checks of one proof. That a proof is used once is for the caller, by its `jti`; that the key
//! is the token's, too, by the thumbprint, and that its `nonce` is one of ours.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest;
use serde_json::Value;
use url::Url;

use crate::clock::Timestamp;
use crate::jose::algorithm::Algorithm;
use crate::jose::base64url;
use crate::jose::claims::numeric_date;
use crate::jose::header::Header;
use crate::jose::jwk::PublicKey;
use crate::jose::policy::IDENTIFIER_LENGTH_MAX;
use crate::oidc::strict_json;

/// Longest proof in bytes: one with an RSA key of 8192 bits has about 4 KiB.
const PROOF_BYTES_MAX: usize = 8 * 1024;

/// How far `iat` may be from our clock, either way. A proof is made for one request.
pub const PROOF_AGE_MAX: Duration = Duration::from_secs(60);

/// The request that a proof has to be made for.
#[derive(Clone, Copy, Debug)]
pub struct ProofExpected<'a> {
    /// The method.
    pub method: &'a str,
    /// Scheme, host, port and path; no query.
    pub url: &'a str,
    /// The token that came along.
    pub access_token: &'a str,
}

/// A proof that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of its key, to be compared with `cnf.jkt` of the token.
    pub thumbprint: String,
    /// Its `jti`, to be accepted once.
    pub jti: String,
    /// Its `nonce`, which the caller of this function judges.
    pub nonce: Option<String>,
}

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// It is no signed JWT, too long, or its header asks for what is not implemented.
    Malformed,
    /// `typ` is not `dpop+jwt`.
    Type,
    /// There is no usable public key in it, or a private one.
    Key,
    /// The signature is wrong.
    Signature,
    /// `htm` is another method.
    Method,
    /// `htu` is another address.
    Url,
    /// `iat` is missing, or too far from now.
    Time,
    /// `jti` is missing or too long.
    Id,
    /// `ath` is not the hash of the token.
    TokenHash,
    /// `nonce` is no string, or too long.
    Nonce,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the proof cannot be read",
            Self::Type => "`typ` of the proof is not `dpop+jwt`",
            Self::Key => "the proof has no usable public key",
            Self::Signature => "the signature of the proof is wrong",
            Self::Method => "`htm` of the proof is another method",
            Self::Url => "`htu` of the proof is another address",
            Self::Time => "`iat` of the proof is missing or too far from now",
            Self::Id => "`jti` of the proof is missing or too long",
            Self::TokenHash => "`ath` of the proof is not the hash of the token",
            Self::Nonce => "`nonce` of the proof is no string, or too long",
        })
    }
}

impl std::error::Error for ProofError {}

/// Checks a proof: shape, `typ`, key, signature, `htm`, `htu`, `iat`, `jti`, `ath`, the type of `nonce`,
/// in this order.
///
/// Implements RFC 9449 section 4.3, but for the value of the nonce: who has handed it out knows it.
///
/// # Errors
/// One [`ProofError`] per check.
pub fn verify_proof(
    proof: &str,
    expected: ProofExpected<'_>,
    now: Timestamp,
) -> Result<Proof, ProofError> {
    if proof.len() > PROOF_BYTES_MAX {
        return Err(ProofError::Malformed);
    }
    let mut parts = proof.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(ProofError::Malformed);
    };
    let message = &proof.as_bytes()[..header.len() + 1 + claims.len()];
    let decode = |text: &str| base64url::decode(text).ok_or(ProofError::Malformed);
    let object =
        |text: &str| strict_json::parse_object(&decode(text)?).map_err(|_| ProofError::Malformed);
    let mut header = object(header)?;
    let key = header.remove("jwk").ok_or(ProofError::Key)?;
    // All but the key is read by the rules of every other header.
    let header = Header::parse(Value::Object(header).to_string().as_bytes())
        .map_err(|_| ProofError::Malformed)?;
    if header.typ.as_deref() != Some("dpop+jwt") {
        return Err(ProofError::Type);
    }
    let key = PublicKey::parse(&key).map_err(|_| ProofError::Key)?;
    if !Algorithm::PUBLIC_KEY.contains(&header.algorithm) {
        return Err(ProofError::Key);
    }
    let verifier = key.verifier(header.algorithm).ok_or(ProofError::Key)?;
    verifier
        .verify_sig(message, &decode(signature)?)
        .map_err(|_| ProofError::Signature)?;

    let claims = object(claims)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("htm") != Some(expected.method) {
        return Err(ProofError::Method);
    }
    if text("htu")
        .and_then(bare)
        .is_none_or(|htu| Some(htu) != bare(expected.url))
    {
        return Err(ProofError::Url);
    }
    let issued_at = claims
        .get("iat")
        .and_then(numeric_date)
        .ok_or(ProofError::Time)?;
    if now.since(issued_at) > PROOF_AGE_MAX || issued_at.since(now) > PROOF_AGE_MAX {
        return Err(ProofError::Time);
    }
    let jti = text("jti")
        .filter(|jti| !jti.is_empty() && jti.len() <= IDENTIFIER_LENGTH_MAX)
        .ok_or(ProofError::Id)?;
    let hash = digest::digest(&digest::SHA256, expected.access_token.as_bytes());
    let hash = base64url::encode(hash);
    let is_hash = text("ath").is_some_and(|ath| {
        constant_time::verify_slices_are_equal(ath.as_bytes(), hash.as_bytes()).is_ok()
    });
    if !is_hash {
        return Err(ProofError::TokenHash);
    }
    let nonce = match claims.get("nonce") {
        None => None,
        Some(Value::String(nonce)) if nonce.len() <= IDENTIFIER_LENGTH_MAX => Some(nonce.clone()),
        Some(_) => return Err(ProofError::Nonce),
    };
    Ok(Proof {
        thumbprint: key.thumbprint().to_owned(),
        jti: jti.to_owned(),
        nonce,
    })
}

/// An address without query and fragment, in its normal form (RFC 9449 section 4.3).
fn bare(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use serde_json::json;

    use super::*;
    use crate::jose::test_support::NOW;
    use crate::jose::test_support::OTHER_RSA;
    use crate::jose::test_support::RSA;
    use crate::jose::test_support::sign_raw;

    const TOKEN: &str = "the.access.token";

    fn changed(mut base: Value, change: &Value) -> String {
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(base.as_object_mut().unwrap().remove(name)),
                value => base[name] = value.clone(),
            }
        }
        base.to_string()
    }

    fn proof(header: &Value, claims: &Value) -> String {
        let ath = base64url::encode(digest::digest(&digest::SHA256, TOKEN.as_bytes()));
        let head = json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": RSA.jwk});
        let body = json!({
            "htm": "GET", "htu": "https://api.example.com/orders", "iat": NOW.0, "jti": "j", "ath": ath,
        });
        sign_raw(&changed(head, header), &changed(body, claims))
    }

    fn check(proof: &str, expected: Result<(), ProofError>) {
        let request = ProofExpected {
            method: "GET",
            url: "https://api.example.com/orders",
            access_token: TOKEN,
        };
        let result = verify_proof(proof, request, NOW);
        if let Ok(proof) = &result {
            let key = PublicKey::parse(&RSA.jwk).unwrap();
            assert_eq!(
                (proof.jti.as_str(), &*proof.thumbprint),
                ("j", key.thumbprint())
            );
        }
        assert_eq!(result.map(|_| ()), expected, "{proof}");
    }

    #[test]
    fn rfc9449_4_3_a_proof_is_for_one_request() {
        let claims = |change: Value, expected| check(&proof(&json!({}), &change), expected);
        claims(json!({}), Ok(()));
        claims(
            json!({"htu": "https://API.example.com:443/orders?x=1#y"}),
            Ok(()),
        );
        claims(json!({"iat": NOW.0 - 60}), Ok(()));
        claims(json!({"iat": NOW.0 + 60}), Ok(()));
        claims(json!({"htm": "POST"}), Err(ProofError::Method));
        claims(json!({"htm": "get"}), Err(ProofError::Method));
        claims(json!({"htm": null}), Err(ProofError::Method));
        claims(json!({"htu": null}), Err(ProofError::Url));
        claims(
            json!({"htu": "http://api.example.com/orders"}),
            Err(ProofError::Url),
        );
        claims(
            json!({"htu": "https://api.example.com/orders/"}),
            Err(ProofError::Url),
        );
        claims(
            json!({"htu": "https://evil.example/orders"}),
            Err(ProofError::Url),
        );
        claims(json!({"htu": "/orders"}), Err(ProofError::Url));
        claims(json!({"iat": NOW.0 - 61}), Err(ProofError::Time));
        claims(json!({"iat": NOW.0 + 61}), Err(ProofError::Time));
        claims(json!({"iat": null}), Err(ProofError::Time));
        claims(json!({"iat": "now"}), Err(ProofError::Time));
        claims(json!({"jti": null}), Err(ProofError::Id));
        claims(json!({"jti": ""}), Err(ProofError::Id));
        claims(json!({"jti": "j".repeat(513)}), Err(ProofError::Id));
        claims(json!({"ath": null}), Err(ProofError::TokenHash));
        claims(json!({"ath": "x"}), Err(ProofError::TokenHash));
        claims(json!({"nonce": "n"}), Ok(()));
        claims(json!({"nonce": 7}), Err(ProofError::Nonce));
        claims(json!({"nonce": ["n"]}), Err(ProofError::Nonce));
        claims(json!({"nonce": "n".repeat(513)}), Err(ProofError::Nonce));
    }

    #[test]
    fn rfc9449_4_2_a_proof_brings_its_own_public_key() {
        let header = |change: Value, expected| check(&proof(&change, &json!({})), expected);
        header(json!({"jwk": null}), Err(ProofError::Key));
        header(json!({"jwk": OTHER_RSA.jwk}), Err(ProofError::Signature));
        header(
            json!({"jwk": RSA.jwk_with(json!({"d": "AQAB"}))}),
            Err(ProofError::Key),
        );
        header(
            json!({"jwk": {"kty": "oct", "k": "c2VjcmV0"}}),
            Err(ProofError::Key),
        );
        header(json!({"alg": "ES256"}), Err(ProofError::Key));
        header(json!({"alg": "HS256"}), Err(ProofError::Key));
        header(json!({"alg": "none"}), Err(ProofError::Malformed));
        header(json!({"typ": "JWT"}), Err(ProofError::Type));
        header(json!({"typ": null}), Err(ProofError::Type));
        header(json!({"crit": ["x"]}), Err(ProofError::Malformed));
        check("a.b", Err(ProofError::Malformed));
        check(&"a".repeat(PROOF_BYTES_MAX + 1), Err(ProofError::Malformed));
    }
}
