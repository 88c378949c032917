//! Our cookies: their names, their attributes, finding them and taking them out.
//!
//! Names are compared byte for byte and nothing is trimmed but the one space that browsers put behind
//! `;`: other white space and `$Version` have smuggled prefixed names past browsers. Two cookies of one
//! name are refused, since one of them may have been planted by a neighbouring host.

use cookie::Cookie;
use http::HeaderMap;
use http::header;

use crate::session::settings::CookieSettings;
use crate::session::settings::SameSite;

/// Names and attributes of our cookies on one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieNames {
    base: String,
    is_https: bool,
    same_site: SameSite,
    domain: Option<String>,
    session: String,
    flow_prefix: String,
    rounds: String,
    form: String,
}

/// What a look for one cookie finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// It is not there.
    None,
    /// Its value, as sent.
    One(&'a [u8]),
    /// There are several of this name.
    Several,
}

impl CookieNames {
    /// Names cookies for http or https.
    pub fn new(settings: &CookieSettings, is_https: bool) -> Self {
        // A cookie with `__Host-` cannot be set by a neighbouring host, nor over http.
        let host_prefix = if is_https { "__Host-" } else { "" };
        let session_prefix = match (is_https, &settings.domain) {
            (true, Some(_)) => "__Secure-",
            _ => host_prefix,
        };
        let base = &settings.name;
        Self {
            session: format!("{session_prefix}{base}"),
            flow_prefix: format!("{host_prefix}{base}-flow-"),
            rounds: format!("{host_prefix}{base}-rounds"),
            form: format!("{host_prefix}{base}-form"),
            base: base.clone(),
            is_https,
            same_site: settings.same_site,
            domain: settings.domain.clone(),
        }
    }

    /// The session's cookie.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The cookie of the login under way with this id.
    pub fn flow(&self, flow_id: &str) -> String {
        format!("{}{flow_id}", self.flow_prefix)
    }

    /// The cookie that counts logins which came to nothing.
    pub fn rounds(&self) -> &str {
        &self.rounds
    }

    /// The cookie that the sign-in form is bound to.
    pub fn form(&self) -> &str {
        &self.form
    }

    /// The id of a login under way, where `name` is the cookie of one.
    pub fn flow_id<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(self.flow_prefix.as_str())
    }

    /// Whether a cookie of this name is ours, with whatever prefix.
    pub fn is_ours(&self, name: &[u8]) -> bool {
        let bare = [&b"__Host-"[..], b"__Secure-"]
            .iter()
            .find_map(|prefix| name.strip_prefix(*prefix))
            .unwrap_or(name);
        match bare.strip_prefix(self.base.as_bytes()) {
            Some(rest) => {
                matches!(rest, b"" | b"-rounds" | b"-form") || rest.starts_with(b"-flow-")
            }
            None => false,
        }
    }

    /// `Set-Cookie` for the session: a session cookie of the browser, since its end is known here.
    pub fn set_session(&self, value: &str) -> String {
        self.build(
            &self.session,
            value,
            None,
            self.same_site,
            self.domain.as_deref(),
        )
    }

    /// `Set-Cookie` for a login under way, for `max_age` seconds.
    pub fn set_flow(&self, flow_id: &str, value: &str, max_age: i64) -> String {
        self.build(
            &self.flow(flow_id),
            value,
            Some(max_age),
            self.flow_same_site(),
            None,
        )
    }

    /// `Set-Cookie` for the count of rounds, for `max_age` seconds.
    pub fn set_rounds(&self, value: &str, max_age: i64) -> String {
        self.build(
            &self.rounds,
            value,
            Some(max_age),
            self.flow_same_site(),
            None,
        )
    }

    /// `Set-Cookie` for what the sign-in form is bound to, for `max_age` seconds. Never sent with the
    /// form of another site, whatever the session's cookie is: that form must not sign anybody in.
    pub fn set_form(&self, value: &str, max_age: i64) -> String {
        self.build(&self.form, value, Some(max_age), SameSite::Lax, None)
    }

    /// `Set-Cookie` that ends the session's cookie, with the attributes it was set with.
    pub fn end_session(&self) -> String {
        self.build(
            &self.session,
            "",
            Some(0),
            self.same_site,
            self.domain.as_deref(),
        )
    }

    /// `Set-Cookie` that ends the cookie of a login.
    pub fn end_flow(&self, flow_id: &str) -> String {
        self.build(
            &self.flow(flow_id),
            "",
            Some(0),
            self.flow_same_site(),
            None,
        )
    }

    /// `Set-Cookie` that ends the count of rounds.
    pub fn end_rounds(&self) -> String {
        self.build(&self.rounds, "", Some(0), self.flow_same_site(), None)
    }

    /// The way back from the identity provider is a navigation from another site: `Strict` would lose
    /// the login's cookie there.
    fn flow_same_site(&self) -> SameSite {
        match self.same_site {
            SameSite::None => SameSite::None,
            SameSite::Lax | SameSite::Strict => SameSite::Lax,
        }
    }

    fn build(
        &self,
        name: &str,
        value: &str,
        max_age: Option<i64>,
        same_site: SameSite,
        domain: Option<&str>,
    ) -> String {
        let mut cookie = Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .secure(self.is_https);
        cookie = cookie.same_site(match same_site {
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::Strict => cookie::SameSite::Strict,
            SameSite::None => cookie::SameSite::None,
        });
        if let Some(seconds) = max_age {
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        if let Some(domain) = domain {
            cookie = cookie.domain(domain);
        }
        cookie.build().to_string()
    }
}

/// Walks through all cookies of a request, in HTTP/1's one line or HTTP/2's several.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| crumbs(line.as_bytes()))
        .filter_map(|crumb| {
            let equals = crumb.iter().position(|byte| *byte == b'=')?;
            Some((&crumb[..equals], &crumb[equals + 1..]))
        })
}

/// Looks for one cookie.
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Found<'a> {
    let mut found = Found::None;
    for (known, value) in pairs(headers) {
        if known == name.as_bytes() {
            match found {
                Found::None => found = Found::One(value),
                Found::One(_) | Found::Several => return Found::Several,
            }
        }
    }
    found
}

/// The `Cookie` line for the app: all cookies but ours, byte for byte, crumbs joined into one line.
/// None: nothing is left.
pub fn without_ours(headers: &HeaderMap, names: &CookieNames) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    for line in headers.get_all(header::COOKIE) {
        for crumb in crumbs(line.as_bytes()) {
            let name = crumb.split(|byte| *byte == b'=').next().unwrap_or_default();
            // A cookie that reads as ours to any parser must not pass either.
            if names.is_ours(name) || names.is_ours(name.trim_ascii()) {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(crumb);
        }
    }
    (!kept.is_empty()).then_some(kept)
}

fn crumbs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';')
        .map(|crumb| crumb.strip_prefix(b" ").unwrap_or(crumb))
        .filter(|crumb| !crumb.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line).expect("the test's cookie is a header value");
            headers.append(header::COOKIE, value);
        }
        headers
    }

    fn names() -> CookieNames {
        CookieNames::new(&CookieSettings::default(), true)
    }

    #[test]
    fn https_cookies_carry_the_host_prefix_and_all_attributes() {
        let set = names().set_session("id");
        for part in [
            "__Host-vestibule=id",
            "HttpOnly",
            "SameSite=Lax",
            "Secure",
            "Path=/",
        ] {
            assert!(set.contains(part), "{set}");
        }
        assert!(!set.contains("Domain") && !set.contains("Max-Age"), "{set}");
        assert!(names().end_session().contains("Max-Age=0"));
        let settings = CookieSettings {
            domain: Some("example.com".to_owned()),
            ..CookieSettings::default()
        };
        let shared = CookieNames::new(&settings, true);
        assert!(
            shared
                .set_session("id")
                .starts_with("__Secure-vestibule=id")
        );
        assert!(shared.end_session().contains("Domain=example.com"));
        assert!(
            shared
                .set_flow("x", "v", 9)
                .starts_with("__Host-vestibule-flow-x=v")
        );
        assert!(!shared.set_flow("x", "v", 9).contains("Domain"));
        let http = CookieNames::new(&CookieSettings::default(), false);
        assert!(http.set_session("id").starts_with("vestibule=id"));
        assert!(!http.set_session("id").contains("Secure"));
    }

    #[test]
    fn a_login_cookie_survives_the_way_back_under_strict() {
        let settings = CookieSettings {
            same_site: SameSite::Strict,
            ..CookieSettings::default()
        };
        let strict = CookieNames::new(&settings, true);
        assert!(strict.set_session("id").contains("SameSite=Strict"));
        assert!(strict.set_flow("x", "v", 9).contains("SameSite=Lax"));
    }

    #[test]
    fn only_the_exact_name_is_found() {
        let find = |lines: &[&[u8]]| match super::find(&headers(lines), "__Host-vestibule") {
            Found::None => "none".to_owned(),
            Found::One(value) => String::from_utf8_lossy(value).into_owned(),
            Found::Several => "several".to_owned(),
        };
        assert_eq!(find(&[b"a=1; __Host-vestibule=x; b=2"]), "x");
        assert_eq!(find(&[b"a=1", b"__Host-vestibule=x"]), "x");
        assert_eq!(
            find(&[b"__Host-vestibule=x; __Host-vestibule=y"]),
            "several"
        );
        assert_eq!(
            find(&[b"__Host-vestibule=x", b"__Host-vestibule=x"]),
            "several"
        );
        for line in [
            &b";;;"[..],
            b"__Host-vestibule",
            b"\xe2\x80\x80__Host-vestibule=x",
            b"$Version=1; $__Host-vestibule=x",
            b"=__Host-vestibule=x",
            b"  __Host-vestibule=x",
            b"\t__Host-vestibule=x",
            b"__Host-vestibule =x",
            b"__host-vestibule=x",
            b"a=\"; __Host-vestibul",
        ] {
            assert_eq!(find(&[line]), "none", "{line:?}");
        }
    }

    #[test]
    fn ours_are_taken_out_and_others_stay_as_they_are() {
        let line =
            b"a=\"1\";  b=2;__Host-vestibule=s; vestibule=t; c; __Host-vestibule-flow-q=1; d==";
        let kept = without_ours(&headers(&[line, b"vestibule-rounds=1; e=5"]), &names());
        assert_eq!(kept.as_deref(), Some(&b"a=\"1\";  b=2; c; d==; e=5"[..]));
        assert_eq!(
            without_ours(&headers(&[b"__Host-vestibule=s"]), &names()),
            None
        );
        assert!(!names().is_ours(b"vestibule2") && !names().is_ours(b"xvestibule"));
    }

    proptest! {
        #[test]
        fn taking_ours_out_never_leaves_one(
            line in "([ab=; \"]|__Host-vestibule|__Secure-vestibule|vestibule-flow-|-rounds){0,20}"
        ) {
            let headers = headers(&[line.as_bytes()]);
            if let Some(kept) = without_ours(&headers, &names()) {
                let value = HeaderValue::from_bytes(&kept).expect("cookies stay header values");
                let mut left = HeaderMap::new();
                left.insert(header::COOKIE, value);
                prop_assert_eq!(find(&left, "__Host-vestibule"), Found::None);
                prop_assert!(pairs(&left).all(|(name, _)| !names().is_ours(name)));
            }
        }
    }
}
