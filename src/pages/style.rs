//! The inline styles of a page and their hashes for the content security policy.
//!
//! Owns the search for `<style>` elements in rendered HTML. Does not parse HTML in full: values are
//! escaped before this looks, so every `<style` in the text is one that a template wrote.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Lists the texts of all `<style>` elements of `html`, exactly as a browser hashes them.
pub fn style_texts(html: &str) -> Vec<&str> {
    // ASCII lower case keeps every byte offset, so the offsets hold in `html` too.
    let lower = html.to_ascii_lowercase();
    let mut texts = Vec::new();
    let mut from = 0;
    while let Some(open) = find(&lower, "<style", from) {
        let Some(start) = find(&lower, ">", open).map(|end| end + 1) else {
            break;
        };
        let Some(end) = find(&lower, "</style", start) else {
            break;
        };
        texts.extend(html.get(start..end));
        from = end;
    }
    texts
}

fn find(text: &str, what: &str, from: usize) -> Option<usize> {
    text.get(from..)?.find(what).map(|at| at + from)
}

/// Writes the source expression for an inline style: `'sha256-…'` (CSP level 3 section 2.3.1).
pub fn source_expression(style: &str) -> String {
    let hash = digest::digest(&digest::SHA256, style.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_element_is_found_whatever_its_case() {
        let html = "<STYLE media=all>a{}</STYLE>x<style>\nb{}\n</style ><style>open";
        assert_eq!(style_texts(html), ["a{}", "\nb{}\n"]);
    }

    #[test]
    fn the_hash_is_the_one_of_sha_256() {
        // SHA-256 of the empty text (FIPS 180-4 test value) in base64.
        assert_eq!(
            source_expression(""),
            "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
        );
    }
}
