//! What clients send to the provider themselves, without the browser of a user.

use super::*;

/// The header by which a client proves who it is.
pub fn basic(client_id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")))
}

/// Where `world` has its provider.
fn here(world: &World) -> (String, u16) {
    (issuer(world), world.gateway.port)
}

/// Sends a form to an endpoint below an issuer, at the gateway on a port.
#[track_caller]
pub fn post_at(
    world: &World,
    (issuer, port): (&str, u16),
    path: &str,
    authorization: Option<&str>,
    fields: &[(&str, &str)],
) -> Response {
    let mut call = Call::bare("POST", &format!("{issuer}{path}"));
    if let Some(authorization) = authorization {
        call = call.header("Authorization", authorization);
    }
    Browser::new(port, &world.secrets).send(&call.form(fields))
}

/// Sends a form to an endpoint.
#[track_caller]
pub fn post(
    world: &World,
    path: &str,
    authorization: Option<&str>,
    fields: &[(&str, &str)],
) -> Response {
    let (issuer, port) = here(world);
    post_at(world, (&issuer, port), path, authorization, fields)
}

/// Sends a form as the client `shop`.
#[track_caller]
pub fn as_shop(world: &World, path: &str, fields: &[(&str, &str)]) -> Response {
    post(world, path, Some(&basic("shop", SECRET)), fields)
}

/// Sends a request to the token endpoint as the client `shop`.
#[track_caller]
pub fn token(world: &World, fields: &[(&str, &str)]) -> Response {
    as_shop(world, "/token", fields)
}

pub fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

pub fn renewal(refresh_token: &str) -> [(&str, &str); 2] {
    [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
    ]
}

/// Redeems a code.
#[track_caller]
pub fn redeem(world: &World, code: &str) -> Response {
    token(world, &redemption(code))
}

/// Asks the userinfo endpoint below an issuer, at the gateway on a port.
#[track_caller]
pub fn userinfo_at(world: &World, (issuer, port): (&str, u16), access_token: &str) -> Response {
    world.secrets.note(access_token);
    let call = Call::script(&format!("{issuer}/userinfo"))
        .header("Authorization", &format!("Bearer {access_token}"));
    Browser::new(port, &world.secrets).send(&call)
}

/// Asks the userinfo endpoint.
#[track_caller]
pub fn userinfo(world: &World, access_token: &str) -> Response {
    let (issuer, port) = here(world);
    userinfo_at(world, (&issuer, port), access_token)
}

/// What the client `shop` is told about a token.
#[track_caller]
pub fn introspect(world: &World, token: &str) -> Value {
    world.secrets.note(token);
    let answer = as_shop(world, "/introspect", &[("token", token)]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The header of a token.
#[track_caller]
pub fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token, which is not verified.
#[track_caller]
pub fn claims(token: &Value) -> Value {
    part(token.as_str().unwrap(), 1)
}

#[track_caller]
fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap_or_default();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
