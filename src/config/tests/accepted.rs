//! Files that are accepted, and the settings they make.

use std::time::Duration;

use serde_json::json;

use crate::config::Problem;
use crate::config::Settings;
use crate::config::tests::CORP_SECRET;
use crate::config::tests::SOUND;
use crate::config::tests::edited;
use crate::config::tests::parsed;
use crate::config::tests::provider;
use crate::config::tests::replace;
use crate::config::tests::route;
use crate::config::tests::second_route;
use crate::config::tests::top;
use crate::identity::AccessTokenHeader;
use crate::identity::EmailVerification;
use crate::identity::HeaderPreset;
use crate::identity::UnknownRole;
use crate::relying_party::ClaimsSource;
use crate::relying_party::ClientAuth;
use crate::routes::Auth;
use crate::routes::Scheme;
use crate::session::SameSite;

const FULL: &str = r#"
listeners: [{address: "[::1]:8080"}, {address: 127.0.0.1:8443}]
admin: {address: 127.0.0.1:9090}
trusted_proxies: [10.0.0.0/8, 192.0.2.7]
store: {embedded: {path: /var/lib/vestibule/state.db}}
session_keys: [{env: KEY}]
sessions:
  idle_timeout: 15m
  max_lifetime: 1d
  refresh_before_expiry: 30s
  reauthenticate_after: 1h
  cookie: {name: gate, same_site: strict, domain: example.com}
identity_providers:
  - id: corp
    name: Example Corp
    issuer: https://login.example.com/
    client_id: gateway
    client_secret: {env: CORP_SECRET}
    client_auth: client_secret_post
    scopes: [openid, offline_access]
    email_domains: [Corp.Example]
    authorization_parameters: {prompt: select_account, max_age: "300"}
    claims_request: {id_token: {department: {essential: true}}}
    callback_path: /oauth2/callback
    claims_from: [id_token, access_token]
    claims: {user: sub, department: [dept, "https://example.com/department"]}
    email_verified: assume
    roles: {from: [realm_access.roles, scope], map: {wiki-admins: admin, both: [a, b]}, unknown: keep, default: [user]}
    endpoints: {token: https://login.example.com/t?x=1}
    id_token_algorithms: [ES256]
  - {id: old, issuer: "http://idp.localhost:9000", client_id: g, client_auth: none, status: disabled}
routes:
  - from: https://*.example.com:8443/wiki
    to: ["http://127.0.0.1:3000", "h2c://app.internal:50051"]
    auth: login
    identity_providers: [corp, old]
    allow:
      - {users: [alice], emails: [A@corp.example], email_domains: [Corp.example], groups: [g], roles: [admin],
         scopes: [openid], claims: {country: [at, de], level: 3}, methods: [GET, HEAD],
         source_ips: ["192.0.2.0/24", "::1"], identity_providers: [corp]}
    identity_headers:
      preset: pomerium
      set: {X-Department: department}
      access_token: Authorization
      assertion: {audience: wiki, lifetime: 90s}
    strip_prefix: true
    preserve_host: false
    timeouts: {connect: 500ms, read: 5m}
    health_check: {path: /healthz?full=1, interval: 10s}
  - {from: "https://example.com/open", to: "http://a", auth: public}
  - {from: "https://example.com/closed", auth: deny}
  - {from: "https://example.com", to: "https://b", auth: optional}
endpoints: {prefix: /auth}
log: {format: text, level: debug, access: false}
threads: 3
drain_timeout: 0s
request_body_limit: 1MiB
"#;

fn settings(text: &str) -> Settings {
    let loaded = parsed(text).expect("the file is sound");
    let is_unforeseen =
        |warning: &&Problem| !warning.message.contains("does not renew anything yet");
    let unforeseen: Vec<_> = loaded.warnings.iter().filter(is_unforeseen).collect();
    assert_eq!(unforeseen, Vec::<&Problem>::new());
    loaded.settings
}

#[test]
fn the_process_gets_what_the_file_says() {
    let settings = settings(FULL);
    assert_eq!(settings.listeners.len(), 2);
    assert_eq!(settings.admin, "127.0.0.1:9090".parse().ok());
    let proxies: Vec<String> = settings
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.7/32"]);
    assert_eq!(
        settings.session_keys.first().unwrap().expose(),
        b"12345678901234567890123456789012"
    );
    assert_eq!(settings.endpoints_prefix, "/auth");
    assert_eq!(
        (settings.threads, settings.drain_timeout),
        (3, Duration::ZERO)
    );
    assert_eq!(settings.request_body_bytes_max, Some(1024 * 1024));
    assert_eq!(
        (settings.log.level, settings.log.access),
        (tracing::Level::DEBUG, false)
    );
    let sessions = &settings.sessions;
    assert_eq!(sessions.idle_timeout, Duration::from_secs(15 * 60));
    assert_eq!(sessions.max_lifetime, Duration::from_secs(24 * 60 * 60));
    assert_eq!(sessions.refresh_before_expiry, Duration::from_secs(30));
    assert_eq!(
        sessions.reauthenticate_after,
        Some(Duration::from_secs(60 * 60))
    );
    assert_eq!(sessions.cookie.name, "gate");
    assert_eq!(sessions.cookie.same_site, SameSite::Strict);
    assert_eq!(sessions.cookie.domain.as_deref(), Some("example.com"));
}

#[test]
fn an_identity_provider_gets_what_the_file_says() {
    let settings = settings(FULL);
    let corp = settings.identity_providers.first().unwrap();
    assert_eq!(corp.issuer, "https://login.example.com/");
    assert_eq!(corp.client_secret.as_ref().unwrap().expose(), CORP_SECRET);
    assert_eq!(corp.client_auth, ClientAuth::ClientSecretPost);
    assert_eq!(corp.scopes, ["openid", "offline_access"]);
    assert_eq!(corp.email_domains, ["corp.example"]);
    assert_eq!(corp.authorization_parameters.get("max_age").unwrap(), "300");
    let request = json!({"id_token": {"department": {"essential": true}}});
    assert_eq!(corp.claims_request, Some(request));
    assert_eq!(corp.callback_path, "/oauth2/callback");
    assert_eq!(
        corp.claims_from,
        [ClaimsSource::IdToken, ClaimsSource::AccessToken]
    );
    assert_eq!(corp.claims.user.first().unwrap().as_str(), "sub");
    assert_eq!(corp.claims.email.first().unwrap().as_str(), "email");
    assert_eq!(corp.claims.other.get("department").unwrap().len(), 2);
    assert_eq!(corp.claims.email_verification, EmailVerification::Assume);
    assert_eq!(corp.roles.map.get("both").unwrap(), &["a", "b"]);
    assert_eq!(corp.roles.unknown, UnknownRole::Keep);
    assert_eq!(corp.endpoints.token.as_ref().unwrap().query(), Some("x=1"));
    assert_eq!(corp.id_token_algorithms, ["ES256"]);
    let old = settings.identity_providers.get(1).unwrap();
    assert_eq!(
        (&*old.name, &*old.callback_path),
        ("old", "/auth/callback/old")
    );
    assert_eq!(old.client_auth, ClientAuth::None);
}

#[test]
fn a_route_gets_what_the_file_says() {
    let settings = settings(FULL);
    let wiki = settings.routes.first().unwrap();
    assert_eq!(wiki.origin.scheme, Scheme::Https);
    assert_eq!(
        (&*wiki.origin.host, wiki.origin.port),
        ("*.example.com", 8443)
    );
    assert_eq!((&*wiki.prefix, wiki.is_wildcard), ("/wiki", true));
    let second = wiki.upstreams.get(1).unwrap();
    assert!(second.is_http2 && !second.is_tls && second.address.is_none());
    assert_eq!(
        wiki.upstreams.first().unwrap().address,
        "127.0.0.1:3000".parse().ok()
    );
    let admitted: Vec<&str> = wiki.identity_providers.iter().map(AsRef::as_ref).collect();
    assert_eq!(admitted, ["corp"], "a disabled provider is not admitted");
    let rule = wiki.allow.first().unwrap();
    assert!(!rule.any_user && rule.emails.contains("a@corp.example"));
    assert!(rule.email_domains.contains("corp.example"));
    let values: Vec<_> = rule
        .claims
        .iter()
        .map(|(path, values)| (path.as_str(), values.as_slice()))
        .collect();
    assert_eq!(
        values,
        [
            ("country", &[json!("at"), json!("de")][..]),
            ("level", &[json!(3)][..])
        ]
    );
    assert_eq!(rule.source_ips.len(), 2);
    let headers = &wiki.identity_headers;
    assert_eq!(headers.preset, HeaderPreset::Pomerium);
    assert_eq!(headers.access_token, Some(AccessTokenHeader::Authorization));
    let assertion = headers.assertion.as_ref().unwrap();
    assert_eq!(assertion.header.as_str(), "x-pomerium-jwt-assertion");
    assert_eq!(
        (&*assertion.audience, assertion.lifetime),
        ("wiki", Duration::from_secs(90))
    );
    assert!(wiki.strip_prefix && !wiki.preserve_host);
    assert_eq!(wiki.timeouts.connect, Duration::from_millis(500));
    let health = wiki.health_check.as_ref().unwrap();
    assert_eq!(health.path.as_deref(), Some("/healthz?full=1"));
    let kinds: Vec<Auth> = settings.routes.iter().map(|route| route.auth).collect();
    assert_eq!(
        kinds,
        [Auth::Login, Auth::Public, Auth::Deny, Auth::Optional]
    );
}

#[test]
fn the_preset_pomerium_has_an_assertion_for_the_host() {
    let text = edited(&[route("identity_headers: {preset: pomerium}")]);
    let settings = settings(&text);
    let headers = &settings.routes.first().unwrap().identity_headers;
    assert_eq!(
        headers.assertion.as_ref().unwrap().audience,
        "wiki.example.com"
    );
}

#[test]
fn an_idle_timeout_that_is_not_given_is_never_too_long() {
    let settings = settings(&edited(&[top("sessions: {max_lifetime: 10m}")]));
    assert_eq!(settings.sessions.idle_timeout, Duration::from_secs(10 * 60));
}

#[test]
fn every_default_written_out_makes_the_same_settings() {
    let full = edited(&[
        top("trusted_proxies: []
store: {embedded: {path: var/vestibule.db}}
sessions: {idle_timeout: 30m, max_lifetime: 8h, refresh_before_expiry: 60s, \
            cookie: {name: vestibule, same_site: lax, domain: null}}
endpoints: {prefix: /oauth2}
log: {format: json, level: info, access: true}
drain_timeout: 20s"),
        provider(
            "client_auth: auto
    scopes: [openid, profile, email]
    pkce: required
    email_domains: []
    authorization_parameters: {}
    callback_path: /oauth2/callback/corp
    claims_from: [id_token, userinfo]
    claims: {user: [preferred_username, email, sub], preferred_username: preferred_username, \
            email: email, name: name, groups: groups}
    email_verified: claim
    roles: {from: [], map: {}, unknown: drop, default: []}
    id_token_algorithms: [RS256, PS256, ES256, EdDSA]
    status: active",
        ),
        route(
            "identity_providers: [corp]
    identity_headers: {preset: x_forwarded, set: {}}
    strip_prefix: false
    preserve_host: true
    timeouts: {connect: 3s, read: 60s}",
        ),
    ]);
    assert_eq!(
        format!("{:?}", settings(&full)),
        format!("{:?}", settings(SOUND))
    );
}

#[test]
fn settings_print_without_secrets() {
    let printed = format!("{:?}", settings(FULL));
    assert!(printed.contains("[redacted]"));
    for secret in [
        CORP_SECRET,
        "12345678901234567890123456789012",
        "49, 50, 51, 52",
    ] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[test]
fn a_second_provider_with_a_domain_of_its_own_is_no_warning() {
    let text = edited(&[
        replace(
            "client_id: gateway",
            "client_id: gateway\n    email_domains: [a.example]",
        ),
        provider(
            "name: Corp\n  - {id: b, issuer: 'https://b.example', client_id: g, client_secret: {env: CORP_SECRET}, email_domains: [b.example]}",
        ),
    ]);
    settings(&text);
}

#[test]
fn a_provider_that_is_replaced_can_keep_its_domains() {
    let text = edited(&[
        replace(
            "client_id: gateway",
            "client_id: gateway\n    email_domains: [a.example]",
        ),
        provider(
            "name: Corp\n  - {id: b, issuer: 'https://b.example', client_id: g, client_auth: none, email_domains: [a.example], status: disabled}",
        ),
    ]);
    settings(&text);
}

#[test]
fn hosts_and_ports_that_differ_can_have_two_schemes() {
    for other in [
        "http://app.localhost:8080",
        "http://b.app.localhost",
        "http://localhost",
    ] {
        settings(&edited(&[
            replace("https://wiki.example.com", "https://app.localhost"),
            second_route(other),
        ]));
    }
}
