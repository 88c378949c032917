//! Two gateways: one is the provider of the other, which was told what `client show` prints.

use std::process::Command;

use super::*;

const ORDERS: &str = "
  - from: 'http://orders.localhost:{port}'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [openid_provider], audience: 'https://orders.example.com', scopes: [orders.read]}
    allow: [{any_user: true}]
";

const GATEWAY: &str = "
  clients:
    - client_id: front
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://app.localhost:1/oauth2/callback/company']
      post_logout_redirect_uris: ['http://app.localhost:1/oauth2/signed_out']
      scopes: [openid, profile, email, offline_access, editor, orders.read]
  scopes:
    editor: {grant: [{groups: [wiki-editors]}]}
    orders.read: {audience: 'https://orders.example.com'}
";

const FRONT: &str = "
  - from: '{app}'
    to: '{echo}'
    auth: login
    identity_providers: [company]
    identity_headers: {access_token: authorization}
    allow: [{any_user: true}]
  - {from: '{app}/edit', to: '{echo}', auth: login, identity_providers: [company], allow: [{roles: [editor]}]}
";

/// What the provider's operator hands to the operator of the other gateway.
#[track_caller]
fn entry(provider: &World) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(["client", "show", "front", "--format", "yaml", "-c"])
        .arg(provider.gateway.path("gateway.yaml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The provider, and a gateway in front of an app that logs in at it.
fn chain() -> (World, World) {
    let mut setup = local("");
    setup.settings = setup.settings.replace(CLIENTS, GATEWAY);
    setup.routes = ORDERS.to_owned();
    let provider = World::with(&setup);
    let printed = entry(&provider);
    let mut setup = Setup::routes(FRONT);
    setup.more_idps.clone_from(&printed);
    setup.environment = vec![("OIDC_CLIENT_SECRET", SECRET.to_owned())];
    let front = World::with(&setup);
    front.secrets.note(SECRET);
    // Its address is known now: the registration gets the port, and what is printed stays the same.
    let path = provider.gateway.path("gateway.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let port = format!("app.localhost:{}/", front.gateway.port);
    std::fs::write(&path, yaml.replace("app.localhost:1/", &port)).unwrap();
    provider.gateway.signal("HUP");
    provider.gateway.wait_for_log("reloaded");
    assert_eq!(entry(&provider), printed);
    (provider, front)
}

/// Goes to `url` at the front gateway and through the login at the provider.
#[track_caller]
fn log_in_at(provider: &World, front: &World, name: &str, url: &str) -> (Browser, Response) {
    let mut browser = Browser::new(front.gateway.port, &front.secrets);
    let page = browser.login(url);
    assert!(page.url.starts_with(&issuer(provider)), "{}", page.url);
    let done = sign_in(provider, &mut browser, &page, name);
    (browser, done)
}

/// Rows 124, 126, 135, 142, 155, 156 and 158.
#[test]
fn a_role_arrives_as_a_header_through_two_gateways() {
    let (provider, front) = chain();
    let page = front.app("/edit/page");
    let (mut browser, done) = log_in_at(&provider, &front, "alice", &page);
    assert_eq!((done.status, done.url.as_str()), (200, page.as_str()));
    browser.get(&front.app("/"));
    let seen = front.echo.last();
    for (name, expected) in [
        ("x-forwarded-roles", "editor"),
        ("x-forwarded-user", "alice"),
        ("x-forwarded-subject", "alice"),
        ("x-forwarded-email", "alice@example.com"),
        ("x-forwarded-identity-provider", "company"),
    ] {
        assert_eq!(seen.all(name), [expected], "{name}");
    }
    // The app calls an API behind the other gateway with the token it was given.
    let authorization = seen.header("authorization").unwrap().to_owned();
    let token = authorization.strip_prefix("Bearer ").unwrap();
    provider.secrets.note(token);
    let url = format!("http://orders.localhost:{}/list", provider.gateway.port);
    let call = Call::bare("GET", &url).header("Authorization", &authorization);
    let listed = provider.browser().send(&call);
    assert_eq!(listed.status, 200, "{}", listed.text());
    assert_eq!(provider.echo.last().all("x-forwarded-user"), ["alice"]);
}

/// Row 132: who has not the role at the provider has it nowhere.
#[test]
fn whom_no_rule_admits_has_no_role_behind_the_other_gateway() {
    let (provider, front) = chain();
    let (mut browser, done) = log_in_at(&provider, &front, "bob", &front.app("/edit/page"));
    assert_eq!(done.status, 403, "{}", done.text());
    assert_eq!(browser.get(&front.app("/")).status, 200);
    assert_eq!(
        front.echo.last().all("x-forwarded-roles"),
        Vec::<String>::new()
    );
}
