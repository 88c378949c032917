//! An identity provider for the tests of this module: honest unless a test replaces an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::jose::Algorithm;
use crate::jose::SigningKey;
use crate::jose::sign::key_set_json;
use crate::outbound::identity_provider::IdentityProvider;
use crate::outbound::test_server::Reply;
use crate::outbound::test_server::Seen;
use crate::outbound::test_server::TestServer;
use crate::outbound::test_server::client;
use crate::relying_party;
use crate::relying_party::CallbackParameters;
use crate::relying_party::Code;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::test_settings;
pub(crate) use crate::relying_party::test_settings::NOW;
pub(crate) use crate::relying_party::test_settings::flow;

pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";

pub(crate) struct TestProvider {
    pub(crate) server: TestServer,
    pub(crate) key: SigningKey,
    replies: Arc<Mutex<BTreeMap<String, Reply>>>,
    document: Mutex<Map<String, Value>>,
}

/// A new signing key.
pub(crate) fn new_key() -> SigningKey {
    let der = SigningKey::generate_pkcs8(Algorithm::ES256).expect("a key can be made");
    SigningKey::from_pkcs8(der.expose(), None).expect("it is a key")
}

impl TestProvider {
    pub(crate) async fn start() -> Self {
        let replies: Arc<Mutex<BTreeMap<String, Reply>>> = Arc::default();
        let scripted = Arc::clone(&replies);
        let server = TestServer::start(move |seen| {
            let replies = scripted.lock().expect("no test panicked here");
            replies
                .get(&seen.path)
                .cloned()
                .unwrap_or(Reply::status(404))
        })
        .await;
        let url = |path: &str| Value::from(server.url(path).as_str());
        let document = Map::from_iter([
            ("issuer".to_owned(), Value::from(issuer(&server))),
            ("authorization_endpoint".to_owned(), url("/authorize")),
            ("token_endpoint".to_owned(), url("/token")),
            ("jwks_uri".to_owned(), url("/jwks")),
            ("userinfo_endpoint".to_owned(), url("/userinfo")),
        ]);
        let document = Mutex::new(document);
        let test = Self {
            server,
            key: new_key(),
            replies,
            document,
        };
        test.publish();
        test.reply("/jwks", Reply::json(key_set_json([&test.key])));
        test.tokens(json!({}), json!({}));
        test.reply(
            "/userinfo",
            Reply::json(json!({"sub": "s-1", "email": "a@corp.example"})),
        );
        test
    }

    fn publish(&self) {
        let document = self.document.lock().expect("no test panicked here").clone();
        self.reply(DISCOVERY, Reply::json(Value::Object(document)));
    }

    /// Sets one member of the discovery document; `null` removes it.
    pub(crate) fn metadata(&self, member: &str, value: Value) {
        let mut document = self.document.lock().expect("no test panicked here");
        match value {
            Value::Null => document.remove(member),
            value => document.insert(member.to_owned(), value),
        };
        drop(document);
        self.publish();
    }

    /// Sets the answer of one path.
    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        let mut replies = self.replies.lock().expect("no test panicked here");
        replies.insert(path.to_owned(), reply);
    }

    /// Claims of a good ID token with `changes` on top; `null` removes a claim.
    pub(crate) fn id_token(&self, key: &SigningKey, changes: Value) -> String {
        let claims = json!({
            "iss": issuer(&self.server),
            "sub": "s-1",
            "aud": "gateway",
            "exp": NOW.0 + 300,
            "iat": NOW.0,
            "nonce": "n-1",
            "name": "Alice",
            "sid": "sid-1",
            "acr": "urn:mfa",
            "auth_time": NOW.0 - 5,
        });
        key.sign("JWT", &changed(claims, changes))
            .expect("it can be signed")
    }

    /// Lets the token endpoint answer with a good ID token but for `claims`, and `members` on top.
    pub(crate) fn tokens(&self, claims: Value, members: Value) {
        let answer = json!({
            "access_token": "marker-access",
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": "marker-refresh",
            "id_token": self.id_token(&self.key, claims),
        });
        self.reply(
            "/token",
            Reply::json(Value::Object(changed(answer, members))),
        );
    }

    pub(crate) fn issuer(&self) -> String {
        issuer(&self.server)
    }

    pub(crate) fn provider(&self) -> IdentityProvider {
        self.provider_with(|_| ())
    }

    pub(crate) fn provider_with(
        &self,
        change: impl FnOnce(&mut IdentityProviderSettings),
    ) -> IdentityProvider {
        let mut settings = IdentityProviderSettings {
            issuer: self.issuer(),
            ..test_settings::settings()
        };
        change(&mut settings);
        IdentityProvider::new(Arc::new(settings), client()).expect("the settings are fine")
    }

    /// The last request to a path.
    pub(crate) fn last(&self, path: &str) -> Seen {
        let seen = self
            .server
            .seen()
            .into_iter()
            .rfind(|seen| seen.path == path);
        seen.expect("the path was asked for")
    }
}

fn issuer(server: &TestServer) -> String {
    server.url("").as_str().trim_end_matches('/').to_owned()
}

fn changed(value: Value, changes: Value) -> Map<String, Value> {
    let (Value::Object(mut members), Value::Object(changes)) = (value, changes) else {
        panic!("both are objects")
    };
    for (name, change) in changes {
        match change {
            Value::Null => members.shift_remove(&name),
            change => members.insert(name, change),
        };
    }
    members
}

/// A code, by the only way there is.
pub(crate) fn code() -> Code {
    let parameters = CallbackParameters::parse("code=marker-code&state=st-1");
    relying_party::check(
        parameters.expect("it is an answer"),
        &flow(),
        &test_settings::settings(),
        &test_settings::metadata(),
        NOW,
    )
    .expect("it answers the flow")
}
