//! `clients` of the provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use crate::config::files;
use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::openid_provider::algorithm;
use crate::config::resolve::openid_provider::client_lifetimes;
use crate::jose::KeySet;
use crate::oidc::scope::Scope;
use crate::oidc::url_policy;
use crate::openid_provider::Client;
use crate::openid_provider::RedirectUri;
use crate::openid_provider::SecretHash;
use crate::openid_provider::clients::ClientAuthentication;
use crate::openid_provider::clients::ConsentMode;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::clients::IdTokenClaims;
use crate::openid_provider::clients::PkceMode;
use crate::openid_provider::redirect_uri::ApplicationType;
use crate::openid_provider::settings::Lifetimes;
use crate::openid_provider::settings::STANDARD_SCOPES;
use crate::openid_provider::settings::ScopeSettings;
use crate::routes::Origin;

/// The longest `client_id`: it is a `sub` too (OpenID Connect Core section 2).
const CLIENT_ID_BYTES_MAX: usize = 255;

type Scopes = BTreeMap<String, ScopeSettings>;

/// What the rest of `openid_provider` says that clients are held against.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The scopes there are.
    pub scopes: &'a Scopes,
    /// How long things live.
    pub lifetimes: &'a Lifetimes,
}

/// `clients`.
pub fn clients(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<raw::ProviderClient>>,
    known: Known<'_>,
) -> Vec<Client> {
    let raw = context.given(path, raw);
    let mut found: Vec<Client> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let path = path.index(index);
        let Some(client) = client(context, &path, raw, known) else {
            continue;
        };
        if found
            .iter()
            .any(|other| other.client_id == client.client_id)
        {
            let message = format!("{} is there twice", quoted(&client.client_id));
            context.problem(&path.key("client_id"), message);
        }
        found.push(client);
    }
    found
}

fn client(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: raw::ProviderClient,
    known: Known<'_>,
) -> Option<Client> {
    let id_path = path.key("client_id");
    let id = raw.client_id.clone()?;
    let is_id = !id.is_empty()
        && id.len() <= CLIENT_ID_BYTES_MAX
        && id.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_id {
        context
            .problem(&id_path, format!("{} is not a client id", quoted(&id)))
            .expected("visible ASCII characters without spaces, at most 255");
    }
    let kind = match raw.application_type.unwrap_or_default() {
        raw::ApplicationType::Web => ApplicationType::Web,
        raw::ApplicationType::Native => ApplicationType::Native,
    };
    let authentication = authentication(context, path, &raw, kind);
    let scopes = scopes(context, &path.key("scopes"), raw.scopes, known.scopes);
    let grants = grants(context, path, raw.grant_types, &scopes);
    let uris_path = path.key("redirect_uris");
    let has_uris = raw.redirect_uris.is_some() || context.is_wrong(&uris_path);
    let uses_code = grants.contains(&GrantType::AuthorizationCode);
    if uses_code && !has_uris {
        context.problem(&uris_path, "this key is missing: users could not come back");
    } else if !uses_code && has_uris {
        context
            .problem(
                &uris_path,
                "without the grant `authorization_code` nobody is sent here",
            )
            .help("remove the key, or add the grant");
    }
    let must_push = raw
        .require_pushed_authorization_requests
        .unwrap_or_default();
    if must_push && !uses_code {
        context.problem(
            &path.key("require_pushed_authorization_requests"),
            "without the grant `authorization_code` there is nothing to push",
        );
    }
    if uses_code && !scopes.contains("openid") && !context.has_problem_below(&path.key("scopes")) {
        context.problem(
            &path.key("scopes"),
            "`openid` is missing: no user could log in",
        );
    }
    let is_public = matches!(authentication, Some(ClientAuthentication::None));
    let pkce = match raw.pkce.unwrap_or_default() {
        raw::ClientPkce::Required => PkceMode::Required,
        raw::ClientPkce::Optional => PkceMode::Optional,
    };
    if is_public && pkce == PkceMode::Optional {
        context.problem(
            &path.key("pkce"),
            "nothing else binds a public client to its code: PKCE stays required",
        );
    }
    if is_public && grants.contains(&GrantType::ClientCredentials) {
        context
            .problem(
                &path.key("grant_types"),
                "a public client cannot act for itself: anybody could be it",
            )
            .help("give it a secret or a key, or remove `client_credentials`");
    }
    let introspects = context.texts(&path.key("introspects"), raw.introspects);
    if is_public && !introspects.is_empty() {
        context.problem(
            &path.key("introspects"),
            "a public client is told nothing about tokens",
        );
    }
    let own = path.key("lifetimes");
    let lifetimes = client_lifetimes(context, &own, raw.lifetimes, known.lifetimes);
    let uris = context.given(&uris_path, raw.redirect_uris);
    let after_path = path.key("post_logout_redirect_uris");
    let after = redirect_uris(context, &after_path, raw.post_logout_redirect_uris, kind);
    Some(Client {
        name: context
            .text(&path.key("name"), raw.name)
            .unwrap_or_else(|| id.clone()),
        client_id: Arc::from(id),
        application_type: kind,
        redirect_uris: redirect_uris(context, &uris_path, Some(uris), kind),
        post_logout_redirect_uris: after.iter().map(|uri| uri.as_str().to_owned()).collect(),
        grant_types: grants,
        scopes,
        authentication: authentication?,
        id_token_algorithm: raw.id_token_signed_response_alg.map(algorithm),
        userinfo_algorithm: raw.userinfo_signed_response_alg.map(algorithm),
        id_token_claims: match raw.id_token_claims.unwrap_or_default() {
            raw::IdTokenClaims::Minimal => IdTokenClaims::Minimal,
            raw::IdTokenClaims::Scope => IdTokenClaims::Scope,
        },
        introspects,
        require_pushed_authorization_requests: must_push,
        allowed_origins: origins(context, &path.key("allowed_origins"), raw.allowed_origins),
        lifetimes,
        pkce,
        consent: match raw.consent.unwrap_or_default() {
            raw::Consent::Implicit => ConsentMode::Implicit,
            raw::Consent::Explicit => ConsentMode::Explicit,
        },
    })
}

fn redirect_uris(
    context: &mut Context<'_>,
    path: &KeyPath,
    texts: Option<Vec<String>>,
    kind: ApplicationType,
) -> Vec<RedirectUri> {
    let texts = context.texts(path, texts);
    let mut found = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match RedirectUri::parse(text, kind) {
            Ok(uri) => found.push(uri),
            Err(problem) => {
                let message = format!("{}: {problem}", quoted(text));
                context.problem(&path.index(index), message);
            }
        }
    }
    found
}

fn origins(context: &mut Context<'_>, path: &KeyPath, texts: Option<Vec<String>>) -> Vec<String> {
    let texts = context.texts(path, texts);
    for (index, text) in texts.iter().enumerate() {
        let path = path.index(index);
        if text.contains('*') {
            let message = format!("{}: origins are compared exactly", quoted(text));
            context.problem(&path, message).help("name each of them");
            continue;
        }
        let url = Url::parse(text).ok();
        let origin = url.as_ref().and_then(Origin::of_url);
        match (url, origin) {
            // Browsers write an origin in one way, and it is compared byte by byte.
            (Some(url), Some(origin)) if origin.is_written(text) => {
                if url.scheme() == "http" && !url_policy::is_loopback_host(&url) {
                    context.problem(
                        &path,
                        format!("{}: plain http is for loopback hosts only", quoted(text)),
                    );
                }
            }
            (_, origin) => {
                let message = format!("{} is no origin as browsers write it", quoted(text));
                let problem = context.problem(&path, message);
                match origin {
                    Some(origin) => problem.help(format!("write {}", quoted(&origin.to_string()))),
                    None => problem.expected("`https://host[:port]`, without a path"),
                };
            }
        }
    }
    texts
}

fn scopes(
    context: &mut Context<'_>,
    path: &KeyPath,
    texts: Option<Vec<String>>,
    known: &Scopes,
) -> Scope {
    let texts = context.texts(path, texts);
    for (index, text) in texts.iter().enumerate() {
        let is_known = STANDARD_SCOPES.contains(&text.as_str()) || known.contains_key(text);
        if !is_known && !text.trim().is_empty() {
            let names = STANDARD_SCOPES
                .iter()
                .copied()
                .chain(known.keys().map(String::as_str));
            context
                .problem(
                    &path.index(index),
                    format!("no scope is named {}", quoted(text)),
                )
                .one_of(text, names, "the standard ones, and those under `scopes`");
        }
    }
    Scope::from_values(texts.iter().map(String::as_str)).unwrap_or_default()
}

fn grants(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<raw::GrantType>>,
    scopes: &Scope,
) -> Vec<GrantType> {
    let path = path.key("grant_types");
    let is_offline = scopes.contains("offline_access");
    let Some(raw) = raw else {
        let refresh = is_offline.then_some(GrantType::RefreshToken);
        return std::iter::once(GrantType::AuthorizationCode)
            .chain(refresh)
            .collect();
    };
    let mut found = Vec::new();
    for (index, grant) in raw.into_iter().enumerate() {
        let grant = match grant {
            raw::GrantType::AuthorizationCode => GrantType::AuthorizationCode,
            raw::GrantType::RefreshToken => GrantType::RefreshToken,
            raw::GrantType::ClientCredentials => GrantType::ClientCredentials,
        };
        if found.contains(&grant) {
            context.problem(&path.index(index), "the grant is there twice");
        }
        found.push(grant);
    }
    let has_refresh = found.contains(&GrantType::RefreshToken);
    if has_refresh && !found.contains(&GrantType::AuthorizationCode) {
        context
            .problem(&path, "refresh tokens come from logins only")
            .help("add `authorization_code`, or remove `refresh_token`");
    } else if has_refresh && !is_offline {
        context
            .problem(
                &path,
                "without the scope `offline_access` there is never a refresh token",
            )
            .help("add `offline_access` to `scopes`");
    } else if is_offline && !has_refresh {
        context
            .problem(
                &path,
                "the scope `offline_access` needs the grant `refresh_token`",
            )
            .help("add the grant, or remove the scope");
    }
    found
}

fn authentication(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: &raw::ProviderClient,
    kind: ApplicationType,
) -> Option<ClientAuthentication> {
    let secret_path = path.key("client_secret");
    let hash_path = path.key("client_secret_hash");
    let jwks_path = path.key("jwks");
    let auth_path = path.key("client_auth");
    let has_secret = raw.client_secret.is_some() || context.is_wrong(&secret_path);
    let has_hash = raw.client_secret_hash.is_some() || context.is_wrong(&hash_path);
    let has_keys = raw.jwks.is_some() || context.is_wrong(&jwks_path);
    if has_secret && has_hash {
        context.problem(
            &hash_path,
            "there is a secret and a hash: only one of them can be right",
        );
    }
    if (has_secret || has_hash) && has_keys {
        context
            .problem(
                &jwks_path,
                "a client proves who it is in one way: by a secret or by a key",
            )
            .help("remove the other one");
    }
    let method = raw
        .client_auth
        .or(match (has_secret || has_hash, has_keys, kind) {
            (true, _, _) => Some(raw::ProviderClientAuth::ClientSecretBasic),
            (_, true, _) => Some(raw::ProviderClientAuth::PrivateKeyJwt),
            (_, _, ApplicationType::Native) => Some(raw::ProviderClientAuth::None),
            _ => None,
        });
    let Some(method) = method else {
        context
            .problem(&secret_path, "the client has neither a secret nor a key")
            .help("add `client_secret`, or `client_auth: none` for a public client");
        return None;
    };
    match method {
        raw::ProviderClientAuth::ClientSecretBasic => {
            secret(context, path, raw).map(ClientAuthentication::SecretBasic)
        }
        raw::ProviderClientAuth::ClientSecretPost => {
            secret(context, path, raw).map(ClientAuthentication::SecretPost)
        }
        raw::ProviderClientAuth::PrivateKeyJwt => {
            if !has_keys {
                context.problem(&auth_path, "this method needs `jwks`");
            }
            let file = raw.jwks.as_ref()?.file.as_ref()?;
            keys(context, &jwks_path.key("file"), file).map(ClientAuthentication::PrivateKeyJwt)
        }
        raw::ProviderClientAuth::None => {
            if has_secret || has_hash || has_keys {
                context
                    .problem(&auth_path, "a public client has neither a secret nor a key")
                    .help("remove them, or choose another method");
            }
            Some(ClientAuthentication::None)
        }
    }
}

fn secret(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: &raw::ProviderClient,
) -> Option<SecretHash> {
    let secret_path = path.key("client_secret");
    if let Some(reference) = &raw.client_secret {
        let secret = files::secret(context, &secret_path, reference)?;
        files::check_client_secret(context, &secret_path, &secret);
        return Some(SecretHash::of(secret.expose()));
    }
    let hash_path = path.key("client_secret_hash");
    if let Some(text) = &raw.client_secret_hash {
        let hash = SecretHash::parse(text);
        if hash.is_none() {
            context
                .problem(&hash_path, "this is no hash of a secret")
                .expected("`sha256:` and 64 hexadecimal digits");
        }
        return hash;
    }
    if !context.is_wrong(&secret_path) && !context.is_wrong(&hash_path) {
        context.problem(
            &path.key("client_auth"),
            "this method needs a `client_secret`",
        );
    }
    None
}

fn keys(context: &mut Context<'_>, path: &KeyPath, file: &str) -> Option<KeySet> {
    let read = files::read_file(&files::absolute(context, file));
    let content = match read {
        Ok((content, _)) => content,
        Err(what) => {
            context.problem(path, format!("{} {what}", quoted(file)));
            return None;
        }
    };
    match KeySet::parse(&content) {
        Ok(keys) if keys.is_empty() => {
            context.problem(path, format!("{} holds no usable public key", quoted(file)));
            None
        }
        Ok(keys) => Some(keys),
        Err(problem) => {
            context.problem(path, format!("{}: {problem}", quoted(file)));
            None
        }
    }
}
