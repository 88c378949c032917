//! Codes that are presented again, and refresh tokens.

use serde_json::json;

use super::accounts;
use super::rp::Rp;
use super::rp::Tokens;
use crate::clock::Clock;
use crate::provider::next_second;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::raw::Response;

#[track_caller]
fn assert_invalid_grant(response: &Response) {
    assert_eq!(response.status, 400, "{}", response.text());
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.json()["error"], "invalid_grant");
}

#[test]
fn oidcc_codereuse() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let answer = rp.log_in(&[]);
    rp.tokens(&answer);
    assert_invalid_grant(&rp.redeem(&answer));
}

/// Whoever comes late ends what was issued for the code, also when the code itself is over.
#[test]
fn oidcc_codereuse_30seconds() {
    for seconds in [30, 120] {
        let clock = Clock::off_by(0);
        let world = World::with(&Setup {
            environment: clock.environment(),
            ..accounts("")
        });
        let mut rp = Rp::new(&world);
        let scope = [("scope", "openid offline_access")];
        let answer = rp.log_in(&scope);
        let tokens = rp.tokens(&answer);
        let other = rp.pass(&[]);
        let other = rp.tokens(&other);
        clock.set(seconds);
        assert_eq!(rp.userinfo(&tokens).status, 200);
        assert_invalid_grant(&rp.redeem(&answer));
        assert_eq!(rp.userinfo(&tokens).status, 401);
        assert_invalid_grant(&refresh(&rp, &tokens));
        assert_eq!(rp.userinfo(&other).status, 200, "of another code");
    }
}

fn refresh(rp: &Rp<'_>, tokens: &Tokens) -> Response {
    rp.token(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.text("refresh_token")),
    ])
}

/// The token works, for its own client only, and the new ID token speaks of the same login.
#[test]
fn oidcc_refresh_token() {
    let world = World::with(&accounts(""));
    let grants = &Rp::new(&world).metadata["grant_types_supported"];
    assert!(grants.as_array().unwrap().contains(&json!("refresh_token")));
    let wish = [("scope", "openid offline_access"), ("prompt", "consent")];
    let mut first = Rp::new(&world);
    let mut second = Rp::of(&world, "second");
    for rp in [&mut first, &mut second] {
        let before = rp.flow(&wish);
        next_second();
        let after = rp.read(&refresh(rp, &before));
        for name in ["iss", "sub", "aud", "azp", "auth_time"] {
            assert_eq!(after.id_token[name], before.id_token[name], "{name}");
        }
        assert!(after.id_token["iat"].as_i64() > before.id_token["iat"].as_i64());
        assert_ne!(after.text("access_token"), before.text("access_token"));
        assert_eq!(rp.userinfo(&after).status, 200);
    }
    let tokens = second.silent_flow(&wish[..1]);
    assert_invalid_grant(&refresh(&first, &tokens));
}
