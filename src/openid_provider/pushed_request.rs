//! Authorization requests that a client pushes, before a browser brings their name.
//!
//! Owns what of a pushed form is the request, and how long it waits. Whether the request is a good one is
//! said by [`crate::openid_provider::authorize`], at the push and again when it is used: the settings may
//! have changed in between.

use std::time::Duration;

use crate::openid_provider::error::Refusal;
use crate::openid_provider::parameters::Parameters;

/// How long a request waits for its browser, which is sent here at once (RFC 9126 section 2.2).
pub const LIFETIME: Duration = Duration::from_secs(60);

/// How a client proves who it is; that is not part of its request, and nobody needs it afterwards.
const PROOF: &[&str] = &["client_secret", "client_assertion", "client_assertion_type"];

/// The request in a pushed form, encoded anew.
///
/// Implements RFC 9126 section 2.1.
///
/// # Errors
/// A [`Refusal`] with `invalid_request` when the form names another pushed request.
pub fn request(form: &Parameters) -> Result<String, Refusal> {
    if form.has("request_uri") {
        return Err(Refusal::invalid_request("a request_uri cannot be pushed"));
    }
    Ok(form.encoded_without(PROOF))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[test]
    fn rfc9126_2_1_the_request_is_all_but_the_proof() {
        let form =
            "client_id=shop&client_secret=s&client_assertion=a&client_assertion_type=t&state=x+y";
        let form = Parameters::parse(form.as_bytes()).unwrap();
        assert_eq!(request(&form).unwrap(), "client_id=shop&state=x+y");
        for text in ["request_uri=x", "client_id=a&request_uri=urn:x"] {
            let form = Parameters::parse(text.as_bytes()).unwrap();
            assert!(request(&form).is_err(), "{text}");
        }
    }
}
