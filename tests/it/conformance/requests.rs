//! Redirect URIs and request objects.

use serde_json::json;

use super::accounts;
use super::rp::Rp;
use crate::support::gateway::World;
use crate::support::keys::Signer;
use crate::support::keys::sign;

/// A request object without a signature, as the modules send it.
fn request_object(rp: &Rp<'_>) -> String {
    let claims: serde_json::Map<_, _> = (rp.request(&[]).into_iter())
        .map(|(name, value)| (name, json!(value)))
        .collect();
    let claims = json!(claims).to_string();
    sign(&Signer::Nobody, r#"{"alg":"none"}"#, &claims)
}

/// Until client and redirect URI are known to belong together nobody is sent anywhere. What else is no
/// redirect URI of a client stands in `provider::authorize`.
#[test]
fn oidcc_ensure_registered_redirect_uri() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    rp.flow(&[]);
    let unknown = format!("{}/x1v9", rp.redirect_uri());
    let (_, refused) = rp.go(&[("redirect_uri", &unknown)]);
    assert_eq!(refused.status, 400);
    assert!(refused.all("location").is_empty());
    assert!(refused.text().contains("redirect_uri"), "the page says why");
    rp.silent_flow(&[]);
}

/// Not supported, as the metadata say. What stands inside is not read: the `state` is only there.
#[test]
fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    assert_eq!(rp.metadata["request_parameter_supported"], false);
    let object = request_object(&rp);
    let request = [("request", object.as_str()), ("state", ""), ("nonce", "")];
    assert_eq!(rp.refused(&request), "request_not_supported");
}

/// Not supported, and nothing is fetched.
#[test]
fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    assert_eq!(rp.metadata["request_uri_parameter_supported"], false);
    let uri = format!("{}/request.jwt#x1v9", world.echo.url());
    let request = [("request_uri", uri.as_str()), ("state", ""), ("nonce", "")];
    assert_eq!(rp.refused(&request), "request_uri_not_supported");
    world.echo.assert_untouched();
}

/// The address outside is not the client's, so nobody is sent to the one inside, or to a usual one.
#[test]
fn oidcc_ensure_request_object_with_redirect_uri() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let object = request_object(&rp);
    let uri = format!("{}/x1v9", rp.redirect_uri());
    let (_, refused) = rp.go(&[("request", &object), ("redirect_uri", &uri)]);
    assert_eq!(refused.status, 400);
    assert!(refused.all("location").is_empty());
}
