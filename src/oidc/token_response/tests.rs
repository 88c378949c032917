#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use serde_json::json;

use super::*;

fn parse_with(member: &str, value: Option<Value>) -> Result<TokenResponse, TokenResponseError> {
    let mut body = json!({
        "access_token": "a.b-c", "token_type": "Bearer", "expires_in": 300,
        "refresh_token": "r", "id_token": "h.p.s", "scope": "openid profile",
    });
    let members = body.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.remove(member),
    };
    TokenResponse::parse(body.to_string().as_bytes())
}

#[test]
fn a_full_answer_is_read() {
    let response = parse_with("unknown", Some(json!({"a": 1}))).unwrap();
    assert_eq!(response.access_token.expose(), "a.b-c");
    assert_eq!(response.expires_in, Some(Duration::from_secs(300)));
    assert_eq!(response.refresh_token.unwrap().expose(), "r");
    assert_eq!(response.id_token.unwrap().expose(), "h.p.s");
    assert_eq!(response.scope.unwrap().to_string(), "openid profile");
}

#[test]
fn only_the_token_and_its_type_are_required() {
    let response = TokenResponse::parse(
        br#"{"access_token":"a","token_type":"bEaReR","scope":null,"id_token":null}"#,
    )
    .unwrap();
    assert!(response.expires_in.is_none() && response.refresh_token.is_none());
    assert!(response.id_token.is_none() && response.scope.is_none());
    for member in ["access_token", "token_type"] {
        assert_eq!(
            parse_with(member, None),
            Err(TokenResponseError::MissingMember { member })
        );
    }
    assert!(TokenResponse::parse(b"{}").is_err());
}

#[test]
fn other_token_types_are_refused() {
    for found in ["mac", "DPoP", "", "Bearer ", "N_A"] {
        let error = parse_with("token_type", Some(json!(found))).unwrap_err();
        assert_eq!(
            error,
            TokenResponseError::TokenType {
                found: found.to_owned()
            }
        );
    }
}

#[test]
fn tokens_are_strings_of_bounded_visible_ascii() {
    for member in ["access_token", "refresh_token", "id_token"] {
        let refused = |value| parse_with(member, Some(value)).unwrap_err();
        assert_eq!(
            refused(json!("")),
            TokenResponseError::EmptyToken { member }
        );
        for text in ["a b", "a\r\nX-Admin: 1", "ä", "a\u{0}"] {
            assert_eq!(
                refused(json!(text)),
                TokenResponseError::TokenCharacters { member }
            );
        }
        for value in [json!(1), json!(["a"]), json!({}), json!(true)] {
            assert!(matches!(
                refused(value),
                TokenResponseError::WrongType { .. }
            ));
        }
        assert!(parse_with(member, Some(json!("x".repeat(TOKEN_SIZE_MAX)))).is_ok());
        assert_eq!(
            refused(json!("x".repeat(TOKEN_SIZE_MAX + 1))),
            TokenResponseError::TokenTooLong { member }
        );
    }
}

#[test]
fn expires_in_is_a_whole_number_from_zero() {
    let read = |value| parse_with("expires_in", Some(value)).map(|response| response.expires_in);
    assert_eq!(read(json!(0)), Ok(Some(Duration::ZERO)));
    assert_eq!(read(json!("3600")), Ok(Some(Duration::from_secs(3600))));
    assert_eq!(read(json!(u64::MAX)), Ok(Some(EXPIRES_IN_MAX)));
    for value in [
        json!(-1),
        json!("x"),
        json!(1e300),
        json!(1.5),
        json!("-1"),
        json!("+1"),
        json!(""),
        json!(" 1"),
        json!("99999999999999999999999"),
        json!([1]),
        json!(true),
    ] {
        assert_eq!(
            read(value.clone()),
            Err(TokenResponseError::ExpiresIn),
            "{value}"
        );
    }
}

#[test]
fn a_broken_scope_is_refused() {
    for value in [json!("a\tb"), json!(1)] {
        assert!(matches!(
            parse_with("scope", Some(value)),
            Err(TokenResponseError::Scope(_))
        ));
    }
    assert!(
        parse_with("scope", Some(json!("")))
            .unwrap()
            .scope
            .unwrap()
            .is_empty()
    );
}

#[test]
fn other_bodies_are_refused() {
    for body in [
        "<html></html>",
        "",
        "[]",
        r#"{"access_token":"a","access_token":"b"}"#,
    ] {
        assert!(matches!(
            TokenResponse::parse(body.as_bytes()),
            Err(TokenResponseError::NotJson(_))
        ));
    }
    let mut body = br#"{"access_token":"a","token_type":"Bearer"}"#.to_vec();
    body.resize(TOKEN_RESPONSE_SIZE_MAX, b' ');
    assert!(TokenResponse::parse(&body).is_ok());
    body.push(b' ');
    assert_eq!(
        TokenResponse::parse(&body),
        Err(TokenResponseError::TooLarge)
    );
    assert_eq!(
        TokenErrorResponse::parse(&body),
        Err(TokenResponseError::TooLarge)
    );
}

#[test]
fn an_error_answer_is_read_and_tamed() {
    let read = |body: &str| TokenErrorResponse::parse(body.as_bytes());
    let error = read(r#"{"error":"invalid_grant","error_description":"code\r\nused"}"#).unwrap();
    assert_eq!(error.error, TokenErrorCode::InvalidGrant);
    assert_eq!(error.error_description.unwrap(), "code  used");
    let odd = read(r#"{"error":"teapot","error_description":7}"#).unwrap();
    assert_eq!(odd.error, TokenErrorCode::Other(String::from("teapot")));
    assert_eq!(odd.error_description, None);
    let long = format!(
        r#"{{"error":"x","error_description":"{}"}}"#,
        "y".repeat(9_000)
    );
    assert_eq!(
        read(&long).unwrap().error_description.unwrap().len(),
        DESCRIPTION_LENGTH_MAX
    );
    assert!(matches!(
        read(r#"{"error":7}"#),
        Err(TokenResponseError::WrongType { .. })
    ));
    assert_eq!(
        read("{}"),
        Err(TokenResponseError::MissingMember { member: "error" })
    );
}

#[test]
fn tokens_never_print() {
    let response = parse_with("access_token", Some(json!("marker-token"))).unwrap();
    assert!(!format!("{response:?}").contains("marker-token"));
}
