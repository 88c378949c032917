use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderValue;

use super::*;
use crate::routes::request::Named;
use crate::routes::settings::Auth;
use crate::routes::settings::CorsPreflight;
use crate::routes::settings::Timeouts;

fn route(index: usize, from: &str) -> Arc<Route> {
    let url = url::Url::parse(&from.replace("*.", "wild.")).expect("the test's URL is valid");
    let mut origin = Origin::of_url(&url).expect("the test's URL has an origin");
    let is_wildcard = from.contains("*.");
    if is_wildcard {
        origin.host = origin.host.replacen("wild.", "*.", 1);
    }
    Arc::new(Route {
        index,
        name: String::new(),
        origin,
        prefix: url.path().trim_end_matches('/').to_owned(),
        is_wildcard,
        upstreams: Vec::new(),
        health_check: None,
        auth: Auth::Login,
        identity_providers: vec![Arc::from("corp")],
        allow: Vec::new(),
        bearer: None,
        step_up: None,
        preserve_post: false,
        preserve_fragment: false,
        cors_preflight: CorsPreflight::Refuse,
        identity_headers: Arc::default(),
        strip_prefix: false,
        preserve_host: true,
        timeouts: Timeouts::default(),
    })
}

fn table(from: &[&str]) -> RouteTable {
    let routes: Vec<_> = from
        .iter()
        .enumerate()
        .map(|(index, from)| route(index, from))
        .collect();
    RouteTable::new(
        &routes,
        "/oauth2",
        &[(Arc::from("corp"), "/oauth2/callback/corp".to_owned())],
    )
}

fn find(table: &RouteTable, host: &str, path: &str) -> Result<String, NoTarget> {
    find_with(table, host, path, None)
}

fn find_with(
    table: &RouteTable,
    host: &str,
    path: &str,
    scheme: Option<Scheme>,
) -> Result<String, NoTarget> {
    let mut headers = HeaderMap::new();
    headers.insert(
        "host",
        HeaderValue::from_str(host).expect("the test's host is valid"),
    );
    let client = IpAddr::from([127, 0, 0, 1]);
    let request = RequestView::parse("GET", Named::Host, (path, None), &headers, client, scheme)
        .expect("the test's request is plain");
    let matched = table.find(&request)?;
    Ok(match matched.target {
        Target::Route(route) => format!("{} {}", route.index, matched.origin),
        Target::Own(own) => own.name().to_owned(),
    })
}

#[test]
fn the_longest_prefix_wins_in_any_order() {
    let froms = [
        "https://a.example",
        "https://a.example/api",
        "https://a.example/api/v1",
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let table = table(&order.map(|index| froms[index]));
        let at = |path| {
            let found = find(&table, "a.example", path).expect("the host is known");
            froms[order[found
                .chars()
                .next()
                .and_then(|c| c.to_digit(10))
                .expect("index") as usize]]
        };
        assert_eq!(at("/"), froms[0]);
        assert_eq!(at("/api"), froms[1]);
        assert_eq!(at("/apiary"), froms[0]);
        assert_eq!(at("/api/v1/x"), froms[2]);
        assert_eq!(at("/api/v10"), froms[1]);
    }
}

#[test]
fn hosts_are_found_by_name_and_port() {
    let table = table(&[
        "https://a.example",
        "http://localhost:8080",
        "http://localhost:8081",
    ]);
    assert_eq!(
        find(&table, "A.example.:443", "/").as_deref(),
        Ok("0 https://a.example")
    );
    assert_eq!(
        find(&table, "localhost:8081", "/").as_deref(),
        Ok("2 http://localhost:8081")
    );
    assert_eq!(find(&table, "localhost", "/"), Err(NoTarget::UnknownHost));
    assert_eq!(
        find(&table, "a.example:80", "/"),
        Err(NoTarget::UnknownHost)
    );
    assert_eq!(find(&table, "b.example", "/"), Err(NoTarget::UnknownHost));
    let http = Some(Scheme::Http);
    assert_eq!(
        find_with(&table, "a.example", "/", http),
        Err(NoTarget::UnknownHost)
    );
}

#[test]
fn a_wildcard_is_one_label_and_an_exact_host_wins() {
    let table = table(&["https://*.example.com", "https://admin.example.com"]);
    assert_eq!(
        find(&table, "x.Example.com", "/").as_deref(),
        Ok("0 https://x.example.com")
    );
    assert_eq!(
        find(&table, "admin.example.com", "/").as_deref(),
        Ok("1 https://admin.example.com")
    );
    assert_eq!(
        find(&table, "a.b.example.com", "/"),
        Err(NoTarget::UnknownHost)
    );
    assert_eq!(find(&table, "example.com", "/"), Err(NoTarget::UnknownHost));
}

#[test]
fn a_path_with_two_readings_is_refused_where_they_differ() {
    let split = table(&["https://a.example", "https://a.example/admin"]);
    for path in [
        "//admin",
        "/%61dmin",
        "/ADMIN",
        "/admin%20",
        "/x//admin/..x;",
        "/admin;x",
    ] {
        let expected = match path {
            "/x//admin/..x;" => Ok("0 https://a.example".to_owned()),
            _ => Err(NoTarget::Ambiguous),
        };
        assert_eq!(find(&split, "a.example", path), expected, "{path}");
    }
    let whole = table(&["https://a.example"]);
    assert_eq!(
        find(&whole, "a.example", "//ADMIN%2Fx").as_deref(),
        Ok("0 https://a.example")
    );
    assert_eq!(
        find(&whole, "a.example", "/OAuth2/start"),
        Err(NoTarget::Ambiguous)
    );
}

#[test]
fn own_paths_are_found_on_every_host() {
    let table = table(&["https://a.example/app"]);
    assert_eq!(
        find(&table, "a.example", "/oauth2/start").as_deref(),
        Ok("start")
    );
    assert_eq!(
        find(&table, "a.example", "/oauth2/callback/corp").as_deref(),
        Ok("callback")
    );
    assert_eq!(
        find(&table, "a.example", "/oauth2/callback/other").as_deref(),
        Ok("unknown")
    );
    assert_eq!(
        find(&table, "a.example", "/oauth22"),
        Err(NoTarget::UnknownPath)
    );
}

#[test]
fn the_provider_has_its_own_paths_and_no_app_answers_below_the_issuer() {
    let url = url::Url::parse("https://a.example/oidc").expect("it is a URL");
    let origin = Origin::of_url(&url).expect("it has an origin");
    let callbacks = [(Arc::from("partner"), "/oauth2/callback/partner".to_owned())];
    let table = table(&["https://a.example", "https://b.example"]).with_openid_provider(
        &origin,
        url.path(),
        &callbacks,
    );
    for (path, expected) in [
        ("/oidc/authorize", "provider_authorize"),
        ("/oidc/token", "provider_token"),
        (
            "/oidc/.well-known/openid-configuration",
            "provider_configuration",
        ),
        (
            "/.well-known/oauth-authorization-server/oidc",
            "provider_configuration",
        ),
        ("/oidc", "unknown"),
        ("/oidc/other", "unknown"),
        ("/oidc/authorize/", "unknown"),
        ("/oauth2/callback/partner", "callback"),
        ("/oidcx", "0 https://a.example"),
        ("/authorize", "0 https://a.example"),
    ] {
        assert_eq!(
            find(&table, "a.example", path).as_deref(),
            Ok(expected),
            "{path}"
        );
    }
    for path in ["/OIDC/authorize", "/oidc//authorize", "/oidc%2Ftoken"] {
        assert_ne!(
            find(&table, "a.example", path).as_deref(),
            Ok("0 https://a.example"),
            "{path}"
        );
    }
    assert_eq!(
        find(&table, "b.example", "/oidc/authorize").as_deref(),
        Ok("1 https://b.example")
    );
    assert!(table.is_of_openid_provider(&origin, "/oidc/authorize"));
    assert!(!table.is_of_openid_provider(&origin, "/oidcx"));
    assert!(table.route(&origin, "/oidc/authorize").is_none());
}
