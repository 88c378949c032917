//! The endpoints of clients as clients meet them, without sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::endpoints;
use crate::endpoints::Answer;
use crate::endpoints::Call;
use crate::endpoints::test_gateway;
use crate::endpoints::test_gateway::ADDRESS;
use crate::endpoints::test_gateway::NOW;
use crate::endpoints::test_gateway::gateway;
use crate::endpoints::test_gateway::with_call;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::identity::Identity;
use crate::openid_provider::ClaimsRequest;
use crate::openid_provider::grants::authorization_code::StoredCode;
use crate::openid_provider::handle::Code;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::judge::Authentication;
use crate::openid_provider::subject::subject;
use crate::outbound::test_server::install_crypto_provider;
use crate::random;
use crate::routes::OwnPath;
use crate::routes::ProviderPath;
use crate::session::Session;
use crate::store::MemoryStore;
use crate::store::Record;
use crate::store::Store;

mod bearer;
mod clients;
mod consents;
mod pushed;
mod tokens;

const CALLBACK: &str = "https://shop.example/callback";
const API: &str = "https://api.example";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SHOP: (&str, &str) = ("shop", "the-secret-of-the-shop-0123456789");
const OTHER: (&str, &str) = ("other", "the-secret-of-others-0123456789ab");
const FILE: &str = "listeners: [{address: '127.0.0.1:8080'}]
identity_providers:
  - {id: corp, issuer: 'https://login.corp.example', client_id: gateway, client_secret: {env: CORP}}
routes:
  - {from: 'https://app.example', to: 'http://127.0.0.1:1', auth: public}
  - from: 'https://api.example'
    to: 'http://127.0.0.1:1'
    auth: bearer
    bearer: {issuers: [openid_provider], audience: 'https://api.example'}
    allow: [{scopes: [orders.read]}]
openid_provider:
  issuer: https://sso.example/oidc
  login: {identity_providers: [corp], recheck: never}
  signing: {algorithm: ES256}
  scopes:
    orders.read: {audience: https://api.example}
    editor: {grant: [{groups: [wiki-editors]}]}
  clients:
    - client_id: shop
      client_secret: {env: SHOP}
      redirect_uris: [https://shop.example/callback]
      grant_types: [authorization_code, refresh_token, client_credentials]
      scopes: [openid, profile, offline_access, editor, orders.read]
    - client_id: other
      client_secret: {env: OTHER}
      redirect_uris: [https://shop.example/callback]
      grant_types: [authorization_code, refresh_token]
      scopes: [openid, offline_access]
    - client_id: native
      application_type: native
      redirect_uris: ['http://127.0.0.1/callback']
      scopes: [openid, offline_access]
";

/// A gateway, and the time there.
#[derive(Clone)]
struct Place {
    gateway: Arc<Gateway>,
    store: Arc<MemoryStore>,
    now: Timestamp,
    address: IpAddr,
}

/// One request: endpoint, method, headers, body.
struct Sent<'a>(ProviderPath, &'a str, &'a [(&'a str, &'a str)], &'a str);

fn snapshot(file: &str, folder: &Path, session_key: [u8; 32]) -> Snapshot {
    test_gateway::snapshot(file, folder, session_key, &|name| match name {
        "CORP" => Some("of-the-gateway".to_owned()),
        "SHOP" => Some(SHOP.1.to_owned()),
        "OTHER" => Some(OTHER.1.to_owned()),
        _ => None,
    })
}

impl Place {
    fn new() -> Self {
        Self::with_room_for(1_000)
    }

    fn with_room_for(records: usize) -> Self {
        Self::of(FILE, Path::new(""), records)
    }

    fn of(file: &str, folder: &Path, records: usize) -> Self {
        install_crypto_provider();
        let snapshot = snapshot(file, folder, [7; 32]);
        let store = Arc::new(MemoryStore::new(records));
        Self {
            gateway: gateway(snapshot, Arc::clone(&store), "corp"),
            store,
            now: NOW,
            address: ADDRESS,
        }
    }

    fn later(&self, seconds: u64) -> Self {
        Self {
            now: self.now.after(Duration::from_secs(seconds)),
            ..self.clone()
        }
    }

    async fn send(&self, sent: Sent<'_>) -> Answer {
        self.send_to(None, sent).await
    }

    async fn send_to(&self, query: Option<&str>, sent: Sent<'_>) -> Answer {
        let Sent(endpoint, method, lines, body) = sent;
        let path = format!("/oidc{}", endpoint.path());
        let own = OwnPath::OpenIdProvider(endpoint);
        let act = async |call: &Call<'_>| endpoints::handle(&own, call).await;
        let (when, target) = ((self.now, self.address), (method, &*path, query));
        with_call(&self.gateway, when, target, (lines, body), act).await
    }

    /// Posts a form with the secret of a client.
    async fn post(
        &self,
        endpoint: ProviderPath,
        client: (&str, &str),
        form: &[(&str, &str)],
    ) -> Answer {
        let lines = [("authorization", &*basic(client)), FORM];
        self.send(Sent(endpoint, "POST", &lines, &encoded(form)))
            .await
    }

    async fn token(&self, client: (&str, &str), form: &[(&str, &str)]) -> Answer {
        self.post(ProviderPath::Token, client, form).await
    }

    async fn redeem(&self, client: (&str, &str), code: &str) -> Answer {
        self.token(client, &redemption(code)).await
    }

    async fn refresh(&self, client: (&str, &str), token: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token(client, &form).await
    }

    async fn introspect(&self, client: (&str, &str), token: &str) -> Value {
        let form = [("token", token)];
        let answer = self.post(ProviderPath::Introspect, client, &form).await;
        assert_eq!(answer.status, StatusCode::OK);
        body(&answer)
    }

    async fn revoke(&self, client: (&str, &str), token: &str) -> Answer {
        let form = [("token", token)];
        self.post(ProviderPath::Revoke, client, &form).await
    }

    async fn userinfo(&self, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let lines = [("authorization", bearer.as_str())];
        self.send(Sent(ProviderPath::Userinfo, "GET", &lines, ""))
            .await
    }

    /// Makes a code as the authorization endpoint does.
    async fn code(&self, client_id: &str, scope: &str) -> String {
        let code = Code::from_random(random::bytes());
        let stored = StoredCode {
            client_id: client_id.to_owned(),
            redirect_uri: CALLBACK.to_owned(),
            code_challenge: Some(CHALLENGE.to_owned()),
            nonce: Some("n0nce".to_owned()),
            scope: scope.to_owned(),
            resources: Vec::new(),
            claims: ClaimsRequest::default(),
            authentication: Authentication {
                subject: subject(&alice()),
                identity: alice(),
                auth_time: self.now,
                acr: None,
                amr: Vec::new(),
                sid: "sid-1".to_owned(),
            },
            grant_id: GrantId::from_random(random::bytes()),
            expires_at: self.now.after(Duration::from_secs(60)),
            kept_until: self.now.after(Duration::from_secs(600)),
            is_used: false,
        };
        let snapshot = self.gateway.snapshot();
        let kept = self.gateway.keep_code(&snapshot, &code, &stored, self.now);
        kept.await.unwrap();
        code.secret().expose().clone()
    }

    /// Tokens of a new grant of the shop.
    async fn tokens(&self, scope: &str) -> Value {
        let code = self.code("shop", scope).await;
        let answer = self.redeem(SHOP, &code).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", body(&answer));
        body(&answer)
    }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OFFLINE: &str = "openid profile offline_access";

fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

fn basic((id, secret): (&str, &str)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn encoded(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

/// What a JWT says; that it is signed is checked where it is used.
fn claims(token: &Value) -> Value {
    let middle = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Checks status and error code of a refusal, and that no cache keeps it.
fn check_refused(answer: &Answer, status: u16, error: &str) {
    let said = body(answer);
    assert_eq!(
        (answer.status.as_u16(), text(&said, "error")),
        (status, error),
        "{said}"
    );
    assert_eq!(header(answer, "cache-control"), "no-store");
    assert_eq!(header(answer, "pragma"), "no-cache");
    assert!(said["access_token"].is_null());
}

fn alice() -> Identity {
    let Value::Object(claims) = json!({"sub": "s-1", "given_name": "Alice"}) else {
        unreachable!("it is an object")
    };
    Identity {
        preferred_username: Some("alice".to_owned()),
        email: Some("alice@example.com".to_owned()),
        email_verified: true,
        name: Some("Alice Doe".to_owned()),
        groups: vec!["wiki-editors".to_owned()],
        claims,
        ..Identity::of_test("corp", "s-1", "alice")
    }
}
