//! Requests against sessions.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::openid_provider::authorize;
use crate::openid_provider::authorize::Way;
use crate::openid_provider::parameters::Parameters;
use crate::openid_provider::test_support::*;

/// When the request was first seen.
const ASKED: Timestamp = Timestamp(NOW.0 - 10);

fn request(more: &str) -> AuthorizationRequest {
    let text = format!(
        "client_id=shop&redirect_uri={CALLBACK}&response_type=code&scope=openid\
         &code_challenge={CHALLENGE}&code_challenge_method=S256{more}"
    );
    let parameters = Parameters::parse(text.as_bytes()).unwrap();
    authorize::parse(&parameters, Way::Browser, &provider(), &KEYS, NOW).unwrap()
}

/// A session whose user logged in so many seconds ago, by a login of the kind `acr`.
fn verdict(more: &str, seconds_ago: Option<i64>, acr: Option<&str>) -> String {
    let identity = alice();
    let login = seconds_ago.map(|ago| LoginState {
        identity: &identity,
        auth_time: Timestamp(NOW.0 - ago),
        logged_in_at: Timestamp(NOW.0 - ago),
        acr,
        amr: &[],
        sid: "sid-1",
    });
    word(&judge(&request(more), login, Some(ASKED), &provider(), NOW))
}

fn word(judgement: &Judgement) -> String {
    match judgement {
        Judgement::NeedLogin(wish) => match (wish.again, wish.select_account) {
            (false, false) => "login".to_owned(),
            (true, false) => "again".to_owned(),
            (false, true) => "select".to_owned(),
            (true, true) => "again, select".to_owned(),
        },
        Judgement::Refuse(refusal) => refusal.code.as_str().to_owned(),
        Judgement::Grant(_) => "grant".to_owned(),
    }
}

/// Five seconds ago is after the request was first seen: a login that was made for it.
const FOR_IT: Option<i64> = Some(5);
/// A session that was there before.
const BEFORE: Option<i64> = Some(3_600);

#[test]
fn core_3_1_2_3_prompt() {
    for (prompt, login, expected) in [
        ("", None, "login"),
        ("", BEFORE, "grant"),
        ("&prompt=none", None, "login_required"),
        ("&prompt=none", BEFORE, "grant"),
        ("&prompt=login", None, "login"),
        ("&prompt=login", BEFORE, "again"),
        ("&prompt=login", FOR_IT, "grant"),
        ("&prompt=select_account", BEFORE, "select"),
        ("&prompt=select_account", FOR_IT, "grant"),
        ("&prompt=login+select_account", BEFORE, "again, select"),
        ("&prompt=consent", BEFORE, "grant"),
        ("&prompt=consent", None, "login"),
    ] {
        assert_eq!(verdict(prompt, login, None), expected, "{prompt} {login:?}");
    }
}

#[test]
fn core_3_1_2_1_max_age() {
    for (more, login, expected) in [
        ("&max_age=3600", BEFORE, "grant"),
        ("&max_age=3599", BEFORE, "again"),
        ("&max_age=0", FOR_IT, "grant"),
        ("&max_age=0", Some(11), "again"),
        ("&max_age=3599&prompt=none", BEFORE, "login_required"),
    ] {
        assert_eq!(verdict(more, login, None), expected, "{more} {login:?}");
    }
}

#[test]
fn a_provider_that_does_not_ask_again_ends_in_an_error() {
    let identity = alice();
    // The login for this request ended just now; when the user typed a password is another matter.
    let verdict = |more: &str, seconds_before: i64| {
        let login = LoginState {
            identity: &identity,
            auth_time: Timestamp(ASKED.0 - seconds_before),
            logged_in_at: NOW,
            acr: None,
            amr: &[],
            sid: "sid-1",
        };
        word(&judge(
            &request(more),
            Some(login),
            Some(ASKED),
            &provider(),
            NOW,
        ))
    };
    assert_eq!(verdict("&max_age=60", 3_600), "login_required");
    assert_eq!(verdict("&max_age=7200", 3_600), "grant");
    assert_eq!(verdict("&prompt=login", 3_600), "login_required");
    assert_eq!(verdict("&prompt=select_account", 3_600), "grant");
    // Clocks differ a little.
    for more in ["&max_age=0", "&prompt=login"] {
        assert_eq!(verdict(more, 60), "grant");
        assert_eq!(verdict(more, 61), "login_required");
    }
}

#[test]
fn core_3_1_2_2_the_user_who_is_asked_for() {
    let hint = |subject: &str| {
        let claims = json!({
            "iss": ISSUER, "aud": "shop", "sub": subject, "iat": NOW.0, "exp": NOW.0 + 60,
        });
        format!(
            "&id_token_hint={}",
            KEY.sign("JWT", &object(claims)).unwrap()
        )
    };
    let value =
        |subject: &str| format!(r#"&claims={{"id_token":{{"sub":{{"value":"{subject}"}}}}}}"#);
    let own = subject(&alice());
    for ask in [hint(&own), value(&own)] {
        assert_eq!(verdict(&ask, BEFORE, None), "grant");
    }
    for ask in [hint("somebody-else"), value("somebody-else")] {
        assert_eq!(verdict(&ask, BEFORE, None), "again");
        assert_eq!(verdict(&ask, FOR_IT, None), "login_required");
        let silent = format!("{ask}&prompt=none");
        assert_eq!(verdict(&silent, BEFORE, None), "login_required");
    }
}

#[test]
fn core_5_5_1_1_a_wished_acr_and_an_essential_one() {
    let essential = r#"&claims={"id_token":{"acr":{"essential":true,"values":["gold"]}}}"#;
    let any = r#"&claims={"id_token":{"acr":{"essential":true}}}"#;
    let silent = format!("{essential}&prompt=none");
    for (more, login, acr, expected) in [
        ("&acr_values=gold", BEFORE, Some("gold"), "grant"),
        ("&acr_values=gold", BEFORE, Some("silver"), "again"),
        ("&acr_values=gold+silver", BEFORE, Some("silver"), "grant"),
        ("&acr_values=gold", FOR_IT, Some("silver"), "grant"),
        ("&acr_values=gold&prompt=none", BEFORE, None, "grant"),
        (essential, BEFORE, Some("gold"), "grant"),
        (essential, BEFORE, Some("silver"), "again"),
        (
            essential,
            FOR_IT,
            Some("silver"),
            "unmet_authentication_requirements",
        ),
        (essential, FOR_IT, None, "unmet_authentication_requirements"),
        (&silent, BEFORE, Some("silver"), "interaction_required"),
        (any, BEFORE, Some("silver"), "grant"),
        (any, FOR_IT, None, "unmet_authentication_requirements"),
    ] {
        assert_eq!(
            verdict(more, login, acr),
            expected,
            "{more} {login:?} {acr:?}"
        );
    }
}

#[test]
fn a_session_from_elsewhere_is_none() {
    let mut identity = alice();
    identity.identity_provider = "partner".to_owned();
    let login = |ago: i64| LoginState {
        identity: &identity,
        auth_time: Timestamp(NOW.0 - ago),
        logged_in_at: Timestamp(NOW.0 - ago),
        acr: None,
        amr: &[],
        sid: "sid-1",
    };
    let verdict = |ago, more: &str| {
        word(&judge(
            &request(more),
            Some(login(ago)),
            Some(ASKED),
            &provider(),
            NOW,
        ))
    };
    assert_eq!(verdict(60, ""), "login");
    assert_eq!(verdict(5, ""), "login_required");
    assert_eq!(verdict(60, "&prompt=none"), "login_required");
}

/// Times are whole seconds, and an application asks for more as soon as it has seen a login.
#[test]
fn a_login_of_the_same_second_was_not_made_for_a_new_request() {
    let identity = alice();
    let verdict = |more: &str, asked_at| {
        let login = LoginState {
            identity: &identity,
            auth_time: NOW,
            logged_in_at: NOW,
            acr: None,
            amr: &[],
            sid: "sid-1",
        };
        word(&judge(
            &request(more),
            Some(login),
            asked_at,
            &provider(),
            NOW,
        ))
    };
    let essential = "&claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22essential%22%3Atrue%2C\
                     %22value%22%3A%22gold%22%7D%7D%7D";
    for (more, new, back) in [
        ("", "grant", "grant"),
        ("&max_age=0", "grant", "grant"),
        ("&prompt=login", "again", "grant"),
        ("&prompt=select_account", "select", "grant"),
        ("&acr_values=gold", "again", "grant"),
        (essential, "again", "unmet_authentication_requirements"),
    ] {
        assert_eq!(verdict(more, None), new, "{more}");
        assert_eq!(verdict(more, Some(NOW)), back, "{more}");
    }
}

#[test]
fn the_authentication_says_what_is_known() {
    let identity = alice();
    let login = LoginState {
        identity: &identity,
        auth_time: NOW,
        logged_in_at: NOW,
        acr: Some("gold"),
        amr: &["pwd".to_owned()],
        sid: "sid-1",
    };
    let Judgement::Grant(found) = judge(&request(""), Some(login), Some(ASKED), &provider(), NOW)
    else {
        panic!("it is granted")
    };
    assert_eq!(found.subject, subject(&identity));
    assert_eq!(
        (found.acr.as_deref(), found.sid.as_str()),
        (Some("gold"), "sid-1")
    );
    assert_eq!(found.auth_time.since(NOW), Duration::ZERO);
}
