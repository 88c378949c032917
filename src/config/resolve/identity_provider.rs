//! `identity_providers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::accounts;
use crate::config::files;
use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::claims;
use crate::config::resolve::client;
use crate::config::values;
use crate::relying_party::ClientCredentials;
use crate::relying_party::Endpoints;
use crate::relying_party::IdTokenRules;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::Status;

/// The longest id: it stands in paths, headers and log lines.
const ID_BYTES_MAX: usize = 64;
/// What stands in the place of an id for people who logged in with an account of ours, and for tokens of
/// our own provider.
const RESERVED_IDS: [&str; 2] = [accounts::IDENTITY_PROVIDER, "openid_provider"];
/// Where discovery puts its document below the issuer (OpenID Connect Discovery section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// Parameters of the authorization request that we set, or that would replace what we set.
const OWN_PARAMETERS: &[&str] = &[
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "claims",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "id_token_hint",
    "nonce",
    "redirect_uri",
    "registration",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];
/// Algorithms that are accepted where none are named.
const ALGORITHMS: [raw::Algorithm; 4] = [
    raw::Algorithm::Rs256,
    raw::Algorithm::Ps256,
    raw::Algorithm::Es256,
    raw::Algorithm::EdDsa,
];

/// The providers, each with its index in the file.
pub struct Providers {
    /// Those that have an id of their own.
    pub list: Vec<(usize, Arc<IdentityProviderSettings>)>,
    /// Whether these are all. If not, a name that is not among them can be right.
    pub is_complete: bool,
}

impl Providers {
    /// The provider with this id.
    pub fn find(&self, id: &str) -> Option<&Arc<IdentityProviderSettings>> {
        self.list
            .iter()
            .map(|(_, one)| one)
            .find(|one| &*one.id == id)
    }

    /// All ids, in the order of the file.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(_, one)| &*one.id)
    }

    /// Reports the id at `path` when no provider has it.
    pub fn check_id(&self, context: &mut Context<'_>, path: &KeyPath, id: &str) {
        if self.find(id).is_some() || !self.is_complete {
            return;
        }
        let message = format!("no identity provider is named {}", quoted(id));
        let problem = context.problem(path, message);
        if self.list.is_empty() {
            problem.help("add one under `identity_providers`");
        } else {
            problem.one_of(id, self.ids(), "the ids under `identity_providers`");
        }
    }
}

/// `identity_providers`.
pub fn identity_providers(
    context: &mut Context<'_>,
    raw: Option<Vec<raw::IdentityProvider>>,
    prefix: &str,
) -> Providers {
    let path = KeyPath::root().key("identity_providers");
    let mut providers = Providers {
        list: Vec::new(),
        is_complete: !context.is_wrong(&path),
    };
    let Some(raw) = raw else {
        return providers;
    };
    if raw.is_empty() {
        context
            .problem(&path, "the list is empty")
            .help("add a provider, or remove the key");
    }
    for (index, one) in raw.into_iter().enumerate() {
        let path = path.index(index);
        let id_path = path.key("id");
        let is_known = context.is_wrong(&id_path);
        let id = one.id.clone().filter(|_| !is_known);
        let id = id.and_then(|id| check_id(context, &id_path, id));
        let is_second = id.as_deref().is_some_and(|id| providers.find(id).is_some());
        if let Some(id) = id.as_deref().filter(|_| is_second) {
            context.problem(&id_path, format!("the id {} is there twice", quoted(id)));
        }
        if id.is_none() {
            providers.is_complete = false;
        }
        // Without an id its other problems are still worth finding.
        let settings = identity_provider(
            context,
            &path,
            id.as_deref().unwrap_or("unnamed"),
            one,
            prefix,
        );
        if id.is_some() && !is_second {
            providers.list.push((index, Arc::new(settings)));
        }
    }
    providers
}

fn check_id(context: &mut Context<'_>, path: &KeyPath, id: String) -> Option<String> {
    let is_plain = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if id.is_empty() || !is_plain || id.len() > ID_BYTES_MAX {
        context
            .problem(path, format!("{} is not an id", quoted(&id)))
            .expected(format!(
                "at most {ID_BYTES_MAX} letters, digits, `-` and `_`"
            ));
        return None;
    }
    if RESERVED_IDS.contains(&id.as_str()) {
        context
            .problem(path, format!("{} stands for our own provider", quoted(&id)))
            .help("give the identity provider another id");
        return None;
    }
    Some(id)
}

fn identity_provider(
    context: &mut Context<'_>,
    path: &KeyPath,
    id: &str,
    raw: raw::IdentityProvider,
    prefix: &str,
) -> IdentityProviderSettings {
    let (client_auth, client_secret, client_key) = client::client(context, path, &raw);
    let pkce = client::pkce(context, path, raw.pkce.unwrap_or_default(), client_auth);
    let name = context.text(&path.key("name"), raw.name);
    let client_id = context.text(&path.key("client_id"), raw.client_id);
    let issuer = raw.issuer.unwrap_or_default();
    if !context.is_wrong(&path.key("issuer")) {
        check_issuer(context, &path.key("issuer"), &issuer);
    }
    let settings = IdentityProviderSettings {
        id: id.into(),
        name: name.unwrap_or_else(|| id.to_owned()),
        issuer,
        client_id: client_id.unwrap_or_default(),
        client_secret,
        client_key,
        client_auth,
        scopes: scopes(context, &path.key("scopes"), raw.scopes),
        pkce,
        email_domains: email_domains(context, &path.key("email_domains"), raw.email_domains),
        authorization_parameters: authorization_parameters(
            context,
            &path.key("authorization_parameters"),
            raw.authorization_parameters.unwrap_or_default(),
        ),
        claims_request: claims_request(context, &path.key("claims_request"), raw.claims_request),
        callback_path: callback_path(
            context,
            &path.key("callback_path"),
            raw.callback_path,
            prefix,
            id,
        ),
        claims_from: claims::claims_from(context, &path.key("claims_from"), raw.claims_from),
        claims: claims::claims(context, &path.key("claims"), raw.claims, raw.email_verified),
        roles: claims::roles(context, &path.key("roles"), raw.roles),
        endpoints: endpoints(
            context,
            &path.key("endpoints"),
            raw.endpoints.unwrap_or_default(),
        ),
        id_token_algorithms: algorithms(
            context,
            &path.key("id_token_algorithms"),
            raw.id_token_algorithms,
        ),
        ca: files::authorities(context, &path.key("ca"), raw.ca.as_ref()),
        status: match raw.status.unwrap_or_default() {
            raw::Status::Active => Status::Active,
            raw::Status::Disabled => Status::Disabled,
        },
    };
    // What the login itself will ask for: found here, before a port is opened.
    let credential = match &settings.client_key {
        Some(_) => path.key("client_key"),
        None => path.key("client_secret"),
    };
    if let Err(error) = ClientCredentials::new(&settings) {
        context.problem(&credential, error.to_string());
    }
    if let Err(error) = IdTokenRules::new(&settings) {
        context.problem(&path.key("id_token_algorithms"), error.to_string());
    }
    settings
}

fn check_issuer(context: &mut Context<'_>, path: &KeyPath, issuer: &str) {
    let url = match values::provider_url(issuer) {
        Ok(url) => url,
        Err(message) => {
            context
                .problem(path, message)
                .expected("an https URL, or http on a loopback host (localhost, *.localhost, 127.0.0.0/8, [::1])");
            return;
        }
    };
    if url.query().is_some() {
        context.problem(path, format!("there is a query in {}", quoted(issuer)));
    } else if let Some(base) = issuer.trim_end_matches('/').strip_suffix(WELL_KNOWN) {
        context
            .problem(
                path,
                "this is the address of the discovery document, not the issuer",
            )
            .help(format!("write {}", quoted(base)));
    }
}

fn scopes(context: &mut Context<'_>, path: &KeyPath, raw: Option<Vec<String>>) -> Vec<String> {
    let Some(scopes) = raw else {
        return ["openid", "profile", "email"].map(str::to_owned).to_vec();
    };
    let scopes = context.texts(path, Some(scopes));
    // RFC 6749 section 3.3: what a scope value may consist of.
    let is_scope = |scope: &str| {
        scope
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    for (index, scope) in scopes.iter().enumerate() {
        if !scope.trim().is_empty() && !is_scope(scope) {
            let message = format!("{} is not a scope value", quoted(scope));
            context.problem(&path.index(index), message);
        }
    }
    if !scopes.iter().any(|scope| scope == "openid") && !context.is_wrong(path) {
        context
            .problem(path, "the scope `openid` is missing")
            .help("add it: without it there is no ID token and so no login");
    }
    scopes
}

fn email_domains(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<String>>,
) -> Vec<String> {
    mail_domains(context, path, raw.unwrap_or_default())
}

/// A list of e-mail domains, in lower case.
pub fn mail_domains(context: &mut Context<'_>, path: &KeyPath, texts: Vec<String>) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = path.index(index);
        match values::mail_domain(text) {
            Ok(domain) if domains.contains(&domain) => {
                context.problem(&path, format!("{} is there twice", quoted(text)));
            }
            Ok(domain) => domains.push(domain),
            Err(message) => {
                let problem = context.problem(&path, message);
                problem.expected("a domain such as `example.com`");
                if let Some((_, domain)) = text
                    .rsplit_once('@')
                    .filter(|(_, domain)| !domain.is_empty())
                {
                    problem.help(format!("write {}", quoted(domain)));
                } else if let Some(domain) = text.strip_prefix("*.") {
                    problem.help(format!(
                        "there are no wildcards here; write {}",
                        quoted(domain)
                    ));
                } else if !text.is_ascii() {
                    problem.help("write its form with `xn--`");
                }
            }
        }
    }
    domains
}

fn authorization_parameters(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (name, value) in &raw {
        let path = path.key(name);
        if OWN_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
            context
                .problem(&path, format!("the gateway sets {} itself", quoted(name)))
                .at_key()
                .help(match name.as_str() {
                    "scope" => "use the key `scopes`",
                    "claims" => "use the key `claims_request`",
                    "redirect_uri" => "use the key `callback_path`",
                    "client_id" => "use the key `client_id` of the identity provider",
                    _ => "remove it",
                });
        } else if name.trim().is_empty() || name.chars().any(char::is_control) {
            context
                .problem(&path, "this is not the name of a parameter")
                .at_key();
        } else if value.chars().any(char::is_control) {
            context.problem(&path, "there is a control character in the value");
        }
    }
    raw
}

fn claims_request(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<serde_json::Map<String, Value>>,
) -> Option<Value> {
    let request = raw?;
    for (name, inner) in &request {
        if !matches!(name.as_str(), "id_token" | "userinfo") {
            let message = format!("no claims are requested for {}", quoted(name));
            let problem = context.problem(&path.key(name), message);
            problem.at_key().one_of(name, ["id_token", "userinfo"], "");
        } else if !inner.is_object() {
            context
                .problem(&path.key(name), "the claims are not a mapping")
                .expected("claim names, each with `null` or a mapping such as `{essential: true}`");
        }
    }
    Some(Value::Object(request))
}

fn callback_path(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<String>,
    prefix: &str,
    id: &str,
) -> String {
    let Some(callback) = raw else {
        return format!("{prefix}/callback/{id}");
    };
    if let Err(problem) = values::canonical_path(&callback) {
        context
            .problem(path, format!("{} {problem}", quoted(&callback)))
            .expected("a path such as `/oauth2/callback`");
    } else if callback == "/" {
        context.problem(
            path,
            "the callback would take the place of the app's first page",
        );
    }
    callback
}

fn endpoints(context: &mut Context<'_>, path: &KeyPath, raw: raw::ProviderEndpoints) -> Endpoints {
    let mut endpoint = |key: &str, text: Option<String>| match values::provider_url(&text?) {
        Ok(url) => Some(url),
        Err(message) => {
            context
                .problem(&path.key(key), message)
                .expected("an https URL, or http on a loopback host");
            None
        }
    };
    Endpoints {
        authorization: endpoint("authorization", raw.authorization),
        token: endpoint("token", raw.token),
        userinfo: endpoint("userinfo", raw.userinfo),
        jwks: endpoint("jwks", raw.jwks),
        introspection: endpoint("introspection", raw.introspection),
        revocation: endpoint("revocation", raw.revocation),
        end_session: endpoint("end_session", raw.end_session),
    }
}

fn algorithms(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<raw::Algorithm>>,
) -> Vec<String> {
    let algorithms = raw.unwrap_or_else(|| ALGORITHMS.to_vec());
    if algorithms.is_empty() {
        context.problem(path, "the list is empty");
    }
    for (index, algorithm) in algorithms.iter().enumerate() {
        if algorithms
            .iter()
            .take(index)
            .any(|other| other == algorithm)
        {
            let message = format!("`{}` is there twice", algorithm.name());
            context.problem(&path.index(index), message);
        }
    }
    algorithms
        .iter()
        .map(|algorithm| algorithm.name().to_owned())
        .collect()
}
