//! What an introspection answer has to say.

use serde_json::Map;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::jose;
use crate::jose::claims::numeric_date;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::relying_party::IdentityProviderSettings;
use crate::resource_server::refusal::TokenRefusal;
use crate::routes::BearerSettings;
use crate::routes::Dpop;

/// `token_type` of tokens that a bearer may use; the second is what an old server calls them.
const BEARER_TYPES: [&str; 2] = ["bearer", "access_token"];

/// An answer that has passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Introspected {
    /// Its members.
    pub claims: Map<String, Value>,
    /// `exp`, where it says so.
    pub expires_at: Option<Timestamp>,
}

/// Checks an answer about a token that was shown on a route with `settings`.
///
/// Checks, in this order: `active` is `true` and nothing like it; `iss` is the provider, where it is
/// named; `aud` names this API; `exp` and `nbf`, where they are there; `token_type`; no `cnf`.
///
/// `aud` is required although RFC 7662 section 2.2 makes it optional: without it a token for any API of
/// the issuer would be good here.
///
/// # Errors
/// One [`TokenRefusal`] per check.
pub fn check_introspection(
    provider: &IdentityProviderSettings,
    settings: &BearerSettings,
    answer: Map<String, Value>,
    now: Timestamp,
) -> Result<Introspected, TokenRefusal> {
    if answer.get("active") != Some(&Value::Bool(true)) {
        return Err(TokenRefusal::Inactive);
    }
    if answer
        .get("iss")
        .is_some_and(|issuer| issuer.as_str() != Some(&provider.issuer))
    {
        return Err(TokenRefusal::Issuer);
    }
    check_audience(settings, answer.get("aud"))?;
    let date = |name: &str| match answer.get(name) {
        None => Ok(None),
        Some(value) => numeric_date(value).map(Some).ok_or(TokenRefusal::Claims),
    };
    let expires_at = date("exp")?;
    if expires_at.is_some_and(|end| end <= now) {
        return Err(TokenRefusal::Expired);
    }
    if date("nbf")?.is_some_and(|start| start > now.after(LEEWAY_DEFAULT)) {
        return Err(TokenRefusal::NotYetValid);
    }
    match answer.get("token_type") {
        None => (),
        Some(Value::String(found)) => {
            let is_bound = found.eq_ignore_ascii_case("dpop");
            // Bound, and to nothing that could be proved.
            if is_bound && (settings.dpop == Dpop::Refused || !answer.contains_key("cnf")) {
                return Err(TokenRefusal::SenderConstrained);
            }
            if !is_bound
                && !BEARER_TYPES
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(found))
            {
                return Err(TokenRefusal::Kind);
            }
        }
        Some(_) => return Err(TokenRefusal::Claims),
    }
    let is_acceptable = |cnf: &Value| settings.dpop != Dpop::Refused && jose::jkt(cnf).is_some();
    if answer.get("cnf").is_some_and(|cnf| !is_acceptable(cnf)) {
        return Err(TokenRefusal::SenderConstrained);
    }
    Ok(Introspected {
        claims: answer,
        expires_at,
    })
}

/// A string, or an array of nothing but strings.
fn check_audience(settings: &BearerSettings, found: Option<&Value>) -> Result<(), TokenRefusal> {
    let is_ours = |name: &str| settings.audience.iter().any(|own| own == name);
    let is_ours = match found {
        None => return Err(TokenRefusal::Audience),
        Some(Value::String(name)) => is_ours(name),
        Some(Value::Array(names)) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            names.ok_or(TokenRefusal::Claims)?.into_iter().any(is_ours)
        }
        Some(_) => return Err(TokenRefusal::Claims),
    };
    is_ours.then_some(()).ok_or(TokenRefusal::Audience)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::jose::AccessTokenType;
    use crate::relying_party::test_settings::settings;
    use crate::routes::TokenValidation;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn check(change: Value, expected: Result<(), TokenRefusal>) {
        let bearer = BearerSettings {
            issuers: vec![Arc::from("corp")],
            audience: vec!["https://api.example.com".to_owned()],
            scopes: Vec::new(),
            validation: TokenValidation::Introspection,
            token_type: AccessTokenType::Any,
            cache: Duration::from_secs(60),
            dpop: Dpop::Refused,
            dpop_nonce: Default::default(),
        };
        let mut answer = json!({
            "active": true, "aud": "https://api.example.com", "iss": "https://login.example.com",
            "sub": "s", "exp": NOW.0 + 300, "token_type": "Bearer",
        });
        let answer = answer.as_object_mut().expect("an object");
        for (name, value) in change.as_object().expect("an object") {
            match value {
                Value::Null => drop(answer.remove(name)),
                value => drop(answer.insert(name.clone(), value.clone())),
            }
        }
        let result = check_introspection(&settings(), &bearer, answer.clone(), NOW);
        assert_eq!(result.map(|_| ()), expected, "{change}");
    }

    #[test]
    fn rfc7662_2_2_only_true_is_active() {
        check(json!({}), Ok(()));
        for active in [
            json!(false),
            json!("true"),
            json!(1),
            json!(null),
            json!([true]),
        ] {
            check(json!({"active": active}), Err(TokenRefusal::Inactive));
        }
    }

    #[test]
    fn rfc7662_4_an_answer_is_for_this_api_and_from_this_issuer() {
        check(json!({"aud": ["other", "https://api.example.com"]}), Ok(()));
        check(json!({"aud": null}), Err(TokenRefusal::Audience));
        check(
            json!({"aud": "https://api.example.com/"}),
            Err(TokenRefusal::Audience),
        );
        check(
            json!({"aud": ["https://api.example.com", 7]}),
            Err(TokenRefusal::Claims),
        );
        check(json!({"aud": 7}), Err(TokenRefusal::Claims));
        check(json!({"iss": null}), Ok(()));
        check(
            json!({"iss": "https://login.example.com/"}),
            Err(TokenRefusal::Issuer),
        );
        check(
            json!({"iss": ["https://login.example.com"]}),
            Err(TokenRefusal::Issuer),
        );
    }

    #[test]
    fn dates_are_numbers_and_hold() {
        check(json!({"exp": null}), Ok(()));
        check(json!({"exp": NOW.0 + 1}), Ok(()));
        check(json!({"exp": NOW.0}), Err(TokenRefusal::Expired));
        check(json!({"exp": "2000000"}), Err(TokenRefusal::Claims));
        check(json!({"exp": -5}), Err(TokenRefusal::Claims));
        check(json!({"nbf": NOW.0 + 60}), Ok(()));
        check(json!({"nbf": NOW.0 + 61}), Err(TokenRefusal::NotYetValid));
    }

    #[test]
    fn bound_and_other_tokens_are_refused() {
        check(json!({"token_type": "bearer"}), Ok(()));
        check(json!({"token_type": null}), Ok(()));
        check(
            json!({"token_type": "DPoP"}),
            Err(TokenRefusal::SenderConstrained),
        );
        check(
            json!({"cnf": {"jkt": "x"}}),
            Err(TokenRefusal::SenderConstrained),
        );
        check(
            json!({"token_type": "refresh_token"}),
            Err(TokenRefusal::Kind),
        );
        check(json!({"token_type": 7}), Err(TokenRefusal::Claims));
    }
}
