//! `/.well-known/oauth-protected-resource`: what a client needs to know to get a token.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::routes::OWN_PROVIDER;

/// The metadata of the API behind the route at `index` of the file.
///
/// Implements RFC 9728 section 3.2.
pub fn handle(call: &Call<'_>, index: usize) -> Result<Answer, Box<Failure>> {
    let mut routes = call.snapshot.routes.iter();
    let route = routes.find(|route| route.index == index);
    let Some((route, bearer)) = route.and_then(|route| Some((route, route.bearer.as_ref()?)))
    else {
        return Err(Failure::unknown_path().into());
    };
    let own = call.snapshot.openid_provider();
    let issuer = |id: &Arc<str>| match &**id {
        OWN_PROVIDER => Some(own?.issuer.as_str()),
        id => Some(
            call.snapshot
                .identity_provider(id)?
                .settings()
                .issuer
                .as_str(),
        ),
    };
    let issuers: Vec<&str> = bearer.issuers.iter().filter_map(issuer).collect();
    let mut metadata = json!({
        "resource": format!("{}{}", call.origin, route.prefix),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
    });
    if !bearer.scopes.is_empty() {
        metadata["scopes_supported"] = json!(bearer.scopes);
    }
    let mut answer = Answer::json_value(StatusCode::OK, &metadata);
    // Clients that run in browsers read it from other sites; nothing in it is anybody's own.
    answer.insert("access-control-allow-origin", "*");
    answer.insert("cross-origin-resource-policy", "cross-origin");
    Ok(answer)
}
