//! Which scopes are granted, and which API a token is for.
//!
//! Owns the rules from a requested scope to a granted one and to an audience. Invariant: nothing is
//! granted that was not asked for, that the client is not registered for, or, where the scope stands for
//! a role, that no rule admits the user to.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use crate::identity::Identity;
use crate::oidc::scope::Scope;
use crate::openid_provider::clients::Client;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::settings::GrantRule;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::STANDARD_SCOPES;
use crate::openid_provider::settings::ScopeSettings;
use crate::openid_provider::settings::UnknownScopes;

/// Most `resource` parameters of one request.
pub const RESOURCES_MAX: usize = 8;

/// Scope and audience of one access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it allows.
    pub scope: Scope,
    /// Whom it is for; never empty.
    pub audience: Vec<String>,
}

/// Reads the `scope` parameter: what is left of it is the client's.
///
/// # Errors
/// A [`Refusal`] with `invalid_scope`.
pub fn requested(
    text: Option<&str>,
    client: &Client,
    settings: &OpenIdProviderSettings,
) -> Result<Scope, Refusal> {
    let scope = Scope::parse(text.unwrap_or_default()).map_err(|_| {
        let description = "the scope holds characters that no scope value has";
        Refusal::new(ErrorCode::InvalidScope, description)
    })?;
    registered(scope, client, settings)
}

/// What of `scope` the client is registered for; the settings say whether anything else is refused or
/// passed over. Where nothing would be left it is refused in any case: the client would get a token that
/// is worth nothing and not know why.
///
/// # Errors
/// A [`Refusal`] with `invalid_scope`.
pub fn registered(
    scope: Scope,
    client: &Client,
    settings: &OpenIdProviderSettings,
) -> Result<Scope, Refusal> {
    if client.scopes.contains_all(&scope) {
        return Ok(scope);
    }
    let left = intersection(&scope, &client.scopes);
    if settings.unknown_scopes == UnknownScopes::Refuse || left.is_empty() {
        let description = "the client is not registered for all of the scope";
        return Err(Refusal::new(ErrorCode::InvalidScope, description));
    }
    Ok(left)
}

/// What of `requested` the user, or the client itself, is granted.
///
/// `offline_access` stays only for a client that can refresh (OpenID Connect Core section 11); a value
/// that no setting names any more is not granted.
pub fn granted(
    requested: &Scope,
    client: &Client,
    identity: &Identity,
    settings: &OpenIdProviderSettings,
) -> Scope {
    let is_granted = |value: &&str| {
        if !client.scopes.contains(value) {
            return false;
        }
        if *value == "offline_access" {
            return client.may_use(GrantType::RefreshToken);
        }
        STANDARD_SCOPES.contains(value)
            || (settings.scopes.get(*value)).is_some_and(|scope| admits(scope, identity, client))
    };
    kept(requested, is_granted)
}

/// Whether the rules of a scope let `identity` have it through `client`.
pub fn admits(scope: &ScopeSettings, identity: &Identity, client: &Client) -> bool {
    match (&scope.grant, &scope.audience) {
        (Some(rules), _) => (rules.iter()).any(|rule| rule.unmet(identity, client).is_none()),
        (None, Some(_)) => true,
        (None, None) => false,
    }
}

impl GrantRule {
    /// The first criterion that does not hold for `identity` at `client`, by its name in `gateway.yaml`; none
    /// where the scope is granted.
    pub fn unmet(&self, identity: &Identity, client: &Client) -> Option<&'static str> {
        if !self.clients.is_empty() && !self.clients.contains(&*client.client_id) {
            return Some("clients");
        }
        // The criteria that look at a request cannot be written in these rules.
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.allow.unmet(identity, "", nowhere)
    }
}

/// Checks `resource` at the authorization endpoint, where nothing is granted yet: each names the
/// audience of a scope that is asked for.
///
/// Implements RFC 8707 section 2.
///
/// # Errors
/// A [`Refusal`] with `invalid_target`.
pub fn check_resources(
    requested: &Scope,
    resources: &[String],
    settings: &OpenIdProviderSettings,
) -> Result<(), Refusal> {
    let known = audiences(requested, settings);
    if resources.len() > RESOURCES_MAX
        || !resources.iter().all(|name| known.contains(&name.as_str()))
    {
        return Err(INVALID_TARGET);
    }
    Ok(())
}

const INVALID_TARGET: Refusal = Refusal::new(
    ErrorCode::InvalidTarget,
    "the resource is not the audience of a granted scope",
);

/// What an access token of the scope `granted` is for. Without `resources` that is every API of the
/// scope, or where there is none the client itself. With `resources` it is these, and of the scope only
/// what belongs to them or to no API at all: a token for one API must be worth nothing at another.
///
/// Implements RFC 8707 section 2.2.
///
/// # Errors
/// A [`Refusal`] with `invalid_target`.
pub fn target(
    granted: &Scope,
    resources: &[String],
    client: &Client,
    settings: &OpenIdProviderSettings,
) -> Result<Target, Refusal> {
    check_resources(granted, resources, settings)?;
    if resources.is_empty() {
        let found = audiences(granted, settings);
        let audience = match found.as_slice() {
            [] => vec![client.client_id.to_string()],
            found => found.iter().map(|name| (*name).to_owned()).collect(),
        };
        return Ok(Target {
            scope: granted.clone(),
            audience,
        });
    }
    let belongs = |value: &&str| match audience_of(value, settings) {
        Some(audience) => resources.iter().any(|resource| resource == audience),
        None => true,
    };
    let mut audience: Vec<String> = Vec::new();
    for resource in resources {
        if !audience.contains(resource) {
            audience.push(resource.clone());
        }
    }
    Ok(Target {
        scope: kept(granted, belongs),
        audience,
    })
}

/// The values of `scope` that are also in `other`, in their order.
pub fn intersection(scope: &Scope, other: &Scope) -> Scope {
    kept(scope, |value| other.contains(value))
}

fn kept(scope: &Scope, is_kept: impl Fn(&&str) -> bool) -> Scope {
    Scope::from_values(scope.iter().filter(is_kept)).unwrap_or_default()
}

fn audience_of<'a>(value: &str, settings: &'a OpenIdProviderSettings) -> Option<&'a str> {
    settings.scopes.get(value)?.audience.as_deref()
}

fn audiences<'a>(scope: &Scope, settings: &'a OpenIdProviderSettings) -> Vec<&'a str> {
    let mut found = Vec::new();
    for audience in scope
        .iter()
        .filter_map(|value| audience_of(value, settings))
    {
        if !found.contains(&audience) {
            found.push(audience);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;
    use crate::openid_provider::test_support::*;

    fn parse(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn rfc6749_3_3_a_scope_outside_the_registration_is_refused() {
        let client = client("shop");
        let settings = provider();
        assert!(requested(Some("openid orders.read"), &client, &settings).is_ok());
        for text in [
            "openid nobody",
            "openid Orders.read",
            "openid orders",
            "a\"b",
        ] {
            let refusal = requested(Some(text), &client, &settings).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidScope, "{text}");
        }
    }

    #[test]
    fn rfc6749_3_3_a_scope_outside_the_registration_is_passed_over_on_demand() {
        let client = client("shop");
        let mut settings = provider();
        settings.unknown_scopes = UnknownScopes::Drop;
        let of = |text| requested(Some(text), &client, &settings).map(|scope| scope.to_string());
        assert_eq!(
            of("nobody openid Orders.read").as_deref(),
            Ok("openid"),
            "what is left is the client's"
        );
        assert_eq!(of("openid email").as_deref(), Ok("openid email"));
        for text in ["nobody", "a\"b openid"] {
            assert_eq!(of(text).unwrap_err().code, ErrorCode::InvalidScope);
        }
    }

    /// F23: a role of one application is none in another, although its name is the same.
    #[test]
    fn a_role_that_names_its_clients_is_granted_in_no_other() {
        let mut settings = provider();
        let rule = GrantRule {
            clients: ["shop".to_owned()].into(),
            ..settings.scopes["editor"].grant.clone().unwrap().remove(0)
        };
        settings.scopes.get_mut("editor").unwrap().grant = Some(vec![rule]);
        let asked = parse("openid editor");
        let of =
            |id, identity: &Identity| granted(&asked, &client(id), identity, &settings).to_string();
        assert_eq!(of("shop", &alice()), "openid editor");
        assert_eq!(of("other", &alice()), "openid");
        let mut reader = alice();
        reader.groups.clear();
        assert_eq!(of("shop", &reader), "openid");
    }

    #[test]
    fn a_role_is_granted_by_a_rule_only() {
        let mut client = client("shop");
        client.scopes = parse("openid editor nobody gone orders.read");
        let asked = parse("openid editor nobody gone orders.read phone");
        let of = |identity: &Identity| granted(&asked, &client, identity, &provider()).to_string();
        assert_eq!(of(&alice()), "openid editor orders.read");
        let mut reader = alice();
        reader.groups = vec!["staff".to_owned()];
        assert_eq!(of(&reader), "openid orders.read");
    }

    #[test]
    fn core_11_offline_access_needs_the_refresh_grant() {
        let asked = parse("openid offline_access");
        let mut client = client("shop");
        let of = |client: &Client| granted(&asked, client, &alice(), &provider()).to_string();
        assert_eq!(of(&client), "openid offline_access");
        client.grant_types = vec![GrantType::AuthorizationCode];
        assert_eq!(of(&client), "openid");
    }

    #[test]
    fn rfc8707_2_2_a_resource_narrows_audience_and_scope() {
        let client = client("shop");
        let of = |scope: &str, resources: &[&str]| {
            let resources: Vec<String> = resources.iter().map(|r| (*r).to_owned()).collect();
            target(&parse(scope), &resources, &client, &provider())
                .map(|target| (target.scope.to_string(), target.audience.join(" ")))
                .map_err(|refusal| refusal.code)
        };
        let ok = |scope: &str, audience: &str| Ok((scope.to_owned(), audience.to_owned()));
        assert_eq!(of("openid editor", &[]), ok("openid editor", "shop"));
        assert_eq!(of("openid orders.read", &[]), ok("openid orders.read", API));
        let both = "openid orders.read invoices.read";
        assert_eq!(of(both, &[]), ok(both, &format!("{API} {BILLING}")));
        assert_eq!(of(both, &[API]), ok("openid orders.read", API));
        assert_eq!(of(both, &[API, API]), ok("openid orders.read", API));
        assert_eq!(
            of(both, &[BILLING, API]),
            ok(both, &format!("{BILLING} {API}"))
        );
        for (scope, resource) in [
            ("openid orders.read", BILLING),
            ("openid", API),
            ("openid orders.read", "https://api.example.com/"),
            ("openid orders.read", "shop"),
        ] {
            assert_eq!(
                of(scope, &[resource]),
                Err(ErrorCode::InvalidTarget),
                "{resource}"
            );
        }
        assert_eq!(
            of(both, &[API; RESOURCES_MAX + 1]),
            Err(ErrorCode::InvalidTarget)
        );
    }
}
