//! `vestibule hash-password`: the hash of a password, for `gateway.yaml`.

use std::fmt;
use std::io;
use std::io::BufRead;
use std::io::IsTerminal;
use std::io::Read;
use std::io::Write;
use std::process::ExitCode;

use zeroize::Zeroizing;

use crate::accounts::HashProblem;
use crate::accounts::PASSWORD_BYTES_MAX;
use crate::accounts::PasswordHash;
use crate::random;

/// A password and its line end; one byte more is read, to see that it is too long.
const LINE_BYTES_MAX: usize = PASSWORD_BYTES_MAX + 2;

/// Why there is no hash. No text of these holds the password.
#[derive(Debug)]
enum Problem {
    Input(io::Error),
    Empty,
    TooLong,
    SeveralLines,
    NotText,
    ControlCharacter,
    NotTheSame,
    Hash(HashProblem),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => write!(f, "the password cannot be read: {error}"),
            Self::Empty => f.write_str("the password is empty"),
            Self::TooLong => {
                write!(f, "the password is longer than {PASSWORD_BYTES_MAX} bytes")
            }
            Self::SeveralLines => {
                f.write_str("there is more than one line; the password is one line")
            }
            Self::NotText => f.write_str("the password is not text in UTF-8"),
            Self::ControlCharacter => {
                f.write_str("the password has a control character, which nobody can type")
            }
            Self::NotTheSame => f.write_str("the two passwords are not the same"),
            Self::Hash(problem) => problem.fmt(f),
        }
    }
}

/// Reads a password, from the terminal twice and unseen or else one line of standard input, and prints
/// its hash on standard output.
pub fn hash_password() -> ExitCode {
    let hashed = read().and_then(|password| {
        PasswordHash::of_password(password.as_bytes(), random::bytes()).map_err(Problem::Hash)
    });
    let printed = match hashed {
        Ok(hash) => writeln!(io::stdout(), "{hash}"),
        Err(problem) => {
            // Where standard error is closed the exit code remains.
            let _ = writeln!(io::stderr(), "vestibule: {problem}");
            return ExitCode::FAILURE;
        }
    };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn read() -> Result<Zeroizing<String>, Problem> {
    if !io::stdin().is_terminal() {
        return one_line(io::stdin().lock());
    }
    let ask = |prompt| {
        let typed = rpassword::prompt_password(prompt).map_err(Problem::Input)?;
        checked(Zeroizing::new(typed))
    };
    let password = ask("Password: ")?;
    // What cannot be seen is easily mistyped.
    match ask("Again: ")? == password {
        true => Ok(password),
        false => Err(Problem::NotTheSame),
    }
}

fn one_line(input: impl BufRead) -> Result<Zeroizing<String>, Problem> {
    // Room from the start: a growing vector would leave copies of the password behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX + 1));
    let limit = u64::try_from(LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    input
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(Problem::Input)?;
    let text = std::str::from_utf8(&bytes);
    let is_cut_off = bytes.len() > LINE_BYTES_MAX;
    let text = match text {
        Ok(text) => text,
        // A letter may be cut in two where reading has stopped.
        Err(_) if is_cut_off => return Err(Problem::TooLong),
        Err(_) => return Err(Problem::NotText),
    };
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        return Err(Problem::SeveralLines);
    }
    checked(Zeroizing::new(line.to_owned()))
}

fn checked(password: Zeroizing<String>) -> Result<Zeroizing<String>, Problem> {
    if password.is_empty() {
        return Err(Problem::Empty);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Problem::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(Problem::ControlCharacter);
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn line(bytes: &[u8]) -> Result<String, String> {
        one_line(bytes)
            .map(|password| (*password).clone())
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn one_line_end_is_taken_off_and_nothing_else() {
        for (input, expected) in [
            (&b"secret"[..], "secret"),
            (b"secret\n", "secret"),
            (b"secret\r\n", "secret"),
            (b" a b \n", " a b "),
            ("gr\u{fc}n\n".as_bytes(), "gr\u{fc}n"),
        ] {
            assert_eq!(line(input).as_deref(), Ok(expected));
        }
        let longest = "a".repeat(PASSWORD_BYTES_MAX);
        assert_eq!(line(format!("{longest}\r\n").as_bytes()), Ok(longest));
    }

    #[test]
    fn what_is_no_password_is_refused_without_being_repeated() {
        let long = "a".repeat(PASSWORD_BYTES_MAX + 1);
        let wide = "\u{20ac}".repeat(PASSWORD_BYTES_MAX);
        for (input, expected) in [
            (&b""[..], "empty"),
            (b"\n", "empty"),
            (b"\r\n", "empty"),
            (long.as_bytes(), "longer than 1024 bytes"),
            (wide.as_bytes(), "longer than 1024 bytes"),
            (b"marker\nmarker\n", "more than one line"),
            (b"marker\n\n", "more than one line"),
            (b"marker\xff", "UTF-8"),
            (b"marker\tx", "control character"),
            (b"marker\0", "control character"),
        ] {
            let problem = line(input).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("marker"), "{problem}");
        }
    }
}
