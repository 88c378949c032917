//! Password hashes: Argon2id, as PHC strings.
//!
//! A hash comes from `vestibule hash-password` or from another program, so its parameters are looked at:
//! one that is cheap to guess is refused, and so is one whose check would cost a sign-in too much.

use std::fmt;

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::PasswordHasher;
use argon2::PasswordVerifier;
use argon2::Version;
use argon2::password_hash::phc;

/// Longer passwords are refused unread: nobody types them, and each byte of them is hashed.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// The random bytes of a new hash (RFC 9106 section 3.1 recommends 16).
pub const SALT_LEN: usize = 16;
/// A longer text is no PHC string of Argon2id: salt and hash have 64 bytes each at most.
const TEXT_BYTES_MAX: usize = 256;
/// The least memory, in KiB, for each number of passes, as OWASP's password storage cheat sheet gives
/// them: all five cost a guesser about the same.
const COST_MIN: [(u32, u32); 5] = [
    (1, 46 * 1024),
    (2, 19 * 1024),
    (3, 12 * 1024),
    (4, 9 * 1024),
    (5, 7 * 1024),
];
/// A few sign-ins at once must fit into the memory of a small machine.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// With the most memory this is seconds of work already.
const PASSES_MAX: u32 = 10;
/// Lanes are worked on one after the other here, so more of them gain nothing.
const LANES_MAX: u32 = 16;
/// A shorter hash could be met by chance, or by trying.
const HASH_LEN_MIN: usize = 16;
/// What new hashes cost: twice OWASP's least, below a tenth of a second.
const RECOMMENDED: Cost = Cost {
    memory_kib: 46 * 1024,
    passes: 2,
    lanes: 1,
};

/// What a hash costs to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// An Argon2id hash whose parameters are within bounds.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    hash: phc::PasswordHash,
    cost: Cost,
}

/// Why a text is no usable password hash. No text of these holds the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashProblem {
    /// It is not a PHC string with salt and hash.
    NotPhc,
    /// The algorithm is another one.
    NotArgon2id,
    /// The version is not 19, or not stated.
    OldVersion,
    /// A parameter is there that is none of `m`, `t` and `p`, or one of the three is missing.
    Parameters,
    /// Memory and passes together are less than OWASP's least.
    TooWeak {
        /// `m`, in KiB.
        memory_kib: u32,
        /// `t`.
        passes: u32,
    },
    /// Memory, passes or lanes are more than a sign-in may cost.
    TooCostly {
        /// `m`, in KiB.
        memory_kib: u32,
        /// `t`.
        passes: u32,
        /// `p`.
        lanes: u32,
    },
    /// The hash itself is short.
    TooShort,
    /// The password is empty or too long.
    PasswordLength,
}

impl fmt::Display for HashProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPhc => {
                f.write_str("this is not a password hash that begins with `$argon2id$`")
            }
            Self::NotArgon2id => f.write_str("the password hash is not one of Argon2id"),
            Self::OldVersion => {
                f.write_str("the password hash is not one of Argon2 version 19 (`v=19`)")
            }
            Self::Parameters => {
                f.write_str("the parameters of the password hash are not exactly `m`, `t` and `p`")
            }
            Self::TooWeak { memory_kib, passes } => write!(
                f,
                "the password hash is too cheap to guess: `m={memory_kib},t={passes}`, expected at \
                 least `m=47104,t=1`, `m=19456,t=2`, `m=12288,t=3`, `m=9216,t=4` or `m=7168,t=5`"
            ),
            Self::TooCostly {
                memory_kib,
                passes,
                lanes,
            } => write!(
                f,
                "the password hash costs too much: `m={memory_kib},t={passes},p={lanes}`, expected \
                 at most `m={MEMORY_KIB_MAX},t={PASSES_MAX},p={LANES_MAX}`"
            ),
            Self::TooShort => {
                write!(
                    f,
                    "the hash is short, expected at least {HASH_LEN_MIN} bytes"
                )
            }
            Self::PasswordLength => {
                write!(
                    f,
                    "the password has no byte, or more than {PASSWORD_BYTES_MAX}"
                )
            }
        }
    }
}

impl std::error::Error for HashProblem {}

impl fmt::Debug for PasswordHash {
    /// Without the hash: who has it can try passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?})", self.cost)
    }
}

impl PasswordHash {
    /// Reads a PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    ///
    /// Checks, in order: the form, the algorithm, the version, the names of the parameters, that they
    /// are strong enough, that they are not too strong, the length of the hash.
    ///
    /// # Errors
    /// One [`HashProblem`] per check.
    pub fn parse(text: &str) -> Result<Self, HashProblem> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(HashProblem::NotPhc);
        }
        let hash = phc::PasswordHash::new(text).map_err(|_| HashProblem::NotPhc)?;
        let (Some(_), Some(output)) = (&hash.salt, &hash.hash) else {
            return Err(HashProblem::NotPhc);
        };
        if hash.algorithm != Algorithm::Argon2id.ident() {
            return Err(HashProblem::NotArgon2id);
        }
        // Without `v` it is version 16, whose memory can be traded for time.
        if hash.version != Some(Version::V0x13.into()) {
            return Err(HashProblem::OldVersion);
        }
        let parameter = |name| hash.params.get_decimal(name).ok_or(HashProblem::Parameters);
        let cost = Cost {
            memory_kib: parameter("m")?,
            passes: parameter("t")?,
            lanes: parameter("p")?,
        };
        if hash.params.iter().count() != 3 {
            return Err(HashProblem::Parameters);
        }
        cost.check()?;
        if output.len() < HASH_LEN_MIN {
            return Err(HashProblem::TooShort);
        }
        Ok(Self { hash, cost })
    }

    /// Hashes `password` with the recommended parameters. `salt` must be drawn anew for each call.
    ///
    /// # Errors
    /// [`HashProblem::PasswordLength`] for a password that no sign-in would take.
    pub fn of_password(password: &[u8], salt: [u8; SALT_LEN]) -> Result<Self, HashProblem> {
        if !is_password(password) {
            return Err(HashProblem::PasswordLength);
        }
        let hash = RECOMMENDED
            .argon2()?
            .hash_password_with_salt(password, &salt)
            .map_err(|_| HashProblem::Parameters)?;
        Ok(Self {
            hash,
            cost: RECOMMENDED,
        })
    }

    /// A hash that costs what `self` costs and that no password is known for.
    pub fn decoy(&self, bytes: [u8; 32]) -> Self {
        let mut decoy = self.clone();
        if let (Some(output), Ok(other)) = (&self.hash.hash, phc::Output::new(&bytes)) {
            // As long as the original, so that the same number of bytes is made and compared.
            let same_length = bytes.get(..output.len());
            let shorter = same_length.and_then(|bytes| phc::Output::new(bytes).ok());
            decoy.hash.hash = Some(shorter.unwrap_or(other));
        }
        decoy
    }

    /// The decoy of a registry without accounts: it costs what a new hash costs.
    pub fn recommended_decoy(bytes: [u8; 32]) -> Self {
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: RECOMMENDED
                .params()
                .ok()
                .and_then(|params| phc::ParamsString::try_from(&params).ok())
                .unwrap_or_default(),
            salt: phc::Salt::new(&bytes).ok(),
            hash: phc::Output::new(&bytes).ok(),
        };
        Self {
            hash,
            cost: RECOMMENDED,
        }
    }

    /// Tells whether `password` is the one. Takes as long as the parameters say and compares in
    /// constant time; a password outside the limits is not looked at.
    pub fn is_of(&self, password: &[u8]) -> bool {
        is_password(password)
            && self
                .cost
                .argon2()
                .is_ok_and(|argon2| argon2.verify_password(password, &self.hash).is_ok())
    }
}

impl fmt::Display for PasswordHash {
    /// The PHC string, for `vestibule hash-password`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hash.fmt(f)
    }
}

impl Cost {
    fn check(self) -> Result<(), HashProblem> {
        let Self {
            memory_kib,
            passes,
            lanes,
        } = self;
        let is_strong = COST_MIN
            .iter()
            .any(|(passes_min, memory_min)| passes >= *passes_min && memory_kib >= *memory_min);
        if !is_strong {
            return Err(HashProblem::TooWeak { memory_kib, passes });
        }
        if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
            return Err(HashProblem::TooCostly {
                memory_kib,
                passes,
                lanes,
            });
        }
        self.params().map(drop)
    }

    fn params(self) -> Result<Params, HashProblem> {
        Params::new(self.memory_kib, self.passes, self.lanes, None)
            .map_err(|_| HashProblem::Parameters)
    }

    fn argon2(self) -> Result<Argon2<'static>, HashProblem> {
        let params = self.params()?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

fn is_password(password: &[u8]) -> bool {
    (1..=PASSWORD_BYTES_MAX).contains(&password.len())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// `correct horse`, hashed by the reference implementation in C.
    const FOREIGN: &str = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM";

    fn with(from: &str, to: &str) -> Result<PasswordHash, HashProblem> {
        assert!(FOREIGN.contains(from), "{from}");
        PasswordHash::parse(&FOREIGN.replacen(from, to, 1))
    }

    #[test]
    fn a_hash_of_the_reference_program_is_read_and_checked() {
        let hash = PasswordHash::parse(FOREIGN).unwrap();
        assert!(hash.is_of(b"correct horse"));
        assert!(!hash.is_of(b"correct horsf"));
        assert!(!hash.is_of(b"correct horse "));
        assert!(!hash.is_of(b""));
        assert_eq!(hash.to_string(), FOREIGN);
    }

    #[test]
    fn a_new_hash_reads_back_and_holds_for_its_password_alone() {
        let hash = PasswordHash::of_password(b"secret \xc3\xa9", [7; SALT_LEN]).unwrap();
        let text = hash.to_string();
        assert!(
            text.starts_with("$argon2id$v=19$m=47104,t=2,p=1$"),
            "{text}"
        );
        let back = PasswordHash::parse(&text).unwrap();
        assert_eq!(back, hash);
        assert!(back.is_of(b"secret \xc3\xa9"));
        assert!(!back.is_of(b"secret e"));
        let other = PasswordHash::of_password(b"secret \xc3\xa9", [8; SALT_LEN]).unwrap();
        assert_ne!(other.to_string(), text);
    }

    #[test]
    fn passwords_have_a_least_and_a_greatest_length() {
        let refused = Err(HashProblem::PasswordLength);
        assert_eq!(PasswordHash::of_password(b"", [0; 16]), refused);
        let long = vec![b'a'; PASSWORD_BYTES_MAX + 1];
        assert_eq!(PasswordHash::of_password(&long, [0; 16]), refused);
        let longest = &long[1..];
        let hash = PasswordHash::of_password(longest, [0; 16]).unwrap();
        assert!(hash.is_of(longest));
        assert!(!hash.is_of(&long));
    }

    #[test]
    fn other_forms_and_algorithms_are_refused() {
        for text in [
            "",
            "secret",
            "$2b$12$abcdefghijklmnopqrstuuN0",
            "$argon2id$",
            "$argon2id$v=19$m=7168,t=5,p=1",
            "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA",
            "$argon2id$v=19$m=7168,t=5,p=1$c2hvcnQ$aGFzaGhhc2hoYXNoaGFzaA",
        ] {
            assert_eq!(
                PasswordHash::parse(text),
                Err(HashProblem::NotPhc),
                "{text}"
            );
        }
        let long = format!("{FOREIGN}{}", "a".repeat(TEXT_BYTES_MAX));
        assert_eq!(PasswordHash::parse(&long), Err(HashProblem::NotPhc));
        assert_eq!(with("argon2id", "argon2i"), Err(HashProblem::NotArgon2id));
        assert_eq!(with("argon2id", "argon2d"), Err(HashProblem::NotArgon2id));
        assert_eq!(with("argon2id", "scrypt"), Err(HashProblem::NotArgon2id));
        assert_eq!(with("$v=19", "$v=16"), Err(HashProblem::OldVersion));
        assert_eq!(with("$v=19", ""), Err(HashProblem::OldVersion));
    }

    #[test]
    fn parameters_are_exactly_the_three() {
        assert_eq!(with("m=7168,", ""), Err(HashProblem::Parameters));
        assert_eq!(with(",p=1", ""), Err(HashProblem::Parameters));
        let with_key = with("p=1", "p=1,keyid=AAAA");
        assert_eq!(with_key, Err(HashProblem::Parameters));
    }

    #[test]
    fn weak_and_costly_parameters_are_refused_at_their_bounds() {
        let of = |cost: &str| with("m=7168,t=5,p=1", cost).map(drop);
        for sound in [
            "m=47104,t=1,p=1",
            "m=19456,t=2,p=1",
            "m=12288,t=3,p=1",
            "m=9216,t=4,p=1",
            "m=7168,t=10,p=1",
            "m=262144,t=10,p=16",
        ] {
            assert_eq!(of(sound), Ok(()), "{sound}");
        }
        for weak in [
            "m=47103,t=1,p=1",
            "m=19455,t=2,p=1",
            "m=12287,t=3,p=4",
            "m=9215,t=4,p=1",
            "m=7167,t=10,p=1",
            "m=8,t=1,p=1",
        ] {
            let found = of(weak);
            assert!(matches!(found, Err(HashProblem::TooWeak { .. })), "{weak}");
        }
        for costly in [
            "m=262145,t=1,p=1",
            "m=4294967295,t=1,p=1",
            "m=47104,t=11,p=1",
            "m=47104,t=4294967295,p=1",
            "m=47104,t=1,p=17",
        ] {
            let found = of(costly);
            assert!(
                matches!(found, Err(HashProblem::TooCostly { .. })),
                "{costly}"
            );
        }
        // No lane at all is none of both, and still refused.
        assert_eq!(of("m=47104,t=1,p=0"), Err(HashProblem::Parameters));
    }

    #[test]
    fn a_short_hash_is_refused() {
        let (head, _) = FOREIGN.rsplit_once('$').unwrap();
        let of = |hash: &str| PasswordHash::parse(&format!("{head}${hash}")).map(drop);
        assert_eq!(of("AAAAAAAAAAAAAAAAAAAA"), Err(HashProblem::TooShort));
        assert_eq!(of("AAAAAAAAAAAAAAAAAAAAAA"), Ok(()));
    }

    #[test]
    fn a_decoy_costs_the_same_and_takes_no_password() {
        let hash = PasswordHash::parse(FOREIGN).unwrap();
        let decoy = hash.decoy([3; 32]);
        assert_eq!(decoy.cost, hash.cost);
        assert_eq!(decoy.to_string().len(), hash.to_string().len());
        assert!(!decoy.is_of(b"correct horse"));
        let bare = PasswordHash::recommended_decoy([3; 32]);
        assert_eq!(bare.cost, RECOMMENDED);
        // It would be read like any other: its check really computes.
        assert_eq!(PasswordHash::parse(&bare.to_string()), Ok(bare.clone()));
        assert!(!bare.is_of(b"correct horse"));
    }

    #[test]
    fn no_hash_is_printed_for_debugging() {
        let hash = PasswordHash::parse(FOREIGN).unwrap();
        let (_, secret) = FOREIGN.rsplit_once('$').unwrap();
        assert!(!format!("{hash:?}").contains(secret));
        for problem in [with("v=19", "v=16"), with("m=7168", "m=1")] {
            assert!(!problem.unwrap_err().to_string().contains(secret));
        }
    }
}
