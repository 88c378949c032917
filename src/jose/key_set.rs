//! The public keys of an issuer.
//!
//! Owns the reading of a JWK set and the choice of the key for a token. It fetches and caches
//! nothing: that is `outbound`.
//!
//! Invariant: lenient towards the set (one odd key does not cost the others), strict towards each
//! key; a token is checked with one key, never with several until one fits.

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use serde_json::Value;

use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::DropReason;
use crate::jose::jwk::PublicKey;
use crate::jose::sign::SigningKey;
use crate::oidc::excerpt::Excerpt;
use crate::oidc::strict_json;
use crate::oidc::strict_json::StrictJsonError;

/// Largest key set, in bytes. The largest public ones, with certificates, have about 60 KiB.
pub const KEY_SET_SIZE_MAX: usize = 512 * 1024;

/// Most keys in a set, usable or not. Large providers publish about ten.
pub const KEY_COUNT_MAX: usize = 100;

/// The usable keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
    dropped: Vec<DroppedKey>,
}

/// A key that was left out, for a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedKey {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// Why it was left out.
    pub reason: DropReason,
}

impl fmt::Display for DroppedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys[{}]", self.index)?;
        if let Some(kid) = &self.kid {
            write!(f, " (kid {})", Excerpt(kid))?;
        }
        write!(f, " is ignored: {}", self.reason)
    }
}

/// Why a key set as a whole is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// More than [`KEY_SET_SIZE_MAX`] bytes.
    TooLarge,
    /// The set is not an acceptable JSON object.
    NotJson(StrictJsonError),
    /// There is no array `keys`.
    NoKeys,
    /// More than [`KEY_COUNT_MAX`] entries.
    TooManyKeys,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the key set is larger than {KEY_SET_SIZE_MAX} bytes"),
            Self::NotJson(error) => write!(f, "the key set cannot be read: {error}"),
            Self::NoKeys => f.write_str("the key set has no array `keys`"),
            Self::TooManyKeys => write!(f, "the key set has more than {KEY_COUNT_MAX} keys"),
        }
    }
}

impl std::error::Error for KeySetError {}

/// Why no key is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jose) enum KeyChoiceError {
    Unknown,
    Ambiguous,
    AlgorithmMismatch,
}

impl KeySet {
    /// Parses a JWK set; unusable keys are left out and listed in [`KeySet::dropped`].
    ///
    /// A set without a single usable key is a value like any other: whether the last good one is
    /// kept instead is for the cache. Implements RFC 7517 section 5.
    ///
    /// # Errors
    /// - [`KeySetError::TooLarge`], [`KeySetError::TooManyKeys`]: beyond the limits
    /// - [`KeySetError::NotJson`]: not a JSON object without doubled members
    /// - [`KeySetError::NoKeys`]: no array `keys`
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > KEY_SET_SIZE_MAX {
            return Err(KeySetError::TooLarge);
        }
        let members = strict_json::parse_object(bytes).map_err(KeySetError::NotJson)?;
        let Some(Value::Array(entries)) = members.get("keys") else {
            return Err(KeySetError::NoKeys);
        };
        if entries.len() > KEY_COUNT_MAX {
            return Err(KeySetError::TooManyKeys);
        }
        Ok(Self::from_entries(entries))
    }

    /// The public halves of keys of our own.
    pub fn of_signing_keys<'a>(keys: impl Iterator<Item = &'a SigningKey>) -> Self {
        let entries: Vec<Value> = keys.map(SigningKey::public_jwk).collect();
        Self::from_entries(&entries)
    }

    /// The same set without the keys that `is_kept`, which is asked with a `kid`, does not name.
    #[must_use]
    pub fn only(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        let is_kept = |key: &&PublicKey| key.kid().is_some_and(&is_kept);
        Self {
            keys: self.keys.iter().filter(is_kept).cloned().collect(),
            dropped: self.dropped.clone(),
        }
    }

    fn from_entries(entries: &[Value]) -> Self {
        let mut dropped = Vec::new();
        let mut indexed: Vec<(usize, PublicKey)> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match PublicKey::parse(entry) {
                Err(reason) => {
                    let kid = entry.get("kid").and_then(Value::as_str).map(str::to_owned);
                    dropped.push(DroppedKey { index, kid, reason });
                }
                // The same key under the same name twice is one key.
                Ok(key) => match indexed.iter_mut().find(|(_, own)| is_same(own, &key)) {
                    Some((_, own)) => own.merge(key),
                    None => indexed.push((index, key)),
                },
            }
        }
        let is_ambiguous = |key: &PublicKey| {
            key.kid().is_some()
                && indexed
                    .iter()
                    .filter(|(_, other)| other.kid() == key.kid())
                    .count()
                    > 1
        };
        let ambiguous: Vec<bool> = indexed.iter().map(|(_, key)| is_ambiguous(key)).collect();
        let mut keys = Vec::new();
        for ((index, key), is_ambiguous) in indexed.into_iter().zip(ambiguous) {
            if is_ambiguous {
                let kid = key.kid().map(str::to_owned);
                dropped.push(DroppedKey {
                    index,
                    kid,
                    reason: DropReason::DuplicateKid,
                });
            } else {
                keys.push(key);
            }
        }
        Self { keys, dropped }
    }

    /// The usable keys.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The keys that were left out, for warnings.
    pub fn dropped(&self) -> &[DroppedKey] {
        &self.dropped
    }

    /// Whether there is no usable key.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Chooses the key of a token: the one with its `kid`, or without `kid` the only one that
    /// `algorithm` can be checked with.
    pub(in crate::jose) fn choose(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&ParsedPublicKey, KeyChoiceError> {
        let Some(kid) = kid else {
            let mut usable = self.keys.iter().filter_map(|key| key.verifier(algorithm));
            let first = usable.next().ok_or(KeyChoiceError::Unknown)?;
            // Trying several would let an old key, kept for another purpose, vouch for the token.
            return usable
                .next()
                .is_none()
                .then_some(first)
                .ok_or(KeyChoiceError::Ambiguous);
        };
        match self.keys.iter().find(|key| key.kid() == Some(kid)) {
            Some(key) => key
                .verifier(algorithm)
                .ok_or(KeyChoiceError::AlgorithmMismatch),
            None if self.is_dropped_as_ambiguous(kid) => Err(KeyChoiceError::Ambiguous),
            None => Err(KeyChoiceError::Unknown),
        }
    }

    fn is_dropped_as_ambiguous(&self, kid: &str) -> bool {
        self.dropped.iter().any(|dropped| {
            dropped.reason == DropReason::DuplicateKid && dropped.kid.as_deref() == Some(kid)
        })
    }
}

fn is_same(own: &PublicKey, other: &PublicKey) -> bool {
    own.kid() == other.kid() && own.thumbprint() == other.thumbprint()
}
