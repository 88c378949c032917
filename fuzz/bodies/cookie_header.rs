//! `Cookie` lines: finding our cookies, and taking them out of what the app gets.

use http::HeaderMap;
use http::HeaderValue;
use http::header::COOKIE;
use vestibule::session::CookieNames;
use vestibule::session::CookieSettings;
use vestibule::session::cookie;
use vestibule::session::cookie::Found;

/// Reads `data` as `Cookie` lines, one per line.
pub fn run(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, value);
        }
    }
    for is_https in [true, false] {
        check(
            &headers,
            &CookieNames::new(&CookieSettings::default(), is_https),
        );
    }
}

fn check(headers: &HeaderMap, names: &CookieNames) {
    let of_name = cookie::pairs(headers)
        .filter(|(name, _)| *name == names.session().as_bytes())
        .count();
    match cookie::find(headers, names.session()) {
        Found::None => assert_eq!(of_name, 0),
        Found::One(_) => assert_eq!(of_name, 1),
        Found::Several => assert!(of_name > 1),
    }
    let Some(kept) = cookie::without_ours(headers, names) else {
        assert_eq!(others(headers, names), Vec::<(&[u8], &[u8])>::new());
        return;
    };
    let mut left = HeaderMap::new();
    let value = HeaderValue::from_bytes(&kept).expect("cookies stay a header value");
    left.insert(COOKIE, value);
    assert_eq!(
        others(&left, names),
        others(headers, names),
        "other cookies pass as they came"
    );
    // Ours to no reader, whatever white space it takes off.
    for crumb in kept.split(|byte| *byte == b';') {
        let name = crumb.split(|byte| *byte == b'=').next().unwrap_or_default();
        assert!(
            !is_ours(name.trim_ascii()),
            "{:?}",
            crumb.escape_ascii().to_string()
        );
    }
}

/// The cookies of others, in order. White space before a name is left out: at the start of a header's
/// value it means nothing, and the first crumb comes to stand there.
fn others<'a>(headers: &'a HeaderMap, names: &CookieNames) -> Vec<(&'a [u8], &'a [u8])> {
    cookie::pairs(headers)
        .map(|(name, value)| (name.trim_ascii_start(), value))
        .filter(|(name, _)| !names.is_ours(name.trim_ascii_end()))
        .collect()
}

/// The names of all our cookies, written down independently of the library.
fn is_ours(name: &[u8]) -> bool {
    ["", "__Host-", "__Secure-"].iter().any(|prefix| {
        let base = format!("{prefix}vestibule");
        match name.strip_prefix(base.as_bytes()) {
            Some(rest) => rest.is_empty() || rest == b"-rounds" || rest.starts_with(b"-flow-"),
            None => false,
        }
    })
}
