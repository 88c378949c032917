//! Sign-out that a client asks for.

use serde_json::json;

use super::accounts;
use super::rp::Rp;
use crate::provider::field;
use crate::provider::to_client;
use crate::support::client::Call;
use crate::support::client::is_redirect;
use crate::support::client::location;
use crate::support::client::query;
use crate::support::gateway::World;
use crate::support::keys::Signer;
use crate::support::keys::base64url;
use crate::support::keys::sign;
use crate::support::keys::unique;
use crate::support::raw::Response;

const BYE: &str = "http://first.localhost:1/bye";

/// The parameters of a request.
type Request = Vec<(&'static str, String)>;

/// What the end-session endpoint makes of a request.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The session has ended and the browser is back at the client, with these parameters.
    Back(Vec<(String, String)>),
    /// The session has ended, and the page that says so is shown.
    Ended,
    /// The session has ended, and a page says what was wrong with the request.
    EndedWithError,
    /// The user is asked, and the session lives.
    Asked,
}

/// Logs alice in, and sends her browser from the client to the end-session endpoint with the parameters
/// that `change` makes of the usual ones. A user who is asked agrees, after which the session is over in
/// any case.
#[track_caller]
fn check(change: impl FnOnce(&mut Request)) -> (Outcome, String) {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let tokens = rp.flow(&[]);
    let state = unique(&"st&te ".repeat(16));
    let mut request = vec![
        ("id_token_hint", tokens.text("id_token").to_owned()),
        ("post_logout_redirect_uri", BYE.to_owned()),
        ("state", state.clone()),
    ];
    change(&mut request);
    let mut url = url::form_urlencoded::Serializer::new(String::new());
    url.extend_pairs(&request);
    let url = format!("{}?{}", rp.endpoint("end_session_endpoint"), url.finish());
    let done = (rp.browser).send(&Call::navigate(&url).header("Sec-Fetch-Site", "cross-site"));
    let done = to_client(&mut rp.browser, done);
    let outcome = outcome(&done);
    if outcome == Outcome::Asked {
        rp.silent_flow(&[("prompt", "none")]);
        let csrf = field(&done.text(), "csrf");
        let agreed = Call::navigate(&url).header("Sec-Fetch-Site", "same-origin");
        let done = rp.browser.send(&agreed.form(&[("csrf", &csrf)]));
        let done = to_client(&mut rp.browser, done);
        assert!(!is_redirect(&done), "to {}", location(&done));
    }
    assert_eq!(rp.refused(&[("prompt", "none")]), "login_required");
    (outcome, state)
}

#[track_caller]
fn outcome(done: &Response) -> Outcome {
    if is_redirect(done) {
        let place = location(done);
        let (target, _) = place.split_once('?').unwrap_or((&place, ""));
        assert_eq!(target, BYE);
        return Outcome::Back(query(&place));
    }
    let has_form = done.text().contains("name=\"csrf\"");
    match (done.status, has_form) {
        (200, true) => Outcome::Asked,
        (200, false) if done.url.ends_with("/signed_out") => Outcome::Ended,
        (400, false) => Outcome::EndedWithError,
        _ => panic!("{}: {}", done.status, done.text()),
    }
}

fn without(name: &'static str) -> impl FnOnce(&mut Request) {
    move |request| request.retain(|(other, _)| *other != name)
}

fn with(name: &'static str, value: String) -> impl FnOnce(&mut Request) {
    move |request| {
        for (other, place) in request {
            if *other == name {
                place.clone_from(&value);
            }
        }
    }
}

#[test]
fn oidcc_rp_initiated_logout() {
    let (outcome, state) = check(|_| ());
    assert_eq!(outcome, Outcome::Back(vec![("state".to_owned(), state)]));
}

#[test]
fn oidcc_rp_initiated_logout_no_state() {
    let (outcome, _) = check(without("state"));
    assert_eq!(outcome, Outcome::Back(Vec::new()));
}

#[test]
fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri() {
    let (outcome, _) = check(without("post_logout_redirect_uri"));
    assert_eq!(outcome, Outcome::Ended);
}

#[test]
fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri() {
    let other = "http://first.localhost:1/bye/x1v9".to_owned();
    let (outcome, _) = check(with("post_logout_redirect_uri", other));
    assert_eq!(outcome, Outcome::EndedWithError);
}

#[test]
fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri() {
    let longer = format!("{BYE}?foo=bar");
    let (outcome, _) = check(with("post_logout_redirect_uri", longer));
    assert_eq!(outcome, Outcome::EndedWithError);
}

/// Any page could send a browser here.
#[test]
fn oidcc_rp_initiated_logout_no_id_token_hint() {
    let (outcome, _) = check(without("id_token_hint"));
    assert_eq!(outcome, Outcome::Asked);
}

#[test]
fn oidcc_rp_initiated_logout_no_params() {
    let (outcome, _) = check(|request| request.clear());
    assert_eq!(outcome, Outcome::Asked);
}

#[test]
fn oidcc_rp_initiated_logout_only_state() {
    let (outcome, _) = check(|request| request.retain(|(name, _)| *name == "state"));
    assert_eq!(outcome, Outcome::Asked);
}

/// The claims of the ID token without its signature.
#[test]
fn oidcc_rp_initiated_logout_modified_id_token_hint() {
    let (outcome, _) = check(|request| {
        let claims = request[0].1.split('.').nth(1).unwrap();
        request[0].1 = format!("{}.{claims}.", base64url(br#"{"alg":"none"}"#));
    });
    assert_eq!(outcome, Outcome::Asked);
}

/// The header and the claims of the ID token, signed by a key of somebody else.
#[test]
fn oidcc_rp_initiated_logout_bad_id_token_hint() {
    let (outcome, _) = check(|request| {
        let hint = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(&request[0].1);
        let hint = hint.unwrap();
        let header = json!({"alg": "RS256", "kid": hint.header.kid}).to_string();
        request[0].1 = sign(&Signer::ForeignRs256, &header, &hint.claims.to_string());
    });
    assert_eq!(outcome, Outcome::Asked);
}
