//! Foreign text inside our own messages.
//!
//! Owns how a value that somebody else chose (an issuer, a key id, an error code) is printed: quoted
//! in backticks, control characters escaped, cut at [`LENGTH_MAX`]. It does not decide what may be
//! printed: tokens, codes and nonces never reach it.

use std::fmt;
use std::fmt::Write;

/// Longest part of a foreign value that a message repeats, in characters: a message stays one
/// readable line, whatever a peer sends.
pub const LENGTH_MAX: usize = 120;

/// Prints a foreign string in backticks, escaped and cut.
#[derive(Clone, Copy, Debug)]
pub struct Excerpt<'a>(pub &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('`')?;
        for character in self.0.chars().take(LENGTH_MAX) {
            // Without this a peer could forge log lines with line breaks or terminal sequences.
            if character.is_control() || character == '`' {
                write!(f, "{}", character.escape_unicode())?;
            } else {
                f.write_char(character)?;
            }
        }
        if self.0.chars().nth(LENGTH_MAX).is_some() {
            f.write_char('…')?;
        }
        f.write_char('`')
    }
}

/// Prints a list of foreign strings, or `none`; at most ten of them.
#[derive(Clone, Copy, Debug)]
pub struct ExcerptList<'a>(pub &'a [String]);

/// Entries of a foreign list that a message repeats.
const LIST_LENGTH_MAX: usize = 10;

impl fmt::Display for ExcerptList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, entry) in self.0.iter().take(LIST_LENGTH_MAX).enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            Excerpt(entry).fmt(f)?;
        }
        if self.0.len() > LIST_LENGTH_MAX {
            f.write_str(", …")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_cannot_forge_a_log_line() {
        let text = Excerpt("a\nWARN \u{1b}[31m`").to_string();
        assert_eq!(text, r"`a\u{a}WARN \u{1b}[31m\u{60}`");
    }

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(
            Excerpt(&"x".repeat(LENGTH_MAX)).to_string().chars().count(),
            LENGTH_MAX + 2
        );
        assert_eq!(
            Excerpt(&"x".repeat(9_000)).to_string().chars().count(),
            LENGTH_MAX + 3
        );
    }

    #[test]
    fn a_list_is_cut_and_an_empty_one_is_named() {
        let many: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        assert!(ExcerptList(&many).to_string().ends_with("`9`, …"));
        assert_eq!(ExcerptList(&many[..2]).to_string(), "`0`, `1`");
        assert_eq!(ExcerptList(&[]).to_string(), "none");
    }
}
