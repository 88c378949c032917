//! Paths that mean one thing only.
//!
//! A gateway and the app behind it must not read a path differently: what we take for `/public/x`
//! would be `/admin` there. So a path that resolves to another one (dot segments, backslashes, encoded
//! control bytes) is refused, and where apps are known to differ (`//`, `%2F`, `;`, upper case) the
//! path is also looked up in its most aggressive reading; so does the route table.

use std::borrow::Cow;

/// The longest request target. Browsers and servers stop at 8 to 64 KiB; a login puts it in a cookie.
const TARGET_BYTES_MAX: usize = 32 * 1024;

/// How often an app could decode a path; more has not been seen.
const DECODINGS_MAX: usize = 3;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathProblem {
    /// It does not begin with `/`.
    NotAbsolute,
    /// It is longer than 32 KiB.
    TooLong,
    /// It holds a byte that no URL has: a control, space, `\`, `#` or non-ASCII byte.
    IllegalByte,
    /// A `%` without two hexadecimal digits.
    BrokenEscape,
    /// An escaped control byte or backslash.
    EscapedControl,
    /// Its escapes are no UTF-8.
    NotUtf8,
    /// A segment is `.` or `..`, written out, escaped or with parameters.
    DotSegment,
    /// An escape within an escape, such as `%252e`.
    DoubleEscape,
}

impl std::fmt::Display for PathProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with `/`",
            Self::TooLong => "the request target is too long",
            Self::IllegalByte => "the request target holds a byte that no URL has",
            Self::BrokenEscape => "a `%` in the path is not followed by two hexadecimal digits",
            Self::EscapedControl => "the path holds an escaped control byte or backslash",
            Self::NotUtf8 => "the escapes in the path are not UTF-8",
            Self::DotSegment => "the path holds a `.` or `..` segment",
            Self::DoubleEscape => "the path holds an escape within an escape",
        })
    }
}

/// Checks that `path` resolves to itself.
///
/// # Errors
/// One [`PathProblem`] per check, in the order of its variants.
pub fn check(path: &str) -> Result<(), PathProblem> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(PathProblem::NotAbsolute);
    }
    if bytes.len() > TARGET_BYTES_MAX {
        return Err(PathProblem::TooLong);
    }
    let mut is_plain = true;
    let mut previous = 0;
    for byte in bytes {
        match byte {
            b'%' => is_plain = false,
            b'.' if previous == b'/' => is_plain = false,
            b'\\' | b'#' | b'?' => return Err(PathProblem::IllegalByte),
            0x21..=0x7e => (),
            _ => return Err(PathProblem::IllegalByte),
        }
        previous = *byte;
    }
    if is_plain {
        return Ok(());
    }
    let decoded = decode(bytes)?;
    if decoded
        .iter()
        .any(|byte| byte.is_ascii_control() || *byte == b'\\')
    {
        return Err(PathProblem::EscapedControl);
    }
    let decoded = std::str::from_utf8(&decoded).map_err(|_| PathProblem::NotUtf8)?;
    if decoded.split('/').any(is_dot_segment) {
        return Err(PathProblem::DotSegment);
    }
    if decoded.as_bytes().windows(3).any(is_meaningful_escape) {
        return Err(PathProblem::DoubleEscape);
    }
    Ok(())
}

/// Checks a query: any byte that a URL has.
///
/// # Errors
/// [`PathProblem::TooLong`], [`PathProblem::IllegalByte`].
pub fn check_query(query: &str) -> Result<(), PathProblem> {
    if query.len() > TARGET_BYTES_MAX {
        return Err(PathProblem::TooLong);
    }
    match query
        .bytes()
        .all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'#')
    {
        true => Ok(()),
        false => Err(PathProblem::IllegalByte),
    }
}

/// The most aggressive reading that an app can give to a path which [`check`] has passed: escapes
/// decoded, lower case, parameters and trailing dots and spaces of segments taken off, slashes merged.
pub fn normal_form(path: &str) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    let is_special = |index: usize| match bytes[index] {
        b'%' | b';' | b'A'..=b'Z' => true,
        b'/' => index > 0 && matches!(bytes[index - 1], b'/' | b'.'),
        b'.' => index + 1 == bytes.len(),
        _ => false,
    };
    if !(0..bytes.len()).any(is_special) {
        return Cow::Borrowed(path);
    }
    let mut decoded = bytes.to_vec();
    // Some apps decode more than once. What is no escape any more ends it.
    for _ in 0..DECODINGS_MAX {
        match decode(&decoded) {
            Ok(once_more) if once_more != decoded => decoded = once_more,
            _ => break,
        }
    }
    let decoded = String::from_utf8_lossy(&decoded).to_lowercase();
    let mut normal = String::with_capacity(decoded.len());
    for segment in decoded.split('/') {
        let segment = segment
            .split(';')
            .next()
            .unwrap_or_default()
            .trim_end_matches(['.', ' ']);
        if !segment.is_empty() {
            normal.push('/');
            normal.push_str(segment);
        }
    }
    if normal.is_empty() || decoded.ends_with('/') {
        normal.push('/');
    }
    Cow::Owned(normal)
}

/// Whether `path` lies under `prefix`, by whole segments. An empty prefix holds every path.
pub fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_dot_segment(segment: &str) -> bool {
    let name = segment
        .split(';')
        .next()
        .unwrap_or_default()
        .trim_end_matches(' ');
    name == "." || name == ".."
}

/// `%2e`, `%2f`, `%5c` and `%00`, which an app that decodes twice would act on.
fn is_meaningful_escape(window: &[u8]) -> bool {
    let [b'%', high, low] = window else {
        return false;
    };
    matches!((high, low | 0x20), (b'2', b'e' | b'f') | (b'5', b'c'))
        || (*high, *low) == (b'0', b'0')
}

fn decode(bytes: &[u8]) -> Result<Vec<u8>, PathProblem> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(PathProblem::BrokenEscape);
        };
        decoded.push(u8::try_from(high * 16 + low).map_err(|_| PathProblem::BrokenEscape)?);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_that_resolves_to_another_is_refused() {
        use PathProblem as P;
        for (path, problem) in [
            ("", P::NotAbsolute),
            ("admin", P::NotAbsolute),
            ("/a b", P::IllegalByte),
            ("/a\\b", P::IllegalByte),
            ("/a#b", P::IllegalByte),
            ("/\u{e9}", P::IllegalByte),
            ("/%", P::BrokenEscape),
            ("/%zz", P::BrokenEscape),
            ("/%2", P::BrokenEscape),
            ("/admin%00", P::EscapedControl),
            ("/a%0d%0ab", P::EscapedControl),
            ("/public%5c..%5cadmin", P::EscapedControl),
            ("/%c0%ae%c0%ae/admin", P::NotUtf8),
            ("/public/../admin", P::DotSegment),
            ("/public/%2e%2e/admin", P::DotSegment),
            ("/public/.%2E/admin", P::DotSegment),
            ("/public/..%2fadmin", P::DotSegment),
            ("/public;x/../admin", P::DotSegment),
            ("/public/..;/admin", P::DotSegment),
            ("/./admin", P::DotSegment),
            ("/public/..", P::DotSegment),
            ("/public/..%20/admin", P::DotSegment),
            ("/%252e%252e/admin", P::DoubleEscape),
            ("/a%252Fb", P::DoubleEscape),
        ] {
            assert_eq!(check(path), Err(problem), "{path}");
        }
        assert_eq!(
            check(&format!("/{}", "a".repeat(TARGET_BYTES_MAX))),
            Err(P::TooLong)
        );
    }

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "/",
            "/a/b.html",
            "/.well-known/x",
            "/a..b",
            "/...",
            "/100%25",
            "/a%2Fb",
            "/J%C3%B6rg",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn the_normal_form_is_the_most_aggressive_reading() {
        for (path, normal) in [
            ("/a/b", "/a/b"),
            ("/ADMIN", "/admin"),
            ("//admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/%2561dmin", "/admin"),
            ("/admin;x=1/y", "/admin/y"),
            ("/admin%20", "/admin"),
            ("/admin./", "/admin/"),
            ("/a%2Fb", "/a/b"),
            ("/;x", "/"),
        ] {
            assert_eq!(normal_form(path), normal, "{path}");
        }
    }

    #[test]
    fn prefixes_match_whole_segments() {
        assert!(is_under("/api/x", "/api") && is_under("/api", "/api") && is_under("/x", ""));
        assert!(!is_under("/api2", "/api") && !is_under("/api..", "/api"));
    }

    proptest! {
        /// An app that decodes once and resolves dot segments stays where we decided.
        #[test]
        fn a_passed_path_never_climbs(path in "/([a-c.%/;25eEfF]|%2e|%2f|%5c){0,24}") {
            if check(&path).is_ok() {
                let decoded = decode(path.as_bytes()).expect("check has decoded it");
                let decoded = String::from_utf8(decoded).expect("check has read it as UTF-8");
                for separator in ['/', '\\'] {
                    prop_assert!(!decoded.split(separator).any(|s| s == "." || s == ".."));
                }
            }
        }

        #[test]
        fn the_normal_form_is_its_own(path in "/[a-zA-Z0-9./;%]{0,24}") {
            if check(&path).is_ok() {
                let normal = normal_form(&path).into_owned();
                if check(&normal).is_ok() {
                    prop_assert_eq!(normal_form(&normal).into_owned(), normal);
                }
            }
        }
    }
}
