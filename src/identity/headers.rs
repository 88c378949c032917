//! The headers that tell an app who is asking.
//!
//! Values are made once for a session and a route's settings, never per request. A value that could
//! split a header or does not fit is left out: an app must rather miss a header than read a wrong one.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use serde_json::Value;

use crate::identity::attributes::Identity;
use crate::identity::claim_path::ClaimPath;

/// The longest value: servers commonly take 8 KiB for all headers together.
const VALUE_BYTES_MAX: usize = 8 * 1024;
/// The most headers a preset makes out of claims, so that a provider cannot exhaust the app's limit.
const CLAIM_HEADERS_MAX: usize = 64;

/// A finished header, ready to be inserted into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeader {
    /// The name, for comparing.
    pub name: HeaderName,
    /// The name as apps know it, such as `X-Forwarded-User` or `OIDC_CLAIM_sub`.
    pub spelling: Bytes,
    /// The value.
    pub value: HeaderValue,
}

/// All headers for one identity.
pub type HeaderList = Vec<IdentityHeader>;

/// A set of header names that apps know from other gateways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HeaderPreset {
    /// `X-Forwarded-User` and its relatives (the default).
    #[default]
    XForwarded,
    /// `Remote-User`, `Remote-Name`, `Remote-Email`, `Remote-Groups`.
    RemoteUser,
    /// `OIDC_CLAIM_<claim>` and `REMOTE_USER`.
    ModAuthOpenidc,
    /// `X-Pomerium-Claim-<Claim>` and `X-Pomerium-Jwt-Assertion`.
    Pomerium,
    /// No header.
    None,
}

/// Where the user's access token goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccessTokenHeader {
    /// As the whole value of this header.
    Named(HeaderName),
    /// As `Authorization: Bearer`.
    Authorization,
}

/// A statement about the user, signed by us as a JWT.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AssertionSettings {
    /// The header that carries it.
    pub header: HeaderName,
    /// Its `aud`.
    pub audience: String,
    /// How long one is valid; a new one is signed at half of it.
    pub lifetime: Duration,
}

/// What one route tells its app about the user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct IdentityHeaders {
    /// The names to use.
    pub preset: HeaderPreset,
    /// Headers of the operator's own: an attribute or a claim path each.
    pub set: Vec<(HeaderName, ClaimPath)>,
    /// The user's access token.
    pub access_token: Option<AccessTokenHeader>,
    /// The signed assertion.
    pub assertion: Option<AssertionSettings>,
}

impl IdentityHeaders {
    /// Makes the headers for `identity`. The access token and the assertion are not among them: they
    /// change within a session.
    pub fn headers(&self, identity: &Identity) -> HeaderList {
        let mut headers = match &identity.client {
            Some(client) => {
                let mut headers = HeaderList::new();
                insert_text(&mut headers, "X-Forwarded-Client", client);
                headers
            }
            None => self.preset_headers(identity),
        };
        for (name, path) in &self.set {
            if let Some(value) = identity
                .attribute_or_claim(path)
                .as_ref()
                .and_then(header_value)
            {
                insert(&mut headers, titled(name.as_str()), value);
            }
        }
        headers
    }

    /// All names these settings can write beside those of the presets, which are always owned.
    pub fn own_names(&self) -> impl Iterator<Item = &str> {
        let token = match &self.access_token {
            Some(AccessTokenHeader::Named(name)) => Some(name),
            Some(AccessTokenHeader::Authorization) | None => None,
        };
        let assertion = self.assertion.as_ref().map(|assertion| &assertion.header);
        (self.set.iter().map(|(name, _)| name))
            .chain(token)
            .chain(assertion)
            .map(HeaderName::as_str)
    }

    fn preset_headers(&self, identity: &Identity) -> HeaderList {
        let mut headers = HeaderList::new();
        let mut text = |name, value: &str| insert_text(&mut headers, name, value);
        let email = identity.email.as_deref();
        match self.preset {
            HeaderPreset::None => (),
            HeaderPreset::XForwarded => {
                text("X-Forwarded-User", &identity.user);
                text("X-Forwarded-Subject", &identity.subject);
                text("X-Forwarded-Identity-Provider", &identity.identity_provider);
                text(
                    "X-Forwarded-Preferred-Username",
                    identity.preferred_username.as_deref().unwrap_or_default(),
                );
                text("X-Forwarded-Email", email.unwrap_or_default());
                text("X-Forwarded-Groups", &join(&identity.groups));
                text("X-Forwarded-Roles", &join(&identity.roles));
            }
            HeaderPreset::RemoteUser => {
                text("Remote-User", &identity.user);
                text("Remote-Name", identity.name.as_deref().unwrap_or_default());
                text("Remote-Email", email.unwrap_or_default());
                text("Remote-Groups", &join(&identity.groups));
            }
            HeaderPreset::ModAuthOpenidc => {
                text("REMOTE_USER", &identity.user);
                claim_headers(&mut headers, identity, "OIDC_CLAIM_", '_');
            }
            HeaderPreset::Pomerium => {
                claim_headers(&mut headers, identity, "X-Pomerium-Claim-", '-');
            }
        }
        headers
    }
}

/// A header for each claim; characters that no header name has are replaced by `filler`.
fn claim_headers(headers: &mut HeaderList, identity: &Identity, prefix: &str, filler: char) {
    for (claim, value) in identity.claims.iter().take(CLAIM_HEADERS_MAX) {
        let keeps = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == filler;
        let claim: String = claim
            .chars()
            .map(|c| if keeps(c) { c } else { filler })
            .collect();
        let claim = if filler == '-' { titled(&claim) } else { claim };
        let spelling = format!("{prefix}{claim}");
        // Two claims that differ only in replaced characters: the first stays.
        let is_new = !headers
            .iter()
            .any(|known| known.spelling.eq_ignore_ascii_case(spelling.as_bytes()));
        if let (true, Some(value)) = (is_new, header_value(value)) {
            insert(headers, spelling, value);
        }
    }
}

fn insert_text(headers: &mut HeaderList, spelling: &'static str, text: &str) {
    if let Some(value) = text_value(text).filter(|value| !value.is_empty()) {
        insert(headers, spelling, value);
    }
}

/// Adds a header, in place of one of the same name. What is no header name is left out.
fn insert(headers: &mut HeaderList, spelling: impl Into<Bytes>, value: HeaderValue) {
    let spelling = spelling.into();
    if let Ok(name) = HeaderName::from_bytes(&spelling) {
        headers.retain(|known| known.name != name);
        headers.push(IdentityHeader {
            name,
            spelling,
            value,
        });
    }
}

/// A name as it is usually written: each part begins with a capital.
pub fn titled(name: &str) -> String {
    let mut is_start = true;
    let title = |c: char| {
        let titled = if is_start { c.to_ascii_uppercase() } else { c };
        is_start = c == '-';
        titled
    };
    name.chars().map(title).collect()
}

/// A claim as a header value: lists joined, objects as JSON.
fn header_value(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::Null => None,
        Value::String(text) => text_value(text),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => text_value(&value.to_string()),
        Value::Array(items) => {
            let texts = items.iter().map(|item| match item {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            text_value(&join(&texts.collect::<Vec<_>>()))
        }
    }
}

/// Text as a header value, in UTF-8; none where it holds a control character or is too long.
fn text_value(text: &str) -> Option<HeaderValue> {
    if text.len() > VALUE_BYTES_MAX || text.chars().any(char::is_control) {
        return None;
    }
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// Joins with `,`. An element that holds a comma is percent-encoded: one role stays one role.
fn join(items: &[String]) -> String {
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push(',');
        }
        if item.contains(',') {
            joined.push_str(&item.replace('%', "%25").replace(',', "%2C"));
        } else {
            joined.push_str(item);
        }
    }
    joined
}

#[cfg(test)]
mod tests {

    use serde_json::json;

    use super::*;

    fn identity() -> Identity {
        let Value::Object(claims) = json!({
            "sub": "s-1", "email": "a@corp.example", "team.name": "blue", "n": 7, "deep": {"a": 1},
            "split": "a\r\nX-Evil: 1"
        }) else {
            panic!("claims are an object")
        };
        Identity {
            email: Some("a@corp.example".to_owned()),
            email_verified: true,
            name: Some("A".to_owned()),
            groups: vec!["staff".to_owned(), "x,admin".to_owned()],
            claims,
            ..Identity::of_test("corp", "s-1", "J\u{f6}rg")
        }
    }

    fn check(settings: IdentityHeaders, identity: &Identity, expected: &[(&str, &str)]) {
        let headers = settings.headers(identity);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|header| {
                let text = |bytes| std::str::from_utf8(bytes).expect("headers are UTF-8");
                (text(&header.spelling), text(header.value.as_bytes()))
            })
            .collect();
        assert_eq!(headers, expected);
    }

    fn preset(preset: HeaderPreset) -> IdentityHeaders {
        IdentityHeaders {
            preset,
            ..IdentityHeaders::default()
        }
    }

    #[test]
    fn x_forwarded_leaves_out_what_is_not_known() {
        check(
            preset(HeaderPreset::XForwarded),
            &identity(),
            &[
                ("X-Forwarded-User", "J\u{f6}rg"),
                ("X-Forwarded-Subject", "s-1"),
                ("X-Forwarded-Identity-Provider", "corp"),
                ("X-Forwarded-Email", "a@corp.example"),
                ("X-Forwarded-Groups", "staff,x%2Cadmin"),
            ],
        );
    }

    #[test]
    fn claims_become_headers_and_a_splitting_value_does_not() {
        check(
            preset(HeaderPreset::ModAuthOpenidc),
            &identity(),
            &[
                ("REMOTE_USER", "J\u{f6}rg"),
                ("OIDC_CLAIM_sub", "s-1"),
                ("OIDC_CLAIM_email", "a@corp.example"),
                ("OIDC_CLAIM_team_name", "blue"),
                ("OIDC_CLAIM_n", "7"),
                ("OIDC_CLAIM_deep", "{\"a\":1}"),
            ],
        );
    }

    #[test]
    fn own_headers_win_over_the_preset() {
        let name = HeaderName::from_static("remote-name");
        let path = ClaimPath::parse("n").expect("the path is valid");
        let settings = IdentityHeaders {
            set: vec![(name, path)],
            ..preset(HeaderPreset::RemoteUser)
        };
        let headers = settings.headers(&identity());
        assert_eq!(
            headers
                .iter()
                .filter(|header| header.name == "remote-name")
                .count(),
            1
        );
        assert!(
            headers
                .iter()
                .any(|header| header.name == "remote-name" && header.value == "7")
        );
    }

    #[test]
    fn a_machine_caller_has_no_user() {
        let machine = Identity {
            client: Some("robot".to_owned()),
            ..identity()
        };
        check(
            preset(HeaderPreset::XForwarded),
            &machine,
            &[("X-Forwarded-Client", "robot")],
        );
    }

    #[test]
    fn an_oversized_value_is_left_out() {
        let large = Identity {
            groups: vec!["g".repeat(20 * 1024)],
            ..identity()
        };
        let headers = preset(HeaderPreset::XForwarded).headers(&large);
        assert!(
            !headers
                .iter()
                .any(|header| header.name == "x-forwarded-groups")
        );
    }
}
