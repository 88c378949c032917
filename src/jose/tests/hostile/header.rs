//! Headers.

use super::*;

#[test]
fn every_header_parameter_bent() {
    let base: Value = serde_json::from_str(HEADER).unwrap();
    let all = [
        "alg", "kid", "typ", "crit", "b64", "zip", "jwk", "jku", "x5u",
    ];
    let mut count = 0;
    for (name, header) in mutated(&base, &["alg"], &all) {
        // Free text as a type says nothing, and the kind is then told by the claims.
        let is_harmless = [
            "`typ` is a blank",
            "`typ` is a nul",
            "`typ` is an empty string",
        ];
        if !is_harmless.contains(&name.as_str()) {
            refused(&name, &sign_raw(&header, &claims().to_string()));
            count += 1;
        }
    }
    assert!(count > 150, "{count}");
    for (name, parameter) in [
        ("an unencoded payload", r#""b64":false,"crit":["b64"]"#),
        (
            "an unknown extension",
            r#""crit":["http://example.com/x"],"http://example.com/x":1"#,
        ),
        ("an extension that is not there", r#""crit":["exp"]"#),
        ("an empty crit", r#""crit":[]"#),
        ("a crit with an escape", r#""\u0063rit":["exp"]"#),
        (
            "a key of its own with an escape",
            r#""\u006awk":{"kty":"RSA"}"#,
        ),
        ("a nested token", r#""cty":"JWT""#),
        (
            "a nested token in other letters",
            r#""cty":"application/jwt""#,
        ),
        ("compressed", r#""zip":"DEF""#),
        (
            "a path as the key's name",
            r#""kid":"../../../../dev/null""#,
        ),
        (
            "a query as the key's name",
            r#""kid":"x' UNION SELECT 'key"#,
        ),
        ("a key's name with a nul", r#""kid":"rsa\u0000""#),
    ] {
        let header = format!(r#"{{"alg":"RS256",{parameter}}}"#);
        refused(name, &sign_raw(&header, &claims().to_string()));
    }
    // The key that the sender brings along would verify the signature.
    for member in ["jwk", "x5c", "jku", "x5u"] {
        let key = match member {
            "jwk" => OTHER_RSA.jwk.clone(),
            "x5c" => json!(["MIIB"]),
            _ => json!("https://evil.example/keys"),
        };
        for kid in [json!("rsa"), json!("mine")] {
            let header = json!({"alg": "RS256", "kid": kid, member: key}).to_string();
            let signed = message(&header, &claims().to_string());
            let signature = by_rsa(&OTHER_RSA, &signature::RSA_PKCS1_SHA256, &signed);
            refused(member, &joined(&signed, &signature));
        }
    }
}
