//! Lifetimes that nobody can mean.

use super::*;
use crate::support::program::Workplace;

const FILE: &str = "listeners:
  - address: 127.0.0.1:8080
store: {embedded: {path: state.db}}
identity_providers:
  - {id: corp, name: Corp, issuer: 'https://login.example.com', client_id: gateway, client_secret: {file: secret}}
openid_provider:
  issuer: https://sso.example.com/oidc
  login: {identity_providers: [corp]}
  lifetimes:
    KEY: VALUE
  clients:
    - {client_id: shop, client_secret: {file: secret}, redirect_uris: ['https://shop.example/cb'], scopes: [openid]}
routes:
  - {from: 'https://wiki.example.com', to: 'http://127.0.0.1:3000', auth: public}
";

fn check(command: &str, key: &str, value: &str) -> crate::support::program::Outcome {
    let place = Workplace::with(FILE.replace("KEY", key).replace("VALUE", value));
    place.write("secret", format!("{SECRET}\n"));
    let outcome = place.run(&[command, "-c", "gateway.yaml"]);
    assert!(
        command == "check"
            || place
                .files()
                .iter()
                .all(|name| !name.starts_with("state.db"))
    );
    outcome
}

#[test]
fn f25_a_lifetime_is_a_duration_that_something_can_live() {
    for key in [
        "code",
        "id_token",
        "access_token",
        "refresh_token",
        "refresh_absolute",
    ] {
        for value in [
            "0",
            "0s",
            "-1s",
            "'-1s'",
            "-1",
            "18446744073709551615",
            "18446744073709551615s",
            "18446744073709551616s",
            "9223372036854775807d",
            "99999999999999999999999s",
            "1.5s",
            "0.5m",
            "1e3s",
            "500ms",
            "1h30m",
            "1 s",
            "+1s",
            "s",
            "1y",
            "1S",
            "''",
            "null",
            "~",
            "true",
            "[1s]",
            "{s: 1}",
            "inf",
            ".nan",
            "0x10s",
            "\u{661}s",
        ] {
            let outcome = check("check", key, value);
            assert_eq!(outcome.code, Some(78), "{key}: {value}: {}", outcome.stderr);
            let path = format!("openid_provider.lifetimes.{key}");
            let line = outcome.stderr.lines().find(|line| line.contains(&path));
            let line = line.unwrap_or_else(|| panic!("{key}: {value}: {}", outcome.stderr));
            assert!(line.starts_with("gateway.yaml:10:"), "{line}");
        }
    }
    for (key, value) in [
        ("code", "1s"),
        ("access_token", "24h"),
        ("refresh_absolute", "100d"),
    ] {
        let outcome = check("check", key, value);
        assert_eq!(outcome.code, Some(0), "{key}: {value}: {}", outcome.stderr);
    }
}

/// A code that lives for hours, or a token that lives for months, is as wrong as one that lives for ever.
#[test]
fn f25_what_lives_too_long_is_refused_before_a_port_is_opened() {
    for (key, value) in [
        ("code", "11m"),
        ("id_token", "25h"),
        ("access_token", "2d"),
        ("refresh_token", "91d"),
        ("refresh_absolute", "1d"),
        ("refresh_absolute", "4000d"),
    ] {
        for command in ["check", "run"] {
            let outcome = check(command, key, value);
            assert_eq!(outcome.code, Some(78), "{key}: {value}: {}", outcome.stderr);
        }
    }
}
