//! OpenID Connect Back-Channel Logout, as the identity provider's side sees it.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Browser;
use crate::support::gateway::Gateway;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::idp::CLIENT_ID;
use crate::support::idp::Idp;
use crate::support::idp::now;
use crate::support::keys;
use crate::support::keys::Signer;
use crate::support::raw::Response;
use crate::support::websocket;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const HEADER: &str = r#"{"alg":"RS256","kid":"rsa-1","typ":"logout+jwt"}"#;

/// A good logout token with changes; null takes a claim out.
fn claims(idp: &Idp, change: &Value) -> Map<String, Value> {
    let mut claims = json!({
        "iss": idp.issuer(), "aud": CLIENT_ID, "iat": now(), "exp": now() + 120,
        "jti": keys::unique("jti-"), "events": {EVENT: {}},
    });
    let all = claims.as_object_mut().unwrap();
    all.extend(change.as_object().unwrap().clone());
    all.retain(|_, value| !value.is_null());
    all.clone()
}

fn token(world: &World, change: &Value) -> String {
    let claims = Value::Object(claims(&world.idp, change)).to_string();
    let token = keys::sign(&Signer::Rs256, HEADER, &claims);
    world.secrets.note(&token);
    token
}

fn form(token: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("logout_token", token)
        .finish()
}

/// Sends a request with this body to the endpoint of `corp`.
#[track_caller]
fn send(world: &World, start: &str, content_type: &str, body: &str) -> Response {
    let request = format!(
        "{start} HTTP/1.1\r\nHost: {{host}}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    world.exchange(&request).expect("an answer")
}

const START: &str = "POST /oauth2/backchannel_logout/corp";
const FORM: &str = "application/x-www-form-urlencoded";

#[track_caller]
fn log_out(world: &World, token: &str) -> Response {
    send(world, START, FORM, &form(token))
}

/// A browser with a session of this `sid`, or of none.
#[track_caller]
fn logged_in(world: &World, sid: Option<&str>) -> Browser {
    let sid = sid.map(str::to_owned);
    world.idp.lie_in_claims(move |claims| match &sid {
        Some(sid) => drop(claims.insert("sid".to_owned(), json!(sid))),
        None => drop(claims.remove("sid")),
    });
    world.logged_in()
}

#[track_caller]
fn is_alive(world: &World, browser: &Browser) -> bool {
    match browser.clone().get(&world.app("/x")).status {
        200 => true,
        302 => false,
        status => panic!("{status}"),
    }
}

/// E04
#[test]
fn a_logout_token_ends_the_sessions_it_names() {
    let world = World::start();
    for (number, has_sid, has_subject, expected) in [
        (1, true, false, [false, true, true]),
        // A session without a `sid` could be the one that is meant.
        (2, true, true, [false, true, false]),
        (3, false, true, [false, false, false]),
    ] {
        let (one, two) = (format!("one-{number}"), format!("two-{number}"));
        let subject = format!("subject-{number}");
        world.idp.set_user(&json!({"sub": subject}));
        let browsers = [Some(one.as_str()), Some(&two), None].map(|sid| logged_in(&world, sid));
        let target = json!({
            "sid": has_sid.then_some(one), "sub": has_subject.then_some(subject),
        });
        let answer = log_out(&world, &token(&world, &target));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.all("set-cookie").is_empty() && answer.body.is_empty());
        let alive = browsers.each_ref().map(|browser| is_alive(&world, browser));
        assert_eq!(alive, expected, "{target}");
    }
    world.gateway.wait_for_log("backchannel_logout");
}

/// E06
#[test]
fn a_logout_of_somebody_unknown_changes_nothing() {
    let world = World::start();
    let browser = logged_in(&world, Some("s1"));
    for target in [
        json!({"sid": "unknown"}),
        json!({"sub": "unknown"}),
        // The `sid` of one and the subject of another.
        json!({"sid": "s1", "sub": "unknown"}),
        json!({"sid": "unknown", "sub": "user-0001"}),
    ] {
        assert_eq!(
            log_out(&world, &token(&world, &target)).status,
            200,
            "{target}"
        );
        assert!(is_alive(&world, &browser), "{target}");
    }
}

/// E05
#[test]
fn a_logout_token_that_is_not_one_is_refused() {
    let world = World::start();
    let browser = logged_in(&world, Some("s1"));
    let mut requests = Vec::new();
    for change in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": null}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"aud": []}),
        json!({"iat": null}),
        json!({"iat": now() + 3600}),
        json!({"iat": now() - 3600, "exp": null}),
        json!({"iat": now().to_string()}),
        json!({"exp": now() - 3600}),
        json!({"nbf": now() + 3600}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"events": null}),
        json!({"events": {}}),
        json!({"events": {"http://schemas.openid.net/event/other": {}}}),
        json!({"events": {EVENT: "yes"}}),
        json!({"events": [EVENT]}),
        json!({"nonce": "n"}),
        json!({"nonce": null, "sid": null}),
        json!({"sid": 1}),
        json!({"sid": ""}),
        json!({"sid": "s1", "sub": ["user-0001"]}),
    ] {
        let mut all = json!({"sid": "s1"});
        all.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        requests.push((change.to_string(), form(&token(&world, &all))));
    }
    let good = json!({"sid": "s1", "sub": "user-0001"});
    let payload = Value::Object(claims(&world.idp, &good)).to_string();
    let secret = world.idp.client_secret().as_bytes().to_vec();
    for (name, signer, header) in [
        ("alg none", Signer::Nobody, r#"{"alg":"none"}"#),
        (
            "alg None",
            Signer::Nobody,
            r#"{"alg":"None","kid":"rsa-1"}"#,
        ),
        ("no signature", Signer::Nobody, HEADER),
        (
            "HS256",
            Signer::Hs256(secret),
            r#"{"alg":"HS256","kid":"rsa-1"}"#,
        ),
        (
            "HS256 by the public key",
            Signer::Hs256(keys::rsa_as_hmac_keys().remove(0)),
            r#"{"alg":"HS256","kid":"rsa-1"}"#,
        ),
        ("a foreign key", Signer::ForeignRs256, HEADER),
        (
            "another type",
            Signer::Rs256,
            r#"{"alg":"RS256","kid":"rsa-1","typ":"at+jwt"}"#,
        ),
        (
            "crit",
            Signer::Rs256,
            r#"{"alg":"RS256","kid":"rsa-1","crit":["x"],"x":1}"#,
        ),
    ] {
        requests.push((
            name.to_owned(),
            form(&keys::sign(&signer, header, &payload)),
        ));
    }
    let doubled = format!("{},\"sid\":\"s1\"}}", payload.strip_suffix('}').unwrap());
    requests.push((
        "a doubled claim".to_owned(),
        form(&keys::sign(&Signer::Rs256, HEADER, &doubled)),
    ));
    // An ID token with the event in it: what an ID token is for stays what it is.
    let id_token = json!({"sid": "s1", "sub": "user-0001", "events": null, "nonce": "n"});
    requests.push(("an ID token".to_owned(), form(&token(&world, &id_token))));
    let good_token = token(&world, &good);
    let good_form = form(&good_token);
    requests.push(("doubled".to_owned(), format!("{good_form}&{good_form}")));
    requests.push(("empty".to_owned(), "logout_token=".to_owned()));
    requests.push(("nothing".to_owned(), String::new()));
    requests.push((
        "another name".to_owned(),
        good_form.replace("logout_token", "token"),
    ));
    for (name, body) in &requests {
        let answer = send(&world, START, FORM, body);
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert_eq!(answer.json()["error"], "invalid_request", "{name}");
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        assert!(is_alive(&world, &browser), "{name}");
    }
    let json_body = json!({"logout_token": good_token}).to_string();
    for (start, content_type, body) in [
        (START, "application/json", json_body.as_str()),
        (START, "application/json", &good_form),
        (START, "multipart/form-data; boundary=x", &good_form),
        (START, "", &good_form),
        ("PUT /oauth2/backchannel_logout/corp", FORM, &good_form),
        (
            &format!("GET /oauth2/backchannel_logout/corp?{good_form}"),
            FORM,
            "",
        ),
        (&format!("{START}?{good_form}"), FORM, ""),
    ] {
        let answer = send(&world, start, content_type, body);
        assert_eq!(
            answer.status,
            400,
            "{start} {content_type}: {}",
            answer.text()
        );
        assert!(is_alive(&world, &browser), "{start} {content_type}");
    }
    for start in [
        "POST /oauth2/backchannel_logout/other",
        "POST /oauth2/backchannel_logout/",
    ] {
        assert_eq!(send(&world, start, FORM, &good_form).status, 404, "{start}");
        assert!(is_alive(&world, &browser), "{start}");
    }
    // The good one among them was good all the time.
    assert_eq!(log_out(&world, &good_token).status, 200);
    assert!(!is_alive(&world, &browser));
}

/// E05: otherwise whoever has seen one could end sessions for ten minutes.
#[test]
fn a_logout_token_is_used_once() {
    let world = World::start();
    let first = logged_in(&world, Some("s1"));
    let used = token(&world, &json!({"sub": "user-0001", "iat": now() - 30}));
    assert_eq!(log_out(&world, &used).status, 200);
    assert!(!is_alive(&world, &first));
    let second = logged_in(&world, Some("s2"));
    let answer = log_out(&world, &used);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(is_alive(&world, &second));
}

/// E05, the reverse: a logout token is no ID token.
#[test]
fn a_logout_token_logs_nobody_in() {
    let world = World::start();
    world.idp.lie_in_claims(|claims| {
        claims.insert("events".to_owned(), json!({EVENT: {}}));
    });
    assert_ne!(world.browser().login(&world.app("/")).status, 200);
}

/// E07
#[test]
fn the_same_subject_at_another_issuer_stays() {
    let secrets = crate::support::secrets::Secrets::default();
    let other = Idp::start(&secrets);
    let mut setup = Setup::routes(
        "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
",
    );
    setup.more_idps = format!(
        "
  - id: partner
    name: Partner
    issuer: '{}'
    client_id: gateway
    client_secret: {{file: '{{dir}}/partner-secret'}}
",
        other.issuer()
    );
    let setup = setup.file("partner-secret", other.client_secret());
    let world = World::around(
        &setup,
        Idp::start(&secrets),
        crate::support::echo::Echo::start(),
        secrets.clone(),
    );
    let login = |idp: &str| {
        let mut browser = world.browser();
        let page = browser.login(&world.app(&format!("/oauth2/start?idp={idp}&rd=/x")));
        assert_eq!(page.status, 200);
        browser
    };
    let three = [login("corp"), login("corp"), login("corp")];
    let one = login("partner");
    let logout = token(&world, &json!({"sub": "user-0001"}));
    // Sent to the wrong endpoint it is worth nothing.
    let start = "POST /oauth2/backchannel_logout/partner";
    assert_eq!(send(&world, start, FORM, &form(&logout)).status, 400);
    assert!(three.iter().all(|browser| is_alive(&world, browser)));
    assert_eq!(log_out(&world, &logout).status, 200);
    assert!(!three.iter().any(|browser| is_alive(&world, browser)));
    assert!(is_alive(&world, &one));
}

/// E08: the logout arrives while the login it is about is on its way.
#[test]
fn a_logout_overtakes_its_login() {
    let world = World::start();
    for (sid, target, iat) in [
        (Some("early-1"), json!({"sid": "early-1"}), now() - 60),
        (
            Some("early-2"),
            json!({"sid": "early-2", "sub": "user-0002"}),
            now() - 60,
        ),
        // Whose token is not newer than the logout.
        (Some("early-3"), json!({"sub": "user-0003"}), now() + 30),
        (None, json!({"sid": "any", "sub": "user-0004"}), now() + 30),
    ] {
        let mut target = target;
        target["iat"] = json!(iat);
        if let Some(subject) = target["sub"].as_str() {
            world.idp.set_user(&json!({"sub": subject}));
        }
        let owned = sid.map(str::to_owned);
        world.idp.lie_in_claims(move |claims| match &owned {
            Some(sid) => drop(claims.insert("sid".to_owned(), json!(sid))),
            None => drop(claims.remove("sid")),
        });
        let mut browser = world.browser();
        let callback = browser.callback_url(&world.app("/x"));
        assert_eq!(log_out(&world, &token(&world, &target)).status, 200);
        let answer = browser.get(&callback);
        assert_eq!(answer.status, 403, "{target}: {}", answer.text());
        assert_eq!(browser.cookie("vestibule"), None, "{target}");
        assert!(!is_alive(&world, &browser), "{target}");
    }
    // The nearest that is let in: a token newer than the logout, another `sid`.
    let logout = token(&world, &json!({"sub": "user-0005", "iat": now() - 30}));
    assert_eq!(log_out(&world, &logout).status, 200);
    world.idp.set_user(&json!({"sub": "user-0005"}));
    assert!(is_alive(&world, &logged_in(&world, Some("late"))));
}

/// C08: told to one gateway, in force on the other.
#[test]
fn a_logout_told_to_one_gateway_holds_on_all() {
    let route = "
  - {from: 'https://wiki.example.com', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
";
    let setup = Setup::routes(route);
    let world = World::with(&setup);
    let mut beside = setup.clone();
    beside.store_dir = Some(world.gateway.folder());
    let other = Gateway::start(&beside, &world.idp, &world.echo, &world.secrets);
    let url = "https://wiki.example.com/x";
    let mut browser = Browser::new(other.port, &world.secrets);
    assert_eq!(browser.login(url).status, 200);
    let cookie = browser.cookie("__Host-vestibule").unwrap();
    let cookie = format!("__Host-vestibule={cookie}");
    let mut socket = websocket::open(&world, other.port, "wiki.example.com", &cookie);
    let since = std::time::Instant::now();
    assert_eq!(
        log_out(&world, &token(&world, &json!({"sub": "user-0001"}))).status,
        200
    );
    assert!(socket.rest().starts_with(b"\x88\x13\x03\xf0"));
    eprintln!(
        "closed {} ms after the logout was sent",
        since.elapsed().as_millis()
    );
    assert_eq!(browser.get(url).status, 302);
}

/// C20
#[test]
fn hundreds_of_sessions_of_one_user_end_at_once() {
    const SESSIONS: usize = 300;
    let world = World::start();
    let browsers: Vec<Browser> = (0..SESSIONS).map(|_| world.logged_in()).collect();
    let since = std::time::Instant::now();
    assert_eq!(
        log_out(&world, &token(&world, &json!({"sub": "user-0001"}))).status,
        200
    );
    let took = since.elapsed();
    assert!(took.as_secs() < 2, "{took:?}");
    assert!(!browsers.iter().any(|browser| is_alive(&world, browser)));
}

#[test]
fn a_provider_without_keys_is_503() {
    let world = World::start();
    world.idp.replace("/jwks", |_| {
        crate::support::http_server::Reply::new(500, "text/plain", "down")
    });
    let answer = log_out(&world, &token(&world, &json!({"sub": "user-0001"})));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.all("retry-after").len(), 1);
}
