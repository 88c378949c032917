//! What a user is called in our tokens.
//!
//! Owns the derivation of `sub`. It depends on the identity provider and the subject there and on
//! nothing else: an e-mail address or a name can change hands, and two providers can hand out the same.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::accounts;
use crate::identity::Identity;

/// The `identity_provider` of identities that come from accounts of our own.
pub const LOCAL: &str = accounts::IDENTITY_PROVIDER;

/// Names the derivation, so that another one never gives the same value.
const LABEL: &[u8] = b"vestibule subject 1";

/// The `sub` of a user: stable, at most 255 ASCII characters. An account of our own is its user name.
pub fn subject(identity: &Identity) -> String {
    if identity.identity_provider == LOCAL {
        return identity.subject.clone();
    }
    let mut context = digest::Context::new(&digest::SHA256);
    // Each part with its length: ("a", "bc") and ("ab", "c") are two people.
    for part in [
        LABEL,
        identity.identity_provider.as_bytes(),
        identity.subject.as_bytes(),
    ] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openid_provider::test_support::*;

    fn of(provider: &str, subject_there: &str) -> String {
        let mut identity = alice();
        identity.identity_provider = provider.to_owned();
        identity.subject = subject_there.to_owned();
        subject(&identity)
    }

    #[test]
    fn a_person_is_provider_and_subject() {
        // Tokens in the field carry this value: it never changes.
        assert_eq!(
            of("corp", "s-1"),
            "HcIkbxutRUALwL5h5NinslJlMt_2wgkuLCGfspALiLI"
        );
        let all = [
            of("corp", "s-1"),
            of("corp", "s-2"),
            of("partner", "s-1"),
            of("corps", "-1"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| other != one));
        }
    }

    #[test]
    fn names_and_addresses_do_not_count() {
        let mut changed = alice();
        changed.email = Some("other@example.com".to_owned());
        changed.user = "someone".to_owned();
        changed.name = None;
        assert_eq!(subject(&changed), subject(&alice()));
    }

    #[test]
    fn an_account_of_our_own_is_its_name() {
        assert_eq!(of(LOCAL, "alice"), "alice");
    }
}
