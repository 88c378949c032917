//! Tokens that come back: userinfo, introspection, revocation, logout.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::identity::ClaimPath;
use crate::jose::KeySet;
use crate::jose::verify;
use crate::oidc::scope::Scope;
use crate::openid_provider::access_token::OwnAccessToken;
use crate::openid_provider::clients::Client;
use crate::openid_provider::end_session;
use crate::openid_provider::end_session::EndSession;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::grants::RefreshLine;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::handle::RefreshKey;
use crate::openid_provider::handle::RefreshToken;
use crate::openid_provider::handle::token_id;
use crate::openid_provider::introspection;
use crate::openid_provider::issue::Issuer;
use crate::openid_provider::judge::Authentication;
use crate::openid_provider::revocation;
use crate::openid_provider::revocation::Revocation;
use crate::openid_provider::scope::Target;
use crate::openid_provider::settings::ClaimSource;
use crate::openid_provider::settings::CustomClaim;
use crate::openid_provider::settings::Placement;
use crate::openid_provider::subject::subject;
use crate::openid_provider::test_support::*;
use crate::openid_provider::userinfo;

use super::*;

fn grant() -> Grant {
    Grant {
        id: GrantId::from_random([1; 16]),
        client_id: "shop".to_owned(),
        scope: "openid email".to_owned(),
        resources: Vec::new(),
        claims: ClaimsRequest::parse(r#"{"userinfo":{"given_name":null}}"#).unwrap(),
        authentication: Authentication {
            subject: subject(&alice()),
            identity: alice(),
            auth_time: NOW,
            acr: None,
            amr: Vec::new(),
            sid: "sid-1".to_owned(),
        },
        refresh: Some(RefreshLine {
            key: RefreshKey::from_random([2; 32]),
            generation: 3,
            rotated_at: NOW,
            expires_at: NOW.after(Duration::from_secs(600)),
            ends_at: NOW.after(Duration::from_secs(6_000)),
        }),
        expires_at: NOW.after(Duration::from_secs(600)),
    }
}

/// An access token of `client`, of the user where there is a grant.
fn issued(client_id: &str, grant: Option<&Grant>, scope: &str, audience: &str) -> String {
    let settings = provider();
    let client = client(client_id);
    let issuer = Issuer {
        settings: &settings,
        client: &client,
        authentication: grant.map(|grant| &grant.authentication),
        now: NOW,
    };
    let target = Target {
        scope: Scope::parse(scope).unwrap(),
        audience: vec![audience.to_owned()],
    };
    let jti = grant.map_or_else(|| token_id([5; 16]), |grant| grant.id.token_id([5; 16]));
    let token = issuer.access_token(&target, &jti, &KEY).unwrap();
    token.expose().clone()
}

fn brought(text: &str, now: Timestamp) -> Result<OwnAccessToken, &'static str> {
    OwnAccessToken::verify(text, &provider(), &KEYS, now).map_err(|refusal| refusal.code.as_str())
}

fn of_alice(scope: &str) -> OwnAccessToken {
    brought(&issued("shop", Some(&grant()), scope, API), NOW).unwrap()
}

#[test]
fn an_access_token_of_ours_lives_to_its_last_second() {
    let text = issued("shop", Some(&grant()), "openid", API);
    let token = brought(&text, NOW).unwrap();
    assert_eq!(token.grant, Some(grant().id));
    assert_eq!(
        (token.client_id.as_str(), token.audience.as_slice()),
        ("shop", &[API.to_owned()][..])
    );
    let end = NOW.after(Duration::from_secs(3_600));
    assert!(brought(&text, Timestamp(end.0 - 1)).is_ok());
    assert_eq!(brought(&text, end).unwrap_err(), "invalid_token");
    assert_eq!(brought("x", NOW).unwrap_err(), "invalid_token");
    let of_machine = brought(&issued("shop", None, "orders.read", API), NOW).unwrap();
    assert_eq!(of_machine.grant, None);
    let no_keys = KeySet::default();
    assert!(OwnAccessToken::verify(&text, &provider(), &no_keys, NOW).is_err());
    let mut elsewhere = provider();
    elsewhere.issuer = "https://elsewhere.example".to_owned();
    assert!(OwnAccessToken::verify(&text, &elsewhere, &KEYS, NOW).is_err());
}

#[test]
fn core_5_3_userinfo_gives_the_claims_of_the_scope() {
    let answered = |scope| userinfo::answer(&of_alice(scope), Some(&grant()), &provider()).unwrap();
    let found = answered("openid email");
    assert_eq!(found.algorithm, None);
    let expected = json!({
        "email": "alice@example.com", "email_verified": true, "given_name": "Alice",
        "sub": subject(&alice()),
    });
    assert_eq!(Value::Object(found.claims), expected);
    assert!(!answered("openid").claims.contains_key("email"));
}

#[test]
fn core_5_3_2_a_signed_answer_says_who_signed_it_and_for_whom() {
    let mut settings = provider();
    let mut signed = client("shop");
    signed.userinfo_algorithm = Some(KEY.algorithm());
    settings.clients = [signed, client("other")].into_iter().collect();
    let found = userinfo::answer(&of_alice("openid email"), Some(&grant()), &settings).unwrap();
    assert_eq!(found.algorithm, Some(KEY.algorithm()));
    let text = found.signed(&KEY).unwrap();
    let payload = text.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let expected = json!({
        "email": "alice@example.com", "email_verified": true, "given_name": "Alice",
        "sub": subject(&alice()), "iss": ISSUER, "aud": "shop",
    });
    assert_eq!(claims, expected);
    // It is neither an access token nor an ID token, although we have signed it.
    assert_eq!(brought(&text, NOW).unwrap_err(), "invalid_token");
    let policy = authorize::hint_policy(&settings, Some("shop"));
    assert!(verify(&policy, &text, &KEYS, NOW).is_err());
}

#[test]
fn core_5_3_userinfo_asks_for_openid_and_a_living_grant() {
    let code =
        |token: &OwnAccessToken, grant: Option<&Grant>, settings: &OpenIdProviderSettings| {
            let refused = userinfo::answer(token, grant, settings).unwrap_err();
            refused.code.as_str()
        };
    let token = of_alice("openid");
    assert_eq!(
        code(&of_alice("email"), Some(&grant()), &provider()),
        "insufficient_scope"
    );
    // A token of the client itself, which is good for much, but speaks of nobody.
    let of_machine = brought(&issued("shop", None, "orders.read", API), NOW).unwrap();
    assert_eq!(code(&of_machine, None, &provider()), "insufficient_scope");
    assert_eq!(code(&token, None, &provider()), "invalid_token");
    let other = Grant {
        id: GrantId::from_random([9; 16]),
        ..grant()
    };
    assert_eq!(code(&token, Some(&other), &provider()), "invalid_token");
    let foreign = Grant {
        client_id: "other".to_owned(),
        ..grant()
    };
    assert_eq!(code(&token, Some(&foreign), &provider()), "invalid_token");
    let mut without = provider();
    without.clients = [client("other")].into_iter().collect();
    assert_eq!(code(&token, Some(&grant()), &without), "invalid_token");
    let machine = brought(&issued("shop", None, "openid", API), NOW).unwrap();
    assert_eq!(code(&machine, Some(&grant()), &provider()), "invalid_token");
}

#[test]
fn rfc7662_2_2_who_learns_about_a_token() {
    let token = of_alice("openid email");
    let active = |asking: &Client, grant: Option<&Grant>| {
        introspection::access_token(asking, &token, grant, &provider())
    };
    let answer = active(&client("shop"), Some(&grant()));
    assert_eq!(answer["active"], json!(true));
    assert_eq!(answer["scope"], "openid email");
    assert_eq!(
        (&answer["aud"], &answer["username"]),
        (&json!(API), &json!("alice"))
    );
    assert_eq!(answer["sub"], subject(&alice()));
    let mut api = client("api");
    assert_eq!(active(&api, Some(&grant())), json!({"active": false}));
    api.introspects = vec![API.to_owned()];
    assert_eq!(active(&api, Some(&grant()))["active"], json!(true));
    api.introspects = vec![BILLING.to_owned()];
    assert_eq!(active(&api, Some(&grant())), json!({"active": false}));
    assert_eq!(active(&client(API), Some(&grant()))["active"], json!(true));
    // Without its grant the token was revoked.
    assert_eq!(active(&client("shop"), None), json!({"active": false}));
}

#[test]
fn introspection_shows_what_was_put_there() {
    let mut settings = provider();
    settings.claims = vec![CustomClaim {
        name: "department".to_owned(),
        from: ClaimSource::Path(ClaimPath::parse("department").unwrap()),
        placements: vec![Placement::Introspection],
        clients: None,
    }];
    let token = of_alice("openid");
    let answer = introspection::access_token(&client("shop"), &token, Some(&grant()), &settings);
    assert_eq!(answer["department"], "it");
    settings.clients = [client("other")].into_iter().collect();
    let answer = introspection::access_token(&client("shop"), &token, Some(&grant()), &settings);
    assert_eq!(answer, json!({"active": false}));
}

#[test]
fn rfc7662_2_1_a_refresh_token_is_its_client_s_matter() {
    let ask = |id: &str, generation, now| {
        introspection::refresh_token(&client(id), &grant(), generation, now)["active"].clone()
    };
    assert_eq!(ask("shop", 3, NOW), json!(true));
    assert_eq!(ask("other", 3, NOW), json!(false));
    assert_eq!(ask("shop", 2, NOW), json!(false));
    assert_eq!(
        ask("shop", 3, NOW.after(Duration::from_secs(600))),
        json!(false)
    );
}

#[test]
fn rfc7009_2_1_a_client_revokes_what_is_its_own() {
    let grant = grant();
    let genuine = RefreshToken::parse(grant.refresh_token().unwrap().expose()).unwrap();
    let used = RefreshKey::from_random([2; 32]).token(&grant.id, 1);
    let used = RefreshToken::parse(used.expose()).unwrap();
    let forged = RefreshKey::from_random([7; 32]).token(&grant.id, 3);
    let forged = RefreshToken::parse(forged.expose()).unwrap();
    let revoke = |id: &str, token| revocation::refresh_token(&client(id), token, &grant);
    assert_eq!(
        revoke("shop", &genuine),
        Revocation::EndGrant(grant.id.clone())
    );
    assert_eq!(
        revoke("shop", &used),
        Revocation::EndGrant(grant.id.clone())
    );
    assert_eq!(revoke("other", &genuine), Revocation::Nothing);
    assert_eq!(revoke("shop", &forged), Revocation::Nothing);
    let token = of_alice("openid");
    let denied = Revocation::Deny {
        jti: token.jti.clone(),
        until: token.expires_at,
    };
    assert_eq!(revocation::access_token(&client("shop"), &token), denied);
    assert_eq!(
        revocation::access_token(&client("other"), &token),
        Revocation::Nothing
    );
}

fn hint(audience: &str, more: Value) -> String {
    let mut claims = object(json!({
        "iss": ISSUER, "aud": audience, "sub": "alice", "iat": NOW.0 - 7_200, "exp": NOW.0 - 3_600,
    }));
    claims.extend(object(more));
    KEY.sign("JWT", &claims).unwrap()
}

fn logout(form: &str) -> Result<EndSession, Refusal> {
    let parameters = Parameters::parse(form.as_bytes()).unwrap();
    end_session::parse(&parameters, &provider(), &KEYS, NOW)
}

const HOME: &str = "https://shop.example.com/";

#[test]
fn rp_initiated_logout_2_the_browser_goes_where_the_client_registered() {
    let hint = hint("shop", json!({"sid": "sid-1"}));
    let to = |form: String| logout(&form).map(|found| found.destination);
    let home = Some(HOME.to_owned());
    let with_hint = format!("id_token_hint={hint}&post_logout_redirect_uri={HOME}");
    assert_eq!(to(with_hint.clone()), Ok(home.clone()));
    assert_eq!(
        to(format!("client_id=shop&post_logout_redirect_uri={HOME}")),
        Ok(home.clone())
    );
    assert_eq!(to(format!("{with_hint}&client_id=shop")), Ok(home));
    assert_eq!(
        to(format!("{with_hint}&state=a%26b")),
        Ok(Some(format!("{HOME}?state=a%26b")))
    );
    assert_eq!(to(String::new()), Ok(None));
    for form in [
        format!("post_logout_redirect_uri={HOME}"),
        format!("id_token_hint={hint}&post_logout_redirect_uri={HOME}x"),
        format!("id_token_hint={hint}&post_logout_redirect_uri=https://evil.example/"),
        format!("client_id=nobody&post_logout_redirect_uri={HOME}"),
        format!("{with_hint}&client_id=other"),
        format!("{with_hint}&post_logout_redirect_uri={HOME}"),
        format!("id_token_hint=x&post_logout_redirect_uri={HOME}"),
        format!("{with_hint}&state={}", "x".repeat(5_000)),
    ] {
        let refusal = to(form.clone()).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidRequest, "{form}");
    }
}

#[test]
fn rp_initiated_logout_6_without_a_fitting_hint_the_user_is_asked() {
    let needs = |form: &str| logout(form).unwrap().needs_confirmation("alice", "sid-1");
    assert!(needs(""));
    assert!(needs("client_id=shop"));
    assert!(!needs(&format!(
        "id_token_hint={}",
        hint("shop", json!({"sid": "sid-1"}))
    )));
    assert!(!needs(&format!(
        "id_token_hint={}",
        hint("shop", json!({}))
    )));
    assert!(needs(&format!(
        "id_token_hint={}",
        hint("shop", json!({"sid": "sid-2"}))
    )));
    assert!(needs(&format!(
        "id_token_hint={}",
        hint("shop", json!({"sub": "bob"}))
    )));
}
