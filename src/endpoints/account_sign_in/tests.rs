//! The sign-in page as a browser meets it, without sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::accounts::PasswordHash;
use crate::clock::Timestamp;
use crate::decision::SessionFact;
use crate::endpoints::test_gateway::*;
use crate::gateway::Gateway;
use crate::session::SessionId;
use crate::store::MemoryStore;

const FILE: &str = "listeners: [{address: '127.0.0.1:8080'}]
routes:
  - {from: 'https://sso.example', to: 'http://127.0.0.1:1', auth: public}
  - {from: 'https://app.example', to: 'http://127.0.0.1:1', auth: public}
";
/// Of `correct horse`.
const HASH: &str = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM";

struct Place {
    gateway: Arc<Gateway>,
    accounts: Arc<Accounts>,
    now: Timestamp,
}

impl Place {
    fn new() -> Self {
        let snapshot = snapshot(FILE, Path::new(""), [7; 32], &|_| None);
        let store = Arc::new(MemoryStore::new(100));
        let account = |username: &str, is_active| Account {
            username: username.to_owned(),
            password_hash: PasswordHash::parse(HASH).unwrap(),
            email: Some("alice@example.com".to_owned()),
            email_verified: true,
            name: None,
            groups: vec!["staff".to_owned()],
            is_active,
            attributes: BTreeMap::new(),
        };
        let accounts = vec![account("alice", true), account("bob", false)];
        Self {
            gateway: gateway(snapshot, store, IDENTITY_PROVIDER),
            accounts: Arc::new(Accounts::new(accounts, Secret::new([1; 32])).unwrap()),
            now: NOW,
        }
    }

    async fn send(
        &self,
        method: &str,
        query: Option<&str>,
        lines: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let path = "/oidc/sign_in";
        let (when, target, content) = ((self.now, ADDRESS), (method, path, query), (lines, body));
        let page = SignInPage {
            accounts: &self.accounts,
            path,
            host: "shop.example",
            form_targets: &["https://shop.example".to_owned()],
            is_cancellable: true,
        };
        let act = async |call: &Call<'_>| handle(call, &page).await;
        with_call(&self.gateway, when, target, content, act).await
    }

    /// Fetches the form: its token, and the cookie it is bound to.
    async fn fetch(&self, cookies: &[(&str, &str)]) -> (String, String) {
        let answer = self.send("GET", None, cookies, "").await;
        assert_eq!(answer.status, StatusCode::OK);
        (token(&answer), cookie(&answer, "__Host-vestibule-form"))
    }

    /// Fetches the form and sends it.
    async fn sign_in(&self, username: &str, password: &str) -> Answer {
        let (token, cookie) = self.fetch(&[]).await;
        let body = fields(&token, username, password);
        self.send("POST", None, &[("cookie", &cookie), SAME], &body)
            .await
    }
}

const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

fn fields(token: &str, username: &str, password: &str) -> String {
    query::write(&[
        ("csrf", Some(token)),
        ("rd", Some("/oidc/authorize?client_id=shop&state=a%2Fb")),
        ("username", Some(username)),
        ("password", Some(password)),
    ])
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn token(answer: &Answer) -> String {
    let (_, rest) = text(answer).split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// `name=value` of a cookie that the answer sets.
fn cookie(answer: &Answer, name: &str) -> String {
    let lines = answer.headers.get_all("set-cookie").iter();
    lines
        .map(|line| line.to_str().unwrap())
        .find(|line| line.starts_with(&format!("{name}=")))
        .and_then(|line| line.split(';').next())
        .unwrap_or_else(|| panic!("no cookie {name}"))
        .to_owned()
}

fn has_session(answer: &Answer) -> bool {
    let lines = answer.headers.get_all("set-cookie").iter();
    let mut lines = lines.map(|line| line.to_str().unwrap());
    lines.any(|line| line.starts_with("__Host-vestibule="))
}

/// The page again, with this error and without a session.
#[track_caller]
fn is_refused(answer: &Answer, status: StatusCode, error: &str) {
    assert_eq!(answer.status, status);
    assert!(text(answer).contains(error), "{}", text(answer));
    assert!(!has_session(answer));
}

#[tokio::test]
async fn the_right_password_makes_a_session_and_leads_back() {
    let place = Place::new();
    let answer = place.sign_in("Alice", "correct horse").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(
        answer.headers["location"],
        "/oidc/authorize?client_id=shop&state=a%2Fb"
    );
    assert_eq!(answer.headers["cache-control"], "no-store");
    let cookie = cookie(&answer, "__Host-vestibule");
    let id = SessionId::parse(cookie.split_once('=').unwrap().1.as_bytes()).unwrap();
    let snapshot = place.gateway.snapshot();
    let SessionFact::Found(live) = place.gateway.find_session(id, &snapshot, NOW).await else {
        panic!("the session is not there");
    };
    let session = &live.session;
    assert_eq!(session.identity.identity_provider, "accounts");
    assert_eq!(session.identity.subject, "alice");
    assert_eq!(session.identity.groups, ["staff"]);
    assert_eq!(session.identity.verified_email(), Some("alice@example.com"));
    assert_eq!(session.auth_time, Some(NOW));
    assert_eq!(session.origin, "https://sso.example");
}

#[tokio::test]
async fn wrong_names_wrong_passwords_and_inactive_accounts_look_the_same() {
    let place = Place::new();
    let mut pages = Vec::new();
    for (name, password) in [
        ("alice", "wrong"),
        ("nobody", "correct horse"),
        ("bob", "correct horse"),
        ("alice", ""),
        (&"a".repeat(USERNAME_BYTES_MAX + 1), "correct horse"),
    ] {
        let answer = place.sign_in(name, password).await;
        is_refused(&answer, StatusCode::OK, WRONG);
        assert!(!text(&answer).contains("correct horse"));
        let page = text(&answer)
            .replace(&token(&answer), "")
            .replace(&format!("value=\"{name}\""), "value=\"\"");
        pages.push(page);
    }
    for page in &pages[1..3] {
        assert_eq!(*page, pages[0]);
    }
}

#[tokio::test]
async fn the_form_carries_hint_and_return_place_of_this_origin_only() {
    let place = Place::new();
    let query = "rd=%2Foidc%2Fauthorize%3Fa%3Db&login_hint=alice%40example.com";
    let answer = place.send("GET", Some(query), &[], "").await;
    let html = text(&answer);
    assert!(
        html.contains("name=\"rd\" value=\"/oidc/authorize?a=b\""),
        "{html}"
    );
    assert!(html.contains("value=\"alice@example.com\""), "{html}");
    assert!(html.contains("<strong>shop.example</strong>"), "{html}");
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' https://shop.example;"),
        "{policy}"
    );
    for elsewhere in [
        "https%3A%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "https%3A%2F%2Fapp.example%2F",
    ] {
        let answer = place
            .send("GET", Some(&format!("rd={elsewhere}")), &[], "")
            .await;
        assert!(
            text(&answer).contains("name=\"rd\" value=\"/\""),
            "{elsewhere}"
        );
    }
    // The return place of the form is checked as well: its hidden field can be edited.
    let (token, cookie) = place.fetch(&[]).await;
    let body = fields(&token, "alice", "correct horse")
        .replace("&rd=", "&rd=https%3A%2F%2Fevil.example&x=");
    let answer = place
        .send("POST", None, &[("cookie", &cookie), SAME], &body)
        .await;
    assert_eq!(answer.headers["location"], "/");
}

/// Without this a page of another site signs its visitors in as somebody else.
#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let place = Place::new();
    let (token, cookie) = place.fetch(&[]).await;
    let body = fields(&token, "alice", "correct horse");
    let with_cookie = ("cookie", cookie.as_str());
    for line in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
        ("origin", "https://app.example"),
    ] {
        let answer = place.send("POST", None, &[with_cookie, line], &body).await;
        is_refused(&answer, StatusCode::FORBIDDEN, "Another site");
    }
    for line in [SAME, ("origin", "https://sso.example"), ("origin", "null")] {
        let answer = place.send("POST", None, &[with_cookie, line], &body).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{line:?}");
    }
}

#[tokio::test]
async fn a_token_counts_only_in_the_browser_that_fetched_it() {
    let place = Place::new();
    let (attackers, attackers_cookie) = place.fetch(&[]).await;
    let (own, victims_cookie) = place.fetch(&[]).await;
    assert_ne!(attackers_cookie, victims_cookie);
    let both = format!("{victims_cookie}; {attackers_cookie}");
    let altered = format!("{}x", &own[..own.len() - 1]);
    for (cookies, token) in [
        (Some(victims_cookie.as_str()), attackers.as_str()),
        (Some(victims_cookie.as_str()), altered.as_str()),
        (Some(victims_cookie.as_str()), ""),
        (Some("__Host-vestibule-form="), &own),
        (Some("__Host-vestibule-form=AAAA"), &own),
        // Planted by a neighbour.
        (Some(both.as_str()), &attackers),
        (None, &own),
    ] {
        let mut lines = vec![SAME];
        lines.extend(cookies.map(|cookies| ("cookie", cookies)));
        let body = fields(token, "alice", "correct horse");
        let answer = place.send("POST", None, &lines, &body).await;
        is_refused(&answer, StatusCode::FORBIDDEN, STALE);
    }
    let body = fields(&own, "alice", "correct horse");
    let answer = place
        .send("POST", None, &[("cookie", &victims_cookie), SAME], &body)
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn several_tabs_share_what_their_forms_are_bound_to() {
    let place = Place::new();
    let (first, cookie) = place.fetch(&[]).await;
    let (second, again) = place.fetch(&[("cookie", &cookie)]).await;
    assert_eq!(cookie, again);
    for token in [first, second] {
        let body = fields(&token, "alice", "correct horse");
        let answer = place
            .send("POST", None, &[("cookie", &cookie), SAME], &body)
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn a_form_ends_with_its_lifetime() {
    let mut place = Place::new();
    let (token, cookie) = place.fetch(&[]).await;
    let body = fields(&token, "alice", "correct horse");
    place.now = NOW.after(FORM_LIFETIME);
    let lines = [("cookie", cookie.as_str()), SAME];
    let answer = place.send("POST", None, &lines, &body).await;
    is_refused(&answer, StatusCode::FORBIDDEN, STALE);
    place.now = Timestamp(place.now.0 - 1);
    let answer = place.send("POST", None, &lines, &body).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn after_five_failures_the_page_says_how_long_to_wait() {
    let place = Place::new();
    for name in ["alice", "nobody"] {
        for _ in 0..5 {
            let answer = place.sign_in(name, "wrong").await;
            is_refused(&answer, StatusCode::OK, WRONG);
        }
        let answer = place.sign_in(name, "correct horse").await;
        let error = "Too many attempts; try again in 30 seconds.";
        is_refused(&answer, StatusCode::TOO_MANY_REQUESTS, error);
        assert_eq!(answer.headers["retry-after"], "30");
    }
    // Forms that are refused unread cost nobody a try.
    let place = Place::new();
    for _ in 0..10 {
        let body = fields("none", "alice", "wrong");
        let answer = place.send("POST", None, &[SAME], &body).await;
        is_refused(&answer, StatusCode::FORBIDDEN, STALE);
    }
    assert!(has_session(&place.sign_in("alice", "correct horse").await));
}

#[tokio::test]
async fn a_sign_in_ends_the_session_before_it() {
    let place = Place::new();
    let first = cookie(
        &place.sign_in("alice", "correct horse").await,
        "__Host-vestibule",
    );
    let (token, form) = place.fetch(&[]).await;
    let body = fields(&token, "alice", "correct horse");
    let cookies = format!("{form}; {first}");
    let answer = place
        .send("POST", None, &[("cookie", &cookies), SAME], &body)
        .await;
    let second = cookie(&answer, "__Host-vestibule");
    let snapshot = place.gateway.snapshot();
    let mut found = Vec::new();
    for cookie in [&first, &second] {
        let id = SessionId::parse(cookie.split_once('=').unwrap().1.as_bytes()).unwrap();
        let fact = place.gateway.find_session(id, &snapshot, NOW).await;
        found.push(matches!(fact, SessionFact::Found(_)));
    }
    assert_eq!(found, [false, true]);
}

#[tokio::test]
async fn other_methods_are_refused_with_a_page() {
    let place = Place::new();
    for method in ["PUT", "DELETE", "OPTIONS"] {
        let answer = place.send(method, None, &[SAME], "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers["allow"], "GET, HEAD, POST");
    }
}
