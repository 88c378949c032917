//! Vestibule: a reverse-proxy authentication gateway.
//!
//! This page is the architecture in words. What each module owns, leaves to others and keeps true
//! stands at its own top; what the program does for its users stands in `README.md` and
//! `gateway.yaml`.
//!
//! # Bird's eye
//!
//! A request comes in, is turned into a value that can be read in one way only, and meets a pure
//! function, [`decision::decide`]: request, facts, rules and time make a decision. Where a fact is
//! missing, such as the session behind a cookie, the function asks for it; the shell fetches it and
//! asks again. What is decided is then done: an endpoint of ours answers, the browser is sent to
//! log in, a refusal is told, or the request goes on to the app, with headers that say who is
//! asking.
//!
//! So the program has three rings. **Pure** modules hold everything that decides: they have no
//! async, no sockets, no files, read no clock and draw no random numbers; time and random bytes
//! come in as arguments. The **edges** each touch one thing outside: [`store`] remembers,
//! [`outbound`] dials identity providers, [`telemetry`] writes logs and counts, [`config`] reads
//! `gateway.yaml`. The **shell** puts both together: it gathers, asks the core, and acts.
//!
//! # The folders, in reading order
//!
//! | ring | modules |
//! |---|---|
//! | foundation | [`secret`], [`clock`], [`random`] |
//! | pure | [`oidc`], [`jose`], [`identity`], [`routes`], [`session`], [`relying_party`], [`resource_server`], [`accounts`], [`openid_provider`], [`decision`], [`pages`] |
//! | edges | [`store`], [`outbound`], [`telemetry`], [`config`] |
//! | shell | [`gateway`], [`endpoints`], [`admin`], [`proxy`], [`server`], [`cli`] |
//!
//! [`oidc`] knows the words of the protocol and [`jose`] its signed tokens; [`identity`] says who a
//! person is to an app; [`routes`] which rule governs a request; [`session`] what a browser's
//! session is; [`relying_party`] what is said to an identity provider and what is believed of its
//! answers; [`resource_server`] what an access token that a caller brings is worth; [`accounts`] who
//! signs in with a password of ours; [`openid_provider`] what our own clients may ask for and are given.
//! On these [`decision`] decides, and [`pages`] writes what people see.
//!
//! # Who may import whom
//!
//! A module imports only modules before it in this list, so there are no cycles, and a reader who
//! goes from top to bottom never meets a name from below. [`routes`] precedes [`session`], since a
//! place to return to after a login is checked by the origins and paths that routes define.
//!
//! - Only [`config`] knows YAML. Each module owns the type of its settings, and [`config`] builds
//!   them.
//! - Only [`outbound`] makes calls, only [`store`] holds the database, and only [`proxy`],
//!   [`server`], [`admin`] and [`cli`] name pingora.
//! - [`endpoints`] return values; [`proxy`] sends them. Failures become answers in two files:
//!   `endpoints/failure.rs` words them, `proxy/respond.rs` chooses among them for refusals and for
//!   errors of upstreams.
//!
//! `tests/it/layers.rs` reads the sources and refuses the rest.
//!
//! # The way of a request
//!
//! | step | where | what |
//! |---|---|---|
//! | 1 | [`server`] | a socket, TLS; pingora parses the head, within one deadline for all of it |
//! | 2 | `proxy/convert.rs` | the raw head is looked at for what pingora repairs; then [`routes::RequestView`]: one host, one path, or 400 |
//! | 3 | [`routes::RouteTable`] | the most specific route, or a path of ours; where two readings of the path have different rules: 400 |
//! | 4 | `proxy/gate.rs`, [`decision`] | decides; asks for the session, which comes from the cache or the store |
//! | 5 | [`endpoints`] | answers our own paths and begins logins |
//! | 6 | `proxy/forward.rs` | no [`decision::Permit`], no upstream: forgetting the gate ends in 500 |
//! | 7 | `proxy/forward.rs` | takes our headers and cookies out of the request, then sets ours; it sets and never adds, since a retry runs it again |
//! | 8 | `proxy/forward.rs`, `proxy/respond.rs` | the answer loses cookies in our name; one access line, one counter |
//!
//! A request takes one [`gateway::Snapshot`] at its start and keeps it. A reload builds a new
//! snapshot from the whole file and swaps it; it never changes one.
//!
//! The fast path is a session seen before: one scan of the cookies, one look-up by the hash of the
//! id, and the insertion of header values that were made when the session was first used. It counts
//! while the store has told its changes within the last second (`gateway/feed.rs`), and the request is
//! noted by its session, so that it can be ended with it (`gateway/streams.rs`). No
//! parsing of tokens, no cryptography but one hash, no trip to the store. An access token seen before
//! costs the same: its hash, one look-up, and a glance at whether its issuer's keys are still the ones it
//! was verified with.
//!
//! # The way of an app that asks our own provider
//!
//! | step | where | what |
//! |---|---|---|
//! | 1 | `endpoints/openid_provider/pushed_authorization_request.rs` | the app may send its request ahead; it lies in the store until a browser brings its name, once |
//! | 2 | `openid_provider/authorize.rs` | the request is read whole; where client or redirect URI is in doubt, the answer is a page of ours |
//! | 3 | `openid_provider/judge.rs` | the session of the browser will do, or a login comes first: at an identity provider, or with an account (`endpoints/account_sign_in`); `endpoints/openid_provider/asked.rs` brings the request through it |
//! | 4 | `openid_provider/consent.rs` | the user is asked where the client wants it so; what was agreed to is remembered |
//! | 5 | `openid_provider/grants` | a code becomes tokens once, a refresh token the next one; who the user is now is looked up again (`endpoints/openid_provider/user.rs`) |
//! | 6 | `gateway/refresh/recheck.rs` | what was granted offline outlives its session: the login is kept, and the identity provider asked again |
//!
//! What is remembered for all this lies in the store as sessions do (`gateway/provider`, by
//! `gateway/sealed.rs`). Which answers a script of another origin may read is said in one file,
//! `endpoints/openid_provider/cross_origin.rs`.
//!
//! # What is made in one place only
//!
//! | value | made by | so that |
//! |---|---|---|
//! | [`decision::Permit`] | [`decision`] | nothing reaches an app without a decision |
//! | [`jose::Verified`] | [`jose`] | no identity comes from a token that was not checked |
//! | [`session::ReturnTo`] | [`session`] | nobody is sent to a stranger's site |
//! | [`routes::RequestView`] | [`routes`] | no decision is made on an ambiguous request |
//! | [`config::Settings`] | [`config`] | the program runs on no file with a problem in it |
//! | [`secret::Secret`] | whoever holds one | no log and no panic prints it |
//!
//! # Invariants
//!
//! - Whatever is unclear, unchecked or failed is a refusal: an unknown key, an unmatched route, a
//!   store that does not answer.
//! - The address that links, cookies and redirect URIs are built on is that of `from`, never the
//!   request's.
//! - What the gate decided on is what is sent: the path goes on byte for byte.
//! - Headers that only we write are removed on every route before ours are set, whatever their
//!   spelling.
//! - A session's id is new with every login; only its hash is stored, and all that is stored is
//!   sealed for its purpose and its key.
//! - A visitor without a session costs no memory: a login under way lives in a sealed cookie. What is kept
//!   in the store before a login, forms and requests of apps, has a bound in number, size and time.
//! - Everything from outside has a limit, a named constant with its reason.
//! - A session that has ended has ended everywhere within a second, and nothing that ran under it runs on.
//! - No secret, token, code or cookie is in a log line, a metric or a page.
//!
//! # Choices and why
//!
//! - **pingora** carries the connections. Its phases are thin here: a file each under [`proxy`],
//!   and an implementation that only delegates.
//! - **No `openidconnect` crate.** Its code exchange knows no `private_key_jwt`, and its check of
//!   ID tokens is not ours: it allows no difference of clocks, passes over `nbf`, and fails a login
//!   over `email_verified: "true"`. What remains of it is a URL and a form. In the tests it is a relying
//!   party that is not ours.
//! - **Verification with `aws-lc-rs`**, on keys that are parsed once when a key set arrives;
//!   parsing them for every token costs a third of the check. `jsonwebtoken` is the oracle beside
//!   it in the tests.
//! - **The algorithm** of a token comes from the settings and the key. A token names one at most to
//!   be refused.
//! - **`quick_cache`** in front of the store: it has a bound and no expiry, and a look-up costs a
//!   twentieth of what `moka` asks for keeping time. Sessions know themselves when they end.
//! - **SQLite** as the embedded store: it survives a crash, and two processes can have the file
//!   open at once.
//! - **`saphyr-parser`** for YAML: from its events [`config`] builds a tree in which every key knows
//!   its line and column. Duplicate keys and tags do not pass, and aliases have a bound. A reader
//!   such as `serde_yaml` is silent about duplicates and does not say where a value stands.
//! - **Sealing** is AES-256-GCM under keys that HKDF derives for each purpose, with the purpose and
//!   the place as associated data: a value that was sealed for one place opens at no other.
//! - **`minijinja`** for pages, because operators may replace them. Those have no script. The pages
//!   that have one (a form that is sent again, an address with its fragment, an answer by form_post) are
//!   fixed, as is the script, whose hash stands in their policy. All of them work without it.
//! - **Redis** by one Lua script for each change, in one hash slot, so that every promise of
//!   [`store::Store`] holds there as in SQLite; one suite checks all stores. The client crate's own
//!   failover is not used: it repeats commands whose answer was lost.
//! - **Renewals** of tokens are single by a lease in the store, and safe by a comparison of versions: a
//!   lease can end early, a version cannot be used twice.

pub mod clock;
pub mod random;
pub mod secret;

pub mod oidc;

pub mod jose;

pub mod identity;

pub mod routes;

pub mod session;

pub mod relying_party;

pub mod resource_server;

pub mod accounts;

pub mod openid_provider;

pub mod decision;

pub mod pages;

pub mod store;

pub mod outbound;

pub mod telemetry;

pub mod config;

pub mod gateway;

pub mod endpoints;

pub mod admin;

pub mod proxy;

pub mod server;

pub mod cli;
