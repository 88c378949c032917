//! `vestibule explain --client`: what our own OpenID provider would give a client.
//!
//! It goes the whole way of a login, from the authorization request to the answers about the tokens, by the
//! functions that the endpoints use. The tokens are signed by a key that is made for it and forgotten, and
//! are never shown: only what is in them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use url::Url;

use crate::accounts::Accounts;
use crate::cli::explain::Arguments;
use crate::cli::explain_user;
use crate::clock;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::endpoints::openid_provider::SessionFacts;
use crate::identity::Identity;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::SigningKey;
use crate::jose::sign::SignError;
use crate::oidc::pkce::CODE_CHALLENGE_METHOD;
use crate::oidc::pkce::CodeVerifier;
use crate::oidc::scope::Scope;
use crate::openid_provider::Client;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Parameters;
use crate::openid_provider::Refusal;
use crate::openid_provider::access_token::OwnAccessToken;
use crate::openid_provider::authorize;
use crate::openid_provider::authorize::AuthorizeError;
use crate::openid_provider::authorize::Way;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::clients::check_grant;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::grants::authorization_code;
use crate::openid_provider::grants::client_credentials;
use crate::openid_provider::handle::Code;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::handle::RefreshKey;
use crate::openid_provider::handle::token_id;
use crate::openid_provider::introspection;
use crate::openid_provider::issue::Issuer;
use crate::openid_provider::issue::Ties;
use crate::openid_provider::judge;
use crate::openid_provider::judge::Judgement;
use crate::openid_provider::scope;
use crate::openid_provider::settings::Login;
use crate::openid_provider::settings::STANDARD_SCOPES;
use crate::openid_provider::userinfo;
use crate::routes::Origin;
use crate::secret::Secret;
use crate::session::Session;

/// Claims that are new with each token or login, and what is told in their place.
const CHANGING: [&str; 4] = ["jti", "sid", "at_hash", "c_hash"];
const NEW_EACH_TIME: &str = "(new each time)";

/// What everything is worked out from.
struct Preview<'a> {
    provider: &'a OpenIdProviderSettings,
    client: &'a Client,
    asked: Option<&'a str>,
    key: SigningKey,
    keys: KeySet,
    now: Timestamp,
}

/// Why there is no story to tell.
enum Stop {
    /// The client gets an error.
    Refused(Refusal),
    /// The command was used in a wrong way, or the machine failed.
    Failed(String),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Works the story out, as JSON.
///
/// # Errors
/// A sentence: the command was used in a wrong way.
pub fn story(arguments: &Arguments, client: &str, settings: &Settings) -> Result<Value, String> {
    let provider = settings.openid_provider.as_ref();
    let provider = provider.ok_or("the file has no `openid_provider`, so there are no clients")?;
    let client = provider.clients.find(client).ok_or_else(|| {
        let known: Vec<&str> = provider.clients.iter().map(|one| &*one.client_id).collect();
        format!(
            "no client is named `{client}`; expected one of: {}",
            known.join(", ")
        )
    })?;
    let failed = |error| format!("no key for the dry run: {error}");
    let der = SigningKey::generate_pkcs8(Algorithm::EdDSA).map_err(failed)?;
    let key = SigningKey::from_pkcs8(der.expose(), Some(Algorithm::EdDSA)).map_err(failed)?;
    let preview = Preview {
        provider,
        client,
        asked: arguments.scope.as_deref(),
        keys: KeySet::of_signing_keys(std::iter::once(&key)),
        key,
        now: clock::now(),
    };
    let session = session(arguments, settings, provider, preview.now)?;
    let mut story = json!({"client": &*client.client_id});
    let identity = match &session {
        Some(session) => {
            let identity = &session.identity;
            story["user"] = identity.user.as_str().into();
            story["identity_provider"] = identity.identity_provider.as_str().into();
            identity.clone()
        }
        None if client.may_use(GrantType::ClientCredentials) => {
            client_credentials::identity(client)
        }
        None => {
            let id = &client.client_id;
            return Err(format!(
                "`{id}` gets no tokens for itself: name a user by --claims or --user"
            ));
        }
    };
    let given = match session {
        Some(session) => preview.to_user(&session),
        None => preview.to_machine(),
    };
    match given {
        Ok((granted, given)) => {
            story["decision"] = "grant".into();
            story["scopes"] = preview.scopes(&identity, Some(&granted));
            if let (Some(story), Value::Object(given)) = (story.as_object_mut(), given) {
                story.extend(given);
            }
        }
        Err(Stop::Refused(refusal)) => {
            story["decision"] = "refuse".into();
            story["error"] = refusal.code.as_str().into();
            story["error_description"] = refusal.description.into();
            story["scopes"] = preview.scopes(&identity, None);
        }
        Err(Stop::Failed(problem)) => return Err(problem),
    }
    Ok(story)
}

/// The session of the user that the arguments name, on the issuer's origin.
fn session(
    arguments: &Arguments,
    settings: &Settings,
    provider: &OpenIdProviderSettings,
    now: Timestamp,
) -> Result<Option<Session>, String> {
    let url = Url::parse(&provider.issuer).map_err(|error| error.to_string())?;
    let origin = Origin::of_url(&url).ok_or("the issuer has no origin")?;
    match (&provider.login, &arguments.claims, &arguments.user) {
        (Login::IdentityProviders(ids), Some(path), _) => {
            let id = match (&arguments.idp, ids.as_slice()) {
                (Some(id), _) => id.as_str(),
                (None, [one]) => one,
                (None, _) => {
                    let known = ids.join(", ");
                    return Err(format!(
                        "name the claims' identity provider by --idp: one of {known}"
                    ));
                }
            };
            if !ids.iter().any(|one| **one == *id) {
                return Err(format!("`{id}` is none of `login.identity_providers`"));
            }
            let idp = explain_user::idp(settings, &|one| *one.id == *id);
            let idp = idp.ok_or_else(|| format!("no identity provider is named `{id}`"))?;
            let claims = explain_user::claims(path)?;
            explain_user::session(idp, path, claims, &origin, now).map(Some)
        }
        (Login::Accounts(accounts), _, Some(name)) => {
            let account = accounts.iter().find(|account| account.username == *name);
            let account = account.ok_or_else(|| format!("no account is named `{name}`"))?;
            let identity = account.identity();
            Ok(Some(explain_user::new(identity, &origin, None, None, now)))
        }
        (Login::Accounts(_), Some(_), None) => {
            Err("users of this provider sign in with accounts: name one by --user".to_owned())
        }
        (Login::IdentityProviders(_), None, Some(_)) => {
            Err("users of this provider come from identity providers: give --claims".to_owned())
        }
        (_, None, None) => Ok(None),
    }
}

impl Preview<'_> {
    /// A login, from the authorization request on.
    fn to_user(&self, session: &Session) -> Result<(Scope, Value), Stop> {
        let accounts = match &self.provider.login {
            Login::Accounts(list) => {
                let accounts = Accounts::new(list.clone(), Secret::new([0; 32]));
                let unclear = |_| Stop::Failed("the accounts cannot be told apart".to_owned());
                Some(accounts.map_err(unclear)?)
            }
            Login::IdentityProviders(_) => None,
        };
        let verifier = CodeVerifier::from_random([0; 32]);
        let redirect_uri = self.client.redirect_uris.first();
        let redirect_uri = redirect_uri.map(|uri| uri.as_str()).unwrap_or_default();
        let asked = self.asked();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &asked)
            .append_pair("code_challenge", &verifier.challenge())
            .append_pair("code_challenge_method", CODE_CHALLENGE_METHOD)
            .finish();
        let parameters = Parameters::parse(query.as_bytes())?;
        // Which way the client sends its request makes no difference to what it gets.
        let (keys, way) = (&self.keys, Way::Pushed);
        let request = authorize::parse(&parameters, way, self.provider, keys, self.now);
        let request = request.map_err(|error| match error {
            AuthorizeError::Shown(refusal) | AuthorizeError::SentBack { refusal, .. } => refusal,
        })?;
        let facts = SessionFacts::new(session, accounts.as_ref(), NEW_EACH_TIME.to_owned());
        let state = facts.as_ref().map(SessionFacts::login_state);
        let judged = judge::judge(&request, state, Some(self.now), self.provider, self.now);
        let authentication = match judged {
            Judgement::Grant(authentication) => *authentication,
            Judgement::Refuse(refusal) => return Err(refusal.into()),
            // It has just happened: the account takes no password.
            Judgement::NeedLogin(_) => {
                let description = "the user cannot sign in";
                return Err(Refusal::new(ErrorCode::LoginRequired, description).into());
            }
        };
        let code = Code::from_random([0; 32]);
        let id = GrantId::from_random([0; 16]);
        let stored =
            authorization_code::stored(&request, authentication, id, self.provider, self.now);
        let presented = authorization_code::Presented {
            redirect_uri,
            code_verifier: Some(&verifier),
            resources: &[],
        };
        let redeemed = authorization_code::redeem(
            &stored,
            presented,
            self.client,
            Some(&stored.authentication.identity),
            self.provider,
            RefreshKey::from_random([0; 32]),
            self.now,
        );
        let redemption = redeemed.map_err(|refusal| refusal.refusal)?;
        let (grant, issuance) = (&redemption.grant, &redemption.issuance);
        let issuer = Issuer {
            settings: self.provider,
            client: self.client,
            authentication: Some(&grant.authentication),
            now: self.now,
        };
        let jti = grant.id.token_id([0; 16]);
        let access_token = issuer.access_token(&issuance.target, &jti, &self.key);
        let access_token = access_token.map_err(cannot_sign)?;
        let mut given = json!({});
        if issuance.has_id_token {
            let ties = Ties {
                nonce: None,
                access_token: &access_token,
                code: Some(code.secret()),
            };
            let scope = &issuance.target.scope;
            let made = issuer.id_token(scope, &grant.claims, ties, &self.key);
            if let Some(token) = made.map_err(cannot_sign)? {
                let algorithm = self.client.id_token_algorithm;
                let algorithm = algorithm.unwrap_or(self.provider.signing.algorithm);
                given["id_token"] = shown(&contents(&token)?, Some(algorithm));
            }
        }
        self.about(&access_token, Some(grant), &mut given)?;
        if let Some(line) = &grant.refresh {
            given["refresh_token"] = json!({
                "lifetime_seconds": line.expires_at.since(self.now).as_secs(),
                "lifetime_absolute_seconds": line.ends_at.since(self.now).as_secs(),
            });
        }
        Ok((issuance.target.scope.clone(), given))
    }

    /// A token of the client's own.
    fn to_machine(&self) -> Result<(Scope, Value), Stop> {
        check_grant(self.client, GrantType::ClientCredentials)?;
        let asked = self
            .asked
            .map(|text| scope::requested(Some(text), self.client, self.provider));
        let asked = asked.transpose()?;
        let target = client_credentials::issue(self.client, asked.as_ref(), &[], self.provider)?;
        let issuer = Issuer {
            settings: self.provider,
            client: self.client,
            authentication: None,
            now: self.now,
        };
        let token = issuer.access_token(&target, &token_id([0; 16]), &self.key);
        let mut given = json!({});
        self.about(&token.map_err(cannot_sign)?, None, &mut given)?;
        Ok((target.scope, given))
    }

    /// Adds what is in an access token, and what the endpoints tell of it.
    fn about(
        &self,
        token: &Secret<String>,
        grant: Option<&Grant>,
        given: &mut Value,
    ) -> Result<(), Stop> {
        let read = OwnAccessToken::verify(token.expose(), self.provider, &self.keys, self.now)?;
        given["access_token"] = shown(&read.claims, Some(self.provider.signing.algorithm));
        given["audience"] = read.audience.clone().into();
        if grant.is_some() {
            let found = userinfo::answer(&read, grant, self.provider)?;
            given["userinfo"] = shown(&found.claims, found.algorithm);
        }
        let answer = introspection::access_token(self.client, &read, grant, self.provider);
        if let Value::Object(answer) = answer {
            given["introspection"] = shown(&answer, None);
        }
        Ok(())
    }

    /// What the client asks for: everything, where the operator does not say.
    fn asked(&self) -> String {
        self.asked
            .map_or_else(|| self.client.scopes.to_string(), str::to_owned)
    }

    /// Each value that is asked for, whether it is granted, and why.
    fn scopes(&self, identity: &Identity, granted: Option<&Scope>) -> Value {
        let asked = self.asked();
        let is_of_user =
            |value: &&str| identity.client.is_none() || !STANDARD_SCOPES.contains(value);
        // What a machine asks for it is told of, right or wrong.
        let values = asked.split_whitespace();
        let values = values.filter(|value| self.asked.is_some() || is_of_user(value));
        let tell = |value: &str| {
            let is_granted = granted.is_some_and(|granted| granted.contains(value));
            let mut told = json!({"scope": value, "granted": is_granted});
            let own = self.provider.scopes.get(value);
            if let Some(rules) = own.and_then(|own| own.grant.as_ref()) {
                let rules = rules.iter().enumerate().map(|(index, rule)| {
                    let name = format!("openid_provider.scopes.{value}.grant[{index}]");
                    match rule.unmet(identity, self.client) {
                        None => json!({"rule": name, "admits": true}),
                        Some(criterion) => {
                            json!({"rule": name, "admits": false, "unmet": criterion})
                        }
                    }
                });
                told["rules"] = rules.collect::<Vec<_>>().into();
            }
            told["why"] = self.why(value, is_granted, granted.is_some()).into();
            told
        };
        values.map(tell).collect::<Vec<_>>().into()
    }

    fn why(&self, value: &str, is_granted: bool, is_decided: bool) -> &'static str {
        let own = self.provider.scopes.get(value);
        let has_rules = own.is_some_and(|own| own.grant.is_some());
        match (is_granted, own) {
            _ if !self.client.scopes.contains(value) => "the client is not registered for it",
            (false, _) if !is_decided => "the request is refused",
            (true, Some(_)) if has_rules => "a rule admits",
            (true, Some(_)) => "it has an audience and no rules: everybody has it",
            (true, None) => "it is a standard scope",
            (false, Some(_)) if has_rules => "no rule admits",
            (false, Some(_)) => "it has neither rules nor an audience: nobody has it",
            (false, None) if value == "offline_access" => "the client has no refresh tokens",
            (false, None) => "it is not granted",
        }
    }
}

fn cannot_sign(error: SignError) -> Stop {
    Stop::Failed(error.to_string())
}

/// The claims of a token that was made here.
fn contents(token: &Secret<String>) -> Result<Map<String, Value>, Stop> {
    let payload = token.expose().split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(payload);
    let read = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.ok_or_else(|| Stop::Failed("the token cannot be read".to_owned()))
}

/// Claims for the operator, with what is known of what carries them.
fn shown(claims: &Map<String, Value>, algorithm: Option<Algorithm>) -> Value {
    let mut claims = claims.clone();
    for name in CHANGING {
        if let Some(value) = claims.get_mut(name) {
            *value = NEW_EACH_TIME.into();
        }
    }
    let time = |name: &str| claims.get(name).and_then(Value::as_u64);
    let lifetime = time("exp")
        .zip(time("iat"))
        .map(|(end, start)| end.saturating_sub(start));
    let mut shown = json!({});
    if let Some(algorithm) = algorithm {
        shown["algorithm"] = algorithm.as_str().into();
    }
    // A signed answer of userinfo has no end.
    if let Some(lifetime) = lifetime.filter(|_| algorithm.is_some()) {
        shown["lifetime_seconds"] = lifetime.into();
    }
    shown["claims"] = Value::Object(claims);
    shown
}
