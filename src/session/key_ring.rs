//! Sealing: AES-256-GCM under a ring of keys.
//!
//! The first key seals, all open, so a new first key logs nobody out. Each purpose has a key of its own
//! (HKDF, RFC 5869) and stands in the associated data together with a context, so that a login state
//! can never be read as a session, nor one session's value as another's.

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use aws_lc_rs::digest;
use aws_lc_rs::hkdf;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::Secret;

/// Version, key id, nonce.
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
const KEY_ID_LEN: usize = 4;
/// The only format so far; another one will not be mistaken for it.
const VERSION: u8 = 1;

/// What a sealed value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session in the store.
    Session,
    /// The cookie of a login under way.
    Flow,
    /// The `state` parameter of a login under way.
    State,
    /// The cookie that counts logins which came to nothing.
    Rounds,
    /// The hidden field of a form.
    Form,
    /// A nonce that callers put into their DPoP proofs.
    DpopNonce,
    /// A form in the store that is kept over a login.
    KeptForm,
    /// The note in the store that an identity provider has logged somebody out.
    Logout,
    /// The signing keys of our OpenID provider in the store.
    ProviderKeys,
    /// A code of our own provider in the store.
    ProviderCode,
    /// A grant of our own provider in the store.
    ProviderGrant,
    /// The note of when an authorization request to our OpenID provider was first seen.
    ProviderRequest,
    /// An authorization request that was pushed to our OpenID provider, in the store and over a login.
    PushedRequest,
    /// What a user has agreed to for a client of our own provider, in the store.
    ProviderConsent,
    /// A login in the store that outlives its session, because something was granted offline.
    KeptLogin,
}

const PURPOSES: [(Purpose, &str); 15] = [
    (Purpose::Session, "vestibule session v1"),
    (Purpose::Flow, "vestibule login flow v1"),
    (Purpose::State, "vestibule login state v1"),
    (Purpose::Rounds, "vestibule login rounds v1"),
    (Purpose::Form, "vestibule form v1"),
    (Purpose::DpopNonce, "vestibule dpop nonce v1"),
    (Purpose::KeptForm, "vestibule kept form v1"),
    (Purpose::Logout, "vestibule logout v1"),
    (Purpose::ProviderKeys, "vestibule provider keys v1"),
    (Purpose::ProviderCode, "vestibule provider code v1"),
    (Purpose::ProviderGrant, "vestibule provider grant v1"),
    (Purpose::ProviderRequest, "vestibule provider request v1"),
    (Purpose::PushedRequest, "vestibule pushed request v1"),
    (Purpose::ProviderConsent, "vestibule provider consent v1"),
    (Purpose::KeptLogin, "vestibule kept login v1"),
];

/// The keys under `session_keys`.
pub struct KeyRing {
    keys: Vec<RingKey>,
}

struct RingKey {
    id: [u8; KEY_ID_LEN],
    by_purpose: Vec<(Purpose, LessSafeKey)>,
    signing_seed: Secret<[u8; 32]>,
}

/// There is no key, or a key could not be derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRingEmpty;

/// A value that could not be opened: altered, sealed for something else, or by a key that has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOpened;

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys)", self.keys.len())
    }
}

impl KeyRing {
    /// Derives the keys of each purpose.
    ///
    /// # Errors
    /// [`KeyRingEmpty`] when no usable key is given.
    pub fn new(keys: &[Secret<[u8; 32]>]) -> Result<Self, KeyRingEmpty> {
        let keys = keys
            .iter()
            .map(|key| RingKey::derive(key.expose()))
            .collect::<Option<Vec<_>>>();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self { keys }),
            _ => Err(KeyRingEmpty),
        }
    }

    /// A secret for each key, the first key's first, from which signing keys are made.
    pub fn signing_seeds(&self) -> impl Iterator<Item = &Secret<[u8; 32]>> {
        self.keys.iter().map(|key| &key.signing_seed)
    }

    /// Seals `plain` with the first key. `nonce` must be drawn anew for each call.
    pub fn seal(
        &self,
        purpose: Purpose,
        context: &[u8],
        nonce: [u8; NONCE_LEN],
        plain: &[u8],
    ) -> Vec<u8> {
        let key = &self.keys[0];
        let mut sealed = Vec::with_capacity(HEAD_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        key.of(purpose)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(purpose, context)),
                &mut body,
            )
            .expect("a value of ours is far below AES-GCM's limit of 64 GiB");
        sealed.extend_from_slice(&body);
        sealed
    }

    /// Opens what [`Self::seal`] made for the same purpose and context.
    ///
    /// # Errors
    /// [`NotOpened`], whatever the reason.
    pub fn open(
        &self,
        purpose: Purpose,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, NotOpened> {
        let (head, body) = sealed.split_at_checked(HEAD_LEN).ok_or(NotOpened)?;
        let (id, nonce) = head[1..].split_at(KEY_ID_LEN);
        if head[0] != VERSION {
            return Err(NotOpened);
        }
        let nonce = <[u8; NONCE_LEN]>::try_from(nonce).map_err(|_| NotOpened)?;
        for key in self.keys.iter().filter(|key| key.id == *id) {
            let mut body = body.to_vec();
            let opened = key.of(purpose).open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(purpose, context)),
                &mut body,
            );
            if let Ok(plain) = opened {
                let len = plain.len();
                body.truncate(len);
                return Ok(body);
            }
        }
        Err(NotOpened)
    }

    /// Whether the first key has sealed this value: one that lies for long is sealed anew, before the key
    /// that has sealed it leaves.
    pub fn is_of_first(&self, sealed: &[u8]) -> bool {
        let id = sealed.get(1..=KEY_ID_LEN);
        self.keys.first().is_some_and(|key| id == Some(&key.id[..]))
    }

    /// As [`Self::seal`], as text for cookies, parameters and forms.
    pub fn seal_text(
        &self,
        purpose: Purpose,
        context: &[u8],
        nonce: [u8; 12],
        plain: &[u8],
    ) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(purpose, context, nonce, plain))
    }

    /// As [`Self::open`], from text.
    ///
    /// # Errors
    /// [`NotOpened`], whatever the reason.
    pub fn open_text(
        &self,
        purpose: Purpose,
        context: &[u8],
        text: &str,
    ) -> Result<Vec<u8>, NotOpened> {
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotOpened)?;
        self.open(purpose, context, &sealed)
    }
}

impl RingKey {
    fn derive(secret: &[u8; 32]) -> Option<Self> {
        let id = digest::digest(
            &digest::SHA256,
            &[b"vestibule key id", secret.as_slice()].concat(),
        );
        let master = hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule").extract(secret);
        let by_purpose = PURPOSES.iter().map(|(purpose, label)| {
            let info = [label.as_bytes()];
            let key = UnboundKey::from(master.expand(&info, &AES_256_GCM).ok()?);
            Some((*purpose, LessSafeKey::new(key)))
        });
        let mut seed = [0; 32];
        master
            .expand(&[b"vestibule signing v1"], hkdf::HKDF_SHA256)
            .ok()?
            .fill(&mut seed)
            .ok()?;
        Some(Self {
            signing_seed: Secret::new(seed),
            id: <[u8; KEY_ID_LEN]>::try_from(&id.as_ref()[..KEY_ID_LEN]).ok()?,
            by_purpose: by_purpose.collect::<Option<Vec<_>>>()?,
        })
    }

    fn of(&self, purpose: Purpose) -> &LessSafeKey {
        let (_, key) = (self.by_purpose.iter())
            .find(|(known, _)| *known == purpose)
            .expect("a key is derived for every purpose");
        key
    }
}

fn associated_data(purpose: Purpose, context: &[u8]) -> Vec<u8> {
    let mut data = vec![purpose as u8];
    data.extend_from_slice(context);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(bytes: &[u8]) -> KeyRing {
        let keys: Vec<_> = bytes.iter().map(|byte| Secret::new([*byte; 32])).collect();
        KeyRing::new(&keys).expect("there are keys")
    }

    #[test]
    fn a_sealed_value_opens_only_for_its_purpose_and_context() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Purpose::Flow, b"a", [0; 12], b"value");
        assert_eq!(
            ring.open(Purpose::Flow, b"a", &sealed).as_deref(),
            Ok(&b"value"[..])
        );
        assert_eq!(ring.open(Purpose::State, b"a", &sealed), Err(NotOpened));
        assert_eq!(ring.open(Purpose::Flow, b"b", &sealed), Err(NotOpened));
    }

    #[test]
    fn any_altered_bit_is_noticed() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Purpose::Session, b"", [7; 12], b"value");
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                ring.open(Purpose::Session, b"", &altered),
                Err(NotOpened),
                "bit {bit}"
            );
        }
        for len in 0..sealed.len() {
            assert_eq!(
                ring.open(Purpose::Session, b"", &sealed[..len]),
                Err(NotOpened)
            );
        }
    }

    #[test]
    fn a_new_first_key_keeps_old_values_and_a_removed_one_ends_them() {
        let sealed = ring(&[1]).seal_text(Purpose::Session, b"", [0; 12], b"value");
        assert!(
            ring(&[2, 1])
                .open_text(Purpose::Session, b"", &sealed)
                .is_ok()
        );
        assert_eq!(
            ring(&[2]).open_text(Purpose::Session, b"", &sealed),
            Err(NotOpened)
        );
        assert_eq!(
            ring(&[1]).open_text(Purpose::Session, b"", "no base64!"),
            Err(NotOpened)
        );
    }

    #[test]
    fn a_ring_without_keys_is_refused() {
        assert_eq!(KeyRing::new(&[]).err(), Some(KeyRingEmpty));
    }
}
