//! Which claims about a user go where.
//!
//! Owns the table of OpenID Connect Core section 5.4, the values of standard claims, the operator's own
//! claims, and the names that none of them may have. What a token says about itself is `issue`.

use serde_json::Map;
use serde_json::Value;

use crate::identity::Identity;
use crate::oidc::scope::Scope;
use crate::openid_provider::claims_request::RequestedClaim;
use crate::openid_provider::clients::Client;
use crate::openid_provider::settings::ClaimSource;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::Placement;

/// Names with a meaning of their own, which no setting can give to a claim: whoever could write `scope`
/// or `aud` could make any token out of any other.
pub const RESERVED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "sub_jwk",
    "client_id",
    "scope",
    "cnf",
    "act",
    "may_act",
    "events",
    "typ",
    "active",
    "token_type",
    "email_verified",
    "phone_number_verified",
    "_claim_names",
    "_claim_sources",
];

/// The claims that a scope value stands for (OpenID Connect Core section 5.4).
pub const SCOPE_CLAIMS: &[(&str, &[&str])] = &[
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
];

/// What a place asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The place.
    pub placement: Placement,
    /// The granted scope whose claims go there; none: its claims go elsewhere.
    pub scope: Option<&'a Scope>,
    /// Single claims of the `claims` parameter.
    pub requested: &'a [RequestedClaim],
}

/// The claims about `identity` that `client` gets at one place. None of [`RESERVED`] is among them but
/// the two that say whether something was verified.
///
/// A single claim is given when it belongs to a scope that the client is registered for: the `claims`
/// parameter chooses among what a client may know and is no way around it.
pub fn released(
    identity: &Identity,
    client: &Client,
    settings: &OpenIdProviderSettings,
    wish: Wish<'_>,
) -> Map<String, Value> {
    let mut found = Map::new();
    let is_of_client = |claim: &&crate::openid_provider::settings::CustomClaim| {
        (claim.clients.as_ref()).is_none_or(|ids| ids.iter().any(|id| **id == *client.client_id))
    };
    for claim in settings.claims.iter().filter(is_of_client) {
        if !claim.placements.contains(&wish.placement) || RESERVED.contains(&claim.name.as_str()) {
            continue;
        }
        if let Some(value) = value_of(&claim.from, identity) {
            found.insert(claim.name.clone(), value);
        }
    }
    for (scope, names) in SCOPE_CLAIMS {
        let by_scope = wish.scope.is_some_and(|granted| granted.contains(scope));
        let may_know = client.scopes.contains(scope);
        for name in *names {
            let by_name = may_know && wish.requested.iter().any(|claim| claim.name == **name);
            if (!by_scope && !by_name) || found.contains_key(*name) {
                continue;
            }
            if let Some(value) = standard(identity, name) {
                found.insert((*name).to_owned(), value);
            }
        }
    }
    found
}

/// The value of a standard claim: our attribute where there is one, so that the settings' mapping
/// decides, else what the identity provider said.
fn standard(identity: &Identity, name: &str) -> Option<Value> {
    let text = |value: &Option<String>| value.clone().map(Value::from);
    match name {
        "name" => text(&identity.name),
        "preferred_username" => text(&identity.preferred_username),
        "email" => text(&identity.email),
        "email_verified" => identity
            .email
            .as_ref()
            .map(|_| identity.email_verified.into()),
        name => identity
            .claims
            .get(name)
            .filter(|value| !value.is_null())
            .cloned(),
    }
}

/// The value of one of the operator's claims. An object leaves out what is not there, and without any
/// member it is not there itself; an array likewise.
fn value_of(source: &ClaimSource, identity: &Identity) -> Option<Value> {
    match source {
        ClaimSource::Path(path) => identity.attribute_or_claim(path),
        ClaimSource::Object(members) => {
            let members: Map<String, Value> = members
                .iter()
                .filter_map(|(name, source)| Some((name.clone(), value_of(source, identity)?)))
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        ClaimSource::Array(items) => {
            let items: Vec<Value> = items
                .iter()
                .filter_map(|source| value_of(source, identity))
                .collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use serde_json::json;

    use super::*;
    use crate::identity::ClaimPath;
    use crate::openid_provider::settings::CustomClaim;
    use crate::openid_provider::test_support::*;

    fn names(scope: &str, requested: &[&str], client: &Client) -> Vec<String> {
        let scope = Scope::parse(scope).unwrap();
        let wish = |name: &&str| RequestedClaim {
            name: (*name).to_owned(),
            essential: false,
            values: Vec::new(),
        };
        let requested: Vec<_> = requested.iter().map(wish).collect();
        let wish = Wish {
            placement: Placement::Userinfo,
            scope: Some(&scope),
            requested: &requested,
        };
        let found = released(&alice(), client, &provider(), wish);
        found.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn core_5_4_a_scope_stands_for_its_claims() {
        let client = client("shop");
        assert!(names("openid", &[], &client).is_empty());
        assert_eq!(
            names("openid email", &[], &client),
            ["email", "email_verified"]
        );
        assert_eq!(
            names("openid profile", &[], &client),
            [
                "name",
                "family_name",
                "given_name",
                "preferred_username",
                "locale"
            ]
        );
    }

    #[test]
    fn core_5_5_single_claims_come_from_registered_scopes() {
        let client = client("shop");
        assert_eq!(names("openid", &["given_name"], &client), ["given_name"]);
        // The client is not registered for `phone`, and `department` belongs to no scope.
        for name in ["phone_number", "department", "iss", "aud", "sub"] {
            assert!(names("openid", &[name], &client).is_empty(), "{name}");
        }
    }

    #[test]
    fn an_address_says_whether_it_was_verified() {
        let mut identity = alice();
        identity.email_verified = false;
        let scope = Scope::parse("email").unwrap();
        let wish = Wish {
            placement: Placement::Userinfo,
            scope: Some(&scope),
            requested: &[],
        };
        let found = released(&identity, &client("shop"), &provider(), wish);
        assert_eq!(found.get("email_verified"), Some(&json!(false)));
        identity.email = None;
        assert!(released(&identity, &client("shop"), &provider(), wish).is_empty());
    }

    fn custom(name: &str, placements: &[Placement], clients: Option<Vec<String>>) -> CustomClaim {
        let path = |text: &str| ClaimSource::Path(ClaimPath::parse(text).unwrap());
        CustomClaim {
            name: name.to_owned(),
            from: ClaimSource::Object(vec![
                ("department".to_owned(), path("department")),
                ("missing".to_owned(), path("nowhere")),
                (
                    "both".to_owned(),
                    ClaimSource::Array(vec![path("user"), path("groups")]),
                ),
            ]),
            placements: placements.to_vec(),
            clients,
        }
    }

    #[test]
    fn claims_of_the_operator_go_where_they_were_put() {
        let mut settings = provider();
        settings.claims = vec![
            custom("all", &[Placement::IdToken, Placement::AccessToken], None),
            custom("one", &[Placement::IdToken], Some(vec!["other".to_owned()])),
            custom("aud", &[Placement::IdToken], None),
        ];
        let at = |placement, id: &str| {
            let wish = Wish {
                placement,
                scope: None,
                requested: &[],
            };
            Value::Object(released(&alice(), &client(id), &settings, wish))
        };
        let value = json!({"department": "it", "both": ["alice", ["wiki-editors"]]});
        assert_eq!(at(Placement::IdToken, "shop"), json!({"all": value}));
        assert_eq!(
            at(Placement::IdToken, "other"),
            json!({"all": value, "one": value})
        );
        assert_eq!(at(Placement::AccessToken, "other"), json!({"all": value}));
        assert_eq!(at(Placement::Userinfo, "shop"), json!({}));
        assert_eq!(at(Placement::Introspection, "shop"), json!({}));
    }
}
