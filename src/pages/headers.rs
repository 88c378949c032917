//! The security headers of own answers.
//!
//! Owns the list every page and every problem carries. Does not send anything. Invariant: no own
//! answer may be stored, sniffed, framed, or tell the next site where it came from.

/// The content type of own pages.
pub const HTML_CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// The policy of answers that are not pages: nothing may be loaded, and nobody may frame them.
pub const BARE_CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Lists the headers of an own answer that is sent with `content_security_policy`: the one of
/// [`crate::pages::Pages`] for a page, [`BARE_CONTENT_SECURITY_POLICY`] for anything else.
pub fn security_headers(content_security_policy: &str) -> [(&'static str, &str); 5] {
    [
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        // The address of a callback holds the code and the state.
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
        ("Content-Security-Policy", content_security_policy),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_answers_are_neither_stored_sniffed_nor_framed() {
        let headers = security_headers("default-src 'none'");
        for expected in [
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Frame-Options", "DENY"),
            ("Content-Security-Policy", "default-src 'none'"),
        ] {
            assert!(headers.contains(&expected), "{expected:?}");
        }
    }
}
