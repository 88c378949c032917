//! The token in a request.
//!
//! `Authorization: Bearer` is the only place that is read (RFC 6750 section 2.1). A token in the query
//! ends up in logs and in `Referer`, and one in a form would make a body part of the decision.

use http::HeaderMap;
use http::header;

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// No access token: no `Authorization`, or one of another scheme.
    Nothing,
    /// This token, of which nothing is known yet.
    Token(&'a str),
    /// This token by the scheme `DPoP`, with its proof where there is exactly one.
    Bound(&'a str, Option<&'a str>),
}

/// Why it is not clear which token is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedProblem {
    /// There is more than one `Authorization`.
    Several,
    /// The scheme is `Bearer`, and no single token follows it.
    NoToken,
    /// There is a token in the query too (RFC 6750 section 2: one method only).
    AlsoInQuery,
}

impl PresentedProblem {
    /// What a caller is told.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Several => "there is more than one Authorization header",
            Self::NoToken => "no single token follows the scheme Bearer",
            Self::AlsoInQuery => "there is an access token in the query too",
        }
    }
}

/// Reads the token of a request.
///
/// Implements RFC 6750 section 2.1 and the grammar `b64token` there.
///
/// # Errors
/// One [`PresentedProblem`] per check.
pub fn presented<'a>(
    headers: &'a HeaderMap,
    query: Option<&str>,
) -> Result<Presented<'a>, PresentedProblem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(Presented::Nothing);
    };
    if values.next().is_some() {
        return Err(PresentedProblem::Several);
    }
    let bytes = value.as_bytes();
    let end = bytes.iter().position(|byte| !byte.is_ascii_graphic());
    let (scheme, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let is_bound = scheme.eq_ignore_ascii_case(b"dpop");
    if !is_bound && !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(Presented::Nothing);
    }
    let token = rest
        .strip_prefix(b" ")
        .filter(|token| is_b64token(token))
        .and_then(|token| std::str::from_utf8(token).ok())
        .ok_or(PresentedProblem::NoToken)?;
    if query.is_some_and(has_access_token) {
        return Err(PresentedProblem::AlsoInQuery);
    }
    if is_bound {
        let mut proofs = headers.get_all("dpop").iter();
        let proof = proofs.next().and_then(|proof| proof.to_str().ok());
        return Ok(Presented::Bound(
            token,
            proof.filter(|_| proofs.next().is_none()),
        ));
    }
    Ok(Presented::Token(token))
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_b64token(bytes: &[u8]) -> bool {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &bytes[..bytes.len() - padding];
    !body.is_empty()
        && body.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        })
}

fn has_access_token(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(
        lines: &[&str],
        query: Option<&str>,
        expected: Result<Presented<'_>, PresentedProblem>,
    ) {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).expect("it is a value");
            headers.append(header::AUTHORIZATION, value);
        }
        assert_eq!(presented(&headers, query), expected, "{lines:?} {query:?}");
    }

    #[test]
    fn rfc6750_2_1_one_token_behind_the_scheme() {
        for line in [
            "Bearer a.b-c_d~e+f/g==",
            "bearer a.b-c_d~e+f/g==",
            "BEARER a.b-c_d~e+f/g==",
        ] {
            check(&[line], None, Ok(Presented::Token("a.b-c_d~e+f/g==")));
        }
        for line in [
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a b",
            "Bearer a,b",
            "Bearer \"a\"",
            "Bearer ==",
            "Bearer a=b",
            "Bearer\ta",
            "Bearer \u{e9}",
            "Bearer a, Bearer b",
        ] {
            check(&[line], None, Err(PresentedProblem::NoToken));
        }
    }

    #[test]
    fn another_scheme_is_no_token() {
        for line in ["Basic YTpi", "Bearerx a", "Negotiate", ""] {
            check(&[line], None, Ok(Presented::Nothing));
        }
        check(&[], None, Ok(Presented::Nothing));
    }

    #[test]
    fn rfc6750_2_several_methods_are_refused() {
        check(
            &["Bearer a", "Bearer a"],
            None,
            Err(PresentedProblem::Several),
        );
        check(
            &["Basic YTpi", "Bearer a"],
            None,
            Err(PresentedProblem::Several),
        );
        check(
            &["Bearer a"],
            Some("x=1&access_token=b"),
            Err(PresentedProblem::AlsoInQuery),
        );
        check(
            &["Bearer a"],
            Some("access%5Ftoken"),
            Err(PresentedProblem::AlsoInQuery),
        );
        check(
            &["Bearer a"],
            Some("access_tokens=b"),
            Ok(Presented::Token("a")),
        );
    }

    #[test]
    fn a_token_in_the_query_is_not_read() {
        check(&[], Some("access_token=a"), Ok(Presented::Nothing));
    }
}
