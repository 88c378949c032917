//! Scopes: who is granted which, where they stand, and which API a token is for.

use serde_json::json;

use super::*;
use crate::support::echo::Echo;
use crate::support::idp::Idp;
use crate::support::secrets::Secrets;

const ORDERS: &str = "https://orders.example.com";
const INVOICES: &str = "https://invoices.example.com";
const EDITOR: &str = "mx:app:userrole:53f5d6fa-6da9-4a0b-b4a9-6a0b1f5a7c2e";
const AUTHOR: &str = "mx:app:userrole:6c5e0a4e-8f0b-4b8d-9a55-0f2f0f6f1b9d";
const ADMIN: &str = "mx:app:userrole:00000000-0000-0000-0000-000000000001";
const WIKI_CALLBACK: &str = "http://wiki.localhost:1/callback";

const SCOPED: &str = "
  clients:
    - client_id: shop
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://shop.localhost:1/callback']
      grant_types: [authorization_code, refresh_token, client_credentials]
      scopes: [openid, profile, email, offline_access, editor, orders.read, invoices.read,
        'mx:app:userrole:53f5d6fa-6da9-4a0b-b4a9-6a0b1f5a7c2e',
        'mx:app:userrole:6c5e0a4e-8f0b-4b8d-9a55-0f2f0f6f1b9d',
        'mx:app:userrole:00000000-0000-0000-0000-000000000001']
    - client_id: wiki
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://wiki.localhost:1/callback']
      scopes: [openid, email, editor]
  scopes:
    editor: {grant: [{groups: [wiki-editors], clients: [wiki]}, {groups: [shop-editors], clients: [shop]}]}
    orders.read: {audience: 'https://orders.example.com'}
    invoices.read: {audience: 'https://invoices.example.com', advertise: false}
    mx:app:userrole:53f5d6fa-6da9-4a0b-b4a9-6a0b1f5a7c2e: {grant: [{groups: [wiki-editors]}]}
    mx:app:userrole:6c5e0a4e-8f0b-4b8d-9a55-0f2f0f6f1b9d: {grant: [{any_user: true}], advertise: true}
    mx:app:userrole:00000000-0000-0000-0000-000000000001: {grant: [{groups: [admins]}]}
";

const APIS: &str = "
  - from: 'http://orders.localhost:{port}'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [openid_provider], audience: 'https://orders.example.com'}
    allow: [{any_user: true}, {clients: [shop]}]
  - from: 'http://invoices.localhost:{port}'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [openid_provider], audience: 'https://invoices.example.com'}
    allow: [{any_user: true}, {clients: [shop]}]
";

/// Accounts, clients and scopes as above; `more` stands below `openid_provider`.
fn world(more: &str) -> World {
    let mut setup = local(more);
    setup.settings = setup.settings.replace(CLIENTS, SCOPED);
    setup.routes = APIS.to_owned();
    let secrets = Secrets::default();
    let (idp, echo) = (Idp::start(&secrets), Echo::start());
    World::around(&setup, idp, echo, secrets)
}

/// Asks the userinfo endpoint.
pub(super) fn userinfo(world: &World, tokens: &Value) -> Value {
    let access_token = tokens["access_token"].as_str().unwrap();
    let found = super::userinfo(world, access_token);
    assert_eq!(found.status, 200, "{}", found.text());
    found.json()
}

/// Asks the introspection endpoint as `shop`.
pub(super) fn introspect(world: &World, token: &Value) -> Value {
    super::introspect(world, token.as_str().unwrap())
}

/// The tokens of a login with an account.
pub(super) fn tokens(world: &World, name: &str, scope: &str) -> Value {
    let mut browser = world.browser();
    let done = log_in(world, &mut browser, name, &[("scope", scope)]);
    let redeemed = redeem(world, &code(world, &done));
    assert_eq!(redeemed.status, 200, "{}", redeemed.text());
    redeemed.json()
}

fn machine(world: &World, scope: &str) -> Response {
    let fields = [("grant_type", "client_credentials"), ("scope", scope)];
    token(world, &fields)
}

/// Whether the API on `host` takes the token.
fn is_taken(world: &World, host: &str, token: &Value) -> bool {
    let token = token.as_str().unwrap();
    world.secrets.note(token);
    let url = format!("http://{host}.localhost:{}/list", world.gateway.port);
    let call = Call::bare("GET", &url).header("Authorization", &format!("Bearer {token}"));
    let answer = world.browser().send(&call);
    assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
    answer.status == 200
}

/// Row 100: what is not asked for is nowhere.
#[test]
fn a_scope_decides_which_claims_there_are() {
    let world = world("");
    let without = tokens(&world, "alice", "openid");
    let with = tokens(&world, "alice", "openid email");
    let info = userinfo(&world, &without);
    assert_eq!(info, json!({"sub": "alice"}));
    for name in ["id_token", "access_token"] {
        assert!(!claims(&without[name]).to_string().contains("@example.com"));
        assert!(!claims(&with[name]).to_string().contains("@example.com"));
    }
    let expected = json!({"sub": "alice", "email": "alice@example.com", "email_verified": true});
    assert_eq!(userinfo(&world, &with), expected);
}

/// Rows 125, 127, 132 and 159: the same scope in the answer, in both tokens and at introspection, names of
/// roles as they are, with one space between them, and none that no rule grants.
#[test]
fn granted_roles_stand_in_the_same_words_everywhere() {
    let world = world("");
    let asked = format!("openid {ADMIN} {EDITOR} {AUTHOR}");
    let golden = "openid mx:app:userrole:53f5d6fa-6da9-4a0b-b4a9-6a0b1f5a7c2e \
                  mx:app:userrole:6c5e0a4e-8f0b-4b8d-9a55-0f2f0f6f1b9d";
    let alice = tokens(&world, "alice", &asked);
    for (place, found) in [
        ("the answer", alice["scope"].clone()),
        ("the ID token", claims(&alice["id_token"])["scope"].clone()),
        (
            "the access token",
            claims(&alice["access_token"])["scope"].clone(),
        ),
        (
            "introspection",
            introspect(&world, &alice["access_token"])["scope"].clone(),
        ),
    ] {
        assert_eq!(found, golden, "{place}");
    }
    let bob = tokens(&world, "bob", &asked);
    assert_eq!(bob["scope"], format!("openid {AUTHOR}"));
}

/// Row 128, F23: alice is an editor of the wiki and not of the shop.
#[test]
fn a_role_of_one_application_is_none_in_another() {
    let world = world("");
    let mut browser = world.browser();
    let done = log_in(&world, &mut browser, "alice", &[("scope", "openid editor")]);
    let at_shop = redeem(&world, &code(&world, &done)).json();
    assert_eq!(at_shop["scope"], "openid");
    let changes = [
        ("client_id", "wiki"),
        ("redirect_uri", WIKI_CALLBACK),
        ("scope", "openid editor"),
    ];
    let done = browser.get(&authorize_url(&world, &changes));
    let code = code(&world, &done);
    let mut fields = redemption(&code);
    fields[2].1 = WIKI_CALLBACK;
    let wiki = basic("wiki", SECRET);
    let at_wiki = post(&world, "/token", Some(&wiki), &fields).json();
    assert_eq!(at_wiki["scope"], "openid editor", "{at_wiki}");
}

/// Row 131, RFC 6749 section 3.3.
#[test]
fn a_scope_that_is_not_the_clients_is_refused_or_passed_over_as_the_file_says() {
    let refusing = world("");
    let mut browser = refusing.browser();
    let asked = authorize_url(&refusing, &[("scope", "openid other")]);
    assert_eq!(
        value(&answer(&browser.get(&asked)), "error"),
        "invalid_scope"
    );
    let refused = machine(&refusing, "orders.read other");
    assert_eq!(refused.json()["error"], "invalid_scope");

    let dropping = world("  unknown_scopes: drop\n");
    let found = tokens(&dropping, "alice", "openid other email");
    assert_eq!(found["scope"], "openid email");
    let taken = machine(&dropping, "orders.read other").json();
    assert_eq!(taken["scope"], "orders.read");
    // Nothing would be left; a machine is no user (row 88); a login needs openid.
    for scope in ["other", "openid orders.read", "openid"] {
        let refused = machine(&dropping, scope);
        assert_eq!(refused.json()["error"], "invalid_scope", "{scope}");
    }
    let mut browser = dropping.browser();
    let asked = authorize_url(&dropping, &[("scope", "other email")]);
    assert_eq!(
        value(&answer(&browser.get(&asked)), "error"),
        "invalid_scope"
    );
}

/// Rows 99, 103 and 133.
#[test]
fn metadata_name_the_scopes_that_are_advertised_and_the_grants_there_are() {
    let world = world("");
    let url = format!("{}/.well-known/openid-configuration", issuer(&world));
    let document = world.browser().get(&url).json();
    let expected = json!([
        "openid",
        "profile",
        "email",
        "address",
        "phone",
        "offline_access",
        AUTHOR,
        "orders.read"
    ]);
    assert_eq!(document["scopes_supported"], expected);
    let grants = json!(["authorization_code", "refresh_token", "client_credentials"]);
    assert_eq!(document["grant_types_supported"], grants);
    let password = token(&world, &[("grant_type", "password"), ("username", "alice")]);
    assert_eq!(password.json()["error"], "unsupported_grant_type");
}

/// Rows 129 and 145: one audience is a string, several are a list, and a token for one API is nothing at
/// another.
#[test]
fn a_token_is_for_the_apis_of_its_scope() {
    let world = world("");
    let audience = |tokens: &Value| claims(&tokens["access_token"])["aud"].clone();
    let of_user = tokens(&world, "alice", "openid orders.read");
    assert_eq!(audience(&of_user), ORDERS);
    let none = tokens(&world, "alice", "openid");
    assert_eq!(audience(&none), "shop");
    let of_machine = machine(&world, "orders.read").json();
    assert_eq!(audience(&of_machine), ORDERS);
    let both = machine(&world, "orders.read invoices.read").json();
    assert_eq!(audience(&both), json!([ORDERS, INVOICES]));
    for (token, at_orders, at_invoices) in [
        (&of_user, true, false),
        (&of_machine, true, false),
        (&both, true, true),
        (&none, false, false),
    ] {
        let token = &token["access_token"];
        assert_eq!(is_taken(&world, "orders", token), at_orders);
        assert_eq!(is_taken(&world, "invoices", token), at_invoices);
    }
    // RFC 8707: of two APIs the one that the client names.
    let fields = [
        ("grant_type", "client_credentials"),
        ("scope", "orders.read invoices.read"),
        ("resource", INVOICES),
    ];
    let narrowed = token(&world, &fields).json();
    assert_eq!(audience(&narrowed), INVOICES);
    assert_eq!(narrowed["scope"], "invoices.read");
    assert!(!is_taken(&world, "orders", &narrowed["access_token"]));
}
