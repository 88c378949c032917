use super::*;
use crate::identity::Identity;
use crate::secret::Secret;

const EVERY: Duration = Duration::from_secs(900);
const KEY: SessionKey = SessionKey([7; 32]);

fn token(text: &str) -> Option<Secret<String>> {
    Some(Secret::new(format!("marker-{text}")))
}

fn session(refresh_token: Option<Secret<String>>) -> Session {
    Session {
        identity: Identity::of_test("corp", "s-1", "alice"),
        origin: "https://sso.example".to_owned(),
        created_at: Timestamp(1_000),
        authenticated_at: Timestamp(1_000),
        sid: None,
        acr: None,
        auth_time: None,
        tokens: Tokens {
            access_token: token("access"),
            access_token_expires_at: Some(Timestamp(9_000)),
            obtained_at: Some(Timestamp(1_000)),
            refresh_token,
            ..Tokens::default()
        },
    }
}

fn kept(refresh_token: &str) -> KeptLogin {
    KeptLogin::of(KEY, &session(token(refresh_token)), Timestamp(50_000))
}

fn secret(token: &Option<Secret<String>>) -> &str {
    token.as_ref().map_or("", |token| token.expose())
}

#[test]
fn a_kept_login_comes_back_from_its_bytes_without_an_access_token() {
    let back = KeptLogin::from_bytes(&kept("first").to_bytes()).expect("the bytes are a login");
    assert_eq!((back.session_key, back.until), (KEY, Timestamp(50_000)));
    assert_eq!(secret(&back.session.tokens.refresh_token), "marker-first");
    assert_eq!(back.session.tokens.access_token, None);
    assert_eq!(back.session.tokens.access_token_expires_at, None);
    assert!(!format!("{back:?}").contains("marker"));
    for bytes in [&b""[..], &[0; 39], &[0; 60]] {
        assert!(KeptLogin::from_bytes(bytes).is_none());
    }
}

#[test]
fn the_identity_providers_word_grows_old() {
    let asked_at = |kept: &KeptLogin, now| kept.is_to_be_asked(EVERY, Timestamp(now));
    let mut kept = kept("first");
    assert!(!asked_at(&kept, 1_899));
    assert!(asked_at(&kept, 1_900));
    kept.session.tokens.obtained_at = Some(Timestamp(3_000));
    assert!(!asked_at(&kept, 3_899) && asked_at(&kept, 3_900));
    // A clock that was set back: a little is a difference of clocks.
    assert!(!asked_at(&kept, 2_101) && asked_at(&kept, 2_100));
    // Whom nobody can be asked about.
    kept.session.tokens.refresh_token = None;
    assert!(!asked_at(&kept, 90_000));
}

/// A gateway that broke off between two writes has left the session with what was used up.
#[test]
fn the_kept_refresh_token_is_the_one_that_counts() {
    let before = session(token("used"));
    let continued = kept("next").continued(&before);
    assert_eq!(secret(&continued.tokens.refresh_token), "marker-next");
    assert_eq!(secret(&continued.tokens.access_token), "marker-access");
    assert_eq!(continued.identity, before.identity);
    let without = KeptLogin::of(KEY, &session(None), Timestamp(50_000));
    let continued = without.continued(&before);
    assert_eq!(secret(&continued.tokens.refresh_token), "marker-used");
}
