//! What `client show --format yaml` prints: the entry under `identity_providers` of a gateway that logs
//! its users in here as this client.
//!
//! Tells what the registration says and leaves out every default. The secret it names by a variable.

use std::fmt::Write as _;

use url::Url;

use crate::openid_provider::Client;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::clients::ClientAuthentication;
use crate::openid_provider::redirect_uri::RedirectUri;

/// The id where no redirect URI proposes one.
const ID: &str = "sso";
/// Plain words that YAML, or an older reader of it, takes for something else than text.
const WORDS: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// Writes the entry of `client`.
pub fn entry(provider: &OpenIdProviderSettings, client: &Client) -> String {
    let callback = client.redirect_uris.iter().find_map(callback_path);
    let id = callback.as_deref().and_then(proposed_id).unwrap_or(ID);
    let proof = match client.authentication {
        ClientAuthentication::SecretBasic(_) | ClientAuthentication::SecretPost(_) => {
            "client_secret: {env: OIDC_CLIENT_SECRET}"
        }
        ClientAuthentication::PrivateKeyJwt(_) => "client_key: {file: client-key.pem}",
        ClientAuthentication::None => "",
    };
    let scopes: Vec<String> = client.scopes.iter().map(scalar).collect();
    let mut lines = vec![
        format!("  - id: {id}"),
        format!("    issuer: {}", scalar(&provider.issuer)),
        format!("    client_id: {}", scalar(&client.client_id)),
        format!(
            "    client_auth: {}",
            client.authentication.method().as_str()
        ),
    ];
    if !proof.is_empty() {
        lines.push(format!("    {proof}"));
    }
    lines.push(format!("    scopes: [{}]", scopes.join(", ")));
    if let Some(callback) = &callback {
        lines.push(format!("    callback_path: {}", scalar(callback)));
    }
    let is_role = |name: &&str| (provider.scopes.get(*name)).is_some_and(|scope| scope.is_role());
    let roles: Vec<String> = client.scopes.iter().filter(is_role).map(scalar).collect();
    if !roles.is_empty() {
        lines.push("    roles:".to_owned());
        lines.push("      from: [scope]".to_owned());
        lines.push("      map:".to_owned());
        lines.extend(roles.iter().map(|name| format!("        {name}: {name}")));
    }
    let mut text =
        "  # One entry below `identity_providers`; `id` and the names of roles are yours.\n"
            .to_owned();
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The path that a gateway takes its callbacks at, where a redirect URI can be that of one.
fn callback_path(uri: &RedirectUri) -> Option<String> {
    let url = Url::parse(uri.as_str()).ok()?;
    let is_of_gateway =
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.path() != "/";
    is_of_gateway.then(|| url.path().to_owned())
}

/// The id in a callback's usual path, `/oauth2/callback/<id>`.
fn proposed_id(callback: &str) -> Option<&str> {
    let (_, id) = callback.rsplit_once("/callback/")?;
    let is_id = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    // These two stand for the provider of the other gateway itself.
    (is_id && !matches!(id, "accounts" | "openid_provider")).then_some(id)
}

/// A text as YAML reads it back, in a list too: a JSON string, unless it is plainly a text.
fn scalar(text: &str) -> String {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
    let is_plain = text.bytes().all(is_inner)
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    match is_plain {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_would_read_otherwise_is_quoted() {
        for (text, expected) in [
            (
                "https://sso.example.com/oidc",
                "https://sso.example.com/oidc",
            ),
            ("mx:app:userrole:53f5d6fa", "mx:app:userrole:53f5d6fa"),
            ("orders.read", "orders.read"),
            ("on", "\"on\""),
            ("a,b", "\"a,b\""),
            ("a:", "\"a:\""),
            ("#x", "\"#x\""),
            ("1e3", "\"1e3\""),
            ("{a}", "\"{a}\""),
            ("it's", "\"it's\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }

    #[test]
    fn the_usual_callback_names_the_provider() {
        for (path, expected) in [
            ("/oauth2/callback/sso", Some("sso")),
            ("/oauth2/callback/accounts", None),
            ("/oauth2/callback/a/b", None),
            ("/oauth2/callback/", None),
            ("/callback", None),
        ] {
            assert_eq!(proposed_id(path), expected, "{path}");
        }
    }
}
