//! Claims.

use super::*;

#[test]
fn every_claim_bent() {
    let all = [
        "iss",
        "aud",
        "sub",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "sid",
        "cnf",
        "nonce",
    ];
    let strict = ["iss", "aud", "sub", "exp", "iat", "jti", "client_id"];
    let kind = || TokenKind::AccessToken {
        audience: &AUDIENCE,
        token_type: AccessTokenType::AtJwt,
        binding: Binding::Dpop,
    };
    let mut count = 0;
    let mut check = |name: &str, claims: &str| {
        let token = sign_raw(HEADER, claims);
        let result = verify(&policy(kind()), &token, &KEYS, NOW);
        assert!(result.is_err(), "{name}: {claims}");
        count += 1;
    };
    for (name, claims) in mutated(&claims(), &strict, &all) {
        // Times long ago are times; a blank is a name that nobody has, but a name.
        let is_time = ["nbf", "iat"]
            .iter()
            .any(|claim| name.starts_with(&format!("`{claim}` is")))
            && ["is zero", "is a fraction"]
                .iter()
                .any(|kind| name.ends_with(kind));
        let is_name = ["sub", "jti", "client_id", "sid"]
            .iter()
            .any(|claim| name == format!("`{claim}` is a blank"));
        let is_opaque = ["jti", "client_id", "sid"]
            .iter()
            .any(|claim| name == format!("`{claim}` is a nul"));
        if !(is_time || is_name || is_opaque) {
            check(&name, &claims);
        }
    }
    let long = |length: usize| json!("x".repeat(length));
    for (name, change) in [
        ("another issuer", json!({"iss": "https://evil.example"})),
        (
            "an issuer with a slash",
            json!({"iss": format!("{ISSUER}/")}),
        ),
        (
            "an issuer in capitals",
            json!({"iss": ISSUER.to_uppercase()}),
        ),
        (
            "an issuer with a nul",
            json!({"iss": format!("{ISSUER}\u{0}")}),
        ),
        ("a list of issuers", json!({"iss": [ISSUER]})),
        (
            "a part of the audience",
            json!({"aud": "https://api.example"}),
        ),
        (
            "audiences in one string",
            json!({"aud": "https://api.example.com other"}),
        ),
        (
            "an audience among other things",
            json!({"aud": ["https://api.example.com", 7]}),
        ),
        (
            "audiences in a list of lists",
            json!({"aud": [["https://api.example.com"]]}),
        ),
        (
            "audiences as names",
            json!({"aud": {"https://api.example.com": true}}),
        ),
        (
            "a long subject",
            json!({"sub": long(SUBJECT_LENGTH_MAX + 1)}),
        ),
        (
            "a subject with a line break",
            json!({"sub": "a\r\nX-Forwarded-User: root"}),
        ),
        (
            "a subject that reads right to left",
            json!({"sub": "\u{202e}ecila"}),
        ),
        ("a long id", json!({"jti": long(IDENTIFIER_LENGTH_MAX + 1)})),
        (
            "a long session id",
            json!({"sid": long(IDENTIFIER_LENGTH_MAX + 1)}),
        ),
        ("over", json!({"exp": NOW.0 - LEEWAY})),
        ("over by a negative time", json!({"exp": i64::MIN})),
        ("a time as text", json!({"exp": (NOW.0 + 300).to_string()})),
        ("not yet", json!({"nbf": NOW.0 + LEEWAY + 1})),
        ("made tomorrow", json!({"iat": NOW.0 + LEEWAY + 1})),
        (
            "a logout token",
            json!({"events": {crate::jose::claim_checks::LOGOUT_EVENT: {}}}),
        ),
        ("an ID token by at_hash", json!({"at_hash": "x"})),
        ("an ID token by c_hash", json!({"c_hash": "x"})),
        ("bound to a certificate", json!({"cnf": {"x5t#S256": "x"}})),
        (
            "bound to two keys",
            json!({"cnf": {"jkt": "x", "x5t#S256": "x"}}),
        ),
        ("bound to nothing", json!({"cnf": {"jkt": ""}})),
    ] {
        check(name, &changed(&claims(), &change).to_string());
    }
    let whole = claims().to_string();
    for (name, text) in [
        ("trailing data", format!("{whole}{whole}")),
        ("a trailing comma", whole.replace('}', ",}")),
        ("a comment", format!("{whole}//")),
        ("a byte order mark", format!("\u{feff}{whole}")),
        ("a nul behind it", format!("{whole}\u{0}")),
        ("single quotes", whole.replace('"', "'")),
        ("a list", format!("[{whole}]")),
        ("half a surrogate", whole.replace("alice", "\\ud800")),
        (
            "a number with a leading zero",
            whole.replace("\"exp\":", "\"exp\":0"),
        ),
        (
            "not a number",
            whole.replace(&(NOW.0 + 300).to_string(), "NaN"),
        ),
        (
            "deep",
            whole.replacen(
                '{',
                &format!("{{\"a\":{}{},", "[".repeat(999), "]".repeat(999)),
                1,
            ),
        ),
        ("nothing", String::new()),
        ("null", String::from("null")),
    ] {
        check(name, &text);
    }
    assert!(count > 250, "{count}");
    // Bytes that are no text.
    let mut bytes = whole.into_bytes();
    let place = bytes.windows(5).position(|part| part == b"alice").unwrap();
    bytes[place] = 0xff;
    let signed = format!("{}.{}", base64url::encode(HEADER), base64url::encode(bytes));
    let signature = by_rsa(&RSA, &signature::RSA_PKCS1_SHA256, &signed);
    refused("no UTF-8", &joined(&signed, &signature));
}
