//! Settings of browser sessions.

use std::time::Duration;

/// How long sessions live and what their cookie looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// A session ends this long after its last request.
    pub idle_timeout: Duration,
    /// A session ends this long after its login, whatever happens.
    pub max_lifetime: Duration,
    /// Access tokens are renewed this long before they end.
    pub refresh_before_expiry: Duration,
    /// After this long the browser makes a silent round trip to the identity provider.
    pub reauthenticate_after: Option<Duration>,
    /// The cookie.
    pub cookie: CookieSettings,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30 * 60),
            max_lifetime: Duration::from_secs(8 * 60 * 60),
            refresh_before_expiry: Duration::from_secs(60),
            reauthenticate_after: None,
            cookie: CookieSettings::default(),
        }
    }
}

/// What the session's cookie looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSettings {
    /// The name without prefix; `__Host-` or `__Secure-` is put before it on https.
    pub name: String,
    /// When browsers send it.
    pub same_site: SameSite,
    /// One session for all hosts below this domain; none: for the host alone.
    pub domain: Option<String>,
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            name: "vestibule".to_owned(),
            same_site: SameSite::Lax,
            domain: None,
        }
    }
}

/// The `SameSite` attribute (RFC 6265bis section 5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Sent when the user navigates here from elsewhere (the default).
    #[default]
    Lax,
    /// Never sent on requests that another site begins.
    Strict,
    /// Always sent; browsers demand https for it.
    None,
}
