//! The OpenID provider double: honest until told to lie.
//!
//! It checks what a careful provider checks (client authentication, code, redirect_uri, PKCE) and keeps
//! a complaint for each failure. Every answer can be bent by a hook on its value, or replaced byte for
//! byte. It has no login page: the authorization endpoint redirects straight back.

mod refresh;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::http_server::Reply;
use super::http_server::Request;
use super::http_server::Server;
use super::http_server::value_of;
use super::keys;
use super::keys::Signer;
use super::secrets::Secrets;

pub use refresh::RefreshTokens;
use refresh::is_refresh;

/// The client id the gateway is registered under.
pub const CLIENT_ID: &str = "gateway";

/// A named change of a value: one line of a table of lies.
pub type Case<T> = (&'static str, fn(&mut T));

type Hook<T> = Option<Box<dyn Fn(&mut T) + Send + Sync>>;
type OnRefresh = Arc<dyn Fn(Reply) -> Reply + Send + Sync>;
type Replace = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// How the double departs from the truth. Each hook changes a value that is right until then.
pub struct Lies {
    pub discovery: Hook<Value>,
    pub jwks: Hook<Value>,
    pub callback: Hook<Vec<(String, String)>>,
    pub header: Hook<Map<String, Value>>,
    pub claims: Hook<Map<String, Value>>,
    /// The payload as text, for what a map cannot hold: two members of one name.
    pub payload: Hook<String>,
    pub id_token: Hook<String>,
    pub token_response: Hook<Value>,
    pub userinfo: Hook<Value>,
    pub signer: Signer,
    /// The error that answers `prompt=none`: the user is not signed in here, or has to do something.
    pub silent_error: Option<&'static str>,
    /// Keys by which the client proves itself instead of by its secret, as a JWK set.
    pub client_keys: Option<Value>,
    /// What happens to the answer of a refresh after it has been worked out, and before it is sent.
    pub on_refresh: Option<OnRefresh>,
    pub refresh_tokens: RefreshTokens,
    /// Whole answers, by path.
    pub replaced: BTreeMap<&'static str, Replace>,
}

/// What was promised with a code or a refresh token.
#[derive(Clone)]
struct Grant {
    redirect_uri: String,
    code_challenge: Option<String>,
    nonce: Option<String>,
}

struct State {
    lies: Lies,
    user: Map<String, Value>,
    codes: BTreeMap<String, Grant>,
    refresh_tokens: BTreeMap<String, Grant>,
    /// Refresh tokens that have been used, and what came for them.
    used: BTreeMap<String, Value>,
    /// `jti` of the assertions seen so far.
    assertions: BTreeSet<String>,
    complaints: Vec<String>,
}

struct Inner {
    state: Mutex<State>,
    issuer: Mutex<String>,
    client_secret: String,
    secrets: Secrets,
}

/// A running provider double.
pub struct Idp {
    server: Server,
    inner: Arc<Inner>,
}

impl Idp {
    /// Starts a provider with one user, `alice`.
    pub fn start(secrets: &Secrets) -> Self {
        let client_secret = keys::unique("client-secret-");
        secrets.note(&client_secret);
        let lies = Lies {
            discovery: None,
            jwks: None,
            callback: None,
            header: None,
            claims: None,
            payload: None,
            id_token: None,
            token_response: None,
            userinfo: None,
            signer: Signer::Rs256,
            silent_error: None,
            client_keys: None,
            on_refresh: None,
            refresh_tokens: RefreshTokens::Rotate,
            replaced: BTreeMap::new(),
        };
        let state = State {
            lies,
            user: alice(),
            codes: BTreeMap::new(),
            refresh_tokens: BTreeMap::new(),
            used: BTreeMap::new(),
            assertions: BTreeSet::new(),
            complaints: Vec::new(),
        };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            issuer: Mutex::new(String::new()),
            client_secret,
            secrets: secrets.clone(),
        });
        let shared = Arc::clone(&inner);
        let server = Server::start(move |request| shared.answer(request));
        *inner.issuer.lock().unwrap() = format!("http://{}", server.address);
        Self { server, inner }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn issuer(&self) -> String {
        self.inner.issuer.lock().unwrap().clone()
    }

    /// The secret the gateway must show.
    pub fn client_secret(&self) -> &str {
        &self.inner.client_secret
    }

    /// Changes how the double lies from now on.
    pub fn lie(&self, change: impl FnOnce(&mut Lies)) {
        change(&mut self.inner.state.lock().unwrap().lies);
    }

    /// Bends the claims of later ID tokens.
    pub fn lie_in_claims(&self, bend: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static) {
        self.lie(|lies| lies.claims = Some(Box::new(bend)));
    }

    /// Bends the header of later ID tokens.
    pub fn lie_in_header(&self, bend: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static) {
        self.lie(|lies| lies.header = Some(Box::new(bend)));
    }

    /// Answers `path` with `reply` from now on.
    pub fn replace(
        &self,
        path: &'static str,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) {
        self.lie(|lies| drop(lies.replaced.insert(path, Arc::new(reply))));
    }

    /// Logs in somebody else from now on: these claims are put over those of `alice`.
    pub fn set_user(&self, claims: &Value) {
        let mut user = alice();
        user.extend(claims.as_object().cloned().unwrap_or_default());
        self.inner.state.lock().unwrap().user = user;
    }

    /// The requests for `path`, in order.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.server.with_journal(|journal| {
            journal
                .requests
                .iter()
                .filter(|r| r.path() == path)
                .cloned()
                .collect()
        })
    }

    /// How often `path` was asked for.
    pub fn calls(&self, path: &str) -> usize {
        self.requests(path).len()
    }

    /// What a careful provider would have refused.
    pub fn complaints(&self) -> Vec<String> {
        self.inner.state.lock().unwrap().complaints.clone()
    }
}

fn alice() -> Map<String, Value> {
    let claims = json!({
        "sub": "user-0001",
        "preferred_username": "alice",
        "email": "alice@example.com",
        "email_verified": true,
        "name": "Alice Doe",
        "groups": ["staff", "wiki"],
    });
    claims.as_object().cloned().unwrap_or_default()
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

impl Inner {
    fn answer(&self, request: &Request) -> Reply {
        let replaced = self
            .state
            .lock()
            .unwrap()
            .lies
            .replaced
            .get(request.path())
            .cloned();
        if let Some(reply) = replaced {
            return reply(request);
        }
        match (request.method.as_str(), request.path()) {
            ("GET", "/.well-known/openid-configuration") => self.discovery(),
            ("GET", "/jwks") => {
                let mut set = keys::jwks();
                bend(&self.state.lock().unwrap().lies.jwks, &mut set);
                Reply::json(200, &set)
            }
            ("GET", "/authorize") => self.authorize(request),
            ("POST", "/token") => {
                let reply = self.token(request);
                let on_refresh = self.state.lock().unwrap().lies.on_refresh.clone();
                match on_refresh.filter(|_| is_refresh(request)) {
                    // Without the lock: it may take its time.
                    Some(on_refresh) => on_refresh(reply),
                    None => reply,
                }
            }
            ("GET" | "POST", "/userinfo") => {
                let state = &mut *self.state.lock().unwrap();
                let mut claims = Value::Object(state.user.clone());
                bend(&state.lies.userinfo, &mut claims);
                Reply::json(200, &claims)
            }
            ("POST", "/revoke") => Reply::json(200, &json!({})),
            ("GET", "/logout") => {
                let query = request.query();
                let back = value_of(&query, "post_logout_redirect_uri").unwrap_or("/bye");
                let state = value_of(&query, "state").map(|s| format!("?state={s}"));
                Reply::redirect(302, &format!("{back}{}", state.unwrap_or_default()))
            }
            _ => Reply::json(404, &json!({"error": "not_found"})),
        }
    }

    fn discovery(&self) -> Reply {
        let issuer = self.issuer.lock().unwrap().clone();
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/jwks"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "authorization_response_iss_parameter_supported": true,
        });
        bend(&self.state.lock().unwrap().lies.discovery, &mut document);
        Reply::json(200, &document)
    }

    fn authorize(&self, request: &Request) -> Reply {
        let query = request.query();
        let issuer = self.issuer.lock().unwrap().clone();
        let state = &mut *self.state.lock().unwrap();
        for (name, expected) in [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("code_challenge_method", "S256"),
        ] {
            if value_of(&query, name) != Some(expected) {
                state
                    .complaints
                    .push(format!("authorize: {name} is not {expected}: {query:?}"));
            }
        }
        let Some(redirect_uri) = value_of(&query, "redirect_uri") else {
            state
                .complaints
                .push("authorize: no redirect_uri".to_owned());
            return Reply::json(400, &json!({"error": "invalid_request"}));
        };
        let code = keys::unique("code-");
        self.secrets.note(&code);
        let grant = Grant {
            redirect_uri: redirect_uri.to_owned(),
            code_challenge: value_of(&query, "code_challenge").map(str::to_owned),
            nonce: value_of(&query, "nonce").map(str::to_owned),
        };
        state.codes.insert(code.clone(), grant);
        let mut answer = vec![
            ("code".to_owned(), code),
            (
                "state".to_owned(),
                value_of(&query, "state").unwrap_or_default().to_owned(),
            ),
            ("iss".to_owned(), issuer),
        ];
        if let (Some("none"), Some(error)) = (value_of(&query, "prompt"), state.lies.silent_error) {
            answer[0] = ("error".to_owned(), error.to_owned());
        }
        bend(&state.lies.callback, &mut answer);
        let mut encoded = url::form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(answer);
        Reply::redirect(302, &format!("{redirect_uri}?{}", encoded.finish()))
    }

    fn token(&self, request: &Request) -> Reply {
        let form = request.form();
        let state = &mut *self.state.lock().unwrap();
        let refused = |state: &mut State, status: u16, error: &str, why: &str| {
            state.complaints.push(format!("token: {why}"));
            Reply::json(status, &json!({"error": error}))
        };
        let is_client = match &state.lies.client_keys {
            Some(keys) => self.has_asserted(&form, &keys.clone(), &mut state.assertions),
            None => self.is_client(request, &form),
        };
        if !is_client {
            return refused(state, 401, "invalid_client", "wrong client authentication");
        }
        let refresh = value_of(&form, "refresh_token").unwrap_or_default();
        let code = value_of(&form, "code").unwrap_or_default();
        let policy = state.lies.refresh_tokens;
        if let Some(answer) = state.used.get(refresh) {
            if policy == RefreshTokens::RotateWithGrace {
                return Reply::json(200, answer);
            }
            state.refresh_tokens.clear();
            return refused(state, 400, "invalid_grant", "a refresh token came twice");
        }
        let grant = match value_of(&form, "grant_type") {
            Some("refresh_token") if policy == RefreshTokens::Keep => {
                state.refresh_tokens.get(refresh).cloned()
            }
            Some("refresh_token") => state.refresh_tokens.remove(refresh),
            Some("authorization_code") => state.codes.remove(code),
            _ => None,
        };
        let Some(mut grant) = grant else {
            return refused(
                state,
                400,
                "invalid_grant",
                "unknown or used code or refresh token",
            );
        };
        if refresh.is_empty() {
            let verifier = value_of(&form, "code_verifier").unwrap_or_default();
            if value_of(&form, "redirect_uri") != Some(&grant.redirect_uri) {
                return refused(state, 400, "invalid_grant", "another redirect_uri");
            }
            if grant.code_challenge != Some(keys::code_challenge(verifier)) {
                return refused(state, 400, "invalid_grant", "wrong code_verifier");
            }
        } else {
            grant.nonce = None;
        }
        let mut response = self.tokens(state, grant);
        let brings_none =
            policy == RefreshTokens::None || policy == RefreshTokens::Keep && !refresh.is_empty();
        if let (true, Some(members)) = (brings_none, response.as_object_mut()) {
            members.remove("refresh_token");
        }
        if !refresh.is_empty() && policy != RefreshTokens::Keep {
            state.used.insert(refresh.to_owned(), response.clone());
        }
        Reply::json(200, &response)
    }

    fn is_client(&self, request: &Request, form: &[(String, String)]) -> bool {
        let basic = STANDARD.encode(format!("{CLIENT_ID}:{}", self.client_secret));
        let by_header = request.header("authorization") == Some(&format!("Basic {basic}"));
        let by_form = value_of(form, "client_id") == Some(CLIENT_ID)
            && value_of(form, "client_secret") == Some(&self.client_secret);
        by_header != by_form
    }

    /// RFC 7523 section 3: signed by the client's key, for us, short-lived, used once.
    fn has_asserted(
        &self,
        form: &[(String, String)],
        keys: &Value,
        used: &mut BTreeSet<String>,
    ) -> bool {
        let assertion = value_of(form, "client_assertion").unwrap_or_default();
        let audience = format!("{}/token", self.issuer.lock().unwrap());
        let Some(claims) = keys::verified(assertion, keys, &audience) else {
            return false;
        };
        let lifetime = claims["exp"]
            .as_i64()
            .unwrap_or(i64::MAX)
            .saturating_sub(now());
        self.secrets.note(assertion);
        value_of(form, "client_assertion_type")
            == Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            && value_of(form, "client_secret").is_none()
            && claims["iss"] == CLIENT_ID
            && claims["sub"] == CLIENT_ID
            && (1..=60).contains(&lifetime)
            && claims["jti"]
                .as_str()
                .is_some_and(|jti| used.insert(jti.to_owned()))
    }

    fn tokens(&self, state: &mut State, grant: Grant) -> Value {
        let access_token = keys::unique("access-");
        let refresh_token = keys::unique("refresh-");
        let mut claims = state.user.clone();
        claims.extend([
            ("iss".to_owned(), json!(*self.issuer.lock().unwrap())),
            ("aud".to_owned(), json!(CLIENT_ID)),
            ("iat".to_owned(), json!(now())),
            ("exp".to_owned(), json!(now() + 600)),
            ("auth_time".to_owned(), json!(now())),
            ("sid".to_owned(), json!(keys::unique("sid-"))),
            ("at_hash".to_owned(), json!(keys::at_hash(&access_token))),
        ]);
        if let Some(nonce) = &grant.nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        bend(&state.lies.claims, &mut claims);
        let (alg, kid) = match state.lies.signer {
            Signer::Rs256 | Signer::ForeignRs256 => ("RS256", "rsa-1"),
            Signer::Es256 => ("ES256", "ec-1"),
            Signer::Hs256(_) => ("HS256", "rsa-1"),
            Signer::Nobody => ("none", "rsa-1"),
        };
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!(alg));
        header.insert("typ".to_owned(), json!("JWT"));
        header.insert("kid".to_owned(), json!(kid));
        bend(&state.lies.header, &mut header);
        let mut payload = Value::Object(claims).to_string();
        bend(&state.lies.payload, &mut payload);
        let header = Value::Object(header).to_string();
        let mut id_token = keys::sign(&state.lies.signer, &header, &payload);
        bend(&state.lies.id_token, &mut id_token);
        for secret in [&access_token, &refresh_token, &id_token] {
            self.secrets.note(secret);
        }
        state.refresh_tokens.insert(refresh_token.clone(), grant);
        let mut response = json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 600,
            "refresh_token": refresh_token,
            "id_token": id_token,
        });
        bend(&state.lies.token_response, &mut response);
        response
    }
}

fn bend<T>(hook: &Hook<T>, value: &mut T) {
    if let Some(hook) = hook {
        hook(value);
    }
}
