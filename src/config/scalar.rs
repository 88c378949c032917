//! What a word without structure means in YAML.
//!
//! Owns the difference between text, number, boolean and what depends on the version of YAML. Knows no
//! place and no key.

use saphyr_parser::ScalarStyle;
use serde_json::Number;

use crate::config::tree::Content;

/// What a scalar means: the core schema of YAML 1.2, and apart from it what 1.1 reads differently.
pub fn scalar(text: String, style: ScalarStyle) -> Content {
    if style != ScalarStyle::Plain {
        return Content::Text(text);
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" => return Content::Bool(true),
        "false" => return Content::Bool(false),
        _ => (),
    }
    if is_unclear(&text) {
        return Content::Unclear(text);
    }
    let number = (text.parse::<i64>().ok().map(Number::from))
        .or_else(|| text.parse::<u64>().ok().map(Number::from))
        .or_else(|| {
            // Rust's numbers have words such as `inf`; a number here begins with a digit.
            let first = text.trim_start_matches(['-', '+']).bytes().next()?;
            let number = (first.is_ascii_digit() || first == b'.').then(|| text.parse().ok())??;
            Number::from_f64(number)
        });
    match number {
        Some(number) => Content::Number(number, text),
        None => Content::Text(text),
    }
}

/// Whether versions of YAML, or programs that read it, would not agree.
fn is_unclear(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    if matches!(
        lower.as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false"
    ) {
        return true;
    }
    if matches!(lower.as_str(), ".inf" | "-.inf" | "+.inf" | ".nan") {
        return true;
    }
    let digits = lower.trim_start_matches(['-', '+']);
    let Some(after_zero) = digits.strip_prefix('0') else {
        return false;
    };
    // `010` is eight or ten, `0o10` eight or a text, `0x10` sixteen or, to Rust, no number.
    let is_number =
        |rest: &str, radix| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix) || c == '_');
    is_number(after_zero, 10)
        || after_zero
            .strip_prefix('o')
            .is_some_and(|rest| is_number(rest, 8))
        || after_zero
            .strip_prefix('x')
            .is_some_and(|rest| is_number(rest, 16))
        || after_zero
            .strip_prefix('b')
            .is_some_and(|rest| is_number(rest, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Content {
        scalar(text.to_owned(), ScalarStyle::Plain)
    }

    #[test]
    fn quotes_make_a_text() {
        for text in ["no", "010", "7", "null", ""] {
            let quoted = scalar(text.to_owned(), ScalarStyle::DoubleQuoted);
            assert_eq!(quoted, Content::Text(text.to_owned()));
        }
    }

    #[test]
    fn words_of_the_core_schema_have_its_meaning() {
        assert_eq!(plain("~"), Content::Null);
        assert_eq!(plain("true"), Content::Bool(true));
        assert_eq!(
            plain("-7"),
            Content::Number(Number::from(-7), "-7".to_owned())
        );
        assert_eq!(plain("0"), Content::Number(Number::from(0), "0".to_owned()));
        for text in [
            "inf",
            "nan",
            "30s",
            "1.2.3.4",
            "2026-11-21",
            "0123abc",
            "-",
            "https://a",
        ] {
            assert_eq!(plain(text), Content::Text(text.to_owned()));
        }
    }

    #[test]
    fn what_versions_read_differently_is_unclear() {
        for text in [
            "no", "NO", "On", "off", "y", "True", "010", "-010", "0x1F", "0o17", "0b1", ".inf",
        ] {
            assert_eq!(plain(text), Content::Unclear(text.to_owned()));
        }
    }
}
