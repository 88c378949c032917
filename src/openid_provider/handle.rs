//! Codes, refresh tokens and names of pushed requests: opaque texts that stand for what the store keeps.
//!
//! Owns their form, the keys they are stored under and the proof in a refresh token. Random bytes come
//! from the shell.

use aws_lc_rs::constant_time;
use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use crate::secret::Secret;

/// An authorization code: 32 unpredictable bytes.
#[derive(Clone, Debug)]
pub struct Code(Secret<String>);

impl Code {
    /// Makes a code of 43 characters.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads a code; `None` when no code of ours looks like this.
    pub fn parse(text: &str) -> Option<Self> {
        let is_code = URL_SAFE_NO_PAD
            .decode(text)
            .is_ok_and(|bytes| bytes.len() == 32);
        is_code.then(|| Self(Secret::new(text.to_owned())))
    }

    /// Lends the code out, for the answer to the client.
    pub const fn secret(&self) -> &Secret<String> {
        &self.0
    }

    /// What the code is stored under: its hash, so that the store holds nothing to be redeemed.
    pub fn storage_key(&self) -> [u8; 32] {
        hash(b"vestibule code 1", self.0.expose().as_bytes())
    }
}

/// The name of a pushed authorization request: 32 unpredictable bytes behind the URN of RFC 9126 section
/// 2.2.
#[derive(Clone, Debug)]
pub struct RequestUri(Secret<String>);

/// What every `request_uri` of ours begins with.
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

impl RequestUri {
    /// Makes a name.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let id = URL_SAFE_NO_PAD.encode(bytes);
        Self(Secret::new(format!("{REQUEST_URI}{id}")))
    }

    /// Reads a `request_uri`; `None` when none of ours looks like this.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_prefix(REQUEST_URI)?;
        let is_id = URL_SAFE_NO_PAD
            .decode(id)
            .is_ok_and(|bytes| bytes.len() == 32);
        is_id.then(|| Self(Secret::new(text.to_owned())))
    }

    /// Lends the name out, for the answer to the client.
    pub const fn secret(&self) -> &Secret<String> {
        &self.0
    }

    /// What a request of this client is stored under: to any other client there is none of this name.
    pub fn storage_key(&self, client_id: &str) -> [u8; 32] {
        // All names are of one length, so that none runs into the id.
        let text = format!("{}{client_id}", self.0.expose());
        hash(b"vestibule pushed request 1", text.as_bytes())
    }
}

/// The name of a grant. It stands in access tokens and opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(String);

impl GrantId {
    /// Makes an id of 22 characters.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = URL_SAFE_NO_PAD
            .decode(text)
            .is_ok_and(|bytes| bytes.len() == 16);
        is_id.then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the grant is stored under.
    pub fn storage_key(&self) -> [u8; 32] {
        hash(b"vestibule grant 1", self.0.as_bytes())
    }

    /// The `jti` of an access token of this grant: from it the grant is found again.
    pub fn token_id(&self, random: [u8; 16]) -> String {
        format!("{}.{}", self.0, URL_SAFE_NO_PAD.encode(random))
    }

    /// The grant that a `jti` names; none where the token has no grant.
    pub fn of_token_id(jti: &str) -> Option<Self> {
        Self::parse(jti.split_once('.')?.0)
    }
}

/// The `jti` of an access token without a grant.
pub fn token_id(random: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// The key from which the refresh tokens of one grant are made; it never leaves the sealed store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshKey(Secret<[u8; 32]>);

impl RefreshKey {
    /// Makes a key of unpredictable bytes.
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The token of one generation. It is derived, not drawn: a client that lost an answer gets the very
    /// same successor again, though the store has never held it.
    pub fn token(&self, grant: &GrantId, generation: u32) -> Secret<String> {
        let proof = URL_SAFE_NO_PAD.encode(self.proof(grant, generation));
        Secret::new(format!("{}.{generation}.{proof}", grant.as_str()))
    }

    fn proof(&self, grant: &GrantId, generation: u32) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        let message = format!("vestibule refresh 1 {} {generation}", grant.as_str());
        let mut proof = [0; 32];
        proof.copy_from_slice(hmac::sign(&key, message.as_bytes()).as_ref());
        proof
    }
}

impl Serialize for RefreshKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0.expose()))
    }
}

impl<'de> Deserialize<'de> for RefreshKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Secret::new(String::deserialize(deserializer)?);
        let bytes = URL_SAFE_NO_PAD.decode(text.expose()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let wrong = || serde::de::Error::custom("a refresh key has 32 bytes");
        bytes.map(Self::from_random).ok_or_else(wrong)
    }
}

/// A refresh token as it was presented: whether it is genuine is not yet known.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// The grant it names.
    pub grant: GrantId,
    /// Its place in the line of tokens.
    pub generation: u32,
    proof: Secret<Vec<u8>>,
}

impl RefreshToken {
    /// Reads a token; `None` when no refresh token of ours looks like this.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let grant = GrantId::parse(parts.next()?)?;
        let digits = parts.next()?;
        let generation: u32 = digits
            .parse()
            .ok()
            .filter(|number: &u32| number.to_string() == digits)?;
        let proof = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        parts.next().is_none().then_some(Self {
            grant,
            generation,
            proof: Secret::new(proof),
        })
    }

    /// Whether the token was made from `key`, in time that does not depend on where they differ.
    pub fn is_genuine(&self, key: &RefreshKey) -> bool {
        let expected = key.proof(&self.grant, self.generation);
        constant_time::verify_slices_are_equal(&expected, self.proof.expose()).is_ok()
    }
}

fn hash(label: &[u8], text: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(label);
    context.update(&[0]);
    context.update(text);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[test]
    fn a_code_is_found_by_its_hash_and_never_prints() {
        let code = Code::from_random([7; 32]);
        let text = code.secret().expose().clone();
        assert_eq!(
            Code::parse(&text).unwrap().storage_key(),
            code.storage_key()
        );
        assert_ne!(Code::from_random([8; 32]).storage_key(), code.storage_key());
        assert!(!format!("{code:?}").contains(&text));
        for other in [
            "",
            "abc",
            &format!("{text}="),
            &text[1..],
            &format!("{text}AA"),
        ] {
            assert!(Code::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn rfc9126_2_2_a_pushed_request_is_found_by_its_name_and_client() {
        let uri = RequestUri::from_random([7; 32]);
        let text = uri.secret().expose().clone();
        assert!(text.starts_with("urn:ietf:params:oauth:request_uri:"));
        let key = RequestUri::parse(&text).unwrap().storage_key("shop");
        assert_eq!(key, uri.storage_key("shop"));
        assert_ne!(key, uri.storage_key("other"));
        let another = RequestUri::from_random([8; 32]);
        assert_ne!(key, another.storage_key("shop"));
        assert!(!format!("{uri:?}").contains("urn:"));
        for other in [
            "",
            "https://shop.example.com/request",
            "urn:ietf:params:oauth:request_uri:",
            "urn:ietf:params:oauth:request_uri:abc",
            &text.to_uppercase(),
            &format!("{text}AA"),
            &format!(" {text}"),
            &text.replace("request_uri", "request-uri"),
        ] {
            assert!(RequestUri::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_token_id_leads_to_its_grant() {
        let grant = GrantId::from_random([1; 16]);
        let jti = grant.token_id([2; 16]);
        assert_eq!(GrantId::of_token_id(&jti), Some(grant));
        assert_eq!(GrantId::of_token_id(&token_id([2; 16])), None);
        assert_eq!(GrantId::of_token_id("x.y"), None);
    }

    #[test]
    fn a_refresh_token_is_genuine_for_its_key_grant_and_generation() {
        let key = RefreshKey::from_random([3; 32]);
        let grant = GrantId::from_random([1; 16]);
        let text = key.token(&grant, 4).expose().clone();
        let token = RefreshToken::parse(&text).unwrap();
        assert_eq!((token.generation, &token.grant), (4, &grant));
        assert!(token.is_genuine(&key));
        assert!(!token.is_genuine(&RefreshKey::from_random([4; 32])));
        let forged = RefreshToken::parse(&text.replacen(".4.", ".5.", 1)).unwrap();
        assert!(!forged.is_genuine(&key));
        let other = GrantId::from_random([2; 16]);
        let moved = text.replacen(grant.as_str(), other.as_str(), 1);
        assert!(!RefreshToken::parse(&moved).unwrap().is_genuine(&key));
        let cut = RefreshToken::parse(text.rsplit_once('.').unwrap().0);
        assert!(cut.is_none());
        for odd in [
            format!("{text}.x"),
            text.replacen(".4.", ".04.", 1),
            text.replacen(".4.", ".+4.", 1),
        ] {
            assert!(RefreshToken::parse(&odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn a_key_survives_storage() {
        let key = RefreshKey::from_random([3; 32]);
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<RefreshKey>(&text).unwrap(), key);
        assert!(serde_json::from_str::<RefreshKey>("\"AAAA\"").is_err());
        assert!(!format!("{key:?}").contains(text.trim_matches('"')));
    }
}
