//! The `claims` parameter.
//!
//! Owns its reading. Implements OpenID Connect Core section 5.5; members that are not understood are
//! passed over, as section 5.5 says.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::oidc::strict_json;
use crate::openid_provider::error::Refusal;

/// Longest `claims` parameter, in bytes: it is stored with the code.
pub const SIZE_MAX: usize = 8 * 1024;

/// Single claims that a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    /// In the ID token.
    pub id_token: Vec<RequestedClaim>,
    /// At the userinfo endpoint.
    pub userinfo: Vec<RequestedClaim>,
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestedClaim {
    /// Its name.
    pub name: String,
    /// Whether the client cannot do without it.
    pub essential: bool,
    /// Values of which it should have one; empty: any.
    pub values: Vec<Value>,
}

impl ClaimsRequest {
    /// Reads the parameter.
    ///
    /// # Errors
    /// A [`Refusal`] with `invalid_request` when it is too long or of another shape.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let refused = Refusal::invalid_request("the claims parameter has another shape");
        if text.len() > SIZE_MAX {
            return Err(Refusal::invalid_request("the claims parameter is too long"));
        }
        let members = strict_json::parse_object(text.as_bytes()).map_err(|_| refused)?;
        let list = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Object(claims)) => {
                let read = |(name, wish): (&String, &Value)| requested(name, wish).ok_or(refused);
                claims.iter().map(read).collect()
            }
            Some(_) => Err(refused),
        };
        Ok(Self {
            id_token: list("id_token")?,
            userinfo: list("userinfo")?,
        })
    }

    /// What is asked about the claim `name` in the ID token.
    pub fn in_id_token(&self, name: &str) -> Option<&RequestedClaim> {
        self.id_token.iter().find(|claim| claim.name == name)
    }
}

fn requested(name: &str, wish: &Value) -> Option<RequestedClaim> {
    let none = Map::new();
    let members = match wish {
        Value::Null => &none,
        Value::Object(members) => members,
        _ => return None,
    };
    let essential = match members.get("essential") {
        None => false,
        Some(flag) => flag.as_bool()?,
    };
    let values = match (members.get("value"), members.get("values")) {
        (None, None) => Vec::new(),
        (Some(value), None) => vec![value.clone()],
        (None, Some(Value::Array(values))) if !values.is_empty() => values.clone(),
        _ => return None,
    };
    Some(RequestedClaim {
        name: name.to_owned(),
        essential,
        values,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use serde_json::json;

    use super::*;

    #[test]
    fn core_5_5_the_example() {
        let request = ClaimsRequest::parse(
            r#"{"userinfo": {"given_name": {"essential": true}, "nickname": null, "picture": null},
                "id_token": {"auth_time": {"essential": true},
                             "acr": {"values": ["urn:mace:incommon:iap:silver"]}},
                "later": {"x": 1}}"#,
        )
        .unwrap();
        assert_eq!(request.userinfo.len(), 3);
        assert!(request.userinfo.first().unwrap().essential);
        let acr = request.in_id_token("acr").unwrap();
        assert_eq!(acr.values, [json!("urn:mace:incommon:iap:silver")]);
        assert!(!acr.essential);
        assert!(request.in_id_token("given_name").is_none());
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "[]",
            "null",
            r#"{"id_token": []}"#,
            r#"{"id_token": {"acr": "x"}}"#,
            r#"{"id_token": {"acr": {"essential": "yes"}}}"#,
            r#"{"id_token": {"acr": {"values": "x"}}}"#,
            r#"{"id_token": {"acr": {"values": []}}}"#,
            r#"{"id_token": {"acr": {"value": "x", "values": ["y"]}}}"#,
            r#"{"id_token": {"acr": null, "acr": {"essential": true}}}"#,
        ] {
            assert!(ClaimsRequest::parse(text).is_err(), "{text}");
        }
        assert!(ClaimsRequest::parse("{}").is_ok());
        let long = format!(r#"{{"userinfo": {{"{}": null}}}}"#, "x".repeat(SIZE_MAX));
        assert!(ClaimsRequest::parse(&long).is_err());
    }
}
