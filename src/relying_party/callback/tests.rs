//! Tests of the authorization response.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use super::*;
use crate::relying_party::test_settings::NOW;
use crate::relying_party::test_settings::flow;
use crate::relying_party::test_settings::metadata;
use crate::relying_party::test_settings::settings;

fn answer(text: &str) -> Result<String, CallbackError> {
    let parameters = CallbackParameters::parse(text)?;
    check(parameters, &flow(), &settings(), &metadata(), NOW).map(|code| code.expose().to_owned())
}

#[track_caller]
fn refused(text: &str, expected: CallbackError) {
    assert_eq!(answer(text), Err(expected), "{text}");
}

#[test]
fn an_answer_to_this_flow_gives_its_code() {
    assert_eq!(answer("code=c%2F1&state=st-1").unwrap(), "c/1");
    let full =
        "code=c&state=st-1&iss=https%3A%2F%2Flogin.example.com&session_state=x.y&foo=1&foo=2";
    assert_eq!(answer(full).unwrap(), "c");
}

#[test]
fn a_doubled_parameter_is_refused() {
    for name in [
        "code",
        "state",
        "iss",
        "error",
        "error_description",
        "error_uri",
        "session_state",
    ] {
        let text = format!("code=c&state=st-1&{name}=a&{name}=a");
        assert_eq!(
            CallbackParameters::parse(&text).unwrap_err(),
            CallbackError::DuplicateParameter(name)
        );
    }
    // The same name, percent-encoded.
    refused(
        "code=c&state=st-1&%73tate=st-1",
        CallbackError::DuplicateParameter("state"),
    );
    // Empty ones count too.
    refused(
        "code=&code=c&state=st-1",
        CallbackError::DuplicateParameter("code"),
    );
}

#[test]
fn tokens_of_the_front_channel_are_not_read() {
    refused(
        "id_token=a.b.c&access_token=x&state=st-1",
        CallbackError::NeitherCodeNorError,
    );
    assert_eq!(answer("id_token=a.b.c&code=c&state=st-1").unwrap(), "c");
}

#[test]
fn a_state_that_is_missing_or_foreign_is_refused() {
    refused("code=c", CallbackError::StateMissing);
    refused("code=c&state=", CallbackError::StateMissing);
    refused("code=c&state=st-2", CallbackError::StateMismatch);
    refused("code=c&state=st-1x", CallbackError::StateMismatch);
    refused(
        "error=access_denied&state=st-2",
        CallbackError::StateMismatch,
    );
}

#[test]
fn code_and_error_together_are_refused() {
    refused(
        "code=c&error=access_denied&state=st-1",
        CallbackError::CodeAndError,
    );
    refused("state=st-1", CallbackError::NeitherCodeNorError);
    refused(
        "state=st-1&code=&error=",
        CallbackError::NeitherCodeNorError,
    );
}

#[test]
fn odd_or_endless_values_are_refused() {
    refused(
        "code=a%0Ab&state=st-1",
        CallbackError::MalformedParameter("code"),
    );
    refused(
        "code=%FF&state=st-1",
        CallbackError::MalformedParameter("code"),
    );
    refused(
        "code=c&state=%C3%A4",
        CallbackError::MalformedParameter("state"),
    );
    let long = "a".repeat(CODE_BYTES_MAX);
    assert!(answer(&format!("code={long}&state=st-1")).is_ok());
    refused(
        &format!("code={long}a&state=st-1"),
        CallbackError::MalformedParameter("code"),
    );
    let long = "a".repeat(VALUE_BYTES_MAX + 1);
    refused(
        &format!("code=c&state=st-1&iss={long}"),
        CallbackError::MalformedParameter("iss"),
    );
    let huge = format!("code=c&state=st-1&x={}", "a".repeat(ANSWER_BYTES_MAX));
    refused(&huge, CallbackError::TooLarge);
}

#[test]
fn rfc9207_2_4_issuer() {
    for iss in [
        "https://evil.example",
        "https://login.example.com/",
        "HTTPS://login.example.com",
    ] {
        let found = iss.to_owned();
        refused(
            &format!("code=c&state=st-1&iss={iss}"),
            CallbackError::IssuerMismatch { found },
        );
    }
    let mut metadata = metadata();
    metadata.authorization_response_iss_parameter_supported = true;
    let without = CallbackParameters::parse("code=c&state=st-1").unwrap();
    assert_eq!(
        check(without, &flow(), &settings(), &metadata, NOW).unwrap_err(),
        CallbackError::IssuerMissing
    );
    let with = CallbackParameters::parse("code=c&state=st-1&iss=https://login.example.com");
    assert!(check(with.unwrap(), &flow(), &settings(), &metadata, NOW).is_ok());
}

#[test]
fn an_answer_for_another_provider_or_too_late_is_refused() {
    let parameters = || CallbackParameters::parse("code=c&state=st-1").unwrap();
    let foreign = Flow {
        identity_provider: "partner".to_owned(),
        ..flow()
    };
    assert_eq!(
        check(parameters(), &foreign, &settings(), &metadata(), NOW).unwrap_err(),
        CallbackError::OtherIdentityProvider
    );
    assert_eq!(
        check(
            parameters(),
            &flow(),
            &settings(),
            &metadata(),
            Timestamp(NOW.0 + 600)
        )
        .unwrap_err(),
        CallbackError::FlowExpired
    );
}

#[test]
fn every_registered_error_comes_through() {
    for code in AuthorizationErrorCode::REGISTERED {
        let text = format!("error={code}&error_description=no+entry&state=st-1");
        let description = Some("no entry".to_owned());
        refused(
            &text,
            CallbackError::Provider {
                code: code.clone(),
                description,
            },
        );
    }
}

#[test]
fn a_description_is_one_short_line() {
    let text = format!(
        "error=x&state=st-1&error_description=a%0D%0Ab%1B{}",
        "c".repeat(900)
    );
    let Err(CallbackError::Provider {
        description: Some(description),
        ..
    }) = answer(&text)
    else {
        panic!("it is an error with a description")
    };
    assert!(description.starts_with("abc"));
    assert_eq!(description.chars().count(), DESCRIPTION_LENGTH_MAX);
}

#[test]
fn the_code_never_prints() {
    let parameters = CallbackParameters::parse("code=marker&state=st-1").unwrap();
    assert!(!format!("{parameters:?}").contains("marker"));
    let code = check(parameters, &flow(), &settings(), &metadata(), NOW).unwrap();
    assert!(!format!("{code:?}").contains("marker"));
}
