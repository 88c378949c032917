//! Who the caller is: a person, or a machine that acts for itself.
//!
//! Where it is not certain that there is a person, there is none: an app that is told of a user who is
//! a program grants it what is meant for people.

use serde_json::Map;
use serde_json::Value;

use crate::identity::ClaimMapping;
use crate::identity::Identity;
use crate::identity::RoleMapping;
use crate::identity::VerifiedClaims;
use crate::oidc::scope::Scope;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::is_protocol_claim;
use crate::resource_server::refusal::TokenRefusal;

/// Where providers put the client id: RFC 9068 section 2.2, OpenID Connect, and two that are their own.
const CLIENT_CLAIMS: [&str; 4] = ["client_id", "azp", "cid", "appid"];

/// `token_use` and `typ` of tokens that are not for APIs, as large providers write them.
const OTHER_KINDS: [&str; 7] = [
    "id",
    "id_token",
    "refresh",
    "refresh_token",
    "offline",
    "logout",
    "serialized-id",
];

/// Makes the identity of the caller from the claims of a verified token, by the mapping that logins at
/// `provider` use.
///
/// Checks, in this order: the token is not of another kind by the words of its provider; there is a
/// subject or a client; a person has a user name.
///
/// # Errors
/// [`TokenRefusal::Kind`], [`TokenRefusal::Claims`], [`TokenRefusal::Caller`].
pub fn identity(
    provider: &IdentityProviderSettings,
    claims: Map<String, Value>,
) -> Result<Identity, TokenRefusal> {
    mapped((&provider.id, &provider.claims, &provider.roles), claims)
}

/// As [`identity`], for a token of our own provider, which goes by the name `id`. Its claims have their
/// standard names; roles are scopes there, and rules ask for them as such.
///
/// # Errors
/// As [`identity`].
pub fn own_identity(id: &str, claims: Map<String, Value>) -> Result<Identity, TokenRefusal> {
    let (mapping, roles) = (ClaimMapping::default(), RoleMapping::default());
    mapped((id, &mapping, &roles), claims)
}

fn mapped(
    (provider, mapping, roles): (&str, &ClaimMapping, &RoleMapping),
    claims: Map<String, Value>,
) -> Result<Identity, TokenRefusal> {
    if ["token_use", "typ"]
        .iter()
        .any(|name| is_other_kind(claims.get(*name)))
    {
        return Err(TokenRefusal::Kind);
    }
    let text = |name: &str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(TokenRefusal::Claims),
    };
    let subject = text("sub")?;
    let mut client = None;
    for name in CLIENT_CLAIMS {
        if client.is_none() {
            client = text(name)?;
        }
    }
    let is_machine = is_machine(&claims, subject.as_deref(), client.as_deref());
    let scopes = scopes(&claims);
    let claims: Map<String, Value> = claims
        .into_iter()
        .filter(|(name, value)| !value.is_null() && !is_protocol_claim(name))
        .collect();
    match (is_machine, subject, client) {
        (true, subject, Some(client)) => {
            let verified = VerifiedClaims {
                subject: subject.unwrap_or_else(|| client.clone()),
                claims,
                scopes,
            };
            Ok(Identity::of_client(
                provider, &client, verified, mapping, roles,
            ))
        }
        (false, Some(subject), _) => {
            let verified = VerifiedClaims {
                subject,
                claims,
                scopes,
            };
            Identity::of_person(provider, verified, mapping, roles)
                .map_err(|_| TokenRefusal::Caller)
        }
        _ => Err(TokenRefusal::Caller),
    }
}

fn is_other_kind(claim: Option<&Value>) -> bool {
    let text = claim.and_then(Value::as_str);
    text.is_some_and(|text| {
        OTHER_KINDS
            .iter()
            .any(|kind| kind.eq_ignore_ascii_case(text))
    })
}

/// No subject, the client as its own subject (RFC 9068 section 2.2), or the way in which a provider says
/// it: Auth0 by `gty` and `@clients`, Entra ID by `idtyp` or by the `oid` as subject, which for people
/// differ, Keycloak by the name of a service account.
fn is_machine(claims: &Map<String, Value>, subject: Option<&str>, client: Option<&str>) -> bool {
    let (subject, client) = match (subject, client) {
        (None, _) => return true,
        (Some(subject), client) => (subject, client.unwrap_or_default()),
    };
    let says = |name: &str, word: &str| match claims.get(name) {
        Some(Value::String(text)) => text == word,
        Some(Value::Array(items)) => items.iter().any(|item| item == word),
        _ => false,
    };
    subject == client
        || subject.strip_suffix("@clients") == Some(client)
        || says("gty", "client-credentials")
        || says("gty", "client_credentials")
        || says("idtyp", "app")
        || says("oid", subject)
        || says(
            "preferred_username",
            &format!("service-account-{}", client.to_lowercase()),
        )
}

/// The granted scope values: `scope` (RFC 9068 section 2.2.3) and `scp`, which some providers call it.
/// One that cannot be read grants nothing.
fn scopes(claims: &Map<String, Value>) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    let found = ["scope", "scp"]
        .into_iter()
        .filter_map(|name| claims.get(name));
    for scope in found.filter_map(|value| Scope::from_json(value).ok()) {
        for value in scope.iter() {
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::relying_party::test_settings::settings;

    fn made(claims: Value) -> Result<Identity, TokenRefusal> {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        identity(&settings(), claims)
    }

    #[test]
    fn a_person_is_told_from_a_machine() {
        for (claims, user, client) in [
            (json!({"sub": "s-1", "client_id": "app"}), "s-1", None),
            (json!({"sub": "s-1"}), "s-1", None),
            (
                json!({"sub": "s-1", "azp": "app", "preferred_username": "alice"}),
                "alice",
                None,
            ),
            (json!({"client_id": "robot"}), "", Some("robot")),
            (
                json!({"sub": "robot", "client_id": "robot"}),
                "",
                Some("robot"),
            ),
            (
                json!({"sub": "robot", "azp": "robot", "preferred_username": "alice"}),
                "",
                Some("robot"),
            ),
            (
                json!({"sub": "robot@clients", "azp": "robot", "gty": "client-credentials"}),
                "",
                Some("robot"),
            ),
            (
                json!({"sub": "x", "azp": "robot", "gty": ["client-credentials"]}),
                "",
                Some("robot"),
            ),
            (
                json!({"sub": "x", "appid": "robot", "idtyp": "app"}),
                "",
                Some("robot"),
            ),
            (
                json!({"sub": "7f", "azp": "Robot", "preferred_username": "service-account-robot"}),
                "",
                Some("Robot"),
            ),
            (
                json!({"sub": "o", "oid": "o", "azp": "robot"}),
                "",
                Some("robot"),
            ),
            (json!({"sub": "s", "oid": "o", "azp": "app"}), "s", None),
        ] {
            let identity = made(claims.clone()).expect("there is a caller");
            assert_eq!(
                (identity.user.as_str(), identity.client.as_deref()),
                (user, client),
                "{claims}"
            );
        }
    }

    #[test]
    fn claims_without_a_caller_are_refused() {
        for (claims, expected) in [
            (json!({}), TokenRefusal::Caller),
            (json!({"sub": 7}), TokenRefusal::Claims),
            (json!({"sub": ""}), TokenRefusal::Claims),
            (json!({"sub": "s", "client_id": 7}), TokenRefusal::Claims),
            (json!({"sub": "s", "token_use": "id"}), TokenRefusal::Kind),
            (json!({"sub": "s", "typ": "Refresh"}), TokenRefusal::Kind),
            (json!({"sub": "s", "typ": "ID"}), TokenRefusal::Kind),
            (
                json!({"sub": "s", "gty": "client-credentials"}),
                TokenRefusal::Caller,
            ),
        ] {
            assert_eq!(made(claims.clone()).err(), Some(expected), "{claims}");
        }
        assert!(made(json!({"sub": "s", "typ": "Bearer", "token_use": "access"})).is_ok());
    }

    #[test]
    fn a_machine_gets_no_role_meant_for_everybody() {
        let mut provider = settings();
        provider.roles.default = vec!["user".to_owned()];
        let claims = |sub: &str| {
            let Value::Object(claims) = json!({"sub": sub, "client_id": "robot"}) else {
                panic!("claims are an object")
            };
            claims
        };
        assert_eq!(
            identity(&provider, claims("s")).expect("a person").roles,
            ["user"]
        );
        let machine = identity(&provider, claims("robot")).expect("a machine");
        assert!(machine.roles.is_empty());
    }

    #[test]
    fn scopes_are_read_exactly() {
        for (claims, expected) in [
            (json!({"scope": "read write"}), &["read", "write"][..]),
            (json!({"scp": ["read"]}), &["read"]),
            (json!({"scp": "read write"}), &["read", "write"]),
            (json!({"scope": "read\twrite"}), &[]),
            (json!({"scope": ["read", 7]}), &[]),
            (json!({"scope": 7}), &[]),
            (json!({"scope": "Read"}), &["Read"]),
            (json!({}), &[]),
        ] {
            let mut all = claims.clone();
            all["sub"] = json!("s");
            assert_eq!(made(all).expect("a person").scopes, expected, "{claims}");
        }
    }
}
