//! Codes, refresh tokens and machines: each accepted exchange and the nearest refused ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::sync::Arc;
use std::time::Duration;

use crate::identity::Identity;
use crate::oidc::scope::Scope;
use crate::openid_provider::grants::authorization_code;
use crate::openid_provider::grants::authorization_code::Redemption;
use crate::openid_provider::grants::authorization_code::StoredCode;
use crate::openid_provider::grants::refresh_token;
use crate::openid_provider::grants::refresh_token::RETRY_WINDOW;
use crate::openid_provider::grants::refresh_token::Rotation;
use crate::openid_provider::settings::Login;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::subject::subject;
use crate::openid_provider::test_support::*;

use super::*;

mod machines;
mod users;

fn seconds(count: u64) -> Timestamp {
    NOW.after(Duration::from_secs(count))
}

fn stored(scope: &str) -> StoredCode {
    StoredCode {
        client_id: "shop".to_owned(),
        redirect_uri: CALLBACK.to_owned(),
        code_challenge: Some(CHALLENGE.to_owned()),
        nonce: Some("n0nce".to_owned()),
        scope: scope.to_owned(),
        resources: Vec::new(),
        claims: ClaimsRequest::default(),
        authentication: Authentication {
            subject: subject(&alice()),
            identity: alice(),
            auth_time: NOW,
            acr: None,
            amr: Vec::new(),
            sid: "sid-1".to_owned(),
        },
        grant_id: GrantId::from_random([1; 16]),
        expires_at: seconds(60),
        kept_until: seconds(600),
        is_used: false,
    }
}

/// How a request for the code of [`stored`] differs from the right one.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    client: &'a str,
    redirect_uri: &'a str,
    verifier: &'a str,
    resource: Option<&'a str>,
    at: Timestamp,
}

const RIGHT: Attempt<'_> = Attempt {
    client: "shop",
    redirect_uri: CALLBACK,
    verifier: VERIFIER,
    resource: None,
    at: NOW,
};

fn redeem(stored: &StoredCode, attempt: Attempt<'_>) -> Result<Redemption, GrantRefusal> {
    let resources: Vec<String> = attempt.resource.iter().map(|r| (*r).to_owned()).collect();
    authorization_code::redeem(
        stored,
        authorization_code::Presented {
            redirect_uri: attempt.redirect_uri,
            code_verifier: Some(&CodeVerifier::parse(attempt.verifier).unwrap()),
            resources: &resources,
        },
        &client(attempt.client),
        Some(&alice()),
        &provider(),
        RefreshKey::from_random([2; 32]),
        attempt.at,
    )
}

fn code_of<T: std::fmt::Debug>(result: Result<T, GrantRefusal>) -> (&'static str, Consequence) {
    let refused = result.unwrap_err();
    (refused.refusal.code.as_str(), refused.consequence)
}

#[test]
fn rfc6749_4_1_3_a_code_gives_what_was_asked_for() {
    let redeemed = redeem(&stored("openid editor offline_access"), RIGHT).unwrap();
    assert!(redeemed.used.is_used);
    let issuance = &redeemed.issuance;
    assert_eq!(
        issuance.target.scope.to_string(),
        "openid editor offline_access"
    );
    assert_eq!(issuance.target.audience, ["shop"]);
    assert_eq!(issuance.nonce.as_deref(), Some("n0nce"));
    assert!(issuance.has_id_token);
    assert_eq!(redeemed.grant.id, stored("").grant_id);
    assert!(redeemed.grant.refresh_token().is_some());
    assert_eq!(redeemed.grant.expires_at, seconds(15 * 24 * 3_600));
}

#[test]
fn core_11_no_refresh_token_without_offline_access() {
    let redeemed = redeem(&stored("openid"), RIGHT).unwrap();
    assert!(redeemed.grant.refresh_token().is_none());
    assert!(!redeemed.grant.is_offline());
    assert_eq!(redeemed.grant.expires_at, seconds(3_600));
}

#[test]
fn rfc6749_4_1_3_a_code_is_bound() {
    let code = stored("openid");
    let other_verifier = "a".repeat(43);
    for attempt in [
        Attempt {
            client: "other",
            ..RIGHT
        },
        Attempt {
            redirect_uri: "https://shop.example.com/callback/",
            ..RIGHT
        },
        Attempt {
            verifier: &other_verifier,
            ..RIGHT
        },
        Attempt {
            verifier: CHALLENGE,
            ..RIGHT
        },
        Attempt {
            at: seconds(60),
            ..RIGHT
        },
    ] {
        let found = code_of(redeem(&code, attempt));
        assert_eq!(found, ("invalid_grant", Consequence::None));
    }
    assert!(
        redeem(
            &code,
            Attempt {
                at: seconds(59),
                ..RIGHT
            }
        )
        .is_ok()
    );
}

#[test]
fn rfc6749_4_1_2_a_code_used_twice_ends_what_it_gave() {
    let used = redeem(&stored("openid"), RIGHT).unwrap().used;
    let late = Attempt {
        at: seconds(3_600),
        ..RIGHT
    };
    let wrong = Attempt {
        client: "other",
        ..RIGHT
    };
    for attempt in [RIGHT, late, wrong] {
        assert_eq!(
            code_of(redeem(&used, attempt)),
            ("invalid_grant", Consequence::EndGrant)
        );
    }
}

#[test]
fn rfc8707_2_2_the_resource_of_a_token_was_asked_for() {
    let both = stored("openid orders.read invoices.read");
    let narrow = |code: &StoredCode, resource| {
        redeem(
            code,
            Attempt {
                resource: Some(resource),
                ..RIGHT
            },
        )
        .map(|redeemed| redeemed.issuance.target.audience)
    };
    assert_eq!(narrow(&both, API).unwrap(), [API]);
    let one = StoredCode {
        resources: vec![BILLING.to_owned()],
        ..both.clone()
    };
    assert_eq!(narrow(&one, BILLING).unwrap(), [BILLING]);
    assert_eq!(
        redeem(&one, RIGHT).unwrap().issuance.target.audience,
        [BILLING]
    );
    assert_eq!(code_of(narrow(&one, API)).0, "invalid_target");
    assert_eq!(
        code_of(narrow(&both, "https://elsewhere.example")).0,
        "invalid_target"
    );
}

#[test]
fn a_code_survives_storage() {
    let code = stored("openid offline_access");
    let text = serde_json::to_string(&code).unwrap();
    assert_eq!(serde_json::from_str::<StoredCode>(&text).unwrap(), code);
    let grant = grant();
    let text = serde_json::to_string(&grant).unwrap();
    assert_eq!(serde_json::from_str::<Grant>(&text).unwrap(), grant);
}

fn grant() -> Grant {
    redeem(&stored("openid editor offline_access"), RIGHT)
        .unwrap()
        .grant
}

fn valid_token(grant: &Grant) -> RefreshToken {
    RefreshToken::parse(grant.refresh_token().unwrap().expose()).unwrap()
}

struct Use<'a> {
    client: &'a str,
    scope: Option<&'a str>,
    identity: Option<Identity>,
    settings: OpenIdProviderSettings,
    at: Timestamp,
}

fn ordinary() -> Use<'static> {
    Use {
        client: "shop",
        scope: None,
        identity: Some(alice()),
        settings: provider(),
        at: NOW,
    }
}

fn refresh(grant: &Grant, token: &RefreshToken, usage: Use<'_>) -> Result<Rotation, GrantRefusal> {
    let scope = usage.scope.map(|text| Scope::parse(text).unwrap());
    refresh_token::redeem(
        grant,
        refresh_token::Presented {
            token,
            scope: scope.as_ref(),
            resources: &[],
        },
        &client(usage.client),
        usage.identity.as_ref(),
        &usage.settings,
        usage.at,
    )
}

fn refresh_at(
    grant: &Grant,
    token: &RefreshToken,
    at: Timestamp,
) -> Result<Rotation, GrantRefusal> {
    refresh(grant, token, Use { at, ..ordinary() })
}

#[test]
fn rfc9700_4_14_2_a_refresh_token_is_rotated_and_its_reuse_ends_the_line() {
    let first = grant();
    let old = valid_token(&first);
    let second = refresh_at(&first, &old, NOW).unwrap();
    assert!(!second.is_retry);
    let new = valid_token(&second.grant);
    assert_ne!(new.generation, old.generation);
    let third = refresh_at(&second.grant, &new, seconds(20)).unwrap();
    for (token, at) in [
        (&old, seconds(20)),
        (&old, seconds(3_000)),
        (&new, seconds(30)),
    ] {
        let found = code_of(refresh_at(&third.grant, token, at));
        assert_eq!(found, ("invalid_grant", Consequence::EndGrant));
    }
}

#[test]
fn a_retry_within_the_window_gets_the_same_successor() {
    let first = grant();
    let old = valid_token(&first);
    let rotated = refresh_at(&first, &old, NOW).unwrap().grant;
    let last = Timestamp(NOW.after(RETRY_WINDOW).0 - 1);
    let retry = refresh_at(&rotated, &old, last).unwrap();
    assert!(retry.is_retry);
    assert_eq!(retry.grant.refresh_token(), rotated.refresh_token());
    let late = refresh_at(&rotated, &old, NOW.after(RETRY_WINDOW));
    assert_eq!(code_of(late), ("invalid_grant", Consequence::EndGrant));
}

#[test]
fn a_forged_token_ends_nothing() {
    let grant = grant();
    let other = Grant {
        refresh: grant.refresh.clone().map(|line| RefreshLine {
            key: RefreshKey::from_random([9; 32]),
            ..line
        }),
        ..grant.clone()
    };
    let forged = valid_token(&other);
    assert_eq!(
        code_of(refresh_at(&grant, &forged, NOW)),
        ("invalid_grant", Consequence::None)
    );
    let without_line = Grant {
        refresh: None,
        ..grant.clone()
    };
    let genuine = valid_token(&grant);
    assert_eq!(
        code_of(refresh_at(&without_line, &genuine, NOW)),
        ("invalid_grant", Consequence::None)
    );
}

#[test]
fn rfc6749_6_a_refresh_token_is_bound_to_its_client() {
    let grant = grant();
    let found = refresh(
        &grant,
        &valid_token(&grant),
        Use {
            client: "other",
            ..ordinary()
        },
    );
    assert_eq!(code_of(found), ("invalid_grant", Consequence::EndGrant));
}

#[test]
fn rfc6749_6_the_scope_gets_narrower_and_never_wider() {
    let grant = grant();
    let with = |scope| {
        refresh(
            &grant,
            &valid_token(&grant),
            Use {
                scope: Some(scope),
                ..ordinary()
            },
        )
    };
    let narrow = with("openid").unwrap();
    assert_eq!(narrow.issuance.target.scope.to_string(), "openid");
    // The next refresh may ask for everything again.
    assert_eq!(narrow.grant.scope, grant.scope);
    assert!(!with("editor").unwrap().issuance.has_id_token);
    assert_eq!(
        code_of(with("openid profile")),
        ("invalid_scope", Consequence::None)
    );
}

#[test]
fn what_the_user_lost_is_lost_at_the_next_refresh() {
    let grant = grant();
    let token = valid_token(&grant);
    let mut demoted = alice();
    demoted.groups.clear();
    let usage = Use {
        identity: Some(demoted.clone()),
        ..ordinary()
    };
    let rotation = refresh(&grant, &token, usage).unwrap();
    assert_eq!(
        rotation.issuance.target.scope.to_string(),
        "openid offline_access"
    );
    assert_eq!(rotation.grant.authentication.identity, demoted);
    let gone = refresh(
        &grant,
        &token,
        Use {
            identity: None,
            ..ordinary()
        },
    );
    assert_eq!(code_of(gone), ("invalid_grant", Consequence::EndGrant));
    let mut settings = provider();
    settings.login = Login::IdentityProviders(vec![Arc::from("partner")]);
    let closed = refresh(
        &grant,
        &token,
        Use {
            settings,
            ..ordinary()
        },
    );
    assert_eq!(code_of(closed), ("invalid_grant", Consequence::EndGrant));
}

#[test]
fn a_line_ends_when_it_is_not_used_and_when_it_is_old() {
    const DAY: u64 = 24 * 3_600;
    let mut grant = grant();
    let idle = refresh_at(&grant, &valid_token(&grant), seconds(15 * DAY));
    assert_eq!(code_of(idle), ("invalid_grant", Consequence::EndGrant));
    for day in (14..90).step_by(14) {
        grant = refresh_at(&grant, &valid_token(&grant), seconds(day * DAY))
            .unwrap()
            .grant;
    }
    assert_eq!(grant.expires_at, seconds(90 * DAY));
    assert!(refresh_at(&grant, &valid_token(&grant), seconds(90 * DAY - 1)).is_ok());
    let old = refresh_at(&grant, &valid_token(&grant), seconds(90 * DAY));
    assert_eq!(code_of(old), ("invalid_grant", Consequence::EndGrant));
}

#[test]
fn rfc6749_5_2_token_requests() {
    let code = Code::from_random([1; 32]).secret().expose().clone();
    let code = format!("grant_type=authorization_code&code={code}");
    let right = format!("{code}&redirect_uri=https%3A%2F%2Fa&code_verifier={VERIFIER}");
    let token = valid_token(&grant());
    let token = RefreshKey::from_random([2; 32])
        .token(&token.grant, 0)
        .expose()
        .clone();
    for (text, expected) in [
        (right.clone(), ""),
        (format!("{right}&unknown=1"), ""),
        (
            format!("grant_type=refresh_token&refresh_token={token}"),
            "",
        ),
        ("grant_type=client_credentials&scope=a".to_owned(), ""),
        (String::new(), "invalid_request"),
        (
            "grant_type=password&username=a&password=b".to_owned(),
            "unsupported_grant_type",
        ),
        ("grant_type=implicit".to_owned(), "unsupported_grant_type"),
        (
            format!("{right}&code_verifier={VERIFIER}"),
            "invalid_request",
        ),
        (
            format!("{right}&grant_type=authorization_code"),
            "invalid_request",
        ),
        (
            format!("{code}&code_verifier={VERIFIER}"),
            "invalid_request",
        ),
        // Whether the code asks for a verifier is not known here.
        (format!("{code}&redirect_uri=https%3A%2F%2Fa"), ""),
        (right.replace(VERIFIER, &"a".repeat(42)), "invalid_grant"),
        (right.replace(VERIFIER, &"a".repeat(129)), "invalid_grant"),
        (right.replacen("code=", "code=x", 1), "invalid_grant"),
        ("grant_type=refresh_token".to_owned(), "invalid_request"),
        (
            "grant_type=refresh_token&refresh_token=x".to_owned(),
            "invalid_grant",
        ),
        (
            "grant_type=client_credentials&scope=a%22".to_owned(),
            "invalid_scope",
        ),
    ] {
        let parameters = Parameters::parse(text.as_bytes()).unwrap();
        let found = TokenRequest::parse(&parameters);
        let found = found.map_or_else(|refusal| refusal.code.as_str(), |_| "");
        assert_eq!(found, expected, "{text}");
    }
}
