//! Where sessions are remembered.

use std::path::PathBuf;

use crate::config::files;
use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::settings::StoreSettings;
use crate::store::RedisAddress;
use crate::store::RedisSettings;

/// Default of `store.embedded.path`.
const EMBEDDED_PATH: &str = "var/vestibule.db";
/// The name of the file with the token of the admin listener.
const ADMIN_TOKEN: &str = "admin-token";
/// Default of `store.redis.prefix`.
const PREFIX: &str = "vestibule";
/// The longest prefix: it stands in every key.
const PREFIX_BYTES_MAX: usize = 64;

/// `store`. The shared store needs `session_keys` too.
pub fn store(
    context: &mut Context<'_>,
    raw: Option<raw::Store>,
    session_keys: Option<&Vec<raw::SecretReference>>,
) -> StoreSettings {
    let path = KeyPath::root().key("store");
    let raw = raw.unwrap_or_default();
    let Some(shared) = raw.redis else {
        return embedded(context, &path.key("embedded").key("path"), raw.embedded);
    };
    let path = path.key("redis");
    if raw.embedded.is_some() {
        context
            .problem(&path, "there are two stores")
            .help("keep `embedded` for one machine, or `redis` for several gateways");
    }
    if session_keys.is_none() && !context.is_wrong(&KeyPath::root().key("session_keys")) {
        context
            .problem(
                &path,
                "the gateways that share a store need the same keys, but `session_keys` is missing",
            )
            .help("make one with `vestibule keygen` and give it to all of them");
    }
    match redis(context, &path, shared) {
        Some(settings) => StoreSettings::Redis(settings),
        // What was found wrong keeps these from being used.
        None => embedded(context, &path, None),
    }
}

/// The file with the token of the admin listener: beside the embedded store, or where that would be.
pub fn admin_token(context: &Context<'_>, store: &StoreSettings) -> PathBuf {
    match store {
        StoreSettings::Embedded { path } => path.with_file_name(ADMIN_TOKEN),
        StoreSettings::Redis(_) => {
            files::absolute(context, EMBEDDED_PATH).with_file_name(ADMIN_TOKEN)
        }
    }
}

fn embedded(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::Embedded>,
) -> StoreSettings {
    let file = context.text(path, raw.and_then(|embedded| embedded.path));
    let place = files::absolute(context, file.as_deref().unwrap_or(EMBEDDED_PATH));
    if place.is_dir() {
        let shown = quoted(file.as_deref().unwrap_or(EMBEDDED_PATH));
        context
            .problem(path, format!("{shown} is a folder"))
            .expected("the path of a file");
    }
    StoreSettings::Embedded { path: place }
}

fn redis(context: &mut Context<'_>, path: &KeyPath, raw: raw::Redis) -> Option<RedisSettings> {
    let prefix = prefix(context, &path.key("prefix"), raw.prefix);
    let authorities = files::authorities(context, &path.key("ca"), raw.ca.as_ref());
    let url_path = path.key("url");
    if context.is_wrong(&url_path) {
        return None;
    }
    let Some(url) = raw.url else {
        context
            .problem(&url_path, "this key is missing")
            .help("write `{env: REDIS_URL}`: the URL holds a password");
        return None;
    };
    let url = files::secret(context, &url_path, &url)?;
    let address = match RedisAddress::parse(url.expose()) {
        Ok(address) => address,
        Err(error) => {
            context
                .problem(&url_path, error.to_string())
                .expected(RedisAddress::FORMS);
            return None;
        }
    };
    if address.is_exposed() {
        context
            .warning(
                &url_path,
                "passwords go over the network to Redis in the clear",
            )
            .help("use `rediss://`, or `rediss+` in front of the rest");
    }
    if raw.ca.is_some() && !address.is_tls {
        context
            .problem(&path.key("ca"), "without TLS no certificate is looked at")
            .help("use `rediss://`, or remove the key");
    }
    Some(RedisSettings {
        address,
        authorities,
        prefix,
    })
}

fn prefix(context: &mut Context<'_>, path: &KeyPath, raw: Option<String>) -> String {
    let Some(prefix) = raw else {
        return PREFIX.to_owned();
    };
    // Braces would end the part of the keys that Cluster hashes.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if prefix.is_empty() || prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(is_plain) {
        context
            .problem(path, format!("{} is no prefix", quoted(&prefix)))
            .expected(format!(
                "at most {PREFIX_BYTES_MAX} letters, digits, `-`, `_`, `.` and `:`"
            ));
    }
    prefix
}
