//! Settings of the provider.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Account;
use crate::identity::ClaimPath;
use crate::jose::Algorithm;
use crate::openid_provider::clients::Client;
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
    /// How long the identity provider's word about a user counts when a client refreshes; none: for ever.
    pub recheck: Option<Duration>,
    /// How long what we issue lives.
    pub lifetimes: Lifetimes,
    /// Scopes beyond [`STANDARD_SCOPES`].
    pub scopes: BTreeMap<String, ScopeSettings>,
    /// What becomes of a scope that a client asks for and is not registered for.
    pub unknown_scopes: UnknownScopes,
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

/// What becomes of a scope that a client asks for and is not registered for: RFC 6749 section 3.3
/// allows both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownScopes {
    /// The request is refused.
    #[default]
    Refuse,
    /// It is passed over; the answer names the scope that is left.
    Drop,
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
    pub grant: Option<Vec<GrantRule>>,
    /// Whether the metadata name it.
    pub is_advertised: bool,
}

impl ScopeSettings {
    /// Whether it stands for a role: rules say who has it, and it belongs to no API.
    pub const fn is_role(&self) -> bool {
        self.grant.is_some() && self.audience.is_none()
    }
}

/// One way to be granted a scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrantRule {
    /// What must hold of the user, or of a client that acts for itself.
    pub allow: AllowRule,
    /// The clients through which it is granted; empty: all that may ask for the scope.
    pub clients: BTreeSet<String>,
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

    /// How long what `client` is given lives.
    pub fn lifetimes_of(&self, client: &Client) -> Lifetimes {
        let (all, own) = (self.lifetimes, client.lifetimes);
        Lifetimes {
            id_token: own.id_token.unwrap_or(all.id_token),
            access_token: own.access_token.unwrap_or(all.access_token),
            refresh_token: own.refresh_token.unwrap_or(all.refresh_token),
            ..all
        }
    }

    /// The longest life of a token that is checked by its signature, whichever client it is given to.
    pub fn token_lifetime_max(&self) -> Duration {
        let of_clients = self.clients.iter().map(|client| self.lifetimes_of(client));
        std::iter::once(self.lifetimes)
            .chain(of_clients)
            .map(|lifetimes| lifetimes.id_token.max(lifetimes.access_token))
            .max()
            .unwrap_or_default()
    }
}
