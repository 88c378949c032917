mod refresh;

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;

use super::*;
use crate::identity::Identity;
use crate::jose::AccessTokenType;
use crate::resource_server::LiveToken;
use crate::resource_server::TokenRefusal;
use crate::routes::AllowRule;
use crate::routes::Named;
use crate::routes::Scheme;
use crate::routes::StepUp;
use crate::routes::Timeouts;
use crate::routes::TokenValidation;
use crate::session::CookieSettings;
use crate::session::Session;
use crate::session::Tokens;

mod again;

const NOW: Timestamp = Timestamp(10_000);

pub(super) fn policy(auth: Auth) -> Policy {
    let route = Route {
        index: 0,
        name: String::new(),
        origin: Origin {
            scheme: Scheme::Https,
            host: "app.example".to_owned(),
            port: 443,
        },
        prefix: String::new(),
        is_wildcard: false,
        upstreams: Vec::new(),
        health_check: None,
        auth,
        identity_providers: vec![Arc::from("corp")],
        allow: match auth {
            Auth::Login | Auth::Bearer | Auth::Either => {
                vec![AllowRule {
                    users: ["alice".to_owned()].into(),
                    ..AllowRule::default()
                }]
            }
            _ => Vec::new(),
        },
        bearer: matches!(auth, Auth::Bearer | Auth::Either).then(|| {
            Arc::new(BearerSettings {
                issuers: vec![Arc::from("corp")],
                audience: vec!["api".to_owned()],
                scopes: vec!["read".to_owned()],
                validation: TokenValidation::Signature,
                token_type: AccessTokenType::Any,
                cache: Duration::from_secs(60),
                dpop: crate::routes::Dpop::Refused,
                dpop_nonce: Default::default(),
            })
        }),
        step_up: None,
        preserve_post: false,
        preserve_fragment: false,
        cors_preflight: Default::default(),
        identity_headers: Arc::default(),
        strip_prefix: false,
        preserve_host: true,
        timeouts: Timeouts::default(),
    };
    Policy {
        table: RouteTable::new(&[Arc::new(route)], "/oauth2", &[]),
        sessions: SessionSettings::default(),
        http_cookies: CookieNames::new(&CookieSettings::default(), false),
        https_cookies: CookieNames::new(&CookieSettings::default(), true),
        identity_providers: [Arc::from("corp"), Arc::from("partner")].into(),
        keys: None,
    }
}

fn live(user: &str, provider: &str, origin: &str, created_at: i64) -> SessionFact {
    let identity = Identity::of_test(provider, user, user);
    let session = Session {
        identity,
        origin: origin.to_owned(),
        authenticated_at: Timestamp(0),
        created_at: Timestamp(created_at),
        sid: None,
        acr: None,
        auth_time: None,
        tokens: Tokens::default(),
    };
    let key = SessionId::new([1; 32]).key();
    SessionFact::Found(Arc::new(LiveSession::new(
        key,
        session,
        Timestamp(created_at),
    )))
}

fn alice() -> SessionFact {
    live("alice", "corp", "https://app.example", NOW.0)
}

/// Decides on `GET /` with the headers given and names the outcome.
fn check(auth: Auth, headers: &[(&'static str, &str)], fact: &SessionFact, expected: &str) {
    let facts = Facts {
        session: fact.clone(),
        ..Facts::default()
    };
    check_with("GET", auth, headers, &facts, expected);
}

fn check_with(
    method: &str,
    auth: Auth,
    headers: &[(&'static str, &str)],
    facts: &Facts,
    expected: &str,
) {
    let mut map = HeaderMap::new();
    map.insert("host", HeaderValue::from_static("app.example"));
    for (name, value) in headers {
        map.append(
            *name,
            HeaderValue::from_str(value).expect("the test's header is valid"),
        );
    }
    let client = IpAddr::from([127, 0, 0, 1]);
    let request = RequestView::parse(method, Named::Host, ("/", None), &map, client, None)
        .expect("the test's request is plain");
    let outcome = match decide(&policy(auth), &request, facts, NOW) {
        Step::NeedSession(_) => "need session".to_owned(),
        Step::NeedProof(name) => name,
        Step::NeedFresh(_, patience) => format!("need fresh {patience:?}"),
        Step::NeedToken(_, token) => format!("need token {token}"),
        Step::Done(decided) => {
            let cookie = match decided.cookie {
                CookieState::None => "",
                CookieState::Live(_) => " live",
                CookieState::Worthless => " worthless",
                CookieState::Ended(..) => " ended",
            };
            let decision = match decided.decision {
                Decision::Forward(permit) => match permit.identity() {
                    Some(identity) => format!("forward {}", identity.user),
                    None => "forward nobody".to_owned(),
                },
                Decision::Login => "login".to_owned(),
                Decision::Reject(rejection) => rejection.name().to_owned(),
                Decision::Own(own) => own.name().to_owned(),
                other => format!("{other:?}"),
            };
            format!("{decision}{cookie}")
        }
    };
    assert_eq!(outcome, expected, "{auth:?} {headers:?}");
}

fn cookie() -> (&'static str, String) {
    (
        "cookie",
        format!("__Host-vestibule={}", SessionId::new([1; 32]).to_text()),
    )
}

const HTML: (&str, &str) = ("accept", "text/html");

#[test]
fn who_has_no_session_logs_in_or_is_told() {
    check(Auth::Login, &[HTML], &SessionFact::NotAsked, "login");
    check(Auth::Login, &[], &SessionFact::NotAsked, "login_required");
    check(
        Auth::Login,
        &[HTML, ("upgrade", "websocket")],
        &SessionFact::NotAsked,
        "login_required",
    );
    check(
        Auth::Optional,
        &[HTML],
        &SessionFact::NotAsked,
        "forward nobody",
    );
    check(
        Auth::Public,
        &[HTML],
        &SessionFact::NotAsked,
        "forward nobody",
    );
    check(Auth::Deny, &[HTML], &SessionFact::NotAsked, "denied");
}

#[test]
fn a_session_passes_where_a_rule_admits_it() {
    let (name, value) = cookie();
    let cookie = [(name, value.as_str())];
    check(Auth::Login, &cookie, &SessionFact::NotAsked, "need session");
    check(Auth::Login, &cookie, &alice(), "forward alice live");
    check(Auth::Optional, &cookie, &alice(), "forward alice live");
    check(Auth::Public, &cookie, &alice(), "forward nobody");
    check(Auth::Deny, &cookie, &alice(), "denied");
    let bob = live("bob", "corp", "https://app.example", NOW.0);
    check(Auth::Login, &cookie, &bob, "not_allowed live");
    check(Auth::Optional, &cookie, &bob, "forward bob live");
}

#[test]
fn a_session_counts_only_where_it_was_made() {
    let (name, value) = cookie();
    let html = [HTML, (name, value.as_str())];
    let elsewhere = live("alice", "corp", "https://other.example", NOW.0);
    check(Auth::Login, &html, &elsewhere, "login worthless");
    let partner = live("alice", "partner", "https://app.example", NOW.0);
    check(Auth::Login, &html, &partner, "login live");
    let gone = live("alice", "gone", "https://app.example", NOW.0);
    check(Auth::Login, &html, &gone, "login ended");
    let idle = live("alice", "corp", "https://app.example", NOW.0 - 1800);
    check(Auth::Login, &html, &idle, "login ended");
    check(Auth::Login, &html, &SessionFact::Absent, "login worthless");
    check(
        Auth::Login,
        &html,
        &SessionFact::Unavailable,
        "store_unavailable",
    );
    check(
        Auth::Optional,
        &html,
        &SessionFact::Unavailable,
        "store_unavailable",
    );
}

#[test]
fn an_unclear_cookie_is_worth_nothing() {
    let (name, value) = cookie();
    let twice = [HTML, (name, value.as_str()), (name, value.as_str())];
    check(Auth::Login, &twice, &alice(), "login worthless");
    check(
        Auth::Login,
        &[HTML, (name, "__Host-vestibule=x")],
        &alice(),
        "login worthless",
    );
    let bare = value.replace("__Host-", "");
    check(
        Auth::Login,
        &[HTML, (name, bare.as_str())],
        &alice(),
        "login",
    );
}

#[test]
fn a_websocket_with_a_session_comes_from_our_own_page() {
    let (name, value) = cookie();
    let upgrade = ("upgrade", "websocket");
    let with = |origin| [(name, value.as_str()), upgrade, ("origin", origin)];
    check(
        Auth::Login,
        &with("https://app.example"),
        &alice(),
        "forward alice live",
    );
    check(
        Auth::Login,
        &[(name, value.as_str()), upgrade],
        &alice(),
        "forward alice live",
    );
    let ours = ("origin", "https://app.example");
    let twice = [(name, value.as_str()), upgrade, ours, ours];
    check(Auth::Login, &twice, &alice(), "foreign_origin live");
    for origin in [
        "https://evil.example",
        "null",
        "http://app.example",
        "https://app.example:444",
    ] {
        check(Auth::Login, &with(origin), &alice(), "foreign_origin live");
    }
}

pub(super) fn token(user: &str, scopes: &[&str]) -> TokenFact {
    let SessionFact::Found(session) = live(user, "corp", "", NOW.0) else {
        panic!("there is a session")
    };
    let identity = Identity {
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..session.session.identity.clone()
    };
    TokenFact::Valid(Arc::new(LiveToken::new([0; 32], identity, NOW, None)))
}

fn facts(session: SessionFact, token: TokenFact) -> Facts {
    Facts {
        session,
        token,
        ..Facts::default()
    }
}

#[test]
fn a_token_route_asks_for_tokens_and_looks_at_nothing_else() {
    use Auth::Bearer;
    let bearer = ("authorization", "Bearer abc");
    let (_, cookie) = cookie();
    let nothing = facts(SessionFact::NotAsked, TokenFact::NotAsked);
    check_with("GET", Bearer, &[], &nothing, "token_required");
    check_with(
        "GET",
        Bearer,
        &[("cookie", &cookie)],
        &nothing,
        "token_required",
    );
    check_with(
        "GET",
        Bearer,
        &[("accept", "text/html")],
        &nothing,
        "token_required",
    );
    check_with("GET", Bearer, &[bearer], &nothing, "need token abc");
    check_with("GET", Bearer, &[bearer, bearer], &nothing, "token_unclear");
    for (fact, expected) in [
        (token("alice", &["read"]), "forward alice"),
        (token("alice", &["readonly"]), "insufficient_scope"),
        (token("bob", &["read"]), "insufficient_scope"),
        (TokenFact::Invalid(TokenRefusal::Expired), "token_expired"),
        (TokenFact::Unavailable, "token_unavailable"),
    ] {
        check_with("GET", Bearer, &[bearer], &facts(alice(), fact), expected);
    }
}

#[test]
fn a_token_decides_where_there_is_one_else_the_session() {
    use Auth::Either;
    let bearer = ("authorization", "Bearer abc");
    let (_, cookie) = cookie();
    let cookie = ("cookie", cookie.as_str());
    let nothing = facts(SessionFact::NotAsked, TokenFact::NotAsked);
    check_with("GET", Either, &[cookie], &nothing, "need session");
    check_with("GET", Either, &[cookie, bearer], &nothing, "need token abc");
    let bad = facts(alice(), TokenFact::Invalid(TokenRefusal::Audience));
    check_with("GET", Either, &[cookie, bearer], &bad, "token_audience");
    let session = facts(alice(), TokenFact::NotAsked);
    check_with("GET", Either, &[cookie], &session, "forward alice live");
    check_with("GET", Either, &[("accept", "text/html")], &session, "login");
    check_with("GET", Either, &[], &session, "login_required");
}

#[test]
fn an_unsafe_request_with_a_session_comes_from_this_site() {
    let (_, cookie) = cookie();
    let session = facts(alice(), TokenFact::NotAsked);
    for (header, expected) in [
        (("sec-fetch-site", "same-origin"), "forward alice live"),
        (("origin", "https://app.example"), "forward alice live"),
        (("sec-fetch-site", "same-site"), "foreign_origin live"),
        (("origin", "https://evil.example"), "foreign_origin live"),
        (("x-nothing", ""), "foreign_origin live"),
    ] {
        let headers = [("cookie", cookie.as_str()), header];
        check_with("POST", Auth::Either, &headers, &session, expected);
        check_with(
            "GET",
            Auth::Either,
            &headers,
            &session,
            "forward alice live",
        );
    }
}

#[test]
fn a_login_grows_old_to_the_second() {
    use serde_json::json;
    let asked = StepUp {
        acr_values: vec!["urn:mfa".to_owned()],
        max_age: Some(Duration::from_secs(900)),
    };
    let needs = |acr: serde_json::Value, at: serde_json::Value| {
        let TokenFact::Valid(live) = token("alice", &["read"]) else {
            panic!("the token is valid")
        };
        let mut identity = live.identity.clone();
        identity.claims.insert("acr".to_owned(), acr);
        identity.claims.insert("auth_time".to_owned(), at);
        let live = LiveToken::new([0; 32], identity, NOW, None);
        assert!(!bearer::needs_step_up(None, &live, NOW));
        bearer::needs_step_up(Some(&asked), &live, NOW)
    };
    for (at, expected) in [
        (json!(NOW.0), false),
        (json!(NOW.0 - 900), false),
        (json!(NOW.0 - 901), true),
        (json!(NOW.0 + 60), false),
        (json!(NOW.0 + 61), true),
        (json!(NOW.0.to_string()), true),
        (json!(null), true),
    ] {
        assert_eq!(needs(json!("urn:mfa"), at.clone()), expected, "{at}");
    }
    for acr in [json!("urn:mf"), json!("urn:mfaa"), json!(null), json!(1)] {
        assert!(needs(acr.clone(), json!(NOW.0)), "{acr}");
    }
}
