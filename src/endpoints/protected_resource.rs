//! `/.well-known/oauth-protected-resource`: what a client needs to know to get a token.

use http::StatusCode;
use serde_json::json;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;

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
    let issuers: Vec<&str> = (bearer.issuers.iter())
        .filter_map(|id| call.snapshot.identity_provider(id))
        .map(|provider| provider.settings().issuer.as_str())
        .collect();
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
