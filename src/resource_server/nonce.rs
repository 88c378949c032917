//! Nonces that callers put into their DPoP proofs (RFC 9449 section 9).
//!
//! A nonce is a sealed time: every gateway with the key knows it as its own, and nothing is remembered.
//! It proves that the proof was not made long before it was used, by somebody who had the caller's key
//! for a moment.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::resource_server::refusal::TokenRefusal;
use crate::routes::Origin;
use crate::session::KeyRing;
use crate::session::Purpose;

/// Oldest nonce that is taken. With [`CLOCKS_APART_MAX`] no nonce is good for more than five minutes.
const NONCE_AGE_MAX: Duration = Duration::from_secs(4 * 60);

/// How far ahead the clock of the gateway that made it may be.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(60);

/// From this age on a caller gets a new one with the answer, and so is never sent back for it.
const RENEW_AFTER: Duration = Duration::from_secs(2 * 60);

/// What is known of a good nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceAge {
    /// It can be used for a while.
    Young,
    /// It ends soon: the caller should get a new one.
    Old,
}

/// Makes a nonce for proofs to be shown at `origin`. `random` must be drawn anew for each call.
pub fn dpop_nonce(keys: &KeyRing, origin: &Origin, random: [u8; 12], now: Timestamp) -> String {
    let context = origin.to_string();
    keys.seal_text(
        Purpose::DpopNonce,
        context.as_bytes(),
        random,
        &now.0.to_be_bytes(),
    )
}

/// Checks the nonce of a proof that was shown at `origin`: it is there, it is ours and made for this
/// origin, and it is not too old, nor from the future.
///
/// # Errors
/// [`TokenRefusal::Nonce`], whatever the reason: the caller has to take a new one.
pub fn check_dpop_nonce(
    keys: &KeyRing,
    origin: &Origin,
    nonce: Option<&str>,
    now: Timestamp,
) -> Result<NonceAge, TokenRefusal> {
    let nonce = nonce.ok_or(TokenRefusal::Nonce)?;
    let context = origin.to_string();
    let opened = keys
        .open_text(Purpose::DpopNonce, context.as_bytes(), nonce)
        .map_err(|_| TokenRefusal::Nonce)?;
    let seconds = <[u8; 8]>::try_from(opened).map_err(|_| TokenRefusal::Nonce)?;
    let made_at = Timestamp(i64::from_be_bytes(seconds));
    let age = now.since(made_at);
    if age > NONCE_AGE_MAX || made_at.since(now) > CLOCKS_APART_MAX {
        return Err(TokenRefusal::Nonce);
    }
    Ok(match age > RENEW_AFTER {
        true => NonceAge::Old,
        false => NonceAge::Young,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Scheme;
    use crate::secret::Secret;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn ring(bytes: &[u8]) -> KeyRing {
        let keys: Vec<_> = bytes.iter().map(|byte| Secret::new([*byte; 32])).collect();
        KeyRing::new(&keys).expect("there are keys")
    }

    fn origin(host: &str) -> Origin {
        Origin {
            scheme: Scheme::Https,
            host: host.to_owned(),
            port: 443,
        }
    }

    fn made(keys: &[u8], at: i64) -> String {
        let at = Timestamp(NOW.0 + at);
        dpop_nonce(&ring(keys), &origin("api.example"), [3; 12], at)
    }

    #[track_caller]
    fn check(nonce: Option<&str>, expected: Result<NonceAge, TokenRefusal>) {
        let api = origin("api.example");
        assert_eq!(
            check_dpop_nonce(&ring(&[2, 1]), &api, nonce, NOW),
            expected,
            "{nonce:?}"
        );
    }

    #[test]
    fn rfc9449_9_a_nonce_is_good_for_minutes() {
        for (at, expected) in [
            (0, Ok(NonceAge::Young)),
            (-120, Ok(NonceAge::Young)),
            (-121, Ok(NonceAge::Old)),
            (-240, Ok(NonceAge::Old)),
            (-241, Err(TokenRefusal::Nonce)),
            (-100_000, Err(TokenRefusal::Nonce)),
            (60, Ok(NonceAge::Young)),
            (61, Err(TokenRefusal::Nonce)),
        ] {
            check(Some(&made(&[2], at)), expected);
            // Another gateway, which still seals with the older key.
            check(Some(&made(&[1, 2], at)), expected);
        }
    }

    #[test]
    fn what_we_have_not_made_for_this_place_is_no_nonce() {
        let keys = ring(&[2]);
        let now = NOW.0.to_be_bytes();
        let api = b"https://api.example";
        let sealed = |purpose, context: &[u8], plain: &[u8]| {
            keys.seal_text(purpose, context, [3; 12], plain)
        };
        check(
            Some(&sealed(Purpose::DpopNonce, api, &now)),
            Ok(NonceAge::Young),
        );
        for foreign in [
            made(&[3], 0),
            dpop_nonce(&keys, &origin("other.example"), [3; 12], NOW),
            sealed(Purpose::Form, api, &now),
            sealed(Purpose::DpopNonce, api, &now[..7]),
            sealed(Purpose::DpopNonce, api, b""),
            format!("{}A", made(&[2], 0)),
            NOW.0.to_string(),
            String::new(),
        ] {
            check(Some(&foreign), Err(TokenRefusal::Nonce));
        }
        check(None, Err(TokenRefusal::Nonce));
    }
}
