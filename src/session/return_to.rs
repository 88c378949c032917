//! Where a browser goes after a login or logout: never to a stranger's site.
//!
//! A [`ReturnTo`] is made here only. What a parameter asks for is taken apart, each part is checked, and
//! the result is written from the parts, so that what was checked is what is sent.

use std::fmt;

use url::Url;

use crate::routes::Origin;
use crate::routes::path;

/// Browsers keep cookies up to 4096 bytes, and a login's cookie holds this text, sealed and encoded.
pub const RETURN_TO_BYTES_MAX: usize = 1800;

/// A place on one of our own origins, as a `Location` can carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// The start page of the origin one is on.
    pub fn home() -> Self {
        Self("/".to_owned())
    }

    /// The page that was asked for on `origin`, by the path and query that [`path::check`] has passed.
    ///
    /// A target that is too long for a login's cookie loses its query, or becomes the start page.
    pub fn of_request(origin: &Origin, request_path: &str, query: Option<&str>) -> Self {
        // A browser reads `//x` in a `Location` as the host `x`.
        let base = match request_path.starts_with("//") {
            true => format!("{origin}{request_path}"),
            false => request_path.to_owned(),
        };
        match query {
            Some(query) if base.len() + 1 + query.len() <= RETURN_TO_BYTES_MAX => {
                Self(format!("{base}?{query}"))
            }
            _ if base.len() <= RETURN_TO_BYTES_MAX => Self(base),
            _ => Self::home(),
        }
    }

    /// What the parameter `rd` asks for, seen from `here`: a path, or a URL whose origin is ours.
    /// Anything else becomes the start page.
    ///
    /// A fragment that could not be told from something else, or makes the place too long, is left out.
    pub fn of_parameter(text: &str, here: &Origin, is_ours: impl Fn(&Origin) -> bool) -> Self {
        let (target, fragment) = match text.split_once('#') {
            Some((target, fragment)) => (target, Some(fragment)),
            None => (text, None),
        };
        let Some(Self(place)) = Self::parse(target, here, is_ours) else {
            return Self::home();
        };
        let fits = |one: &&str| place.len() + 1 + one.len() <= RETURN_TO_BYTES_MAX;
        Self(match fragment.filter(|one| is_fragment(one)).filter(fits) {
            Some(fragment) => format!("{place}#{fragment}"),
            None => place,
        })
    }

    /// A place from a sealed value of our own.
    pub fn of_sealed(text: String) -> Self {
        Self(text)
    }

    fn parse(text: &str, here: &Origin, is_ours: impl Fn(&Origin) -> bool) -> Option<Self> {
        // Browsers drop tabs and line ends and read `\` as `/`: none of them is passed at all.
        let is_plain = |byte: u8| matches!(byte, 0x21..=0x7e) && byte != b'\\';
        if text.len() > RETURN_TO_BYTES_MAX || !text.bytes().all(is_plain) {
            return None;
        }
        if text.starts_with('/') {
            return (!text.starts_with("//")).then(|| Self::checked(text))?;
        }
        let url = Url::parse(text).ok()?;
        let origin = Origin::of_url(&url)?;
        // `https:evil` and `https:///evil` parse as well, but nobody writes our URLs so.
        let rest = text.get(url.scheme().len()..)?.strip_prefix("://")?;
        let is_plain_url =
            !rest.starts_with('/') && url.username().is_empty() && url.password().is_none();
        if !is_plain_url || !(origin == *here || is_ours(&origin)) {
            return None;
        }
        let local = Self::checked(&url[url::Position::BeforePath..])?;
        if local.0.starts_with("//") {
            return None;
        }
        Some(match origin == *here {
            true => local,
            false => Self(format!("{origin}{}", local.0)),
        })
    }

    /// Path and query, where each is one that a request could have.
    fn checked(text: &str) -> Option<Self> {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        path::check(path).ok()?;
        query.map_or(Ok(()), path::check_query).ok()?;
        Some(Self(text.to_owned()))
    }

    /// The text for a `Location`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, where the place is on the origin `here`.
    pub fn path_on(&self, here: &Origin) -> Option<&str> {
        let local = match self.0.strip_prefix(&here.to_string()) {
            Some(rest) if rest.starts_with('/') => rest,
            _ if self.0.starts_with('/') => &self.0,
            _ => return None,
        };
        local.split(['?', '#']).next()
    }
}

/// Whether a fragment can stand in a `Location`: visible ASCII, as browsers write it, whose escapes are
/// whole and hide no control character from the app's scripts. A further `#` and a `\` are plain
/// characters there (URL Standard, fragment state).
fn is_fragment(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if !matches!(byte, 0x21..=0x7e) {
            return false;
        }
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return false;
            };
            if matches!(high * 16 + low, 0..=0x1f | 0x7f) {
                return false;
            }
        }
    }
    true
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of_url(&Url::parse(text).expect("the test's URL is valid"))
            .expect("it has an origin")
    }

    fn parse(text: &str) -> String {
        let ours = origin("https://wiki.example");
        ReturnTo::of_parameter(text, &origin("https://app.example"), |origin| {
            *origin == ours
        })
        .0
    }

    #[test]
    fn places_of_our_own_are_kept_byte_for_byte() {
        for text in [
            "/",
            "/a/b?a=%2F&b=%20+%26",
            "/a?u=https://x.example//",
            "/a#top",
            "/J%C3%B6rg",
        ] {
            assert_eq!(parse(text), text);
        }
        assert_eq!(parse("https://app.example/a?b"), "/a?b");
        assert_eq!(
            parse("https://wiki.example/a?b"),
            "https://wiki.example/a?b"
        );
        assert_eq!(parse("https://wiki.example"), "https://wiki.example/");
    }

    #[test]
    fn everything_else_is_the_start_page() {
        for text in [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "///evil.example",
            "/\t/evil.example",
            "/%09/evil.example",
            "/%5cevil.example",
            "/a/../..//evil.example",
            " /a",
            "https://evil.example/",
            "https://app.example.evil.example/",
            "https://app.example@evil.example/",
            "https://user@app.example/",
            "https:evil.example",
            "https:/app.example",
            "https:///app.example",
            "https:\\\\app.example",
            "http://app.example/",
            "https://app.example:444/",
            "https://app.example//evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "/a\r\nX: y",
            "/\u{e9}",
        ] {
            assert_eq!(parse(text), "/", "{text:?}");
        }
        assert_eq!(parse(&format!("/{}", "a".repeat(RETURN_TO_BYTES_MAX))), "/");
    }

    #[test]
    fn a_fragment_is_kept_byte_for_byte_or_left_out() {
        for text in [
            "/a#/route?x=1&y=%C3%A9",
            "/a?b#c#d",
            "/a#\\x|{}^",
            "/a#",
            "https://wiki.example/a#//evil.example",
            "/a#https://evil.example/",
        ] {
            assert_eq!(parse(text), text);
        }
        for text in [
            "/a#100%",
            "/a#%4",
            "/a#%zz",
            "/a#%+1",
            "/a#%0d%0aX:y",
            "/a#%00",
            "/a#%7F",
            "/a#a b",
            "/a#a\nb",
            "/a#\u{e9}",
        ] {
            assert_eq!(parse(text), "/a", "{text:?}");
        }
        let longest = format!("/a#{}", "f".repeat(RETURN_TO_BYTES_MAX - 3));
        assert_eq!(parse(&longest), longest);
        assert_eq!(parse(&format!("{longest}f")), "/a");
        for text in ["#a", "//evil.example#a", "https://evil.example#a", "\\#a"] {
            assert_eq!(parse(text), "/", "{text:?}");
        }
    }

    #[test]
    fn a_requested_page_never_becomes_another_host() {
        let here = origin("https://app.example");
        let of = |path: &str, query: Option<&str>| ReturnTo::of_request(&here, path, query).0;
        assert_eq!(of("/a", Some("b=1")), "/a?b=1");
        assert_eq!(
            of("//evil.example", None),
            "https://app.example//evil.example"
        );
        assert_eq!(of("/a", Some(&"q".repeat(3000))), "/a");
        assert_eq!(of(&format!("/{}", "a".repeat(3000)), None), "/");
    }

    proptest! {
        /// Whatever is asked for, a browser that resolves the answer stays with us.
        #[test]
        fn the_answer_is_always_ours(
            text in "(/|\\\\|:|@|\\?|#|%2f|%5c|%09|\t|https|http|javascript|app.example|evil.example|wiki.example|\\.|\r\n|%0d%0a|@){0,8}"
        ) {
            let base = Url::parse("https://app.example/x").expect("the base is valid");
            let resolved = base.join(&parse(&text)).expect("the answer resolves");
            prop_assert!(matches!(resolved.host_str(), Some("app.example" | "wiki.example")));
            prop_assert_eq!(resolved.scheme(), "https");
            prop_assert!(resolved.username().is_empty());
            prop_assert!(parse(&text).bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
