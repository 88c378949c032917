//! From the claims of several sources to those of one person.
//!
//! Owns which source wins, which claims belong to the protocol alone, and the granted scopes. Every
//! source has been verified before: the ID token and the access token by `jose`, userinfo by its
//! `sub` and the connection it came over.

use serde_json::Map;
use serde_json::Value;

use crate::identity::VerifiedClaims;
use crate::oidc::scope::SCOPE_VALUES_MAX;
use crate::oidc::scope::Scope;
use crate::relying_party::settings::ClaimsSource;
use crate::relying_party::settings::IdentityProviderSettings;

/// Claims about a token, not about a person. An app that reads one of these would take it for
/// something it is not: the `aud` is ours, the `exp` is a token's.
const PROTOCOL_CLAIMS: &[&str] = &[
    "iss",
    "aud",
    "azp",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "events",
    "cnf",
    "client_id",
    "active",
    "token_type",
];

/// Whether the claim `name` is about a token and not about a person.
pub fn is_protocol_claim(name: &str) -> bool {
    PROTOCOL_CLAIMS.contains(&name)
}

/// What a login brought in.
#[derive(Clone, Copy, Debug)]
pub struct ClaimSources<'a> {
    /// The subject of the ID token.
    pub subject: &'a str,
    /// Claims of the verified ID token.
    pub id_token: &'a Map<String, Value>,
    /// Claims of userinfo, when it was asked.
    pub userinfo: Option<&'a Map<String, Value>>,
    /// Claims of the verified access token, when they are wanted.
    pub access_token: Option<&'a Map<String, Value>>,
    /// `scope` of the token response; none: all that was asked for was granted.
    pub granted_scope: Option<&'a Scope>,
}

/// Merges the sources that the settings name, the first one to hold a claim winning.
///
/// `sub` is always the ID token's: a provider may know a person by another one at an API.
///
/// Implements RFC 6749 section 5.1 for the granted scopes.
pub fn merge(settings: &IdentityProviderSettings, sources: ClaimSources<'_>) -> VerifiedClaims {
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), Value::from(sources.subject));
    for source in &settings.claims_from {
        let found = match source {
            ClaimsSource::IdToken => Some(sources.id_token),
            ClaimsSource::Userinfo => sources.userinfo,
            ClaimsSource::AccessToken => sources.access_token,
        };
        for (name, value) in found.into_iter().flatten() {
            // `null` says that there is nothing: the next source may know more.
            let is_kept = !value.is_null() && !PROTOCOL_CLAIMS.contains(&name.as_str());
            if is_kept && !claims.contains_key(name) {
                claims.insert(name.clone(), value.clone());
            }
        }
    }
    VerifiedClaims {
        subject: sources.subject.to_owned(),
        claims,
        scopes: scopes(settings, sources),
    }
}

fn scopes(settings: &IdentityProviderSettings, sources: ClaimSources<'_>) -> Vec<String> {
    let mut scopes: Vec<String> = match sources.granted_scope {
        Some(scope) => scope.iter().map(str::to_owned).collect(),
        None => settings.scopes.clone(),
    };
    // `scp` is what some providers call it in their tokens.
    let of_access_token = ["scope", "scp"].into_iter().filter_map(|name| {
        let value = sources.access_token?.get(name)?;
        Scope::from_json(value).ok()
    });
    for value in
        of_access_token.flat_map(|scope| scope.iter().map(str::to_owned).collect::<Vec<_>>())
    {
        if scopes.len() < SCOPE_VALUES_MAX && !scopes.contains(&value) {
            scopes.push(value);
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::relying_party::test_settings::settings;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => panic!("claims are an object"),
        }
    }

    fn check(claims_from: &[ClaimsSource], expected: Value) {
        let settings = IdentityProviderSettings {
            claims_from: claims_from.to_vec(),
            ..settings()
        };
        let id_token = object(json!({
            "sub": "s-1", "iss": "i", "aud": "gateway", "exp": 1, "iat": 1, "nbf": 1, "nonce": "n",
            "at_hash": "h", "azp": "gateway", "sid": "x", "jti": "j",
            "name": "Alice", "email": null, "acr": "urn:mfa",
        }));
        let userinfo = object(json!({"sub": "s-1", "name": "Other", "email": "a@corp.example"}));
        let access_token = object(json!({
            "sub": "api-7", "aud": "api", "client_id": "gateway", "name": "Third",
            "realm_access": {"roles": ["admin"]},
        }));
        let merged = merge(
            &settings,
            ClaimSources {
                subject: "s-1",
                id_token: &id_token,
                userinfo: Some(&userinfo),
                access_token: Some(&access_token),
                granted_scope: None,
            },
        );
        assert_eq!(merged.subject, "s-1");
        assert_eq!(Value::Object(merged.claims), expected, "{claims_from:?}");
    }

    #[test]
    fn the_first_source_to_hold_a_claim_wins() {
        use ClaimsSource::*;
        check(
            &[IdToken],
            json!({"sub": "s-1", "name": "Alice", "acr": "urn:mfa"}),
        );
        check(
            &[IdToken, Userinfo],
            json!({"sub": "s-1", "name": "Alice", "acr": "urn:mfa", "email": "a@corp.example"}),
        );
        check(
            &[Userinfo, IdToken],
            json!({"sub": "s-1", "name": "Other", "acr": "urn:mfa", "email": "a@corp.example"}),
        );
        check(
            &[AccessToken],
            json!({"sub": "s-1", "name": "Third", "realm_access": {"roles": ["admin"]}}),
        );
    }

    fn check_scopes(granted: Option<&str>, access_token: Option<Value>, expected: &[&str]) {
        let id_token = Map::new();
        let access_token = access_token.map(object);
        let granted = granted.map(|text| Scope::parse(text).expect("it is a scope"));
        let merged = merge(
            &settings(),
            ClaimSources {
                subject: "s-1",
                id_token: &id_token,
                userinfo: None,
                access_token: access_token.as_ref(),
                granted_scope: granted.as_ref(),
            },
        );
        assert_eq!(merged.scopes, expected);
    }

    #[test]
    fn rfc6749_5_1_granted_scopes() {
        check_scopes(None, None, &["openid", "profile", "email"]);
        check_scopes(Some("openid wiki.read"), None, &["openid", "wiki.read"]);
        check_scopes(Some(""), None, &[]);
    }

    #[test]
    fn a_verified_access_token_adds_its_scopes() {
        check_scopes(
            Some("openid"),
            Some(json!({"scope": "openid a", "scp": ["b", "a"]})),
            &["openid", "a", "b"],
        );
        check_scopes(Some("openid"), Some(json!({"scope": 7})), &["openid"]);
    }
}
