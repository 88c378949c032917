//! Listeners, store, templates, log: what the process needs before any request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::files;
use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::settings::CertificateFiles;
use crate::config::settings::Listener;
use crate::config::settings::LogSettings;
use crate::config::values;
use crate::pages::Pages;
use crate::pages::render::TEMPLATE_BYTES_MAX;
use crate::pages::render::TEMPLATES;
use crate::telemetry::LogFormat;

/// Default of `drain_timeout`.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Default of `endpoints.prefix`.
const ENDPOINTS_PREFIX: &str = "/oauth2";
/// The most threads: more than any machine of today has cores.
const THREADS_MAX: u64 = 1024;

/// `listeners`.
pub fn listeners(context: &mut Context<'_>, raw: Option<Vec<raw::Listener>>) -> Vec<Listener> {
    let path = KeyPath::root().key("listeners");
    let raw = raw.unwrap_or_default();
    if raw.is_empty() {
        context
            .problem(&path, "the list is empty")
            .expected("at least one listener");
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for (index, one) in raw.into_iter().enumerate() {
        let path = path.index(index);
        let address_path = path.key("address");
        let address = one
            .address
            .and_then(|text| address(context, &address_path, &text));
        let certificates = one
            .tls
            .map(|tls| certificates(context, &path.key("tls").key("certificates"), tls))
            .unwrap_or_default();
        let Some(address) = address else {
            continue;
        };
        if let Some(other) = listeners
            .iter()
            .find(|other| collide(other.address, address))
        {
            let message = format!(
                "`{address}` is taken by the listener on `{}`",
                other.address
            );
            context.problem(&address_path, message);
        }
        listeners.push(Listener {
            address,
            certificates,
        });
    }
    listeners
}

fn address(context: &mut Context<'_>, path: &KeyPath, text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let help = match text.rsplit_once(':') {
        Some(("", port)) => Some(format!("0.0.0.0:{port}")),
        Some(("localhost", port)) => Some(format!("127.0.0.1:{port}")),
        Some(("*", port)) => Some(format!("0.0.0.0:{port}")),
        _ => None,
    };
    let problem = context.problem(path, format!("{} is not an address", quoted(text)));
    problem.expected("an IP address and a port, such as `0.0.0.0:8080` or `[::]:8080`");
    if let Some(meant) = help.filter(|meant| meant.parse::<SocketAddr>().is_ok()) {
        problem.help(format!("did you mean `{meant}`?"));
    }
    None
}

/// Whether one of two addresses keeps the other from being opened. Port 0 is a free one each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let is_everything = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (is_everything || one.ip() == other.ip())
}

fn certificates(context: &mut Context<'_>, path: &KeyPath, tls: raw::Tls) -> Vec<CertificateFiles> {
    let Some(raw) = tls.certificates else {
        return Vec::new();
    };
    if raw.is_empty() {
        context
            .problem(path, "the list is empty")
            .expected("at least one certificate");
    }
    let mut files = Vec::new();
    for (index, pair) in raw.into_iter().enumerate() {
        let path = path.index(index);
        let certificate = pair.certificate.and_then(|file| {
            let path = path.key("certificate");
            files::pem_file(
                context,
                &path,
                &file,
                files::CERTIFICATE,
                files::is_certificates,
            )
        });
        let private_key = pair.private_key.and_then(|file| {
            let path = path.key("private_key");
            let found = files::pem_file(
                context,
                &path,
                &file,
                files::PRIVATE_KEY,
                files::is_private_key,
            );
            // Only its place is kept; the text is wiped here.
            found.map(|(place, text)| (place, drop(zeroize::Zeroizing::new(text))))
        });
        if let (Some((certificate, _)), Some((private_key, ()))) = (certificate, private_key) {
            files.push(CertificateFiles {
                certificate,
                private_key,
            });
        }
    }
    files
}

/// `admin`.
pub fn admin(
    context: &mut Context<'_>,
    raw: Option<raw::Admin>,
    listeners: &[Listener],
) -> Option<SocketAddr> {
    let path = KeyPath::root().key("admin").key("address");
    let address = address(context, &path, &raw?.address?)?;
    if let Some(other) = listeners
        .iter()
        .find(|other| collide(other.address, address))
    {
        context
            .problem(
                &path,
                format!(
                    "`{address}` is taken by the listener on `{}`",
                    other.address
                ),
            )
            .help("administration is never on a public listener: choose another port");
    } else if !address.ip().is_loopback() {
        context
            .warning(
                &path,
                format!("`{address}` can be reached from other machines"),
            )
            .help(format!(
                "use `127.0.0.1:{}`, or keep others out by a firewall",
                address.port()
            ));
    }
    Some(address)
}

/// `trusted_proxies`.
pub fn trusted_proxies(context: &mut Context<'_>, raw: Option<Vec<String>>) -> Vec<IpNet> {
    let path = KeyPath::root().key("trusted_proxies");
    let found = networks(context, &path, raw.unwrap_or_default());
    if let Some(index) = found.iter().position(|network| network.prefix_len() == 0) {
        context
            .warning(
                &path.index(index),
                "everybody's `X-Forwarded-For` is believed",
            )
            .help("name the networks of your proxies only");
    }
    found
}

/// A list of addresses and networks.
pub fn networks(context: &mut Context<'_>, path: &KeyPath, texts: Vec<String>) -> Vec<IpNet> {
    let mut found = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match values::network(text) {
            Ok(network) => found.push(network),
            Err((message, meant)) => {
                let problem = context.problem(&path.index(index), message);
                problem.expected("an address or network, such as `10.0.0.7` or `10.0.0.0/8`");
                if let (Some(meant), Some((address, _))) = (meant, text.split_once('/')) {
                    problem.help(format!(
                        "write `{meant}` for the network, or `{address}` for one address"
                    ));
                }
            }
        }
    }
    found
}

/// `endpoints.prefix`.
pub fn endpoints_prefix(context: &mut Context<'_>, raw: Option<raw::Endpoints>) -> String {
    let path = KeyPath::root().key("endpoints").key("prefix");
    let prefix = match raw.and_then(|endpoints| endpoints.prefix) {
        Some(prefix) => prefix,
        None => return ENDPOINTS_PREFIX.to_owned(),
    };
    if let Err(problem) = values::canonical_path(&prefix) {
        let message = format!("{} {problem}", quoted(&prefix));
        context
            .problem(&path, message)
            .expected("a path such as `/oauth2`");
    } else if prefix.ends_with('/') {
        let message = format!("{} ends with `/`", quoted(&prefix));
        context
            .problem(&path, message)
            .expected("a path such as `/oauth2`");
    } else {
        return prefix;
    }
    ENDPOINTS_PREFIX.to_owned()
}

/// `templates`: the texts, by file name.
pub fn templates(
    context: &mut Context<'_>,
    raw: Option<raw::Templates>,
) -> BTreeMap<String, String> {
    let path = KeyPath::root().key("templates").key("dir");
    let mut templates = BTreeMap::new();
    let Some(dir) = raw.and_then(|templates| templates.dir) else {
        return templates;
    };
    let names = std::fs::read_dir(files::absolute(context, &dir)).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut names = match names {
        Ok(names) => names,
        Err(error) => {
            context.problem(&path, format!("{} cannot be read: {error}", quoted(&dir)));
            return templates;
        }
    };
    names.sort();
    for name in names {
        let name = name.to_string_lossy().into_owned();
        // Files of editors and version control are no templates.
        if name.starts_with('.') {
            continue;
        }
        if !TEMPLATES.iter().any(|(known, _)| *known == name) {
            context
                .problem(
                    &path,
                    format!("no page uses the template {}", quoted(&name)),
                )
                .one_of(&name, TEMPLATES.iter().map(|(name, _)| *name), "");
            continue;
        }
        let content = files::read_file(&files::absolute(context, &dir).join(&name));
        let text = content.and_then(|(content, _)| {
            let text = String::from_utf8(content.to_vec());
            text.map_err(|_| "is not text (UTF-8)".to_owned())
        });
        match text {
            Ok(text) if text.len() > TEMPLATE_BYTES_MAX => {
                let message = format!(
                    "{} is larger than {TEMPLATE_BYTES_MAX} bytes",
                    quoted(&name)
                );
                context.problem(&path, message);
            }
            Ok(text) => {
                templates.insert(name, text);
            }
            Err(error) => {
                context.problem(&path, format!("{} {error}", quoted(&name)));
            }
        }
    }
    if let Err(problem) = Pages::new(&templates) {
        context.problem(&path, problem.to_string());
    }
    templates
}

/// `log`.
pub fn log(raw: Option<raw::Log>) -> LogSettings {
    let raw = raw.unwrap_or_default();
    LogSettings {
        format: match raw.format.unwrap_or_default() {
            raw::LogFormat::Json => LogFormat::Json,
            raw::LogFormat::Text => LogFormat::Text,
        },
        level: match raw.level.unwrap_or_default() {
            raw::LogLevel::Error => tracing::Level::ERROR,
            raw::LogLevel::Warn => tracing::Level::WARN,
            raw::LogLevel::Info => tracing::Level::INFO,
            raw::LogLevel::Debug => tracing::Level::DEBUG,
        },
        access: raw.access.unwrap_or(true),
    }
}

/// `threads`.
pub fn threads(context: &mut Context<'_>, raw: Option<u64>) -> usize {
    let default = std::thread::available_parallelism().map_or(1, usize::from);
    let Some(threads) = raw else {
        return default;
    };
    let threads_in_range = usize::try_from(threads)
        .ok()
        .filter(|_| (1..=THREADS_MAX).contains(&threads));
    threads_in_range.unwrap_or_else(|| {
        context
            .problem(
                &KeyPath::root().key("threads"),
                format!("found the number `{threads}`"),
            )
            .expected(format!("a number from 1 to {THREADS_MAX}"));
        default
    })
}

/// `request_body_limit`, in bytes.
pub fn body_limit(context: &mut Context<'_>, raw: Option<String>) -> Option<u64> {
    let path = KeyPath::root().key("request_body_limit");
    match values::size_bytes(&raw?) {
        Ok(0) => {
            context
                .problem(&path, "the size is zero")
                .help("remove the key for no limit");
            None
        }
        Ok(size) => Some(size),
        Err(message) => {
            context
                .problem(&path, message)
                .expected("a whole number with a unit, such as `100MiB`");
            None
        }
    }
}
