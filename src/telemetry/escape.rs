//! Log lines without raw control bytes.
//!
//! Owns the last step before a line is written, whatever format and whichever crate it came from.
//! Invariant: one event is one line, and nothing in it can steer a terminal or forge another event.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::io::Write;

use tracing_subscriber::fmt::MakeWriter;

/// How long a text in a field may be: long enough for any real path or name, short enough that a
/// visitor cannot fill the disk with single requests.
pub const FIELD_BYTES_MAX: usize = 1024;

/// Cuts `text` to [`FIELD_BYTES_MAX`], between characters.
pub fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(FIELD_BYTES_MAX))
        .unwrap_or(text)
}

/// Makes writers that escape what they write.
#[derive(Debug)]
pub struct EscapedLines<M>(pub M);

/// Escapes the one line it is given, then hands it on in one piece.
#[derive(Debug)]
pub struct EscapedLine<W>(W);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for EscapedLines<M> {
    type Writer = EscapedLine<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapedLine(self.0.make_writer())
    }
}

impl<W: Write> Write for EscapedLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(&escape(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Escapes every character of `line` that could end it early, steer a terminal or reorder its text;
/// the line feed at the end stays. The escapes are the ones of JSON, so a JSON line stays valid.
fn escape(line: &[u8]) -> Cow<'_, [u8]> {
    let (body, end) = match line {
        [body @ .., b'\n'] => (body, "\n"),
        body => (body, ""),
    };
    if body.is_ascii() && !body.iter().any(u8::is_ascii_control) {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for character in String::from_utf8_lossy(body).chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            // Writing to a String cannot fail.
            c if is_hazard(c) => drop(write!(escaped, "\\u{:04x}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped.push_str(end);
    Cow::Owned(escaped.into_bytes())
}

fn is_hazard(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn escaped(line: &str) -> String {
        String::from_utf8(escape(line.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn plain_lines_pass_unchanged() {
        for line in ["", "\n", "a b=\"c\"\n", "no end", "grün 日本 – €\n"] {
            assert_eq!(escaped(line), line);
        }
    }

    #[test]
    fn controls_and_marks_of_direction_are_escaped() {
        assert_eq!(escaped("a\nb\r\tc\n"), "a\\nb\\r\\tc\n");
        assert_eq!(
            escaped("\u{1b}[31m\u{7f}\0\n"),
            "\\u001b[31m\\u007f\\u0000\n"
        );
        assert_eq!(
            escaped("\u{9b}2J\u{202e}\u{2028}\u{2066}\n"),
            "\\u009b2J\\u202e\\u2028\\u2066\n"
        );
    }

    #[test]
    fn broken_text_does_not_pass_raw() {
        let line = escape(b"a\xff\x9b\n").into_owned();
        assert!(String::from_utf8(line).unwrap().starts_with("a\u{fffd}"));
    }

    #[test]
    fn a_json_string_keeps_its_meaning() {
        let value = "a\u{7f}\u{9b}\u{202e}\"\\";
        let line = serde_json::to_string(value).unwrap();
        let read: String = serde_json::from_str(&escaped(&line)).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(clip("short"), "short");
        let long = "€".repeat(1000);
        assert_eq!(clip(&long).len(), FIELD_BYTES_MAX / 3 * 3);
    }
}
