//! How the gateway proves who it is at an identity provider, and how its codes are bound to it.

use crate::config::files;
use crate::config::problem::KeyPath;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::relying_party::ClientAuth;
use crate::relying_party::Pkce;
use crate::secret::Secret;

/// The method, the secret and the key.
type Client = (ClientAuth, Option<Secret<String>>, Option<Secret<String>>);

/// How we authenticate, and whether what that needs is there.
pub fn client(context: &mut Context<'_>, path: &KeyPath, raw: &raw::IdentityProvider) -> Client {
    let secret_path = path.key("client_secret");
    let key_path = path.key("client_key");
    let has_secret = raw.client_secret.is_some() || context.is_wrong(&secret_path);
    let has_key = raw.client_key.is_some() || context.is_wrong(&key_path);
    let secret = raw.client_secret.as_ref().and_then(|reference| {
        let secret = files::secret(context, &secret_path, reference)?;
        files::check_client_secret(context, &secret_path, &secret);
        Some(secret)
    });
    let key = raw
        .client_key
        .as_ref()
        .and_then(|reference| files::secret(context, &key_path, reference));
    let method = match raw.client_auth.unwrap_or_default() {
        raw::ClientAuth::Auto => ClientAuth::Auto,
        raw::ClientAuth::ClientSecretBasic => ClientAuth::ClientSecretBasic,
        raw::ClientAuth::ClientSecretPost => ClientAuth::ClientSecretPost,
        raw::ClientAuth::ClientSecretJwt => ClientAuth::ClientSecretJwt,
        raw::ClientAuth::PrivateKeyJwt => ClientAuth::PrivateKeyJwt,
        raw::ClientAuth::None => ClientAuth::None,
    };
    let (needs_secret, needs_key) = match method {
        ClientAuth::Auto | ClientAuth::None => (false, false),
        ClientAuth::PrivateKeyJwt => (false, true),
        _ => (true, false),
    };
    let auth_path = path.key("client_auth");
    if needs_secret && !has_secret {
        context.problem(&auth_path, "this method needs a `client_secret`");
    } else if needs_key && !has_key {
        context.problem(&auth_path, "this method needs a `client_key`");
    } else if method == ClientAuth::Auto && !has_secret && !has_key {
        context
            .problem(&secret_path, "the client has neither a secret nor a key")
            .help(
                "add `client_secret` or `client_key`, or `client_auth: none` for a public client",
            );
    } else if method == ClientAuth::None && (has_secret || has_key) {
        context
            .problem(&auth_path, "a public client has neither a secret nor a key")
            .help("remove them, or choose another method, such as `auto`");
    } else if needs_secret && has_key {
        context.warning(
            &key_path,
            "the key is not used: `client_auth` names a method with a secret",
        );
    } else if needs_key && has_secret {
        context.warning(
            &secret_path,
            "the secret is not used: `client_auth` is `private_key_jwt`",
        );
    }
    (method, secret, key)
}

/// `pkce`: weaker settings are pointed out, and refused where nothing else protects the client.
pub fn pkce(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: raw::Pkce,
    client_auth: ClientAuth,
) -> Pkce {
    let path = path.key("pkce");
    let weak = "without PKCE a stolen authorization code can be used by others";
    match raw {
        raw::Pkce::Required => return Pkce::Required,
        _ if client_auth == ClientAuth::None => {
            context
                .problem(&path, "nothing but PKCE protects a public client")
                .help("write `required`, or remove the key");
        }
        raw::Pkce::Auto => {
            context
                .warning(&path, format!("PKCE is left out where discovery does not name it: {weak}"))
                .help("write `required`, or remove the key: most providers that do not name it know it");
        }
        raw::Pkce::Off => {
            context
                .warning(&path, weak)
                .help("write `required`, or remove the key");
        }
    }
    match raw {
        raw::Pkce::Off => Pkce::Off,
        _ => Pkce::Auto,
    }
}
