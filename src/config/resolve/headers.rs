//! `identity_headers`.

use std::time::Duration;

use http::HeaderName;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::Zero;
use crate::config::resolve::claims::claim_path;
use crate::config::resolve::origin::PublicAddress;
use crate::config::values;
use crate::config::values::Finest;
use crate::identity::AccessTokenHeader;
use crate::identity::AssertionSettings;
use crate::identity::HeaderPreset;
use crate::identity::IdentityHeaders;

/// Default of `assertion.lifetime`.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Default of `assertion.header`.
const ASSERTION_HEADER: HeaderName = HeaderName::from_static("x-vestibule-assertion");
/// Where apps made for the preset `pomerium` look for the assertion.
const POMERIUM_ASSERTION_HEADER: HeaderName = HeaderName::from_static("x-pomerium-jwt-assertion");

/// `identity_headers` of the route at `from`.
pub fn identity_headers(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::IdentityHeaders>,
    from: Option<&PublicAddress>,
) -> IdentityHeaders {
    let raw = raw.unwrap_or_default();
    let preset = match raw.preset.unwrap_or_default() {
        raw::Preset::XForwarded => HeaderPreset::XForwarded,
        raw::Preset::RemoteUser => HeaderPreset::RemoteUser,
        raw::Preset::ModAuthOpenidc => HeaderPreset::ModAuthOpenidc,
        raw::Preset::Pomerium => HeaderPreset::Pomerium,
        raw::Preset::None => HeaderPreset::None,
    };
    // Every name with its place, to find two that an app could take for one.
    let mut written: Vec<(String, KeyPath)> = Vec::new();
    let mut set = Vec::new();
    for (name, source) in raw.set.unwrap_or_default() {
        let path = path.key("set").key(&name);
        let name = own_header(context, &path, &name, Part::Key);
        let source = claim_path(context, &path, &source);
        if let Some(name) = &name {
            once(context, &mut written, &path, name);
        }
        if let (Some(name), Some(source)) = (name, source) {
            set.push((name, source));
        }
    }
    let access_token = raw.access_token.and_then(|name| {
        if name.eq_ignore_ascii_case("authorization") {
            return Some(AccessTokenHeader::Authorization);
        }
        let path = path.key("access_token");
        let name = own_header(context, &path, &name, Part::Value)?;
        once(context, &mut written, &path, &name);
        Some(AccessTokenHeader::Named(name))
    });
    let assertion_path = path.key("assertion");
    let assertion = assertion(context, &assertion_path, raw.assertion, preset, from);
    if let Some(assertion) = &assertion {
        once(
            context,
            &mut written,
            &assertion_path.key("header"),
            &assertion.header,
        );
    }
    IdentityHeaders {
        preset,
        set,
        access_token,
        assertion,
    }
}

#[derive(PartialEq, Eq)]
enum Part {
    Key,
    Value,
}

fn own_header(
    context: &mut Context<'_>,
    path: &KeyPath,
    name: &str,
    part: Part,
) -> Option<HeaderName> {
    match values::own_header(name) {
        Ok(name) => Some(name),
        Err(message) => {
            let problem = context.problem(path, message);
            if part == Part::Key {
                problem.at_key();
            }
            if name.eq_ignore_ascii_case("authorization") {
                problem.help("for the user's access token write `access_token: authorization`");
            }
            None
        }
    }
}

fn once(
    context: &mut Context<'_>,
    written: &mut Vec<(String, KeyPath)>,
    path: &KeyPath,
    name: &HeaderName,
) {
    let folded = values::folded_header(name);
    if let Some((_, other)) = written.iter().find(|(other, _)| *other == folded) {
        let message = format!(
            "the header {} is also written by `{other}`",
            quoted(name.as_str())
        );
        context.problem(path, message);
    }
    written.push((folded, path.clone()));
}

fn assertion(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::Assertion>,
    preset: HeaderPreset,
    from: Option<&PublicAddress>,
) -> Option<AssertionSettings> {
    let is_pomerium = preset == HeaderPreset::Pomerium;
    if raw.is_none() && (!is_pomerium || context.is_wrong(path)) {
        return None;
    }
    let raw = raw.unwrap_or_default();
    let header = match raw.header {
        Some(name) => own_header(context, &path.key("header"), &name, Part::Value),
        None if is_pomerium => Some(POMERIUM_ASSERTION_HEADER),
        None => Some(ASSERTION_HEADER),
    };
    let lifetime = context.duration(
        &path.key("lifetime"),
        raw.lifetime.as_deref(),
        ASSERTION_LIFETIME,
        Finest::Seconds,
        Zero::Refused,
    );
    let audience_path = path.key("audience");
    let audience = match raw.audience {
        Some(audience) => context.text(&audience_path, Some(audience)),
        None if is_pomerium => match from {
            Some(from) if from.is_wildcard => {
                context
                    .problem(&audience_path, "this key is missing")
                    .help("the host of a wildcard route is not one audience: name one");
                None
            }
            Some(from) => Some(from.origin.host.clone()),
            None => None,
        },
        None => {
            if !context.is_wrong(&audience_path) {
                context
                    .problem(&audience_path, "this key is missing")
                    .help("without an audience a statement for one app would be good at another: name the app's address");
            }
            None
        }
    };
    Some(AssertionSettings {
        header: header?,
        audience: audience?,
        lifetime,
    })
}
