//! Why a store could not do what it was asked.
//!
//! Owns one variant per cause. Does not carry keys or values: the texts go into the log.

use std::fmt;

/// A store that failed; the answer to the user is 503.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The store cannot be reached, is too slow, or refuses to write (disk full, read-only).
    Unavailable {
        /// What the store said.
        reason: String,
    },
    /// The contents cannot be trusted.
    Corrupt {
        /// What was found.
        reason: String,
    },
    /// What is stored was sealed by a key that is none of `session_keys`, and cannot be made anew without
    /// losing it.
    Sealed {
        /// What it is, and what helps.
        what: &'static str,
    },
    /// The contents were written by a newer version of this program.
    NewerFormat {
        /// The format version found.
        found: i64,
        /// The newest format version this program reads.
        supported: i64,
    },
    /// The place is taken by something else.
    NotOurs {
        /// What was found.
        reason: String,
    },
    /// A record with this key is stored already.
    AlreadyExists,
    /// A limit of [`crate::store`] is exceeded.
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// The store holds as many entries as it may.
    Full {
        /// How many entries it may hold.
        max: usize,
    },
}

impl StoreError {
    pub(crate) fn unavailable(reason: impl fmt::Display) -> Self {
        Self::Unavailable {
            reason: reason.to_string(),
        }
    }

    pub(crate) fn corrupt(reason: impl fmt::Display) -> Self {
        Self::Corrupt {
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { reason } => write!(f, "the store is not available: {reason}"),
            Self::Corrupt { reason } => write!(f, "the store is damaged: {reason}"),
            Self::Sealed { what } => write!(f, "no session key opens {what}"),
            Self::NewerFormat { found, supported } => write!(
                f,
                "the store has format {found}, written by a newer version; expected at most {supported}"
            ),
            Self::NotOurs { reason } => {
                write!(f, "what is there is not a store of this program: {reason}")
            }
            Self::AlreadyExists => f.write_str("a record with this key is stored already"),
            Self::TooLarge { what, found, max } => {
                write!(f, "{found} {what}; expected at most {max}")
            }
            Self::Full { max } => write!(f, "the store holds its maximum of {max} entries"),
        }
    }
}

impl std::error::Error for StoreError {}
