//! JWTs, by the keys of their issuer.

use std::thread;

use super::*;

/// D01
#[test]
fn without_a_token_there_is_a_challenge_and_no_error() {
    let world = world();
    let navigation = world.browser().send(&Call::navigate(&world.app("/")));
    assert_refused(&world, "a navigation", &navigation, 401, "");
    let metadata = format!(
        "resource_metadata=\"{}\"",
        world.app("/.well-known/oauth-protected-resource")
    );
    assert!(
        navigation.header("www-authenticate").contains(&metadata),
        "{}",
        navigation.header("www-authenticate")
    );
    for header in ["Basic YWxpY2U6cHc=", "DPoP abc", "Negotiate x"] {
        let call = Call::bare("POST", &world.app("/")).header("Authorization", header);
        assert_refused(&world, header, &world.browser().send(&call), 401, "");
    }
    let call = Call::bare("GET", &world.app("/?access_token=abc"));
    assert_refused(
        &world,
        "in the query",
        &world.browser().send(&call),
        401,
        "",
    );
}

/// Row 58, row 90: the app sees the caller, and the token as it came.
#[test]
fn a_good_token_passes_with_the_identity_of_its_user() {
    let world = world();
    let good = token(&world, &json!({}));
    assert_eq!(get(&world, "/", &good).status, 200);
    let seen = world.echo.last();
    assert_eq!(seen.header("x-forwarded-user").unwrap_or_default(), "alice");
    assert_eq!(
        seen.header("x-forwarded-subject").unwrap_or_default(),
        "user-7"
    );
    assert_eq!(
        seen.header("x-forwarded-identity-provider")
            .unwrap_or_default(),
        "corp"
    );
    assert_eq!(seen.header("x-forwarded-client").unwrap_or_default(), "");
    assert_eq!(
        seen.header("authorization").unwrap_or_default(),
        format!("Bearer {good}")
    );
    let machine = token(&world, &json!({"sub": "robot", "client_id": "robot"}));
    let call = with_token(&world, "/", &machine)
        .header("X-Forwarded-User", "root")
        .header("X_Forwarded_Client", "root");
    assert_eq!(world.browser().send(&call).status, 200);
    let seen = world.echo.last();
    assert_eq!(
        seen.header("x-forwarded-client").unwrap_or_default(),
        "robot"
    );
    assert_eq!(seen.header("x-forwarded-user").unwrap_or_default(), "");
    assert_eq!(seen.header("x-forwarded-subject").unwrap_or_default(), "");
    for call in [
        with_token(&world, "/", &good),
        Call::bare("GET", &world.app("/")).header("authorization", &format!("bEARER {good}")),
    ] {
        assert_eq!(world.browser().send(&call).status, 200);
    }
    assert_eq!(world.idp.calls("/jwks"), 1);
}

/// D03, D04
#[test]
fn a_token_is_shown_in_one_way_only() {
    let world = world();
    let good = token(&world, &json!({}));
    let bearer = format!("Bearer {good}");
    for (what, values) in [
        ("two lines", vec![bearer.clone(), bearer.clone()]),
        ("two schemes", vec!["Basic YTpi".to_owned(), bearer.clone()]),
        ("two spaces", vec![format!("Bearer  {good}")]),
        ("nothing", vec!["Bearer".to_owned()]),
        ("a list", vec![format!("{bearer},{good}")]),
        ("quotes", vec![format!("Bearer \"{good}\"")]),
    ] {
        let call = Call::bare("GET", &world.app("/"));
        let call = values
            .iter()
            .fold(call, |call, value| call.header("Authorization", value));
        let answer = world.browser().send(&call);
        assert_refused(&world, what, &answer, 400, "invalid_request");
    }
    let answer = get(&world, "/?x=1&access_token=abc", &good);
    assert_refused(&world, "header and query", &answer, 400, "invalid_request");
}

/// D02, D20
#[test]
fn scope_is_compared_exactly() {
    let world = world();
    for scope in [
        json!(null),
        json!(""),
        json!("orders.readonly"),
        json!("Orders.Read"),
        json!("orders.write\torders.read"),
        json!(["orders.read", 7]),
        json!({"orders.read": true}),
    ] {
        let answer = get(&world, "/", &token(&world, &json!({ "scope": scope })));
        assert_refused(
            &world,
            &scope.to_string(),
            &answer,
            403,
            "insufficient_scope",
        );
        assert!(
            answer
                .header("www-authenticate")
                .contains("scope=\"orders.read\"")
        );
        assert_eq!(answer.json()["error"], "insufficient_scope");
    }
    for change in [
        json!({"scope": "orders.read"}),
        json!({"scope": null, "scp": ["a", "orders.read"]}),
        json!({"scope": null, "scp": "a orders.read"}),
    ] {
        assert_eq!(
            get(&world, "/", &token(&world, &change)).status,
            200,
            "{change}"
        );
    }
}

/// D05, D06, D07, D08, D10, D13, D14, D21
#[test]
fn bad_tokens_are_refused() {
    let world = world();
    let refused = |what: &str, token: &str| {
        let answer = get(&world, "/", token);
        assert_refused(&world, what, &answer, 401, "invalid_token");
        assert_eq!(answer.json()["error"], "invalid_token", "{what}");
    };
    let issuer = world.idp.issuer();
    for change in [
        json!({"aud": null}),
        json!({"aud": 7}),
        json!({"aud": [AUDIENCE, 7]}),
        json!({"aud": "https://api.example.com/"}),
        json!({"aud": []}),
        json!({"iss": null}),
        json!({"iss": [issuer]}),
        json!({"iss": format!("{issuer}/")}),
        json!({"iss": "https://evil.example"}),
        json!({"exp": null}),
        json!({"exp": (now() + 300).to_string()}),
        json!({"exp": -5}),
        json!({"exp": 1e300}),
        json!({"exp": 1.5}),
        json!({"exp": now() - 61}),
        json!({"nbf": now() + 120}),
        json!({"nbf": "soon"}),
        json!({"iat": now() + 120}),
        json!({"sub": 7}),
        json!({"sub": ""}),
        json!({"sub": null, "client_id": null}),
        json!({"nonce": "n"}),
        json!({"at_hash": "h"}),
        json!({"token_use": "id"}),
        json!({"typ": "Refresh"}),
        json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        json!({"cnf": {"jkt": "x"}}),
    ] {
        refused(&change.to_string(), &token(&world, &change));
    }
    for (header, signer) in [
        (json!({}), Signer::ForeignRs256),
        (json!({"jwk": keys::foreign_jwk()}), Signer::ForeignRs256),
        (json!({"alg": "none"}), Signer::Nobody),
        (
            json!({"alg": "HS256"}),
            Signer::Hs256(world.idp.client_secret().into()),
        ),
        (json!({"alg": "ES256"}), Signer::Rs256),
        (json!({"kid": "ec-1"}), Signer::Rs256),
        (json!({"kid": "../../etc/passwd"}), Signer::Rs256),
        (json!({"kid": 7}), Signer::Rs256),
        (json!({"kid": "k".repeat(20_000)}), Signer::Rs256),
        (json!({"typ": "logout+jwt"}), Signer::Rs256),
        (json!({"crit": ["exp"]}), Signer::Rs256),
        (json!({"crit": ["b64"], "b64": false}), Signer::Rs256),
        (json!({"zip": "DEF"}), Signer::Rs256),
    ] {
        refused(
            &header.to_string(),
            &signed(&world, &header, &json!({}), &signer),
        );
    }
    for key in keys::rsa_as_hmac_keys() {
        let token = signed(
            &world,
            &json!({"alg": "HS256"}),
            &json!({}),
            &Signer::Hs256(key),
        );
        refused("the public key as a secret", &token);
    }
    let good = token(&world, &json!({}));
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (what, token) in [
        ("no dots", "abc".to_owned()),
        ("two parts", good.rsplit_once('.').unwrap().0.to_owned()),
        ("five parts", format!("{good}.a.b")),
        ("cut", good[..good.len() - 4].to_owned()),
        ("padded", format!("{good}==")),
        (
            "nested",
            keys::sign(&Signer::Rs256, r#"{"alg":"RS256","kid":"rsa-1"}"#, &nested),
        ),
        (
            "doubled",
            keys::sign(
                &Signer::Rs256,
                r#"{"alg":"RS256","kid":"rsa-1"}"#,
                &format!(
                    "{},\"sub\":\"b\"}}",
                    Value::Object(claims(&world))
                        .to_string()
                        .trim_end_matches('}')
                ),
            ),
        ),
    ] {
        refused(what, &token);
    }
    // Nearest accepted ones.
    for (header, change) in [
        (
            json!({"x-private": {"a": 1}, "typ": null}),
            json!({"exp": now() - 30}),
        ),
        (
            json!({"typ": "JWT"}),
            json!({"aud": ["other", AUDIENCE], "nbf": now() + 30}),
        ),
        (
            json!({"typ": "application/at+jwt"}),
            json!({"exp": now() as f64 + 100.5}),
        ),
    ] {
        let token = signed(&world, &header, &change, &Signer::Rs256);
        assert_eq!(get(&world, "/", &token).status, 200, "{header} {change}");
    }
    let by_ec = signed(
        &world,
        &json!({"alg": "ES256", "kid": "ec-1"}),
        &json!({}),
        &Signer::Es256,
    );
    assert_eq!(get(&world, "/", &by_ec).status, 200);
}

/// D05: RFC 9068 strictly.
#[test]
fn rfc9068_strict_tokens_say_what_they_are() {
    let world = world();
    for header in [json!({"typ": null}), json!({"typ": "JWT"})] {
        let token = signed(&world, &header, &json!({}), &Signer::Rs256);
        let answer = get(&world, "/strict", &token);
        assert_refused(&world, &header.to_string(), &answer, 401, "invalid_token");
    }
    for claim in ["sub", "iat", "jti", "client_id"] {
        let answer = get(&world, "/strict", &token(&world, &json!({ claim: null })));
        assert_refused(&world, claim, &answer, 401, "invalid_token");
    }
    assert_eq!(
        get(&world, "/strict", &token(&world, &json!({}))).status,
        200
    );
}

/// A29: rules on methods, and scopes in rules.
#[test]
fn rules_look_at_methods_and_scopes() {
    let world = world();
    let user = token(&world, &json!({}));
    let admin = token(&world, &json!({"scope": "admin"}));
    let send = |method: &str, token: &str| {
        let call = Call::bare(method, &world.app("/strict"))
            .header("Authorization", &format!("Bearer {token}"));
        world.browser().send(&call)
    };
    for method in ["POST", "get", "GeT", "PROPFIND"] {
        let answer = send(method, &user);
        assert_refused(&world, method, &answer, 403, "insufficient_scope");
        assert!(
            answer
                .header("www-authenticate")
                .contains("scope=\"admin\"")
        );
    }
    for (method, token) in [("GET", &user), ("HEAD", &user), ("POST", &admin)] {
        assert_eq!(send(method, token).status, 200, "{method}");
    }
}

/// RFC 6750 section 3.1: the scope that is named is what this caller lacks for this method.
#[test]
fn the_challenge_names_the_scope_that_would_help() {
    let world = world();
    let send = |method: &str, change: Value| {
        let call = Call::bare(method, &world.app("/scoped")).header(
            "Authorization",
            &format!("Bearer {}", token(&world, &change)),
        );
        world.browser().send(&call)
    };
    let bob = "bob";
    for (method, change, expected) in [
        (
            "GET",
            json!({"scope": "orders.read"}),
            "orders.read orders.list",
        ),
        (
            "GET",
            json!({"scope": "orders.list"}),
            "orders.read orders.list",
        ),
        ("HEAD", json!({"scope": ""}), "orders.read orders.list"),
        (
            "POST",
            json!({"scope": "orders.read audit"}),
            "orders.read audit orders.write",
        ),
        (
            "DELETE",
            json!({"scope": "orders.read"}),
            "orders.read everything",
        ),
        // No entry would admit this user for any scope.
        ("PUT", json!({"scope": "orders.read"}), "orders.read"),
        (
            "DELETE",
            json!({"scope": "orders.read", "sub": "robot", "client_id": "robot"}),
            "orders.read",
        ),
        (
            "PUT",
            json!({"scope": "x", "sub": "robot", "client_id": "robot"}),
            "orders.read",
        ),
        (
            "PUT",
            json!({"scope": "orders.read", "preferred_username": bob}),
            "orders.read root",
        ),
    ] {
        let answer = send(method, change.clone());
        assert_eq!(answer.status, 403, "{method} {change}");
        let challenge = answer.header("www-authenticate");
        let named = format!(", scope=\"{expected}\",");
        assert!(challenge.contains(&named), "{method} {change}: {challenge}");
    }
    world.echo.assert_untouched();
    for (method, change) in [
        ("GET", json!({"scope": "orders.read orders.list"})),
        ("POST", json!({"scope": "orders.read everything"})),
        (
            "PUT",
            json!({"scope": "orders.read", "sub": "robot", "client_id": "robot"}),
        ),
        (
            "PUT",
            json!({"scope": "orders.read root", "preferred_username": bob}),
        ),
    ] {
        assert_eq!(
            send(method, change.clone()).status,
            200,
            "{method} {change}"
        );
    }
}

/// D09, J05: however many unknown keys are named, the set is fetched once more and no more.
#[test]
fn unknown_keys_make_no_storm() {
    let world = world();
    let good = token(&world, &json!({}));
    assert_eq!(get(&world, "/", &good).status, 200);
    let before = world.idp.calls("/jwks");
    thread::scope(|scope| {
        for thread in 0..8 {
            let world = &world;
            scope.spawn(move || {
                for number in 0..15 {
                    let header = json!({"kid": format!("unknown-{thread}-{number}")});
                    let token = signed(world, &header, &json!({}), &Signer::Rs256);
                    assert_eq!(get(world, "/", &token).status, 401);
                }
            });
        }
    });
    assert!(world.idp.calls("/jwks") <= before + 1);
    assert_eq!(get(&world, "/", &good).status, 200);
}

/// D26, J04: a key that has gone takes its tokens along, also those seen before.
#[test]
fn a_withdrawn_key_ends_its_tokens() {
    let world = world();
    let good = token(&world, &json!({}));
    assert_eq!(get(&world, "/", &good).status, 200);
    world.idp.lie(|lies| {
        lies.jwks = Some(Box::new(|set: &mut Value| {
            let keys = set["keys"].as_array_mut().unwrap();
            keys.retain(|key| key["kid"] != "rsa-1");
        }));
    });
    assert_eq!(get(&world, "/", &good).status, 200, "nobody has looked");
    // An unknown key makes the gateway look again.
    let unknown = signed(&world, &json!({"kid": "x"}), &json!({}), &Signer::Rs256);
    assert_eq!(get(&world, "/", &unknown).status, 401);
    assert_eq!(get(&world, "/", &good).status, 401);
}

/// D16 for keys: nobody passes while they cannot be fetched.
#[test]
fn without_keys_nobody_passes() {
    let world = world();
    world.idp.replace("/jwks", |_| Reply::json(500, &json!({})));
    let answer = get(&world, "/", &token(&world, &json!({})));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(!answer.header("retry-after").is_empty());
    world.echo.assert_untouched();
}

/// A31
#[test]
fn grpc_callers_are_told_in_their_own_words() {
    let world = world();
    let call = |path: &str| {
        Call::bare("POST", &world.app(path)).header("Content-Type", "application/grpc+proto")
    };
    for path in ["/", "/open", "/either"] {
        let answer = world.browser().send(&call(path));
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("grpc-status"), "16", "{path}");
    }
    let poor = token(&world, &json!({"scope": "x"}));
    let call = call("/").header("Authorization", &format!("Bearer {poor}"));
    let answer = world.browser().send(&call);
    assert_eq!((answer.status, answer.header("grpc-status")), (403, "7"));
    world.echo.assert_untouched();
}

/// RFC 9728
#[test]
fn rfc9728_metadata_of_each_api() {
    let world = world();
    let metadata = |path: &str| {
        let url = world.app(&format!("/.well-known/oauth-protected-resource{path}"));
        world.browser().send(&Call::bare("GET", &url))
    };
    let root = metadata("");
    assert_eq!(root.status, 200, "{}", root.text());
    assert_eq!(root.header("content-type"), "application/json");
    let expected = json!({
        "resource": world.app(""),
        "authorization_servers": [world.idp.issuer()],
        "scopes_supported": ["orders.read"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(root.json(), expected);
    assert_eq!(metadata("/strict").json()["resource"], world.app("/strict"));
    // No metadata for a route that takes no tokens: the path is the app's, and so is its gate.
    assert_eq!(metadata("/open").status, 401);
    world.echo.assert_untouched();
}
