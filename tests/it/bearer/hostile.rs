//! D24 from outside: one of each kind of the hostile set that `jose` is tested with. Each is refused with
//! a challenge, nothing reaches the app, and the gateway goes on.

use super::*;

fn raw(header: &str, claims: &str) -> String {
    keys::sign(&Signer::Rs256, header, claims)
}

#[test]
fn a_sample_of_the_hostile_set_is_refused() {
    let world = world();
    // What has no shape of a JWT is asked about, where that is set up; nobody knows it there.
    world.idp.replace("/introspect", |_| {
        Reply::json(200, &json!({"active": false}))
    });
    const HEADER: &str = r#"{"alg":"RS256","kid":"rsa-1","typ":"at+jwt"}"#;
    let body = Value::Object(claims(&world)).to_string();
    let more = |member: &str| format!("{},{member}}}", body.trim_end_matches('}'));
    let good = raw(HEADER, &body);
    let parts: Vec<&str> = good.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    let by_ec = keys::sign(&Signer::Es256, r#"{"alg":"ES256","kid":"ec-1"}"#, &body);
    let (by_ec, _) = by_ec.rsplit_once('.').unwrap();
    let with_signature = |bytes: &[u8]| format!("{by_ec}.{}", keys::base64url(bytes));
    // DER of the two numbers 1.
    let der = [0x30, 6, 2, 1, 1, 2, 1, 1];
    let foreign = json!({"alg": "RS256", "jwk": keys::foreign_jwk()}).to_string();
    let set = [
        (
            "an escaped second alg",
            raw(r#"{"alg":"RS256","kid":"rsa-1","\u0061lg":"none"}"#, &body),
        ),
        (
            "an escaped crit",
            raw(
                r#"{"alg":"RS256","kid":"rsa-1","\u0063rit":["exp"]}"#,
                &body,
            ),
        ),
        ("a null alg", raw(r#"{"alg":null,"kid":"rsa-1"}"#, &body)),
        (
            "a list of algs",
            raw(r#"{"alg":["RS256"],"kid":"rsa-1"}"#, &body),
        ),
        ("no alg", raw(r#"{"kid":"rsa-1"}"#, &body)),
        (
            "b64",
            raw(r#"{"alg":"RS256","kid":"rsa-1","b64":false}"#, &body),
        ),
        (
            "jku",
            raw(
                r#"{"alg":"RS256","kid":"rsa-1","jku":"https://evil.example"}"#,
                &body,
            ),
        ),
        (
            "x5u",
            raw(
                r#"{"alg":"RS256","kid":"rsa-1","x5u":"https://evil.example"}"#,
                &body,
            ),
        ),
        (
            "its own key",
            keys::sign(&Signer::ForeignRs256, &foreign, &body),
        ),
        (
            "a nested token",
            raw(r#"{"alg":"RS256","kid":"rsa-1","cty":"JWT"}"#, &body),
        ),
        ("no header", raw("", &body)),
        ("a list as header", raw("[]", &body)),
        ("no claims", raw(HEADER, "")),
        ("null claims", raw(HEADER, "null")),
        ("two objects", raw(HEADER, &format!("{body}{body}"))),
        ("a second sub", raw(HEADER, &more(r#""sub":"root""#))),
        (
            "an escaped second sub",
            raw(HEADER, &more(r#""\u0073ub":"root""#)),
        ),
        (
            "an escaped second aud",
            raw(HEADER, &more(r#""\u0061ud":"x""#)),
        ),
        ("half a surrogate", raw(HEADER, &more(r#""x":"\ud800""#))),
        ("a huge exponent", raw(HEADER, &more(r#""x":1e999999"#))),
        ("zeros", with_signature(&[0; 64])),
        ("ones", with_signature(&[0xff; 64])),
        ("DER", with_signature(&der)),
        ("empty parts", String::from("..")),
        ("no signature", format!("{head}.{payload}.")),
        ("a dot behind it", format!("{good}.")),
        ("encrypted", format!("{good}.{payload}.{signature}")),
        ("another order", format!("{payload}.{head}.{signature}")),
        ("a tilde behind it", format!("{good}~")),
        (
            "the other alphabet",
            format!("{head}.{payload}.{}+", &signature[1..]),
        ),
        (
            "an oversized session id",
            raw(HEADER, &more(&format!(r#""sid":"{}""#, "x".repeat(513)))),
        ),
    ];
    for (what, token) in set {
        world.secrets.note(&token);
        for path in ["/", "/opaque", "/dpop"] {
            let answer = get(&world, path, &token);
            assert_eq!(answer.status, 401, "{what} at {path}: {}", answer.text());
            let challenge = answer.header("www-authenticate");
            assert!(
                challenge.contains("error=\"invalid_token\""),
                "{what} at {path}: {challenge}"
            );
        }
    }
    world.echo.assert_untouched();
    assert_eq!(get(&world, "/", &good).status, 200);
}
