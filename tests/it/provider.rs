//! Our own OpenID provider, from outside: what apps, browsers and administrators see of it.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::client::is_redirect;
use crate::support::client::location;
use crate::support::client::query;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::raw::Response;

mod accounts;
mod as_client;
mod audit;
mod authorize;
mod broker;
mod cancel;
mod cases;
mod chained;
mod claims;
pub mod consent;
mod cross_origin;
mod discovery;
mod explain;
mod explain_token;
mod form_post;
mod keys;
mod lifetimes;
mod logout;
mod native;
mod par;
mod recheck;
mod scopes;
mod shared_keys;
mod userinfo;
mod without_pkce;

pub use as_client::*;

/// Of the password `correct horse`, as cheap as the gateway takes one.
pub const HASH: &str = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM";
const PASSWORD: &str = "correct horse";
pub const SECRET: &str = "shop-secret-0123456789-0123456789";
const CALLBACK: &str = "http://shop.localhost:1/callback";
pub const VERIFIER: &str = "verifier-0123456789-0123456789-0123456789-xyz";

const CLIENTS: &str = "
  clients:
    - client_id: shop
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://shop.localhost:1/callback', 'http://shop.localhost:1/callback?tenant=1']
      post_logout_redirect_uris: ['http://shop.localhost:1/bye']
      grant_types: [authorization_code, refresh_token]
      scopes: [openid, profile, email, offline_access, editor]
    - client_id: wiki
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://wiki.localhost:1/callback']
      post_logout_redirect_uris: ['http://wiki.localhost:1/bye']
      scopes: [openid, email]
  scopes:
    editor: {grant: [{groups: [wiki-editors]}]}
";

/// A provider with two accounts. `more` stands below `openid_provider`.
fn local(more: &str) -> Setup {
    let yaml = format!(
        "openid_provider:
  issuer: 'http://sso.localhost:{{port}}/oidc'
  login: {{accounts: local}}
  accounts:
    - {{username: alice, password_hash: '{HASH}', email: alice@example.com, name: Alice Doe, groups: [wiki-editors]}}
    - {{username: bob, password_hash: '{HASH}', email: bob@example.com}}
{CLIENTS}{more}"
    );
    Setup::default()
        .settings(&yaml)
        .file("shop-secret", format!("{SECRET}\n"))
}

/// A setup whose provider has these clients too.
fn with_clients(mut setup: Setup, clients: &str) -> Setup {
    let end = "\n  scopes:\n    editor:";
    assert_eq!(setup.settings.matches(end).count(), 1);
    let more = format!("\n{}{end}", clients.trim_matches('\n'));
    setup.settings = setup.settings.replace(end, &more);
    setup
}

/// A provider whose users log in at `corp`.
fn broker(more: &str) -> Setup {
    let yaml = format!(
        "openid_provider:
  issuer: 'http://sso.localhost:{{port}}/oidc'
  login: {{identity_providers: [corp]}}
{CLIENTS}{more}"
    );
    Setup::default()
        .settings(&yaml)
        .file("shop-secret", format!("{SECRET}\n"))
}

pub fn issuer(world: &World) -> String {
    format!("http://sso.localhost:{}/oidc", world.gateway.port)
}

pub fn challenge() -> String {
    let hash = digest::digest(&digest::SHA256, VERIFIER.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref())
}

/// The usual parameters of the client `shop`, [`changed`].
fn parameters(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let challenge = challenge();
    let usual = [
        ("response_type", "code"),
        ("client_id", "shop"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email"),
        ("state", "st&te"),
        ("nonce", "n0nce"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    changed(&usual, changes)
}

/// `usual` with `changes`: an empty value takes one out.
pub fn changed(usual: &[(&str, &str)], changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let kept = usual.iter().filter(|(name, _)| !is_changed(name));
    kept.chain(changes.iter().filter(|(_, value)| !value.is_empty()))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn authorize_url(world: &World, changes: &[(&str, &str)]) -> String {
    let mut url = url::form_urlencoded::Serializer::new(String::new());
    url.extend_pairs(parameters(changes));
    format!("{}/authorize?{}", issuer(world), url.finish())
}

/// Follows redirects until the browser is sent to a client, or there is a page.
#[track_caller]
pub fn to_client(browser: &mut Browser, mut response: Response) -> Response {
    for _ in 0..20 {
        if !is_redirect(&response) || location(&response).contains(".localhost:1/") {
            return response;
        }
        response = browser.step(&response);
    }
    panic!("redirects without end");
}

/// The value of a hidden field.
#[track_caller]
pub fn field(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let at = page
        .find(&start)
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    let rest = &page[at + start.len()..];
    let value = &rest[..rest.find('"').unwrap()];
    value
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
}

/// Fills the sign-in page in and goes on to the client.
#[track_caller]
pub fn sign_in(world: &World, browser: &mut Browser, page: &Response, name: &str) -> Response {
    assert_eq!(page.status, 200, "{}", page.text());
    let html = page.text();
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    let form = Call::navigate(&format!("{}/sign_in", issuer(world)))
        .header("Sec-Fetch-Site", "same-origin")
        .form(&[
            ("username", name),
            ("password", PASSWORD),
            ("csrf", &csrf),
            ("rd", &rd),
        ]);
    let sent = browser.send(&form);
    to_client(browser, sent)
}

/// Goes through a whole login with an account, up to the answer to the client.
#[track_caller]
fn log_in(world: &World, browser: &mut Browser, name: &str, changes: &[(&str, &str)]) -> Response {
    let first = browser.get(&authorize_url(world, changes));
    let page = to_client(browser, first);
    sign_in(world, browser, &page, name)
}

/// The parameters of the answer to a client.
#[track_caller]
fn answer(response: &Response) -> Vec<(String, String)> {
    assert_eq!(response.status, 303, "{}", response.text());
    query(&location(response))
}

#[track_caller]
pub fn value(answer: &[(String, String)], name: &str) -> String {
    let all: Vec<_> = answer.iter().filter(|(n, _)| n == name).collect();
    assert_eq!(all.len(), 1, "{name} in {answer:?}");
    all[0].1.clone()
}

/// The code of an answer.
#[track_caller]
fn code(world: &World, response: &Response) -> String {
    let code = value(&answer(response), "code");
    world.secrets.note(&code);
    code
}

/// The ID token's claims of a login that ends with `response`.
#[track_caller]
fn id_token(world: &World, response: &Response) -> Value {
    let redeemed = redeem(world, &code(world, response));
    assert_eq!(redeemed.status, 200, "{}", redeemed.text());
    claims(&redeemed.json()["id_token"])
}

/// Waits until the clock of the gateway shows another second: it knows no finer time.
pub fn next_second() {
    let now = crate::support::idp::now();
    crate::support::eventually("the next second", || crate::support::idp::now() > now);
}
