//! The doubles and clients against each other, without the gateway: a test that fails later then
//! fails because of the gateway.

use serde_json::json;

use super::client::Browser;
use super::client::Call;
use super::client::cookies_set;
use super::client::location;
use super::client::query;
use super::echo::Echo;
use super::echo::websocket;
use super::http_server::Reply;
use super::http_server::value_of;
use super::idp::Idp;
use super::keys;
use super::keys::Signer;
use super::raw::Raw;
use super::raw::Response;
use super::secrets::Secrets;

fn port_of(url: &str) -> u16 {
    url.rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .unwrap()
}

#[test]
fn echo_mirrors_and_records_exact_bytes() {
    let echo = Echo::start();
    let mut raw = Raw::connect(port_of(&echo.url()));
    let chunked = "POST /a%2Fb?c HTTP/1.1\r\nX-A:  1 \r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\n\r\n";
    raw.send(chunked);
    let answer = raw.response("POST").unwrap();
    assert_eq!(answer.json()["body"], "abc");
    assert_eq!(answer.json()["target"], "/a%2Fb?c");
    assert_eq!(echo.last().header("x-a"), Some("1"));
    assert!(
        echo.last()
            .head
            .ends_with(b"X-A:  1 \r\nTransfer-Encoding: chunked\r\n\r\n")
    );
    assert!(echo.has_received("3\r\nabc\r\n0\r\n\r\n"));
    raw.send("GET /second HTTP/1.1\r\n\r\n");
    assert_eq!(raw.response("GET").unwrap().status, 200);
    assert_eq!(echo.requests().len(), 2);
}

#[test]
fn echo_answers_as_told() {
    let echo = Echo::start();
    let port = port_of(&echo.url());
    echo.answer_bytes("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest");
    let mut raw = Raw::connect(port);
    raw.send("GET / HTTP/1.1\r\n\r\n");
    let answer = raw.response("GET").unwrap();
    assert_eq!(
        (answer.status, answer.interim.as_slice()),
        (200, &[103][..])
    );
    assert_eq!(answer.text(), "rest");
    echo.answer(|_| Reply::Hold(Vec::new()));
    let mut raw = Raw::connect(port);
    raw.send("GET / HTTP/1.1\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n");
    super::eventually("the held bytes are recorded", || {
        echo.has_received("GET /smuggled")
    });
    assert_eq!(echo.requests().len(), 2);
}

#[test]
fn echo_speaks_websocket() {
    let echo = Echo::start();
    echo.answer(websocket);
    let mut raw = Raw::connect(port_of(&echo.url()));
    raw.send("GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    let answer = raw.response("GET").unwrap();
    // The example of RFC 6455 section 1.3.
    assert_eq!(
        answer.header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    raw.send(b"\x81\x82\x01\x02\x03\x04ik");
    assert_eq!(raw.read(4).unwrap(), b"\x81\x02hi");
}

fn exchange(idp: &Idp, browser: &mut Browser, fields: &[(&str, &str)]) -> Response {
    let secret = idp.client_secret().to_owned();
    let mut form = vec![("client_id", "gateway"), ("client_secret", &secret)];
    form.extend_from_slice(fields);
    browser.send(&Call::bare("POST", &format!("{}/token", idp.issuer())).form(&form))
}

/// Goes through the authorization endpoint as the gateway would and gives the code.
fn code(idp: &Idp, browser: &mut Browser, challenge: &str) -> String {
    let url = format!(
        "{}/authorize?response_type=code&client_id=gateway&redirect_uri=http://app/cb&state=s1\
         &nonce=n1&code_challenge={challenge}&code_challenge_method=S256",
        idp.issuer()
    );
    let answer = browser.get(&url);
    let back = location(&answer);
    assert_eq!(value_of(&query(&back), "state"), Some("s1"));
    value_of(&query(&back), "code").unwrap().to_owned()
}

const CODE: [(&str, &str); 2] = [
    ("grant_type", "authorization_code"),
    ("redirect_uri", "http://app/cb"),
];

#[test]
fn idp_gives_tokens_once_to_whoever_knows_the_verifier() {
    let secrets = Secrets::default();
    let idp = Idp::start(&secrets);
    let mut browser = Browser::new(0, &Secrets::default());
    let code = code(&idp, &mut browser, &keys::code_challenge("the verifier"));
    let fields = [
        &CODE[..],
        &[("code", &code), ("code_verifier", "the verifier")],
    ]
    .concat();
    let tokens = exchange(&idp, &mut browser, &fields);
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    let tokens = tokens.json();
    let id_token = tokens["id_token"].as_str().unwrap();
    check_signature(id_token, true);
    assert!(idp.complaints().is_empty(), "{:?}", idp.complaints());
    assert_eq!(exchange(&idp, &mut browser, &fields).status, 400);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(exchange(&idp, &mut browser, &fields).status, 200);
    assert_eq!(exchange(&idp, &mut browser, &fields).status, 400);
    assert_eq!((idp.calls("/token"), idp.complaints().len()), (4, 2));
    let shown = std::panic::catch_unwind(|| secrets.assert_absent("here", id_token));
    assert!(shown.is_err(), "the token is noted as a secret");
}

#[test]
fn idp_refuses_a_wrong_verifier_and_a_wrong_secret() {
    let idp = Idp::start(&Secrets::default());
    let mut browser = Browser::new(0, &Secrets::default());
    let code = code(&idp, &mut browser, &keys::code_challenge("right"));
    let fields = [&CODE[..], &[("code", &code), ("code_verifier", "wrong")]].concat();
    assert_eq!(exchange(&idp, &mut browser, &fields).status, 400);
    let twice = exchange(&idp, &mut browser, &[("client_secret", "another")]);
    assert_eq!(twice.status, 400, "the first value of a parameter counts");
    let call = Call::bare("POST", &format!("{}/token", idp.issuer())).form(&CODE);
    assert_eq!(browser.send(&call).status, 401);
}

#[test]
fn idp_lies_when_told() {
    let idp = Idp::start(&Secrets::default());
    let mut browser = Browser::new(0, &Secrets::default());
    idp.lie_in_claims(|claims| drop(claims.insert("sub".to_owned(), json!("another"))));
    idp.lie(|lies| lies.signer = Signer::ForeignRs256);
    idp.lie(|lies| {
        lies.payload = Some(Box::new(|text| *text = text.replacen('{', "{\"a\":1,", 1)))
    });
    let code = code(&idp, &mut browser, &keys::code_challenge("v"));
    let fields = [&CODE[..], &[("code", &code), ("code_verifier", "v")]].concat();
    let tokens = exchange(&idp, &mut browser, &fields).json();
    let id_token = tokens["id_token"].as_str().unwrap();
    check_signature(id_token, false);
    idp.replace("/jwks", |_| Reply::redirect(302, "http://elsewhere/"));
    assert_eq!(browser.get(&format!("{}/jwks", idp.issuer())).status, 302);
}

/// Asks another library whether a token is signed by the published key.
fn check_signature(id_token: &str, expected: bool) {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys::jwks()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find("rsa-1").unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_audience(&["gateway"]);
    let decoded = jsonwebtoken::decode::<serde_json::Value>(id_token, &key, &validation);
    assert_eq!(decoded.is_ok(), expected, "{decoded:?}");
}

#[test]
fn browser_keeps_and_drops_cookies_by_host_and_path() {
    let echo = Echo::start();
    echo.answer(|request| {
        let headers = match request.path() {
            "/set" => vec![
                ("Set-Cookie", "a=1; Path=/"),
                ("Set-Cookie", "b=2; Path=/deep"),
            ],
            "/drop" => vec![("Set-Cookie", "a=; Path=/; Max-Age=0")],
            _ => Vec::new(),
        };
        let headers = headers
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        Reply::Answer {
            status: 200,
            headers,
            body: Vec::new(),
        }
    });
    let url = |host: &str, path: &str| format!("http://{host}:{}{path}", port_of(&echo.url()));
    let mut browser = Browser::new(0, &Secrets::default());
    let mut sent = |host: &str, path: &str| {
        browser.get(&url(host, path));
        echo.last().header("cookie").map(str::to_owned)
    };
    assert_eq!(sent("a.localhost", "/set"), None);
    assert_eq!(sent("a.localhost", "/"), Some("a=1".to_owned()));
    assert_eq!(sent("a.localhost", "/deep/er"), Some("a=1; b=2".to_owned()));
    assert_eq!(sent("b.localhost", "/"), None);
    sent("a.localhost", "/drop");
    assert_eq!(sent("a.localhost", "/"), None);
}

#[test]
fn set_cookie_lines_are_taken_apart() {
    let headers = vec![(
        "set-cookie".to_owned(),
        "__Host-x=v=w; Path=/; Secure".to_owned(),
    )];
    let (body, interim, url) = Default::default();
    let response = Response {
        status: 200,
        headers,
        body,
        interim,
        url,
    };
    let cookies = cookies_set(&response, "x");
    assert_eq!(
        (cookies[0].name.as_str(), cookies[0].value.as_str()),
        ("__Host-x", "v=w")
    );
    assert!(cookies[0].has("path", "/") && cookies[0].has("secure", ""));
    assert!(!cookies[0].has("httponly", ""));
}
