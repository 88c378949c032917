//! Sessions that must step up or be renewed, and forms that are kept.

use super::*;

/// A route with `step_up`, `preserve_post` and `reauthenticate_after`.
fn strict(auth: Auth) -> Policy {
    let plain = policy(auth);
    let route = plain.table.route(
        &Origin {
            scheme: Scheme::Https,
            host: "app.example".to_owned(),
            port: 443,
        },
        "/",
    );
    let route = Route {
        step_up: Some(StepUp {
            acr_values: vec!["urn:mfa".to_owned(), "urn:key".to_owned()],
            max_age: Some(Duration::from_secs(900)),
        }),
        preserve_post: true,
        ..(**route.expect("there is a route")).clone()
    };
    Policy {
        table: RouteTable::new(&[Arc::new(route)], "/oauth2", &[]),
        sessions: SessionSettings {
            reauthenticate_after: Some(Duration::from_secs(3600)),
            ..SessionSettings::default()
        },
        ..plain
    }
}

/// A session of `user` with this `acr`, `auth_time` and `authenticated_at`.
fn of(user: &str, acr: Option<&str>, auth_time: Option<i64>, authenticated_at: i64) -> SessionFact {
    let SessionFact::Found(plain) = live(user, "corp", "https://app.example", NOW.0) else {
        panic!("there is a session")
    };
    let session = Session {
        acr: acr.map(str::to_owned),
        auth_time: auth_time.map(Timestamp),
        authenticated_at: Timestamp(authenticated_at),
        ..plain.session.clone()
    };
    SessionFact::Found(Arc::new(LiveSession::new(plain.key, session, NOW)))
}

/// What becomes of a request with these headers, besides the cookie of the session.
fn outcome(
    policy: &Policy,
    method: &str,
    headers: &[(&'static str, &'static str)],
    fact: &SessionFact,
) -> String {
    let mut map = HeaderMap::new();
    map.insert("host", HeaderValue::from_static("app.example"));
    if !matches!(fact, SessionFact::NotAsked | SessionFact::Absent) {
        let (name, value) = cookie();
        map.insert(name, HeaderValue::from_str(&value).expect("it is plain"));
    }
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    let client = IpAddr::from([127, 0, 0, 1]);
    let request = RequestView::parse(method, Named::Host, ("/", None), &map, client, None)
        .expect("the test's request is plain");
    let facts = Facts {
        session: fact.clone(),
        ..Facts::default()
    };
    let Step::Done(decided) = decide(policy, &request, &facts, NOW) else {
        panic!("nothing more is asked for")
    };
    match decided.decision {
        Decision::Forward(_) => "forward".to_owned(),
        Decision::Login => "login".to_owned(),
        Decision::StepUp(_) => "step up".to_owned(),
        Decision::Renew(_) => "renew".to_owned(),
        Decision::KeepForm(rejection) => format!("keep, or {}", rejection.name()),
        Decision::Reject(rejection) => rejection.name().to_owned(),
        Decision::Own(own) => own.name().to_owned(),
    }
}

#[test]
fn a_session_passes_if_its_login_is_strong_and_new() {
    for auth in [Auth::Login, Auth::Either] {
        let policy = strict(auth);
        let page = |acr, at| outcome(&policy, "GET", &[HTML], &of("alice", acr, at, NOW.0));
        for (acr, at, expected) in [
            (Some("urn:mfa"), Some(NOW.0), "forward"),
            (Some("urn:key"), Some(NOW.0 - 900), "forward"),
            (Some("urn:mfa"), Some(NOW.0 + 60), "forward"),
            (Some("urn:mfa"), Some(NOW.0 - 901), "step up"),
            (Some("urn:mfa"), Some(NOW.0 + 61), "step up"),
            (Some("urn:mfa"), None, "step up"),
            (None, Some(NOW.0), "step up"),
            (Some(""), Some(NOW.0), "step up"),
            (Some("URN:MFA"), Some(NOW.0), "step up"),
            (Some("urn:mfa urn:key"), Some(NOW.0), "step up"),
        ] {
            assert_eq!(page(acr, at), expected, "{auth:?} {acr:?} {at:?}");
        }
    }
}

#[test]
fn who_cannot_be_redirected_is_told() {
    let policy = strict(Auth::Login);
    let weak = of("alice", None, None, NOW.0);
    let told = "insufficient_user_authentication";
    assert_eq!(outcome(&policy, "GET", &[], &weak), told);
    assert_eq!(outcome(&policy, "POST", &[HTML], &weak), told);
    let upgrade = [HTML, ("upgrade", "websocket")];
    assert_eq!(outcome(&policy, "GET", &upgrade, &weak), told);
    assert_eq!(outcome(&policy, "HEAD", &[HTML], &weak), "step up");
}

#[test]
fn a_page_renews_an_old_session_and_nothing_else_does() {
    let policy = strict(Auth::Login);
    let session = |user, seconds| of(user, Some("urn:mfa"), Some(NOW.0), NOW.0 - seconds);
    let page = |fact| outcome(&policy, "GET", &[HTML], &fact);
    assert_eq!(page(session("alice", 3599)), "forward");
    assert_eq!(page(session("alice", 3600)), "renew");
    assert_eq!(page(session("bob", 3600)), "not_allowed");
    assert_eq!(page(of("alice", None, None, 0)), "step up");
    let old = session("alice", 3600);
    for (method, headers) in [
        ("GET", &[][..]),
        ("HEAD", &[HTML][..]),
        ("POST", &[HTML][..]),
        ("GET", &[HTML, ("upgrade", "websocket")][..]),
    ] {
        assert_eq!(
            outcome(&policy, method, headers, &old),
            "forward",
            "{method} {headers:?}"
        );
    }
    let never = Policy {
        sessions: SessionSettings::default(),
        ..policy
    };
    assert_eq!(outcome(&never, "GET", &[HTML], &old), "forward");
    let mut optional = strict(Auth::Optional);
    optional.sessions.reauthenticate_after = Some(Duration::from_secs(1));
    let fresh = of("alice", Some("urn:mfa"), Some(NOW.0), 0);
    assert_eq!(outcome(&optional, "GET", &[HTML], &fresh), "forward");
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OURS: (&str, &str) = ("origin", "https://app.example");
const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

#[test]
fn a_form_of_our_own_page_is_kept() {
    let policy = strict(Auth::Login);
    let post = |headers: &[_]| outcome(&policy, "POST", headers, &SessionFact::Absent);
    let keep = "keep, or login_required";
    for headers in [
        &[HTML, FORM, OURS][..],
        &[HTML, FORM, SAME],
        &[("sec-fetch-mode", "navigate"), FORM, OURS, SAME],
        &[
            HTML,
            (
                "content-type",
                "application/X-www-form-urlencoded; charset=UTF-8",
            ),
            OURS,
        ],
    ] {
        assert_eq!(post(headers), keep, "{headers:?}");
    }
    for headers in [
        &[HTML, FORM][..],
        &[HTML, FORM, ("origin", "https://evil.example")],
        &[HTML, FORM, ("origin", "null")],
        &[HTML, FORM, ("sec-fetch-site", "cross-site")],
        &[HTML, FORM, ("sec-fetch-site", "same-site")],
        &[HTML, FORM, OURS, ("sec-fetch-site", "cross-site")],
        &[HTML, FORM, SAME, ("origin", "https://evil.example")],
        &[HTML, FORM, OURS, OURS],
        &[FORM, OURS],
        &[HTML, FORM, OURS, ("sec-fetch-mode", "cors")],
        &[HTML, FORM, OURS, ("x-requested-with", "XMLHttpRequest")],
        &[HTML, FORM, OURS, ("upgrade", "websocket")],
        &[HTML, OURS],
        &[HTML, ("content-type", "multipart/form-data"), OURS],
        &[HTML, ("content-type", "text/plain"), OURS],
        &[
            HTML,
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=latin1",
            ),
            OURS,
        ],
        &[HTML, FORM, FORM, OURS],
    ] {
        assert_eq!(post(headers), "login_required", "{headers:?}");
    }
    let put = outcome(&policy, "PUT", &[HTML, FORM, OURS], &SessionFact::Absent);
    assert_eq!(put, "login_required");
    let unwanted = super::policy(Auth::Login);
    let post = outcome(&unwanted, "POST", &[HTML, FORM, OURS], &SessionFact::Absent);
    assert_eq!(post, "login_required");
}

#[test]
fn a_form_is_kept_where_a_login_helps_and_nowhere_else() {
    let policy = strict(Auth::Login);
    let post = |fact: &SessionFact| outcome(&policy, "POST", &[HTML, FORM, OURS], fact);
    let weak = of("alice", None, None, NOW.0);
    assert_eq!(post(&weak), "keep, or insufficient_user_authentication");
    let strong = |user| of(user, Some("urn:mfa"), Some(NOW.0), NOW.0);
    assert_eq!(post(&strong("alice")), "forward");
    assert_eq!(post(&strong("bob")), "not_allowed");
    assert_eq!(post(&SessionFact::Unavailable), "store_unavailable");
}
