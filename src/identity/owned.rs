//! Header names that only we may write.
//!
//! They are removed from every incoming request, on every route, before ours are set. Names are
//! compared with `_` and `.` read as `-`: CGI and WSGI servers read `X_Forwarded_User` as
//! `X-Forwarded-User`, and that spelling has logged people in at other gateways.

use std::collections::HashSet;

/// Owned whatever `gateway.yaml` says: all that a preset can write, and all that claims to know what
/// the client's request looked like before us.
const ALWAYS: &[&str] = &[
    "forwarded",
    // CGI programs would see it as `HTTP_PROXY` and send their own requests there.
    "proxy",
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-real-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-original-host",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-pomerium-jwt-assertion",
    "x-vestibule-assertion",
];
/// Prefixes that are owned likewise.
const ALWAYS_PREFIXES: &[&str] = &[
    "x-forwarded-",
    "x-auth-request-",
    "x-pomerium-claim-",
    "oidc-claim-",
];
/// Longer names cannot be owned: ours are checked against it when `gateway.yaml` is read.
const NAME_BYTES_MAX: usize = 128;

/// The set of owned names.
#[derive(Clone, Debug, Default)]
pub struct OwnedHeaders {
    names: HashSet<Vec<u8>>,
    /// For each first byte whether any owned name begins with it: most headers are passed by this.
    first: [bool; 32],
}

impl OwnedHeaders {
    /// Collects the fixed names and `own`, those that settings add.
    pub fn new<'a>(own: impl Iterator<Item = &'a str>) -> Self {
        let names: HashSet<Vec<u8>> = ALWAYS
            .iter()
            .copied()
            .chain(own)
            .map(|name| name.bytes().map(fold).collect())
            .collect();
        let mut first = [false; 32];
        let prefixes = ALWAYS_PREFIXES.iter().map(|prefix| prefix.as_bytes());
        for name in names.iter().map(Vec::as_slice).chain(prefixes) {
            if let Some(byte) = name.first() {
                first[usize::from(byte & 31)] = true;
            }
        }
        Self { names, first }
    }

    /// Tells whether a header of this name is ours to write.
    pub fn owns(&self, name: &str) -> bool {
        let bytes = name.as_bytes();
        let Some(first) = bytes.first() else {
            return true;
        };
        if !self.first[usize::from(fold(*first) & 31)] {
            return false;
        }
        if bytes.len() > NAME_BYTES_MAX {
            // Too long to be one of the names, but it can still begin as a prefix does.
            return self.owns_folded(&bytes.iter().copied().map(fold).collect::<Vec<_>>());
        }
        let mut folded = [0; NAME_BYTES_MAX];
        for (to, from) in folded.iter_mut().zip(bytes) {
            *to = fold(*from);
        }
        self.owns_folded(&folded[..bytes.len()])
    }

    fn owns_folded(&self, name: &[u8]) -> bool {
        ALWAYS_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()))
            || self.names.contains(name)
    }
}

fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_owned_name_is_owned() {
        let owned = OwnedHeaders::new(["X-Department"].into_iter());
        for name in [
            "x-forwarded-user",
            "X_Forwarded_User",
            "x-FORWARDED_user",
            "X.Forwarded.User",
            "X_Department",
            "x.department",
            "REMOTE_USER",
            "remote.user",
            "OIDC_CLAIM_sub",
            "oidc-claim-sub",
            "X-Pomerium-Claim-Email",
            "x-original-url",
            "Forwarded",
        ] {
            assert!(owned.owns(name), "{name}");
        }
        assert!(owned.owns(&format!("x_forwarded_{}", "a".repeat(300))));
    }

    #[test]
    fn other_names_pass() {
        let owned = OwnedHeaders::new(std::iter::empty());
        for name in [
            "accept",
            "x-department",
            "x-requested-with",
            "cookie",
            "remote",
            "origin",
        ] {
            assert!(!owned.owns(name), "{name}");
        }
    }
}
