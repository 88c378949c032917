//! `openid_provider`.

mod clients;
pub mod place;
mod recheck;
mod scopes;

use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Account;
use crate::accounts::AccountProblem;
use crate::accounts::Accounts;
use crate::accounts::PasswordHash;
use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::Zero;
use crate::config::resolve::identity_provider::Providers;
use crate::config::values;
use crate::config::values::Finest;
use crate::identity::email_domain;
use crate::jose::Algorithm;
use crate::jose::key_set::KEY_COUNT_MAX;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::clients::ClientLifetimes;
use crate::openid_provider::keys;
use crate::openid_provider::settings::Lifetimes;
use crate::openid_provider::settings::Login;
use crate::openid_provider::settings::SigningSettings;
use crate::openid_provider::settings::UnknownScopes;
use crate::relying_party::Status;
use crate::secret::Secret;

/// The longest life of a code (RFC 6749 section 4.1.2).
const CODE_LIFETIME_MAX: Duration = Duration::from_secs(10 * 60);
/// The longest life of a token that nobody can take back where it is checked by its signature.
const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest life of a signing key: below, keys change faster than anybody reads them.
const ROTATE_EVERY_MIN: Duration = Duration::from_secs(60);
/// The longest user name: it is a `sub` (OpenID Connect Core section 2).
const USERNAME_BYTES_MAX: usize = 255;

/// `openid_provider`; none where the file has none, or one without issuer, login or clients.
pub fn openid_provider(
    context: &mut Context<'_>,
    raw: Option<raw::OpenidProvider>,
    providers: &Providers,
) -> Option<Arc<OpenIdProviderSettings>> {
    let raw = raw?;
    let path = KeyPath::root().key("openid_provider");
    let issuer = raw
        .issuer
        .and_then(|text| issuer(context, &path.key("issuer"), text));
    let clients_path = path.key("clients");
    // A client whose shape is wrong is not in the list: then a name that is not on it can be right.
    let ids: Option<Vec<String>> = (!context.has_problem_below(&clients_path)).then(|| {
        let all = raw.clients.iter().flatten();
        all.filter_map(|client| client.client_id.clone()).collect()
    });
    let scopes_path = path.key("scopes");
    let scopes = scopes::scopes(context, &scopes_path, raw.scopes, providers, ids.as_deref());
    let lifetimes = lifetimes(context, &path.key("lifetimes"), raw.lifetimes);
    let known = clients::Known {
        scopes: &scopes,
        lifetimes: &lifetimes,
    };
    let clients = clients::clients(context, &clients_path, raw.clients, known);
    scopes::check_shared(context, &scopes_path, &scopes, &clients);
    // A client with a problem is left out of the list: then a name that is not on it can be right.
    let complete = (!context.has_problem_below(&clients_path)).then_some(clients.as_slice());
    let claims = scopes::claims(context, &path.key("claims"), raw.claims, complete);
    let again = raw.login.as_ref().and_then(|login| login.recheck.clone());
    let login = login(context, &path, raw.login, raw.accounts, providers);
    let login_path = path.key("login");
    let recheck = login.as_ref().and_then(|login| {
        let text = again.as_deref();
        recheck::recheck(context, &login_path, text, login, &clients, providers)
    });
    if let Some(Login::Accounts(accounts)) = &login {
        for (index, account) in accounts.iter().enumerate() {
            // RFC 9068 section 5: a machine's `sub` is its `client_id`, and an API must not take it
            // for a user.
            if clients
                .iter()
                .any(|client| *client.client_id == *account.username)
            {
                let path = path.key("accounts").index(index).key("username");
                context.problem(&path, "a client has this name as its `client_id`");
            }
        }
    }
    let signing = signing(context, &path.key("signing"), raw.signing);
    let settings = OpenIdProviderSettings {
        issuer: issuer?,
        login: login?,
        recheck,
        lifetimes,
        scopes,
        unknown_scopes: match raw.unknown_scopes.unwrap_or_default() {
            raw::UnknownScopes::Refuse => UnknownScopes::Refuse,
            raw::UnknownScopes::Drop => UnknownScopes::Drop,
        },
        claims,
        clients: clients.into_iter().collect(),
        signing,
    };
    let every_path = path.key("signing").key("rotate_every");
    if !context.has_problem_below(&path) && keys::published_max(&settings) > KEY_COUNT_MAX {
        context
            .problem(
                &every_path,
                format!("tokens live so long that there would be more than {KEY_COUNT_MAX} keys"),
            )
            .help("let keys sign for longer, or tokens live for less");
    }
    Some(Arc::new(settings))
}

fn issuer(context: &mut Context<'_>, path: &KeyPath, text: String) -> Option<String> {
    let url = match values::provider_url(&text) {
        Ok(url) => url,
        Err(message) => {
            context.problem(path, message);
            return None;
        }
    };
    if text.contains('?') {
        context.problem(path, "there is a query in this URL");
        return None;
    }
    if let Err(what) = values::canonical_path(url.path()) {
        context.problem(path, format!("the path of {} {what}", quoted(&text)));
        return None;
    }
    // One spelling: clients compare the issuer byte for byte, and the endpoints are found by it.
    let canonical = url.as_str().strip_suffix('/').unwrap_or(url.as_str());
    if text != canonical {
        context
            .problem(
                path,
                format!("{} is not the only spelling of this URL", quoted(&text)),
            )
            .help(format!("write {}", quoted(canonical)));
        return None;
    }
    Some(text)
}

fn login(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::ProviderLogin>,
    accounts: Option<Vec<raw::Account>>,
    providers: &Providers,
) -> Option<Login> {
    let login_path = path.key("login");
    let accounts_path = path.key("accounts");
    let Some(raw) = raw else {
        if !context.is_wrong(&login_path) {
            context.problem(&login_path, "this key is missing");
        }
        return None;
    };
    match (raw.identity_providers, raw.accounts) {
        (Some(ids), None) => {
            if accounts.is_some() {
                context
                    .problem(
                        &accounts_path,
                        "users log in at identity providers: the accounts have no effect",
                    )
                    .help("remove them, or write `login: {accounts: local}`");
            }
            let path = login_path.key("identity_providers");
            let ids = context.given(&path, Some(ids));
            let ids = context.texts(&path, Some(ids));
            for (index, id) in ids.iter().enumerate() {
                let path = path.index(index);
                providers.check_id(context, &path, id);
                let found = providers.find(id);
                if found.is_some_and(|provider| provider.status != Status::Active) {
                    context.problem(&path, format!("{} is not in use", quoted(id)));
                }
            }
            Some(Login::IdentityProviders(
                ids.iter().map(|id| Arc::from(id.as_str())).collect(),
            ))
        }
        (None, Some(raw::AccountsLogin::Local)) => {
            if accounts.is_none() && !context.is_wrong(&accounts_path) {
                context.problem(&accounts_path, "this key is missing: nobody could log in");
            }
            let accounts = context.given(&accounts_path, accounts);
            let (mut found, mut indices) = (Vec::new(), Vec::new());
            for (index, raw) in accounts.into_iter().enumerate() {
                let path = accounts_path.index(index);
                if let Some(account) = account(context, &path, raw) {
                    indices.push(index);
                    found.push(account);
                }
            }
            // What is made here is not kept, so it does not matter what is guessed from this seed.
            let seed = Secret::new([0; 32]);
            for (place, problem) in Accounts::new(found.clone(), seed).err().unwrap_or_default() {
                let index = indices.get(place).copied().unwrap_or(place);
                account_problem(context, &accounts_path, (index, &indices), &problem);
            }
            Some(Login::Accounts(found))
        }
        (first, second) => {
            let both = first.is_some() && second.is_some();
            if !context.has_problem_below(&login_path) {
                let message = if both {
                    "there are two ways to log in"
                } else {
                    "no way to log in is named"
                };
                context
                    .problem(&login_path, message)
                    .expected("`{identity_providers: [...]}` or `{accounts: local}`");
            }
            None
        }
    }
}

fn account(context: &mut Context<'_>, path: &KeyPath, raw: raw::Account) -> Option<Account> {
    let username = raw.username?;
    let is_name = !username.is_empty()
        && username.len() <= USERNAME_BYTES_MAX
        && username.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_name {
        context
            .problem(
                &path.key("username"),
                format!("{} is not a user name", quoted(&username)),
            )
            .expected("visible ASCII characters without spaces, at most 255");
    }
    if raw
        .email
        .as_deref()
        .is_some_and(|email| email_domain(email).is_none())
    {
        context.problem(&path.key("email"), "this is not an e-mail address");
    }
    let name = context.text(&path.key("name"), raw.name);
    let groups = context.texts(&path.key("groups"), raw.groups);
    let password_hash = match PasswordHash::parse(&raw.password_hash?) {
        Ok(hash) => hash,
        Err(problem) => {
            context
                .problem(&path.key("password_hash"), problem.to_string())
                .help("make one with `vestibule hash-password`");
            return None;
        }
    };
    Some(Account {
        name: name.or_else(|| Some(username.clone())),
        groups,
        email_verified: raw.email.is_some(),
        email: raw.email,
        password_hash,
        is_active: raw.active.unwrap_or(true),
        attributes: raw.claims.unwrap_or_default(),
        username,
    })
}

/// Reports what is wrong with the accounts as a whole. `indices` are the places of those that were looked
/// at.
fn account_problem(
    context: &mut Context<'_>,
    path: &KeyPath,
    (index, indices): (usize, &[usize]),
    problem: &AccountProblem,
) {
    match problem {
        // The shape of a name has been looked at for each.
        AccountProblem::UsernameLength | AccountProblem::UsernameUnclear => (),
        AccountProblem::UsernameTaken(first) => {
            let first = indices.get(*first).copied().unwrap_or(*first);
            let taken = AccountProblem::UsernameTaken(first);
            context.problem(&path.index(index).key("username"), taken.to_string());
        }
        AccountProblem::AttributeReserved(name) => {
            let path = path.index(index).key("claims").key(name);
            context.problem(&path, "this claim has a meaning of its own");
        }
        AccountProblem::TooMany => {
            context.problem(path, problem.to_string());
        }
    }
}

fn lifetimes(context: &mut Context<'_>, path: &KeyPath, raw: Option<raw::Lifetimes>) -> Lifetimes {
    let raw = raw.unwrap_or_default();
    let default = Lifetimes::default();
    let mut one = |key: &str, text: Option<String>, default, max| {
        lifetime(context, &path.key(key), text.as_deref(), max).unwrap_or(default)
    };
    let long = Some(TOKEN_LIFETIME_MAX);
    let found = Lifetimes {
        code: one("code", raw.code, default.code, Some(CODE_LIFETIME_MAX)),
        id_token: one("id_token", raw.id_token, default.id_token, long),
        access_token: one("access_token", raw.access_token, default.access_token, long),
        refresh_token: one(
            "refresh_token",
            raw.refresh_token,
            default.refresh_token,
            None,
        ),
        refresh_absolute: one(
            "refresh_absolute",
            raw.refresh_absolute,
            default.refresh_absolute,
            None,
        ),
    };
    check_line(context, &path.key("refresh_token"), &found);
    found
}

/// What one client has of its own; `all` is for what it says nothing about.
fn client_lifetimes(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::ClientLifetimes>,
    all: &Lifetimes,
) -> ClientLifetimes {
    let raw = raw.unwrap_or_default();
    let mut one = |key: &str, text: Option<String>, max| {
        lifetime(context, &path.key(key), text.as_deref(), max)
    };
    let long = Some(TOKEN_LIFETIME_MAX);
    let found = ClientLifetimes {
        id_token: one("id_token", raw.id_token, long),
        access_token: one("access_token", raw.access_token, long),
        refresh_token: one("refresh_token", raw.refresh_token, None),
    };
    if let Some(refresh_token) = found.refresh_token {
        let lifetimes = Lifetimes {
            refresh_token,
            ..*all
        };
        check_line(context, &path.key("refresh_token"), &lifetimes);
    }
    found
}

fn check_line(context: &mut Context<'_>, path: &KeyPath, lifetimes: &Lifetimes) {
    if lifetimes.refresh_token > lifetimes.refresh_absolute {
        context
            .problem(path, "a refresh token cannot outlive its line")
            .help("make it shorter, or `refresh_absolute` longer");
    }
}

/// One lifetime; none where there is none, or a wrong one.
fn lifetime(
    context: &mut Context<'_>,
    path: &KeyPath,
    text: Option<&str>,
    max: Option<Duration>,
) -> Option<Duration> {
    text?;
    let none = Duration::ZERO;
    let found = context.duration(path, text, none, Finest::Seconds, Zero::Refused);
    match max {
        Some(max) if found > max => {
            let message = format!("this is more than {} minutes", max.as_secs() / 60);
            context.problem(path, message);
            None
        }
        _ => (!found.is_zero()).then_some(found),
    }
}

fn signing(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::Signing>,
) -> SigningSettings {
    let raw = raw.unwrap_or_default();
    let default = SigningSettings::default();
    let rotate_path = path.key("rotate_every");
    let text = raw.rotate_every.as_deref();
    let rotate_every = context.duration(
        &rotate_path,
        text,
        default.rotate_every,
        Finest::Seconds,
        Zero::Refused,
    );
    if rotate_every < ROTATE_EVERY_MIN {
        context.problem(&rotate_path, "a key signs for at least a minute");
    }
    SigningSettings {
        algorithm: raw.algorithm.map_or(default.algorithm, algorithm),
        rotate_every,
    }
}

fn algorithm(raw: raw::SigningAlgorithm) -> Algorithm {
    match raw {
        raw::SigningAlgorithm::Rs256 => Algorithm::RS256,
        raw::SigningAlgorithm::Es256 => Algorithm::ES256,
        raw::SigningAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}
