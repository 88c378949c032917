//! Who is asked, about what, and what counts as agreed to.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::sync::Arc;

use super::*;
use crate::openid_provider::authorize;
use crate::openid_provider::authorize::Way;
use crate::openid_provider::clients::ClientAuthentication;
use crate::openid_provider::parameters::Parameters;
use crate::openid_provider::secret_hash::SecretHash;
use crate::openid_provider::test_support::*;

fn request(mode: ConsentMode, scope: &str, more: &str) -> AuthorizationRequest {
    let text = format!(
        "client_id=shop&redirect_uri={CALLBACK}&response_type=code&scope={scope}\
         &code_challenge={CHALLENGE}&code_challenge_method=S256{more}"
    );
    let parameters = Parameters::parse(text.as_bytes()).unwrap();
    let mut request = authorize::parse(&parameters, Way::Browser, &provider(), &KEYS, NOW).unwrap();
    let mut client = client("shop");
    client.consent = mode;
    request.client = Arc::new(client);
    request
}

fn explicit(scope: &str, more: &str) -> AuthorizationRequest {
    request(ConsentMode::Explicit, scope, more)
}

fn before(scope: &str) -> GivenConsent {
    GivenConsent {
        scope: scope.to_owned(),
        given_at: NOW,
    }
}

/// The verdict for alice, in a word and the scope.
fn verdict(request: &AuthorizationRequest, known: Known<'_>) -> String {
    word(judge(request, &alice(), known, &provider()))
}

fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass(scope) => format!("pass: {scope}"),
        Verdict::Ask(scope) => format!("ask: {scope}"),
        Verdict::Refuse(refusal) => refusal.code.as_str().to_owned(),
    }
}

#[test]
fn core_3_1_2_4_an_explicit_client_is_asked_about_once() {
    for (agreed, asked, expected) in [
        (None, "openid", "ask: openid"),
        (Some("openid"), "openid", "pass: openid"),
        (Some("openid email"), "openid", "pass: openid"),
        (Some("openid email"), "email+openid", "pass: email openid"),
        (Some("openid"), "openid+email", "ask: openid email"),
        (Some("email"), "openid", "ask: openid"),
        (Some("openid Email"), "openid+email", "ask: openid email"),
        // What cannot be read was never said.
        (Some("openid \"email"), "openid", "ask: openid"),
    ] {
        let agreed = agreed.map(before);
        let found = verdict(&explicit(asked, ""), Known::Before(agreed.as_ref()));
        assert_eq!(found, expected, "{agreed:?} {asked}");
    }
}

#[test]
fn an_implicit_client_is_not_asked_about() {
    let request = |more| request(ConsentMode::Implicit, "openid+editor", more);
    for more in ["", "&prompt=none", "&prompt=login"] {
        let found = verdict(&request(more), Known::Before(None));
        assert_eq!(found, "pass: openid editor", "{more}");
    }
    assert!(!is_remembered_for(&request("")));
    assert!(is_remembered_for(&explicit("openid", "")));
}

/// Whoever can take the port or the scheme can take the name too.
#[test]
fn rfc8252_8_6_what_another_app_could_ask_for_is_asked_about_every_time() {
    let agreed = before("openid");
    let native = |redirect_uri: &str, change: fn(&mut Client)| {
        let mut request = explicit("openid", "");
        let mut client = Client::clone(&request.client);
        client.application_type = ApplicationType::Native;
        client.authentication = ClientAuthentication::None;
        change(&mut client);
        request.client = Arc::new(client);
        request.address.redirect_uri = redirect_uri.to_owned();
        request
    };
    for uri in [
        "http://127.0.0.1:4711/callback",
        "com.example.field:/callback",
    ] {
        let request = native(uri, |_| ());
        let known = Known::Before(Some(&agreed));
        assert_eq!(verdict(&request, known), "ask: openid", "{uri}");
        assert!(!is_kept_for(&request) && !is_remembered_for(&request));
        let now = Scope::parse("openid").unwrap();
        assert_eq!(verdict(&request, Known::Now(&now)), "pass: openid");
        // One that proves who it is, and one that is a page in a browser.
        for change in [
            |client: &mut Client| {
                client.authentication = ClientAuthentication::SecretBasic(SecretHash::of("s3cret"));
            },
            |client: &mut Client| client.application_type = ApplicationType::Web,
        ] {
            let request = native(uri, change);
            assert_eq!(verdict(&request, known), "pass: openid", "{uri}");
            assert!(is_kept_for(&request));
        }
    }
    // The system knows whose app an https address belongs to.
    let request = native("https://field.example.com/callback", |_| ());
    assert_eq!(
        verdict(&request, Known::Before(Some(&agreed))),
        "pass: openid"
    );
}

#[test]
fn core_3_1_2_1_prompt_consent_always_asks() {
    let agreed = before("openid");
    for mode in [ConsentMode::Implicit, ConsentMode::Explicit] {
        let request = request(mode, "openid", "&prompt=consent");
        let known = Known::Before(Some(&agreed));
        assert_eq!(verdict(&request, known), "ask: openid", "{mode:?}");
        assert!(!is_remembered_for(&request));
        let now = Scope::parse("openid").unwrap();
        assert_eq!(verdict(&request, Known::Now(&now)), "pass: openid");
    }
}

#[test]
fn core_3_1_2_6_prompt_none_never_asks() {
    let request = explicit("openid+email", "&prompt=none");
    for (agreed, expected) in [
        (None, "consent_required"),
        (Some("openid"), "consent_required"),
        (Some("openid email"), "pass: openid email"),
    ] {
        let agreed = agreed.map(before);
        let found = verdict(&request, Known::Before(agreed.as_ref()));
        assert_eq!(found, expected, "{agreed:?}");
    }
}

#[test]
fn nobody_agrees_to_more_than_was_shown() {
    let request = explicit("openid+email", "");
    let now = |scope: &str| verdict(&request, Known::Now(&Scope::parse(scope).unwrap()));
    assert_eq!(now("openid email"), "pass: openid email");
    assert_eq!(now("openid email profile"), "pass: openid email");
    assert_eq!(now("openid"), "ask: openid email");
}

/// A role is asked about only where the user has it, and comes with no later token unasked.
#[test]
fn a_role_that_the_user_does_not_have_is_neither_asked_about_nor_passed() {
    let request = explicit("openid+editor", "");
    let mut reader = alice();
    reader.groups.clear();
    let judge = |identity: &Identity, known| word(judge(&request, identity, known, &provider()));
    assert_eq!(judge(&alice(), Known::Before(None)), "ask: openid editor");
    assert_eq!(judge(&reader, Known::Before(None)), "ask: openid");
    let agreed = before("openid");
    let known = Known::Before(Some(&agreed));
    assert_eq!(judge(&reader, known), "pass: openid");
    assert_eq!(judge(&alice(), known), "ask: openid editor");
}

/// The `claims` parameter is no way around the question.
#[test]
fn core_5_5_single_claims_are_asked_about_too() {
    let claims = |place: &str, name: &str| format!("&claims={{\"{place}\":{{\"{name}\":null}}}}");
    let agreed = before("openid");
    for place in ["userinfo", "id_token"] {
        let request = explicit("openid", &claims(place, "email_verified"));
        let found = verdict(&request, Known::Before(Some(&agreed)));
        assert_eq!(found, "ask: openid email", "{place}");
        // What is given is the claim, and not the whole scope.
        let shown = Scope::parse("openid email").unwrap();
        assert_eq!(verdict(&request, Known::Now(&shown)), "pass: openid");
    }
    // The client is not registered for it and does not get it.
    let request = explicit("openid", &claims("userinfo", "phone_number"));
    let found = verdict(&request, Known::Before(Some(&agreed)));
    assert_eq!(found, "pass: openid");
}

#[test]
fn answers_add_up_as_far_as_the_client_is_registered() {
    let mut client = client("shop");
    let shown = Scope::parse("openid profile").unwrap();
    let agreed = before("openid email");
    let all = given(Some(&agreed), &shown, &client, NOW);
    assert_eq!(all.scope, "openid email profile");
    client.scopes = Scope::parse("openid profile").unwrap();
    let all = given(Some(&agreed), &shown, &client, NOW);
    assert_eq!(all.scope, "openid profile");
    assert_eq!(given(None, &shown, &client, NOW).scope, "openid profile");
}

#[test]
fn every_scope_has_words() {
    let mut settings = provider();
    for value in crate::openid_provider::settings::STANDARD_SCOPES {
        assert!(words(value, &settings).contains(' '), "{value}");
    }
    assert_eq!(words("orders.read", &settings), "orders.read");
    let orders = settings.scopes.get_mut("orders.read").unwrap();
    orders.description = Some("See your orders".to_owned());
    assert_eq!(words("orders.read", &settings), "See your orders");
    assert_eq!(words("gone", &settings), "gone");
}
