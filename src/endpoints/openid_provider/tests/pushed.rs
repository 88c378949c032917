//! Requests that clients push, and how long they are worth something.

use url::Url;

use super::*;
use crate::jose::SigningKey;
use crate::jose::client_assertion::AssertionKey;
use crate::jose::client_assertion::CLIENT_ASSERTION_TYPE;
use crate::jose::client_assertion::client_assertion;
use crate::jose::sign::key_set_json;
use crate::store::SWEEP_COUNT_MAX;

const PAR: ProviderPath = ProviderPath::PushedAuthorizationRequest;

/// A request of the shop in which nobody may be asked, so that it is answered at once.
const REQUEST: &[(&str, &str)] = &[
    ("client_id", "shop"),
    ("redirect_uri", CALLBACK),
    ("response_type", "code"),
    ("scope", "openid"),
    ("state", "st4te"),
    ("prompt", "none"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let is_kept = |(name, _): &&(&str, &str)| !changes.iter().any(|(other, _)| other == name);
    let kept = REQUEST.iter().filter(is_kept).copied();
    kept.chain(changes.iter().copied()).collect()
}

/// Pushes a request and returns its name.
async fn push(place: &Place, client: (&str, &str), form: &[(&str, &str)]) -> String {
    let answer = place.post(PAR, client, form).await;
    let said = body(&answer);
    assert_eq!(answer.status, StatusCode::CREATED, "{said}");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(said["expires_in"], 60);
    text(&said, "request_uri").to_owned()
}

/// Brings the name of a request, as a browser does.
async fn bring(place: &Place, client_id: &str, uri: &str) -> Answer {
    let query = encoded(&[("client_id", client_id), ("request_uri", uri)]);
    let sent = Sent(ProviderPath::Authorize, "GET", &[], "");
    place.send_to(Some(&query), sent).await
}

#[track_caller]
fn check_used(answer: &Answer) {
    let location = header(answer, "location");
    assert!(location.starts_with(CALLBACK), "{:?}", answer.status);
    assert!(location.contains("error=login_required") && location.contains("state=st4te"));
}

#[track_caller]
fn check_unknown(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(header(answer, "location"), "");
    assert_eq!(answer.reason, Some("invalid_request_uri"));
}

/// F27
#[tokio::test]
async fn rfc9126_2_2_a_pushed_request_waits_for_a_minute() {
    let place = Place::new();
    let (first, second) = (
        push(&place, SHOP, REQUEST).await,
        push(&place, SHOP, REQUEST).await,
    );
    check_used(&bring(&place.later(59), "shop", &first).await);
    check_unknown(&bring(&place.later(60), "shop", &second).await);
}

/// F27
#[tokio::test]
async fn rfc9126_7_3_a_pushed_request_is_of_its_client_and_counts_once() {
    let place = Place::new();
    let uri = push(&place, SHOP, REQUEST).await;
    for client_id in ["other", "nobody", "Shop", "native"] {
        check_unknown(&bring(&place, client_id, &uri).await);
    }
    let unknown = "urn:ietf:params:oauth:request_uri:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    check_unknown(&bring(&place, "shop", unknown).await);
    check_used(&bring(&place, "shop", &uri).await);
    check_unknown(&bring(&place, "shop", &uri).await);
}

#[tokio::test]
async fn rfc9126_2_3_what_is_wrong_is_told_as_by_the_token_endpoint() {
    let place = Place::new();
    for (client, changes, status, error) in [
        (("shop", "wrong"), ("a", "b"), 401, "invalid_client"),
        (SHOP, ("client_id", ""), 400, "invalid_request"),
        (SHOP, ("client_id", "other"), 400, "invalid_request"),
        (
            SHOP,
            ("redirect_uri", "https://evil.example/"),
            400,
            "invalid_request",
        ),
        (
            SHOP,
            ("response_type", "token"),
            400,
            "unsupported_response_type",
        ),
        (SHOP, ("scope", "openid other"), 400, "invalid_scope"),
        (SHOP, ("code_challenge", ""), 400, "invalid_request"),
        (SHOP, ("request", "eyJ"), 400, "request_not_supported"),
        (
            SHOP,
            ("request_uri", "urn:example:x"),
            400,
            "invalid_request",
        ),
    ] {
        let answer = place.post(PAR, client, &with(&[changes])).await;
        check_refused(&answer, status, error);
        assert!(body(&answer)["request_uri"].is_null());
    }
    let got = place.send(Sent(PAR, "GET", &[], "")).await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// What stands beside the name was not pushed.
#[tokio::test]
async fn rfc9126_4_other_parameters_are_passed_over() {
    let place = Place::new();
    let uri = push(&place, SHOP, REQUEST).await;
    let query = encoded(&[
        ("client_id", "shop"),
        ("request_uri", &uri),
        ("state", "forged"),
        ("redirect_uri", "https://evil.example/"),
    ]);
    let sent = Sent(ProviderPath::Authorize, "GET", &[], "");
    check_used(&place.send_to(Some(&query), sent).await);
}

#[tokio::test]
async fn a_public_client_pushes_by_its_name_alone() {
    let place = Place::new();
    let public = with(&[
        ("client_id", "native"),
        ("redirect_uri", "http://127.0.0.1:4711/callback"),
    ]);
    let answer = place
        .send(Sent(PAR, "POST", &[FORM], &encoded(&public)))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", body(&answer));
    let uri = body(&answer);
    let used = bring(&place, "native", text(&uri, "request_uri")).await;
    assert!(header(&used, "location").starts_with("http://127.0.0.1:4711/callback?error="));
    // A confidential one does not.
    let answer = place
        .send(Sent(PAR, "POST", &[FORM], &encoded(REQUEST)))
        .await;
    check_refused(&answer, 401, "invalid_client");
}

/// Whoever knows the name of a public client can make the store hold so much, and no more.
#[tokio::test]
async fn the_requests_of_one_client_that_wait_have_a_bound() {
    let place = Place::with_room_for(5_000);
    let public = encoded(&with(&[
        ("client_id", "native"),
        ("redirect_uri", "http://127.0.0.1/callback"),
    ]));
    let public = Sent(PAR, "POST", &[FORM], &public);
    let Sent(endpoint, method, lines, form) = public;
    for _ in 0..2_000 {
        let answer = place.send(Sent(endpoint, method, lines, form)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    let one_more = place.send(Sent(endpoint, method, lines, form)).await;
    check_refused(&one_more, 503, "temporarily_unavailable");
    push(&place, SHOP, REQUEST).await;
    let later = place.later(60);
    let swept = later.gateway.sessions.sweep(later.now, SWEEP_COUNT_MAX);
    assert_eq!(swept.await.unwrap(), 2_001);
    let again = later.send(Sent(endpoint, method, lines, form)).await;
    assert_eq!(again.status, StatusCode::CREATED);
}

/// RFC 9126 section 2: the issuer, this endpoint and the token endpoint are names of ours, once each.
#[tokio::test]
async fn rfc9126_2_an_assertion_may_name_the_token_endpoint() {
    let key = SigningKey::es256_from_scalar(&[9; 32]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = key_set_json([&key]).to_string();
    std::fs::write(folder.path().join("signer.json"), keys).unwrap();
    let file = format!(
        "{FILE}    - client_id: signer
      jwks: {{file: signer.json}}
      redirect_uris: [https://shop.example/callback]
      scopes: [openid]
"
    );
    let place = Place::of(&file, folder.path(), 1_000);
    let pushed = async |audience: &str, jti: &str| {
        let key = AssertionKey::Private(&key);
        let assertion = client_assertion(key, "signer", audience, jti, place.now).unwrap();
        let form = with(&[
            ("client_id", "signer"),
            ("client_assertion_type", CLIENT_ASSERTION_TYPE),
            ("client_assertion", assertion.expose()),
        ]);
        place
            .send(Sent(PAR, "POST", &[FORM], &encoded(&form)))
            .await
    };
    for (jti, audience) in [
        ("1", "https://sso.example/oidc"),
        ("2", "https://sso.example/oidc/par"),
        ("3", "https://sso.example/oidc/token"),
    ] {
        let answer = pushed(audience, jti).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{audience}");
        check_refused(&pushed(audience, jti).await, 401, "invalid_client");
    }
    for (jti, audience) in [
        ("4", "https://sso.example/oidc/revoke"),
        ("5", "https://sso.example"),
    ] {
        check_refused(&pushed(audience, jti).await, 401, "invalid_client");
    }
}

/// Whoever has no account brings a request as often as they like: nothing of that is kept.
#[tokio::test]
async fn a_request_that_nobody_answers_fills_no_store() {
    // Of a test of the accounts: its password is of no matter here.
    let hash = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM";
    let file = FILE.replace(
        "login: {identity_providers: [corp], recheck: never}",
        &format!(
            "login: {{accounts: local}}\n  accounts: [{{username: al, password_hash: '{hash}'}}]"
        ),
    );
    assert_ne!(file, FILE);
    let place = Place::of(&file, Path::new(""), 10);
    let uri = push(&place, SHOP, &with(&[("prompt", "login")])).await;
    let mut answer = bring(&place, "shop", &uri).await;
    for round in 0..20 {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "round {round}");
        let page = Url::parse(&format!(
            "https://sso.example{}",
            header(&answer, "location")
        ));
        let page = page.unwrap();
        assert_eq!(page.path(), "/oidc/sign_in");
        let rd = page.query_pairs().find(|(name, _)| name == "rd").unwrap().1;
        let (_, query) = rd.split_once('?').unwrap();
        assert!(query.starts_with("vestibule_pushed="), "{query}");
        let sent = Sent(ProviderPath::Authorize, "GET", &[], "");
        answer = place.send_to(Some(query), sent).await;
    }
}
