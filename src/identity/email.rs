//! The domain of an e-mail address, for rules that decide by it.

/// RFC 5321 section 4.5.3.1: a path has at most 254 usable bytes.
const ADDRESS_BYTES_MAX: usize = 254;

/// Returns the domain of `address` in lower case, or nothing where an address is not plain.
///
/// Exactly one `@`, no quotes, no white space, no control or non-ASCII byte, no empty label and no
/// trailing dot: `a@evil.example@example.com` and `"a@b"@example.com` have passed such rules in
/// other gateways.
pub fn email_domain(address: &str) -> Option<String> {
    let (local, domain) = address.split_once('@')?;
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'@' | b'\\' | b',');
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_plain = address.len() <= ADDRESS_BYTES_MAX
        && !local.is_empty()
        && local.bytes().all(plain)
        && domain.contains('.')
        && domain.split('.').all(is_label);
    is_plain.then(|| domain.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_compared_in_lower_case() {
        assert_eq!(
            email_domain("a@CORP.example").as_deref(),
            Some("corp.example")
        );
    }

    #[test]
    fn an_unclear_address_has_no_domain() {
        for address in [
            "a@evil.example@corp.example",
            "a@corp.example.",
            "a@corp.example\n",
            " a@corp.example",
            "\"a@b\"@corp.example",
            "@corp.example",
            "a@",
            "a@corp..example",
            "a@corp.ex\u{430}mple",
            "corp.example",
            "a@corp",
            "",
        ] {
            assert_eq!(email_domain(address), None, "{address:?}");
        }
        assert_eq!(
            email_domain(&format!("{}@corp.example", "a".repeat(300))),
            None
        );
    }
}
