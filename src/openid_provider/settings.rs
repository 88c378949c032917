//! Settings of the provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Account;
use crate::identity::ClaimPath;
use crate::jose::Algorithm;
use crate::openid_provider::clients::Clients;
use crate::routes::AllowRule;

/// Scope values with a meaning of their own, which no setting can change (OpenID Connect Core sections
/// 3.1.2.1, 5.4 and 11).
pub const STANDARD_SCOPES: &[&str] = &[
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "offline_access",
];

/// What `openid_provider` says.
#[derive(Clone, Debug)]
pub struct OpenIdProviderSettings {
    /// The issuer, exactly as it stands in tokens; all endpoints are below it.
    pub issuer: String,
    /// How users log in.
    pub login: Login,
    /// How long what we issue lives.
    pub lifetimes: Lifetimes,
    /// Scopes beyond [`STANDARD_SCOPES`].
    pub scopes: BTreeMap<String, ScopeSettings>,
    /// Claims beyond those that scopes stand for.
    pub claims: Vec<CustomClaim>,
    /// The applications that are registered.
    pub clients: Clients,
    /// Keys that sign tokens.
    pub signing: SigningSettings,
}

/// How users log in.
#[derive(Clone, Debug)]
pub enum Login {
    /// At identity providers: these ids, in the order of the chooser.
    IdentityProviders(Vec<Arc<str>>),
    /// Against accounts of our own.
    Accounts(Vec<Account>),
}

/// How long what we issue lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Authorization codes.
    pub code: Duration,
    /// ID tokens.
    pub id_token: Duration,
    /// Access tokens.
    pub access_token: Duration,
    /// A refresh token that nobody uses.
    pub refresh_token: Duration,
    /// A line of refresh tokens, however often they are used.
    pub refresh_absolute: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            code: Duration::from_secs(60),
            id_token: Duration::from_secs(10 * 60),
            access_token: Duration::from_secs(60 * 60),
            refresh_token: Duration::from_secs(15 * DAY),
            refresh_absolute: Duration::from_secs(90 * DAY),
        }
    }
}

/// A scope of the operator's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeSettings {
    /// What it allows, for people.
    pub description: Option<String>,
    /// The API that tokens with it are for.
    pub audience: Option<String>,
    /// Who is granted it: any entry suffices. None: with an audience every user of a client that may ask
    /// for it, without one, where the scope stands for a role, nobody.
    pub grant: Option<Vec<AllowRule>>,
}

/// A claim of the operator's own.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomClaim {
    /// Its name; none of [`crate::openid_provider::claims::RESERVED`].
    pub name: String,
    /// Where its value comes from.
    pub from: ClaimSource,
    /// Where it is put.
    pub placements: Vec<Placement>,
    /// The clients that get it; none: all.
    pub clients: Option<Vec<String>>,
}

/// Where the value of a claim comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimSource {
    /// An attribute of the user, or a claim of the identity provider.
    Path(ClaimPath),
    /// An object of values.
    Object(Vec<(String, ClaimSource)>),
    /// An array of values.
    Array(Vec<ClaimSource>),
}

/// Where a claim is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Into ID tokens.
    IdToken,
    /// Into access tokens.
    AccessToken,
    /// Into answers of the userinfo endpoint.
    Userinfo,
    /// Into answers of the introspection endpoint.
    Introspection,
}

/// Keys that sign tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningSettings {
    /// The algorithm of access tokens, and of ID tokens for clients that ask for no other.
    pub algorithm: Algorithm,
    /// How long a key signs.
    pub rotate_every: Duration,
}

impl Default for SigningSettings {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::RS256,
            rotate_every: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}

impl OpenIdProviderSettings {
    /// The URL of an endpoint: `path` below the issuer.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.trim_end_matches('/'))
    }
}
