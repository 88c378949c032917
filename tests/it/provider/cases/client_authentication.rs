//! Clients that are not who they say.

use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::support::keys;
use crate::support::keys::Signer;

/// What has a meaning in the header, in forms and in escapes.
const ODD_ID: &str = "a:b%41c+d";
const ODD_SECRET: &str = "p:w%20d+ s\u{fc}\u{df}&=?-0123456789-0123456789";

const MACHINE: (&str, &str) = ("grant_type", "client_credentials");

/// The clients of each method, and `odd`, whose id and secret are hard to write.
fn setup() -> Setup {
    let clients = "    - client_id: machine
      client_secret: {file: '{dir}/shop-secret'}
      grant_types: [client_credentials]
      scopes: [orders]
    - client_id: poster
      client_auth: client_secret_post
      client_secret: {file: '{dir}/shop-secret'}
      grant_types: [client_credentials]
      scopes: [orders]
    - client_id: signer
      jwks: {file: '{dir}/signer.jwks'}
      grant_types: [client_credentials]
      scopes: [orders]
    - client_id: phone
      client_auth: none
      redirect_uris: ['http://shop.localhost:1/callback']
      scopes: [openid]
    - client_id: 'a:b%41c+d'
      client_secret: {file: '{dir}/odd-secret'}
      grant_types: [client_credentials]
      scopes: [orders]
";
    let more = "    orders: {audience: 'https://orders.example'}\ntrusted_proxies: [127.0.0.0/8]\n";
    local_with(clients, more)
        .file("odd-secret", format!("{ODD_SECRET}\n"))
        .file("signer.jwks", keys::jwks().to_string())
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn send(world: &World, from: &str, path: &str, lines: &[&str], more: &[(&str, &str)]) -> Response {
    let mut call = Call::bare("POST", &format!("{}{path}", issuer(world)));
    call = call.header("X-Forwarded-For", from);
    for line in lines {
        call = call.header("Authorization", line);
    }
    let fields: Vec<_> = std::iter::once(&MACHINE).chain(more).copied().collect();
    world.browser().send(&call.form(&fields))
}

/// Asks for a token, from another address each time: too many failures would be told otherwise.
fn machine(world: &World, authorization: Option<&str>, more: &[(&str, &str)]) -> Response {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let from = format!("198.18.{high}.{low}");
    send(world, &from, "/token", authorization.as_slice(), more)
}

/// What a guesser could compare: all but the name of the request and the time.
fn looks(answer: &Response) -> (u16, Vec<(String, String)>, String) {
    let is_its_own = |name: &str| ["x-request-id", "date"].contains(&name.to_lowercase().as_str());
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !is_its_own(name));
    (answer.status, headers, answer.text())
}

#[test]
fn f06_whichever_half_is_wrong_the_answer_is_the_same() {
    let world = World::with(&setup());
    let wrong = machine(
        &world,
        Some(&basic("machine", "wrong-0123456789-0123456789")),
        &[],
    );
    assert_refused(&wrong, 401, "invalid_client");
    assert_eq!(wrong.header("www-authenticate"), "Basic realm=\"token\"");
    for (what, authorization) in [
        ("nobody", basic("nobody", SECRET)),
        ("another case", basic("Machine", SECRET)),
        ("no secret", basic("machine", "")),
        (
            "a secret that goes on",
            basic("machine", &format!("{SECRET}x")),
        ),
        ("a secret that is shorter", basic("machine", &SECRET[1..])),
        ("the method of another", basic("poster", SECRET)),
        ("a secret where there is none", basic("signer", SECRET)),
        ("a secret of a public client", basic("phone", SECRET)),
        ("no id", basic("", SECRET)),
    ] {
        let answer = machine(&world, Some(&authorization), &[]);
        assert_eq!(looks(&answer), looks(&wrong), "{what}");
        for path in ["/introspect", "/revoke"] {
            let from = format!("2001:db8:{:x}::1", what.len());
            let answer = send(&world, &from, path, &[&authorization], &[("token", "x")]);
            assert_eq!(looks(&answer), looks(&wrong), "{what} at {path}");
        }
    }
    let machine = |authorization: &str| machine(&world, Some(authorization), &[]).status;
    assert_eq!(machine(&basic("machine", SECRET)), 200);
}

/// RFC 6749 section 2.3
#[test]
fn f06_a_client_proves_itself_in_one_way_and_that_is_its_own() {
    let world = World::with(&setup());
    let right = basic("machine", SECRET);
    let secret = ("client_secret", SECRET);
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let assertion = [
        ("client_assertion", "a.b.c"),
        ("client_assertion_type", kind),
    ];
    for more in [
        &[secret][..],
        &[("client_id", "machine"), secret],
        &[("client_id", "poster"), secret],
        &[("client_id", "poster")],
        &assertion,
        &assertion[..1],
        &assertion[1..],
    ] {
        let answer = machine(&world, Some(&right), more);
        assert_refused(&answer, 400, "invalid_request");
    }
    let both = machine(
        &world,
        None,
        &[&[("client_id", "poster"), secret], &assertion[..]].concat(),
    );
    assert_refused(&both, 400, "invalid_request");
    let twice = send(&world, "198.51.100.1", "/token", &[&right, &right], &[]);
    assert_refused(&twice, 400, "invalid_request");
    let bearer = machine(&world, Some(&format!("Bearer {SECRET}")), &[]);
    assert_refused(&bearer, 401, "invalid_client");
    assert_refused(&machine(&world, None, &[]), 401, "invalid_client");
    assert_refused(
        &machine(&world, None, &[("client_id", "machine")]),
        401,
        "invalid_client",
    );
    let in_body = [("client_id", "machine"), secret];
    assert_refused(&machine(&world, None, &in_body), 401, "invalid_client");
    let named = machine(&world, Some(&right), &[("client_id", "machine")]);
    assert_eq!(named.status, 200, "the same client, named again");
    let posted = machine(&world, None, &[("client_id", "poster"), secret]);
    assert_eq!(posted.status, 200);
}

/// RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
#[test]
fn f06_colons_and_percent_signs_come_in_escaped() {
    let (id, secret) = (escaped(ODD_ID), escaped(ODD_SECRET));
    let world = World::with(&setup());
    world.secrets.note(ODD_SECRET);
    for (what, client_id, secret) in [
        ("nothing escaped", ODD_ID, ODD_SECRET),
        ("the secret not escaped", id.as_str(), ODD_SECRET),
        ("the id not escaped", ODD_ID, secret.as_str()),
        ("escaped twice", &escaped(&id), &escaped(&secret)),
        ("a broken escape", &id, &format!("{secret}%4")),
        ("no UTF-8", &id, &secret.replace("%C3%BC", "%FC")),
        ("a plus for a plus", &id, &secret.replace("%2B", "+")),
    ] {
        let answer = machine(&world, Some(&basic(client_id, secret)), &[]);
        assert_refused(&answer, 401, "invalid_client");
        assert_eq!(
            answer.header("www-authenticate"),
            "Basic realm=\"token\"",
            "{what}"
        );
    }
    let right = basic(&id, &secret);
    for authorization in [right.clone(), right.replacen("Basic", "bAsIc", 1)] {
        let answer = machine(&world, Some(&authorization), &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(claims(&answer.json()["access_token"])["sub"], ODD_ID);
    }
    for broken in [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic bm9jb2xvbg==",
        "Basic: x",
    ] {
        assert_refused(&machine(&world, Some(broken), &[]), 401, "invalid_client");
    }
}

#[test]
fn f06_an_assertion_is_signed_by_the_clients_key_for_us_and_used_once() {
    let world = World::with(&setup());
    let issuer = issuer(&world);
    let soon = crate::support::idp::now() + 60;
    let good = json!({"iss": "signer", "sub": "signer", "aud": issuer, "exp": soon, "jti": "1"});
    let send = |signer: &Signer, claims: &Value| {
        let head = json!({"alg": if matches!(signer, Signer::Nobody) {"none"} else {"RS256"}, "kid": "rsa-1"});
        let token = keys::sign(signer, &head.to_string(), &claims.to_string());
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let fields = [
            ("client_assertion", token.as_str()),
            ("client_assertion_type", kind),
        ];
        machine(&world, None, &fields)
    };
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    for signer in [Signer::ForeignRs256, Signer::Nobody] {
        assert_refused(&send(&signer, &good), 401, "invalid_client");
    }
    for claims in [
        with("aud", json!("https://other.example")),
        with("exp", json!(soon - 600)),
    ] {
        assert_refused(&send(&Signer::Rs256, &claims), 401, "invalid_client");
    }
    assert_eq!(send(&Signer::Rs256, &good).status, 200);
    assert_refused(&send(&Signer::Rs256, &good), 401, "invalid_client");
    assert_eq!(send(&Signer::Rs256, &with("jti", json!("2"))).status, 200);
}

/// A secret from the environment can be short. Who guesses waits, and nobody else does.
#[test]
fn f06_a_guesser_has_to_wait_and_the_client_elsewhere_does_not() {
    let clock = Clock::off_by(0);
    let mut setup = setup();
    setup.environment = clock.environment();
    let world = World::with(&setup);
    let send = |from: &str, path: &str, authorization: &str| {
        send(&world, from, path, &[authorization], &[("token", "x")])
    };
    let (right, guesser, home) = (basic("machine", SECRET), "192.0.2.1", "192.0.2.2");
    // One client however it is spelled, and whichever endpoint is asked.
    for (id, path) in [
        ("machine", "/token"),
        ("Machine", "/token"),
        ("MACHINE", "/introspect"),
        ("machine", "/revoke"),
        ("machine", "/introspect"),
    ] {
        let guessed = send(guesser, path, &basic(id, "hunter2"));
        assert_refused(&guessed, 401, "invalid_client");
    }
    for path in ["/token", "/introspect", "/revoke"] {
        let waiting = send(guesser, path, &right);
        assert_refused(&waiting, 429, "invalid_client");
        let wait: u64 = waiting.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
    }
    // Whether the secret was right this time is not told.
    let wrong = send(guesser, "/token", &basic("machine", "wrong"));
    assert_eq!(wrong.status, 429);
    for _ in 0..20 {
        assert_eq!(send(home, "/token", &right).status, 200);
    }
    let other = send(guesser, "/introspect", &basic("shop", SECRET));
    assert_eq!(other.status, 200, "another client at the same address");
    clock.set(31);
    assert_eq!(send(guesser, "/token", &right).status, 200);
}
