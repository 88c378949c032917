//! All accounts, and the one way to sign in with one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::accounts::account::Account;
use crate::accounts::password_hash::PasswordHash;
use crate::secret::Secret;

/// Longer names are nobody's; the longest e-mail address has 254 bytes.
pub const USERNAME_BYTES_MAX: usize = 256;
/// Whoever has more people has a directory for them, and that directory an identity provider.
pub const ACCOUNTS_MAX: usize = 10_000;
/// Names of claims that say what a token or a person is: an attribute of one of these names would
/// replace what was checked by what was written beside it.
const RESERVED: [&str; 29] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "email",
    "email_verified",
    "events",
    "exp",
    "groups",
    "iat",
    "identity_provider",
    "iss",
    "jti",
    "name",
    "nbf",
    "nonce",
    "preferred_username",
    "roles",
    "s_hash",
    "scope",
    "scopes",
    "sid",
    "sub",
    "user",
];

/// The accounts by name.
///
/// Names are the same if they differ in case or in white space around them only: telephones begin a
/// field with a capital letter, and a throttle that told `Alice` from `alice` would count each spelling
/// by itself.
pub struct Accounts {
    by_name: BTreeMap<String, Arc<Account>>,
    /// One for each account, with its parameters; at least one.
    decoys: Vec<PasswordHash>,
    seed: Secret<[u8; 32]>,
}

/// What is wrong with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountProblem {
    /// The name is empty, or longer than [`USERNAME_BYTES_MAX`].
    UsernameLength,
    /// The name has control characters, or white space around it.
    UsernameUnclear,
    /// Another account has this name already, perhaps in another case: the one at this index.
    UsernameTaken(usize),
    /// An attribute has the name of a claim that is not the operator's to set.
    AttributeReserved(String),
    /// There are more than [`ACCOUNTS_MAX`].
    TooMany,
}

/// What a sign-in comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verified {
    /// It is this person.
    Account(Arc<Account>),
    /// It is not. Who is told why is the operator, never the caller.
    Refused {
        /// The account whose name was given, if there is one.
        account: Option<Arc<Account>>,
    },
}

impl fmt::Display for AccountProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsernameLength => write!(
                f,
                "the name is empty or longer than {USERNAME_BYTES_MAX} bytes"
            ),
            Self::UsernameUnclear => {
                f.write_str("the name has control characters, or white space around it")
            }
            Self::UsernameTaken(index) => write!(
                f,
                "the account at index {index} has this name already (case does not count)"
            ),
            Self::AttributeReserved(name) => {
                write!(f, "the claim `{name}` has a meaning of its own")
            }
            Self::TooMany => write!(f, "there are more than {ACCOUNTS_MAX} accounts"),
        }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accounts({})", self.by_name.len())
    }
}

impl Accounts {
    /// Collects accounts. `seed` must be unpredictable, and the same as long as the process runs: by it
    /// each name that is nobody's gets its decoy.
    ///
    /// # Errors
    /// All problems, each with the index of its account.
    pub fn new(
        accounts: Vec<Account>,
        seed: Secret<[u8; 32]>,
    ) -> Result<Self, Vec<(usize, AccountProblem)>> {
        let mut problems = Vec::new();
        let mut indices: BTreeMap<String, usize> = BTreeMap::new();
        let mut by_name = BTreeMap::new();
        let mut decoys = Vec::new();
        for (index, account) in accounts.into_iter().enumerate() {
            problems.extend(check(&account).into_iter().map(|problem| (index, problem)));
            if index == ACCOUNTS_MAX {
                problems.push((index, AccountProblem::TooMany));
            }
            let name = canonical(&account.username);
            if let Some(first) = indices.get(&name) {
                problems.push((index, AccountProblem::UsernameTaken(*first)));
                continue;
            }
            indices.insert(name.clone(), index);
            let bytes = hash(&seed, b"decoy", name.as_bytes());
            decoys.push(account.password_hash.decoy(bytes));
            by_name.insert(name, Arc::new(account));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if decoys.is_empty() {
            decoys.push(PasswordHash::recommended_decoy(hash(&seed, b"decoy", b"")));
        }
        Ok(Self {
            by_name,
            decoys,
            seed,
        })
    }

    /// The account of this name, if it is active: for whoever has a session and comes back.
    pub fn find(&self, username: &str) -> Option<&Arc<Account>> {
        self.by_name
            .get(&canonical(username))
            .filter(|account| account.is_active)
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no account.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Checks a password. Blocks for as long as the hash costs.
    ///
    /// Whoever measures the answer learns nothing of the name: a name that is nobody's is checked
    /// against a decoy with the parameters of some account, always the same one for that name, and an
    /// account that is not active is checked like any other before it is refused.
    pub fn verify(&self, username: &str, password: &[u8]) -> Verified {
        let name = canonical(username);
        let account = self.by_name.get(&name);
        let hash = account.map_or_else(|| self.decoy(&name), |account| &account.password_hash);
        let is_right = hash.is_of(password);
        match account {
            Some(account) if is_right && account.is_active => {
                Verified::Account(Arc::clone(account))
            }
            account => Verified::Refused {
                account: account.map(Arc::clone),
            },
        }
    }

    fn decoy(&self, name: &str) -> &PasswordHash {
        let bytes = hash(&self.seed, b"choice", name.as_bytes());
        let number = bytes
            .iter()
            .take(8)
            .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        // Accounts with parameters that many have get many decoys: the shares are alike.
        let count = u64::try_from(self.decoys.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(number % count).unwrap_or(0);
        &self.decoys[index]
    }
}

/// The one spelling of a name that is looked up and counted.
pub(super) fn canonical(username: &str) -> String {
    // Letter by letter: `str::to_lowercase` writes a sigma by what stands around it.
    username
        .trim()
        .chars()
        .flat_map(char::to_lowercase)
        .collect()
}

fn check(account: &Account) -> Vec<AccountProblem> {
    let mut problems = Vec::new();
    let name = account.username.as_str();
    if name.trim().is_empty() || name.len() > USERNAME_BYTES_MAX {
        problems.push(AccountProblem::UsernameLength);
    } else if name.trim() != name || name.chars().any(char::is_control) {
        problems.push(AccountProblem::UsernameUnclear);
    }
    let reserved = account
        .attributes
        .keys()
        .filter(|name| RESERVED.contains(&name.as_str()));
    problems.extend(reserved.cloned().map(AccountProblem::AttributeReserved));
    problems
}

fn hash(seed: &Secret<[u8; 32]>, purpose: &[u8], name: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(seed.expose());
    context.update(purpose);
    context.update(name);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    /// Of `correct horse`: once `m=7168,t=5,p=1`, once `m=12288,t=3,p=1`.
    const CHEAP: &str = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM";
    const OTHER: &str = "$argon2id$v=19$m=12288,t=3,p=1$b3RoZXJzYWx0b3RoZXJzYQ$jqerypTbYe+hAVmUQhc0RIzMYPU3oliTnNcbe4d3S8c";

    fn account(username: &str, hash: &str) -> Account {
        Account {
            username: username.to_owned(),
            password_hash: PasswordHash::parse(hash).unwrap(),
            email: Some(format!("{}@example.com", username.to_lowercase())),
            email_verified: true,
            name: None,
            groups: vec!["staff".to_owned()],
            is_active: true,
            attributes: BTreeMap::new(),
        }
    }

    fn accounts(list: Vec<Account>) -> Accounts {
        Accounts::new(list, Secret::new([5; 32])).unwrap()
    }

    fn problems(list: Vec<Account>) -> Vec<(usize, AccountProblem)> {
        Accounts::new(list, Secret::new([5; 32])).unwrap_err()
    }

    fn signed_in(verified: &Verified) -> Option<&str> {
        match verified {
            Verified::Account(account) => Some(&account.username),
            Verified::Refused { .. } => None,
        }
    }

    #[test]
    fn the_right_password_signs_in_whatever_the_case_of_the_name() {
        let all = accounts(vec![account("Alice", CHEAP), account("bob", CHEAP)]);
        for name in ["Alice", "alice", " ALICE "] {
            let verified = all.verify(name, b"correct horse");
            assert_eq!(signed_in(&verified), Some("Alice"), "{name:?}");
        }
        for (name, password) in [
            ("alice", &b"correct horsf"[..]),
            ("alice", b"Correct horse"),
            ("alice", b""),
            ("al ice", b"correct horse"),
            ("alice\0", b"correct horse"),
            ("", b"correct horse"),
        ] {
            let verified = all.verify(name, password);
            assert_eq!(signed_in(&verified), None, "{name:?}");
        }
    }

    #[test]
    fn an_inactive_account_is_refused_and_found_by_nobody() {
        let mut inactive = account("alice", CHEAP);
        inactive.is_active = false;
        let all = accounts(vec![inactive]);
        assert_eq!(signed_in(&all.verify("alice", b"correct horse")), None);
        assert!(all.find("alice").is_none());
        let active = accounts(vec![account("alice", CHEAP)]);
        assert!(active.find("ALICE").is_some());
        assert!(active.find("bob").is_none());
    }

    #[test]
    fn a_refusal_names_the_account_to_the_operator() {
        let all = accounts(vec![account("alice", CHEAP)]);
        let of = |name: &str| match all.verify(name, b"wrong") {
            Verified::Refused { account } => account.map(|account| account.username.clone()),
            Verified::Account(_) => panic!("nobody has this password"),
        };
        assert_eq!(of("ALICE").as_deref(), Some("alice"));
        assert_eq!(of("mallory"), None);
    }

    /// Without decoys of every cost the time of the answer tells which names exist.
    #[test]
    fn names_that_are_nobodys_cost_what_some_account_costs() {
        let all = accounts(vec![account("alice", CHEAP), account("bob", OTHER)]);
        let costs = |hash: &PasswordHash| format!("{hash:?}");
        let known: Vec<String> = ["alice", "bob"]
            .iter()
            .map(|name| costs(&all.find(name).unwrap().password_hash))
            .collect();
        let mut seen = [0, 0];
        for number in 0..200 {
            let name = format!("nobody-{number}");
            let cost = costs(all.decoy(&name));
            assert_eq!(cost, costs(all.decoy(&name)), "the same each time");
            seen[known.iter().position(|known| *known == cost).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
        // Which of them, cannot be told from outside.
        let elsewhere = vec![account("alice", CHEAP), account("bob", OTHER)];
        let elsewhere = Accounts::new(elsewhere, Secret::new([6; 32])).unwrap();
        assert!((0..200).any(|number| {
            let name = format!("nobody-{number}");
            costs(all.decoy(&name)) != costs(elsewhere.decoy(&name))
        }));
    }

    #[test]
    fn without_accounts_nobody_signs_in() {
        let none = accounts(Vec::new());
        assert!(none.is_empty());
        assert_eq!(signed_in(&none.verify("alice", b"correct horse")), None);
    }

    #[test]
    fn names_that_differ_in_case_only_are_a_problem() {
        let list = vec![
            account("alice", CHEAP),
            account("bob", CHEAP),
            account("Alice", CHEAP),
        ];
        assert_eq!(problems(list), [(2, AccountProblem::UsernameTaken(0))]);
        let list = vec![account("ΣΑΣ", CHEAP), account("σασ", CHEAP)];
        assert_eq!(problems(list), [(1, AccountProblem::UsernameTaken(0))]);
        assert_eq!(
            accounts(vec![account("a", CHEAP), account("b", CHEAP)]).len(),
            2
        );
    }

    #[test]
    fn unclear_names_and_reserved_attributes_are_all_reported() {
        let mut reserved = account("carol", CHEAP);
        reserved.attributes = BTreeMap::from([
            ("department".to_owned(), json!("it")),
            ("sub".to_owned(), json!("alice")),
            ("groups".to_owned(), json!(["admin"])),
        ]);
        let long = "a".repeat(USERNAME_BYTES_MAX + 1);
        let list = vec![
            account("", CHEAP),
            account(" dave", CHEAP),
            account("e\nve", CHEAP),
            account(&long, CHEAP),
            account(&long[1..], CHEAP),
            reserved,
        ];
        let taken = |name: &str| AccountProblem::AttributeReserved(name.to_owned());
        assert_eq!(
            problems(list),
            [
                (0, AccountProblem::UsernameLength),
                (1, AccountProblem::UsernameUnclear),
                (2, AccountProblem::UsernameUnclear),
                (3, AccountProblem::UsernameLength),
                (5, taken("groups")),
                (5, taken("sub")),
            ]
        );
    }

    #[test]
    fn there_is_a_greatest_number_of_accounts() {
        let many = |count: usize| {
            (0..count)
                .map(|i| account(&format!("u{i}"), CHEAP))
                .collect()
        };
        assert_eq!(accounts(many(ACCOUNTS_MAX)).len(), ACCOUNTS_MAX);
        assert_eq!(
            problems(many(ACCOUNTS_MAX + 2)),
            [(ACCOUNTS_MAX, AccountProblem::TooMany)]
        );
    }

    #[test]
    fn the_identity_is_what_the_account_says() {
        let mut alice = account("alice", CHEAP);
        alice.name = Some("Alice Doe".to_owned());
        alice.attributes = BTreeMap::from([("department".to_owned(), json!("it"))]);
        let identity = alice.identity();
        assert_eq!(identity.identity_provider, "accounts");
        assert_eq!(
            (identity.subject.as_str(), identity.user.as_str()),
            ("alice", "alice")
        );
        assert_eq!(identity.verified_email(), Some("alice@example.com"));
        assert_eq!(identity.groups, ["staff"]);
        assert_eq!(identity.attributes["department"], "it");
        assert_eq!(
            serde_json::Value::from(identity.claims),
            json!({
                "sub": "alice", "preferred_username": "alice", "email": "alice@example.com",
                "email_verified": true, "name": "Alice Doe", "groups": ["staff"], "department": "it",
            })
        );
    }

    #[test]
    fn an_address_that_is_not_verified_or_none_at_all_is_not_relied_on() {
        let mut alice = account("alice", CHEAP);
        alice.email_verified = false;
        assert_eq!(alice.identity().verified_email(), None);
        alice.email_verified = true;
        alice.email = Some("no address".to_owned());
        assert_eq!(alice.identity().verified_email(), None);
        assert_eq!(alice.identity().claims["email_verified"], false);
    }
}
