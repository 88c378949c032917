//! Decisions where a session's tokens are due or over.

use super::*;
use crate::identity::AccessTokenHeader;
use crate::identity::IdentityHeaders;
use crate::secret::Secret;

/// A session whose access token came at `NOW - 600` and ends at `end`.
fn with_token(user: &str, end: i64, has_refresh_token: bool) -> Arc<LiveSession> {
    let SessionFact::Found(plain) = live(user, "corp", "https://app.example", NOW.0 - 600) else {
        panic!("there is a session")
    };
    let mut session = plain.session.clone();
    session.tokens = Tokens {
        access_token: Some(Secret::new("access".to_owned())),
        access_token_expires_at: Some(Timestamp(end)),
        obtained_at: Some(Timestamp(NOW.0 - 600)),
        are_renewed: false,
        refresh_token: has_refresh_token.then(|| Secret::new("refresh".to_owned())),
        id_token: None,
    };
    Arc::new(LiveSession::new(plain.key, session, NOW))
}

/// Whether the route hands the app the token.
#[derive(Clone, Copy, Debug)]
enum Route {
    Plain,
    WithToken,
}

fn outcome(route: Route, auth: Auth, live: &Arc<LiveSession>, refresh: RefreshFact) -> String {
    let mut policy = policy(auth);
    if let Route::WithToken = route {
        let known = policy.table.route(
            &Origin {
                scheme: Scheme::Https,
                host: "app.example".to_owned(),
                port: 443,
            },
            "/",
        );
        let mut changed = (**known.expect("there is a route")).clone();
        changed.identity_headers = Arc::new(IdentityHeaders {
            access_token: Some(AccessTokenHeader::Authorization),
            ..IdentityHeaders::default()
        });
        policy.table = RouteTable::new(&[Arc::new(changed)], "/oauth2", &[]);
    }
    let (name, value) = cookie();
    let mut map = HeaderMap::new();
    map.insert("host", HeaderValue::from_static("app.example"));
    map.insert("accept", HeaderValue::from_static("text/html"));
    map.insert(name, HeaderValue::from_str(&value).expect("a cookie"));
    let client = IpAddr::from([127, 0, 0, 1]);
    let request = RequestView::parse("GET", Named::Host, ("/", None), &map, client, None)
        .expect("the test's request is plain");
    let facts = Facts {
        session: SessionFact::Found(Arc::clone(live)),
        refresh,
        ..Facts::default()
    };
    match decide(&policy, &request, &facts, NOW) {
        Step::NeedFresh(asked, patience) => {
            assert!(Arc::ptr_eq(&asked, live));
            format!("need fresh {patience:?}")
        }
        Step::Done(decided) => {
            let cookie = match decided.cookie {
                CookieState::Live(_) => "live",
                CookieState::Worthless => "worthless",
                CookieState::None | CookieState::Ended(..) => "other",
            };
            match decided.decision {
                Decision::Forward(permit) => {
                    let user = permit
                        .identity()
                        .map_or("nobody", |identity| &identity.user);
                    format!("forward {user} {cookie}")
                }
                Decision::Login => format!("login {cookie}"),
                Decision::Reject(rejection) => format!("{} {cookie}", rejection.name()),
                other => format!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check(route: Route, live: &Arc<LiveSession>, refresh: RefreshFact, expected: &str) {
    assert_eq!(
        outcome(route, Auth::Login, live, refresh),
        expected,
        "{route:?}"
    );
}

#[test]
fn tokens_that_are_due_are_renewed_first() {
    let fresh = with_token("alice", NOW.0 + 300, true);
    check(
        Route::Plain,
        &fresh,
        RefreshFact::NotAsked,
        "forward alice live",
    );
    for end in [NOW.0 + 60, NOW.0 - 1] {
        let due = with_token("alice", end, true);
        check(
            Route::Plain,
            &due,
            RefreshFact::NotAsked,
            "need fresh Short",
        );
        // Once: whatever came of it, it is not asked for again.
        check(
            Route::Plain,
            &due,
            RefreshFact::Unavailable,
            "forward alice live",
        );
    }
    let due = with_token("alice", NOW.0 + 60, true);
    check(
        Route::WithToken,
        &due,
        RefreshFact::NotAsked,
        "need fresh Short",
    );
    let over = with_token("alice", NOW.0, true);
    check(
        Route::WithToken,
        &over,
        RefreshFact::NotAsked,
        "need fresh Long",
    );
}

#[test]
fn after_a_failure_nobody_asks_for_a_while() {
    let due = with_token("alice", NOW.0 + 60, true);
    due.refresh_failed(NOW);
    check(
        Route::Plain,
        &due,
        RefreshFact::NotAsked,
        "forward alice live",
    );
    let over = with_token("alice", NOW.0, true);
    over.refresh_failed(NOW);
    let unavailable = "identity_provider_unavailable live";
    check(Route::WithToken, &over, RefreshFact::NotAsked, unavailable);
}

#[test]
fn what_has_been_renewed_decides() {
    let due = with_token("alice", NOW.0 + 60, true);
    let renewed = |user| RefreshFact::Renewed(with_token(user, NOW.0 + 600, true));
    check(
        Route::WithToken,
        &due,
        renewed("alice"),
        "forward alice live",
    );
    // Here a name stands for whatever `allow` looks at.
    check(Route::WithToken, &due, renewed("bob"), "not_allowed live");
}

#[test]
fn a_session_that_a_renewal_has_ended_is_none() {
    let due = with_token("alice", NOW.0 + 60, true);
    check(Route::Plain, &due, RefreshFact::Ended, "login worthless");
    let optional = outcome(Route::Plain, Auth::Optional, &due, RefreshFact::Ended);
    assert_eq!(optional, "forward nobody worthless");
}

#[test]
fn a_token_that_is_over_holds_back_only_who_needs_it() {
    let over = with_token("alice", NOW.0, true);
    check(
        Route::Plain,
        &over,
        RefreshFact::Unavailable,
        "forward alice live",
    );
    let unavailable = "identity_provider_unavailable live";
    check(
        Route::WithToken,
        &over,
        RefreshFact::Unavailable,
        unavailable,
    );
    let alive = with_token("alice", NOW.0 + 1, true);
    check(
        Route::WithToken,
        &alive,
        RefreshFact::Unavailable,
        "forward alice live",
    );
    // Who is not allowed is not told to come back later.
    let stranger = with_token("bob", NOW.0, true);
    check(
        Route::WithToken,
        &stranger,
        RefreshFact::Unavailable,
        "not_allowed live",
    );
}

#[test]
fn without_a_refresh_token_a_login_brings_the_next_token() {
    let over = with_token("alice", NOW.0, false);
    check(
        Route::Plain,
        &over,
        RefreshFact::NotAsked,
        "forward alice live",
    );
    check(Route::WithToken, &over, RefreshFact::NotAsked, "login live");
    let alive = with_token("alice", NOW.0 + 1, false);
    check(
        Route::WithToken,
        &alive,
        RefreshFact::NotAsked,
        "forward alice live",
    );
}
